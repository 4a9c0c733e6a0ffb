"""File formats other than DICOM, and where their bytes come from."""
