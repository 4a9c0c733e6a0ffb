"""Scans made ready: datalists, planted test sets, healthy scans to learn from."""
