"""DICOM: headers, frames, the volumes of a series, and their pixels (PS3.3, PS3.5, PS3.10)."""
