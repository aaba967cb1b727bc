"""Segmentations of the scene as the core compares them: every structure on the segmentation's own grid.

The grid is in world RAS, the transforms above the segmentation included. Slice states count slices of the
image that was drawn on, which is the segmentation's reference geometry.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from pgt.agreement.masks import CroppedMask, occupied_box
from pgt.agreement.readings import DrawnSlices
from pgt.agreement.structures import RatedSegmentation, Segmentation, Structure
from pgt.annotation import SliceLedger
from pgt.errors import InputError
from pgt.geometry import Geometry
from PGTToolkitLib.ledger_tags import read_ledger
from PGTToolkitLib.reading_nodes import Entered
from PGTToolkitLib.scene import (
    SegmentationGrid,
    ijk_to_ras,
    matrix_from_vtk,
    segment_ids,
    shape_of,
    transform_to_world,
)


def rated_segmentations(
    readings: Entered, case: str, with_voxels: bool = True
) -> tuple[RatedSegmentation, ...]:
    """The readings of the scene.

    Args:
        readings: segmentations, and whose they are.
        case: what to call the case.
        with_voxels: without them only the names of structures are read, which takes no time.

    Raises:
        InputError: a segmentation has no segment, or its slice states do not fit its grid.
    """
    return tuple(
        RatedSegmentation(case, entry.sitting, segmentation_of(node, with_voxels)) for node, entry in readings
    )


def segmentation_of(node: slicer.vtkMRMLSegmentationNode, with_voxels: bool = True) -> Segmentation:
    """All structures of a segmentation.

    Raises:
        InputError: there is no segment, or slice states belong to another grid than the voxels.
    """
    if not segment_ids(node):
        raise InputError(f"{node.GetName()} has no segment.")
    if with_voxels and not node.CreateBinaryLabelmapRepresentation():
        raise InputError(f"{node.GetName()} cannot be turned into voxels.")
    grid = own_grid(node)
    ledger = read_ledger(node)
    _check_ledger(node, grid, ledger)
    structures = tuple(_structure(node, segment, grid, ledger, with_voxels) for segment in segment_ids(node))
    return Segmentation(
        node.GetName(), Geometry.from_ijk_to_ras(ijk_to_ras(grid.volume_node), grid.shape), structures, False
    )


def drawn_on(node: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The image that a segmentation was drawn on; None where that is not known."""
    image = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    return image if image is not None and image.IsA("vtkMRMLScalarVolumeNode") else None


def own_grid(node: slicer.vtkMRMLSegmentationNode) -> SegmentationGrid:
    """The grid that a segmentation is drawn on, in world RAS.

    The image that was drawn on where its voxels lie on that, else the grid of its voxels.

    Raises:
        InputError: there is neither.
    """
    reference = _reference_geometry(node)
    if reference is not None:
        grid = SegmentationGrid(node, _grid_node(node, reference))
        if grid.difference() is None:
            return grid
    layers = _layers(node)
    if not layers:
        if reference is None:
            raise InputError(f"{node.GetName()} has neither voxels nor a grid to draw on.")
        return SegmentationGrid(node, _grid_node(node, reference))
    return SegmentationGrid(node, _grid_node(node, _around(layers)))


def _structure(
    node: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    grid: SegmentationGrid,
    ledger: SliceLedger,
    with_voxels: bool,
) -> Structure:
    segment = node.GetSegmentation().GetSegment(segment_id)
    mask = _mask(grid, segment_id) if with_voxels else CroppedMask.empty(grid.shape)
    terminology = vtk.reference("")
    segment.GetTag(segment.GetTerminologyEntryTagName(), terminology)
    return Structure(
        key=segment_id,
        name=segment.GetName(),
        value=None,
        terminology=str(terminology),
        mask=mask,
        drawn=_drawn(ledger, segment_id, mask) if with_voxels else None,
        color=tuple(segment.GetColor()),
    )


def _mask(grid: SegmentationGrid, segment_id: str) -> CroppedMask:
    part = grid.part(segment_id)
    inner = occupied_box(part[1]) if part is not None else None
    if part is None or inner is None:
        return CroppedMask.empty(grid.shape)
    box, voxels = part
    i, j, k = (side.start + within.start for side, within in zip(box, inner, strict=True))
    return CroppedMask(np.ascontiguousarray(voxels[inner]), (i, j, k), grid.shape)


def _drawn(ledger: SliceLedger, segment_id: str, mask: CroppedMask) -> DrawnSlices | None:
    from pgt.agreement.reading_files import drawn_slices

    return drawn_slices(SliceLedger(one for one in ledger if one.segment == segment_id), mask)


def _check_ledger(node: slicer.vtkMRMLSegmentationNode, grid: SegmentationGrid, ledger: SliceLedger) -> None:
    reference = _reference_geometry(node)
    if not len(ledger) or reference is None:
        return
    expected = _grid_node(node, reference)
    same = np.allclose(ijk_to_ras(expected), ijk_to_ras(grid.volume_node), atol=1e-4)
    if not same or shape_of(expected) != grid.shape:
        raise InputError(
            f"{node.GetName()} was moved to another grid than the one its slices were drawn on, so nobody "
            "can tell any more which of its voxels a rater drew."
        )


def _reference_geometry(node: slicer.vtkMRMLSegmentationNode) -> slicer.vtkOrientedImageData | None:
    """The grid that the segmentation says it is drawn on, in its own coordinates."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    text = node.GetSegmentation().GetConversionParameter(name)
    image = slicer.vtkOrientedImageData()
    if not text or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False):
        return None
    return image if min(image.GetDimensions()) > 0 else None


def _layers(node: slicer.vtkMRMLSegmentationNode) -> list[slicer.vtkOrientedImageData]:
    found: list[slicer.vtkOrientedImageData] = []
    for segment_id in segment_ids(node):
        layer = node.GetBinaryLabelmapInternalRepresentation(segment_id)
        if layer is not None and min(layer.GetDimensions()) > 0 and layer not in found:
            found.append(layer)
    return found


def _around(layers: list[slicer.vtkOrientedImageData]) -> slicer.vtkOrientedImageData:
    """The lattice of the first layer, as large as all layers need."""
    extents = np.array([layer.GetExtent() for layer in layers])
    low, high = extents[:, ::2].min(axis=0), extents[:, 1::2].max(axis=0)
    around = slicer.vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    layers[0].GetImageToWorldMatrix(matrix)
    around.SetGeometryFromImageToWorldMatrix(matrix)
    around.SetExtent(*(int(end) for pair in zip(low, high, strict=True) for end in pair))
    return around


def _grid_node(
    node: slicer.vtkMRMLSegmentationNode, image: slicer.vtkOrientedImageData
) -> slicer.vtkMRMLScalarVolumeNode:
    """A volume without voxels, in no scene, on a grid given in a segmentation's own coordinates."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    extent = image.GetExtent()
    first = np.eye(4)
    first[:3, 3] = extent[::2]
    world = transform_to_world(node) @ matrix_from_vtk(matrix) @ first
    voxels = vtk.vtkImageData()
    voxels.SetDimensions(image.GetDimensions())
    grid = slicer.vtkMRMLScalarVolumeNode()
    grid.SetName(node.GetName())
    grid.SetAndObserveImageData(voxels)
    grid.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(world))
    return grid
