"""What is kept and sent."""
