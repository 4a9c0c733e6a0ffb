"""What is written for one case: one table, and who makes each file."""
