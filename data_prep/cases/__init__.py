"""What is given on a command line or in a datalist, as cases and volumes."""
