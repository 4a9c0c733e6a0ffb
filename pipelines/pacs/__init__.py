"""Archives of images: fetched from by DICOMweb, received from by C-STORE, sent back to by either."""
