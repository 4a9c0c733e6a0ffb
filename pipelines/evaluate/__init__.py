"""A bundle held against scans: measured on labelled ones, calibrated on healthy ones."""
