"""The files that the demo writes into its folder, and what they are."""

from __future__ import annotations

PAGE = "index.html"

RESULTS = {
    PAGE: "this page",
    "label_map.nii.gz": "the label map",
    "label_map.seg.nrrd": "the same as a segmentation of 3D Slicer, with names and colours",
    "uncertainty.nii.gz": "uncertainty of every voxel, 0 to 1",
    "report.json": "slices with state and confidence, next slice, method, device, time",
    "planes.png": "overlay in three planes",
    "slices.png": "overlay on annotated and propagated slices",
    "uncertainty.png": "uncertainty in three planes",
}

MADE_VOLUME = {
    "image.nii.gz": "the made CT",
    "annotation.nii.gz": "its annotated slices",
    "truth.nii.gz": "its true label map",
}
