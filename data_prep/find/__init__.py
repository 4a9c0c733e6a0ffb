"""Series found on a drive and checked."""
