"""Cohorts: which scans a folder of research data holds, who is healthy, and who trains, validates and tests."""
