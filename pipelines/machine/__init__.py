"""This computer: files, memory, cores, provenance."""
