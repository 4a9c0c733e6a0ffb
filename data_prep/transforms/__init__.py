"""MONAI dictionary transforms that prepare volumes for a network."""
