"""What people run: the command line, batches over files, the report."""
