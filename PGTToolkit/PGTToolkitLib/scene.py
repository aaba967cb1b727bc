"""MRML nodes as the core's volumes and label maps, and the grid that both share.

Arrays are [i, j, k] in the volume node's voxel order, and lie in memory as Slicer has them, k slowest. A
transform above the volume or the segmentation is taken into account when the two grids are compared; a volume
is handed to the core in its own RAS, without the transform, because propagation only needs distances inside
the volume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.volume import LabelMap, Segment, Volume
from PGTToolkitLib.boxes import Box

Mask = NDArray[np.bool_]


# How far a segmentation's voxel may lie from the volume's, in voxels, and still be called the same voxel.
_LATTICE_TOLERANCE = 0.05


def matrix_from_vtk(matrix: vtk.vtkMatrix4x4) -> NDArray[np.float64]:
    """A VTK matrix as a 4x4 array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def ijk_to_ras(volume_node: slicer.vtkMRMLVolumeNode) -> NDArray[np.float64]:
    """Voxel index to the volume's own RAS in mm, as 4x4 array."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return matrix_from_vtk(matrix)


def transform_to_world(node: slicer.vtkMRMLTransformableNode) -> NDArray[np.float64]:
    """The transforms above a node as one 4x4 array.

    Raises:
        InputError: one of them bends space and must be hardened first.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not transform.IsTransformToWorldLinear() or not transform.GetMatrixTransformToWorld(matrix):
        raise InputError(f"{node.GetName()} is under a deformable transform: harden the transform first.")
    return matrix_from_vtk(matrix)


def ijk_to_world(volume_node: slicer.vtkMRMLVolumeNode) -> NDArray[np.float64]:
    """Voxel index to world RAS in mm, transforms included, as 4x4 array."""
    return transform_to_world(volume_node) @ ijk_to_ras(volume_node)


def shape_of(volume_node: slicer.vtkMRMLVolumeNode) -> tuple[int, int, int]:
    """Number of voxels along i, j, k.

    Raises:
        InputError: the node holds no image yet.
    """
    image = volume_node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        raise InputError(f"The volume {volume_node.GetName()} has no voxels.")
    size_i, size_j, size_k = image.GetDimensions()
    return (size_i, size_j, size_k)


def geometry_of(volume_node: slicer.vtkMRMLVolumeNode) -> Geometry:
    """The volume's grid in its own RAS."""
    return Geometry.from_ijk_to_ras(ijk_to_ras(volume_node), shape_of(volume_node))


def volume_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> Volume:
    """The node's voxels (not copied) and grid.

    Raises:
        InputError: no voxels, or several components for each voxel.
    """
    geometry = geometry_of(volume_node)
    components = volume_node.GetImageData().GetNumberOfScalarComponents()
    if components != 1:
        raise InputError(f"{volume_node.GetName()} has {components} numbers a voxel; a grey image has one.")
    return Volume(slicer.util.arrayFromVolume(volume_node).T, geometry)


def nodes_of(scene: slicer.vtkMRMLScene, kind: str) -> list[slicer.vtkMRMLNode]:
    """The nodes of a class and those derived from it, in the order in which they were added."""
    return [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]


def segment_ids(segmentation_node: slicer.vtkMRMLSegmentationNode) -> tuple[str, ...]:
    """The IDs of the segments, in the order of the segmentation."""
    return tuple(segmentation_node.GetSegmentation().GetSegmentIDs())


