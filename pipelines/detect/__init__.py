"""The main job: scans in; masks, score maps and findings out."""
