"""Masks of the core as a new segmentation of the scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from pgt.agreement.masks import CroppedMask
from pgt.geometry import Geometry

Color = tuple[float, float, float]

_REPRESENTATION = "Binary labelmap"


def add_segmentation(
    scene: slicer.vtkMRMLScene,
    name: str,
    geometry: Geometry,
    masks: Mapping[str, CroppedMask],
    like: Mapping[str, slicer.vtkSegment] | None = None,
) -> slicer.vtkMRMLSegmentationNode:
    """A new segmentation with a segment for each mask.

    Args:
        scene: where to add it.
        name: what to call it, if nothing is called so yet.
        geometry: the grid of the masks, in world RAS.
        masks: by the name of the segment; empty ones become empty segments.
        like: segments whose color and terminology a new one of that name takes over.
    """
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName(_REPRESENTATION)
    segmentation.SetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(),
        slicer.vtkSegmentationConverter.SerializeImageGeometry(_image(geometry)),
    )
    modifying = node.StartModify()
    try:
        for number, (label, mask) in enumerate(masks.items(), start=1):
            segment = slicer.vtkSegment()
            if like and label in like:
                _take_looks(segment, like[label])
            else:
                segment.SetColor(*_color(number))
            segment.SetName(label)
            if not mask.is_empty:
                segment.AddRepresentation(_REPRESENTATION, _image(geometry, mask.voxels, mask.start))
            segmentation.AddSegment(segment)
    finally:
        node.EndModify(modifying)
    return node


def _take_looks(segment: slicer.vtkSegment, model: slicer.vtkSegment) -> None:
    import vtk

    segment.SetColor(*model.GetColor())
    name, terminology = model.GetTerminologyEntryTagName(), vtk.reference("")
    if model.GetTag(name, terminology):
        segment.SetTag(name, str(terminology))


def _color(number: int) -> Color:
    """Colors far apart for numbers that follow each other, by the golden ratio around the color circle."""
    import colorsys

    return colorsys.hsv_to_rgb((0.618 * number) % 1.0, 0.6, 0.9)


def _image(
    geometry: Geometry, voxels: NDArray[Any] | None = None, start: tuple[int, int, int] = (0, 0, 0)
) -> slicer.vtkOrientedImageData:
    """A box of a grid, with its voxels [i, j, k] where there are any; else the whole grid."""
    from vtkmodules.util.numpy_support import numpy_to_vtk

    image = slicer.vtkOrientedImageData()
    image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(geometry.ijk_to_ras))
    size = geometry.shape if voxels is None else voxels.shape
    ends = [(first, first + count - 1) for first, count in zip(start, size, strict=True)]
    image.SetExtent(*(end for pair in ends for end in pair))
    if voxels is not None:
        flat = np.ascontiguousarray(voxels.T, dtype=np.uint8).ravel()
        image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True))
    return image
