"""Bundles trained from healthy scans."""