def segment_name(segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> str:
    """What the user calls the segment."""
    return str(segmentation_node.GetSegmentation().GetSegment(segment_id).GetName())


@dataclass(frozen=True)
class SegmentationGrid:
    """The voxels of a segmentation on the grid of its volume.

    A segmentation stores each layer as a box on a lattice of its own. Here the lattice must be the volume's;
    :meth:`difference` says where it is not.
    """

    segmentation_node: slicer.vtkMRMLSegmentationNode
    volume_node: slicer.vtkMRMLScalarVolumeNode

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        return shape_of(self.volume_node)

    @property
    def image_to_segmentation(self) -> NDArray[np.float64]:
        """Voxel index of the volume to the segmentation's own coordinates, as 4x4 array."""
        return np.linalg.inv(transform_to_world(self.segmentation_node)) @ ijk_to_world(self.volume_node)

    def difference(self) -> str | None:
        """Why the segmentation is not on the volume's grid, in words; None when it is."""
        for layer in self._layers():
            if _lattice_offset(self._volume_from_layer(layer)) is None:
                spacing = " × ".join(f"{value:.4g}" for value in layer.GetSpacing())
                own = " × ".join(f"{value:.4g}" for value in self.volume_node.GetSpacing())
                return (
                    f"{self.segmentation_node.GetName()} was drawn on another grid ({spacing} mm) than "
                    f"{self.volume_node.GetName()} ({own} mm)."
                )
        return None

    def check(self) -> None:
        """Raise InputError where :meth:`difference` finds one."""
        difference = self.difference()
        if difference:
            raise InputError(difference)

    def mask(self, segment_id: str) -> Mask:
        """The segment's voxels as boolean array [i, j, k] of the volume's shape."""
        mask = np.zeros(self.shape, dtype=bool, order="F")
        part = self.part(segment_id)
        if part is not None:
            box, voxels = part
            mask[box] = voxels
        return mask

    def part(self, segment_id: str) -> tuple[Box, Mask] | None:
        """Where the segment may have voxels, and which: a box of the volume and its content.

        None for a segment without any voxel.
        """
        layer = self.segmentation_node.GetBinaryLabelmapInternalRepresentation(segment_id)
        placed = self.layer_on_grid(layer) if layer is not None else None
        if placed is None:
            return None
        box, labels = placed
        value = self.segmentation_node.GetSegmentation().GetSegment(segment_id).GetLabelValue()
        return box, labels == value

    def layer_on_grid(self, layer: slicer.vtkOrientedImageData) -> tuple[Box, NDArray[Any]] | None:
        """A layer's box on the volume's grid and its labels there (not copied); None where it is empty."""
        if _is_empty(layer):
            return None
        extent = layer.GetExtent()
        offset = _lattice_offset(self._volume_from_layer(layer))
        if offset is None:
            raise InputError(str(self.difference()))
        voxels = _array_of(layer)
        box, inner = [], []
        for axis, size in enumerate(self.shape):
            first = extent[2 * axis] + offset[axis]
            start, stop = max(first, 0), min(first + voxels.shape[axis], size)
            if start >= stop:
                return None
            box.append(slice(start, stop))
            inner.append(slice(start - first, stop - first))
        return (box[0], box[1], box[2]), voxels[tuple(inner)]

    def label_map(self, values: Mapping[str, int], mask_of: Callable[[str], Mask]) -> LabelMap:
        """A label map of segments.

        Args:
            values: label value of each segment ID.
            mask_of: answers a segment ID with its boolean array [i, j, k].

        Raises:
            InputError: two masks share voxels.
        """
        dtype = np.min_scalar_type(max(values.values(), default=0))
        voxels = np.zeros(self.shape, dtype=dtype, order="F")
        for segment_id, value in values.items():
            mask = mask_of(segment_id)
            taken = int(voxels.max(where=mask, initial=0))
            if taken:
                other = next(other for other, label in values.items() if label == taken)
                names = [segment_name(self.segmentation_node, name) for name in (other, segment_id)]
                raise InputError(f"{names[0]} and {names[1]} overlap on annotated slices: erase one there.")
            np.copyto(voxels, value, where=mask)
        segmentation = self.segmentation_node.GetSegmentation()
        segments = tuple(
            Segment(
                value=value,
                name=segmentation.GetSegment(segment_id).GetName(),
                color=segmentation.GetSegment(segment_id).GetColor(),
                identifier=segment_id,
            )
            for segment_id, value in values.items()
        )
        return LabelMap(voxels, geometry_of(self.volume_node), segments)

    def oriented_image(self, voxels: NDArray[Any], start: Sequence[int]) -> slicer.vtkOrientedImageData:
        """Voxels [i, j, k], the first of them the volume's voxel ``start``, as a segmentation's image."""
        from vtkmodules.util.numpy_support import numpy_to_vtk

        image = slicer.vtkOrientedImageData()
        ends = [first + size - 1 for first, size in zip(start, voxels.shape, strict=True)]
        image.SetExtent(start[0], ends[0], start[1], ends[1], start[2], ends[2])
        flat = np.ascontiguousarray(voxels.T, dtype=np.uint8).ravel()
        image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True))
        image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(self.image_to_segmentation))
        return image

    def _layers(self) -> Iterable[slicer.vtkOrientedImageData]:
        seen = set()
        for segment_id in segment_ids(self.segmentation_node):
            layer = self.segmentation_node.GetBinaryLabelmapInternalRepresentation(segment_id)
            if layer is not None and layer not in seen and not _is_empty(layer):
                seen.add(layer)
                yield layer

    def _volume_from_layer(self, layer: slicer.vtkOrientedImageData) -> NDArray[np.float64]:
        matrix = vtk.vtkMatrix4x4()
        layer.GetImageToWorldMatrix(matrix)
        return np.linalg.inv(self.image_to_segmentation) @ matrix_from_vtk(matrix)


def match_grid(grid: SegmentationGrid) -> None:
    """Resample a segmentation to the grid of its volume."""
    geometry = slicer.vtkSlicerSegmentationGeometryLogic()
    geometry.SetInputSegmentationNode(grid.segmentation_node)
    geometry.SetSourceGeometryNode(grid.volume_node)
    problem = geometry.CalculateOutputGeometry()
    if problem:
        raise InputError(f"{grid.segmentation_node.GetName()} cannot be resampled: {problem}")
    geometry.SetReferenceImageGeometryInSegmentationNode()
    geometry.ResampleLabelmapsInSegmentationNode()


def _lattice_offset(volume_from_layer: NDArray[np.float64]) -> tuple[int, int, int] | None:
    """Whole voxels between two index systems; None where they differ by more than a shift of whole voxels."""
    offset = np.rint(volume_from_layer[:3, 3])
    # One per mille of turn or scale displaces the far end of 500 voxels by half a voxel.
    same_axes = np.allclose(volume_from_layer[:3, :3], np.eye(3), rtol=0, atol=1e-4)
    if not same_axes or np.abs(volume_from_layer[:3, 3] - offset).max() > _LATTICE_TOLERANCE:
        return None
    return (int(offset[0]), int(offset[1]), int(offset[2]))


def _is_empty(image: slicer.vtkOrientedImageData) -> bool:
    extent = image.GetExtent()
    without_extent = any(extent[2 * axis] > extent[2 * axis + 1] for axis in range(3))
    return without_extent or image.GetPointData().GetScalars() is None


def _array_of(image: slicer.vtkOrientedImageData) -> NDArray[Any]:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    scalars = vtk_to_numpy(image.GetPointData().GetScalars())
    return scalars.reshape(tuple(reversed(image.GetDimensions()))).T
