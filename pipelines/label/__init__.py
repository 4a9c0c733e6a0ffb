"""The MONAI Label app: bundles at work in 3D Slicer and OHIF. All but `server` and `examiner` need MONAI Label."""
