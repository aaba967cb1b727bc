"""MRML nodes to arrays and back, however the volume lies."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from conftest import rotation

from pgt.errors import InputError
from PGTToolkitLib import scene as scene_module
from PGTToolkitLib.scene import SegmentationGrid, match_grid, volume_of
from PGTToolkitLib.segment_writer import SegmentChange, SegmentWriter
from PGTToolkitLib.session import create_segmentation


def blob(shape, centre, radius=3.0):
    places = np.indices(shape)
    return sum((axis - c) ** 2 for axis, c in zip(places, centre, strict=True)) <= radius**2


def write(grid, masks):
    changes = [SegmentChange.between(segment, grid.mask(segment), mask) for segment, mask in masks.items()]
    SegmentWriter().write(grid, changes)


def test_volume_is_the_nodes_voxels_and_grid(add_volume, direction):
    node = add_volume(direction=direction)
    volume = volume_of(node)
    assert volume.voxels.shape == (24, 20, 16)
    assert volume.voxels[3, 7, 11] == node.GetImageData().GetScalarComponentAsDouble(3, 7, 11, 0)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(volume.geometry.ijk_to_ras, slicer.util.arrayFromVTKMatrix(matrix), atol=1e-9)


def test_volume_without_voxels_or_with_colors_is_refused(scene):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    with pytest.raises(InputError, match="nothing has no voxels"):
        volume_of(empty)
    colored = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    slicer.util.updateVolumeFromArray(colored, np.zeros((4, 5, 6, 3), np.uint8))
    with pytest.raises(InputError, match="photo has 3 numbers a voxel"):
        volume_of(colored)


def test_written_mask_comes_back(scene, add_volume, direction):
    volume = add_volume(direction=direction)
    node = create_segmentation(volume)
    segment = node.GetSegmentation().AddEmptySegment("s")
    grid = SegmentationGrid(node, volume)
    mask = blob(grid.shape, (10, 8, 5))
    write(grid, {segment: mask})
    np.testing.assert_array_equal(grid.mask(segment), mask)
    smaller = mask & blob(grid.shape, (12, 8, 5))
    write(grid, {segment: smaller})
    np.testing.assert_array_equal(grid.mask(segment), smaller)


def test_mask_is_where_slicer_exports_it(scene, add_volume, direction):
    """The independent witness: Slicer's own export of a segment onto the volume."""
    volume = add_volume(direction=direction)
    node = create_segmentation(volume)
    segment = node.GetSegmentation().AddEmptySegment("s")
    grid = SegmentationGrid(node, volume)
    mask = blob(grid.shape, (20, 3, 14), 4)
    write(grid, {segment: mask})
    exported = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    assert logic.ExportSegmentsToLabelmapNode(node, [segment], exported, volume)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(exported).T != 0, mask)


def test_a_transform_above_both_changes_nothing(scene, add_volume, direction):
    volume = add_volume(direction=direction)
    node = create_segmentation(volume)
    segment = node.GetSegmentation().AddEmptySegment("s")
    grid = SegmentationGrid(node, volume)
    mask = blob(grid.shape, (10, 8, 5))
    write(grid, {segment: mask})
    transform = _add_transform(scene)
    for moved in (volume, node):
        moved.SetAndObserveTransformNodeID(transform.GetID())
    assert grid.difference() is None
    np.testing.assert_array_equal(grid.mask(segment), mask)


def test_a_transform_above_the_volume_alone_is_followed(scene, add_volume):
    """A segmentation begun on a transformed volume lies where the volume is seen."""
    volume = add_volume()
    volume.SetAndObserveTransformNodeID(_add_transform(scene).GetID())
    node = create_segmentation(volume)
    segment = node.GetSegmentation().AddEmptySegment("s")
    grid = SegmentationGrid(node, volume)
    mask = blob(grid.shape, (10, 8, 5))
    write(grid, {segment: mask})
    np.testing.assert_array_equal(grid.mask(segment), mask)
    volume.SetAndObserveTransformNodeID(None)
    assert "was drawn on another grid" in (grid.difference() or "")


def test_a_deformable_transform_is_refused(scene, add_volume):
    volume = add_volume()
    bend = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "bend")
    spline = vtk.vtkThinPlateSplineTransform()
    bend.SetAndObserveTransformToParent(spline)
    volume.SetAndObserveTransformNodeID(bend.GetID())
    with pytest.raises(InputError, match="harden"):
        scene_module.ijk_to_world(volume)


def test_another_grid_is_named(scene, add_volume):
    fine, coarse = add_volume(), add_volume(shape=(12, 10, 16), spacing=(1.6, 2.2, 3.0))
    node = create_segmentation(coarse)
    segment = node.GetSegmentation().AddEmptySegment("s")
    on_coarse = SegmentationGrid(node, coarse)
    write(on_coarse, {segment: blob(on_coarse.shape, (5, 5, 5))})
    grid = SegmentationGrid(node, fine)
    with pytest.raises(InputError, match=r"1.6 × 2.2 × 3 mm.* than CT .*0.8 × 1.1 × 3 mm"):
        grid.mask(segment)


def test_writing_leaves_other_segments_alone(scene, add_volume):
    volume = add_volume()
    node = create_segmentation(volume)
    first, second, third = (node.GetSegmentation().AddEmptySegment(name) for name in "abc")
    grid = SegmentationGrid(node, volume)
    finished = blob(grid.shape, (12, 10, 8), 4)
    write(grid, {first: finished, second: blob(grid.shape, (4, 4, 4))})
    write(grid, {second: blob(grid.shape, (9, 10, 8), 4), third: blob(grid.shape, (15, 10, 8), 3)})
    np.testing.assert_array_equal(grid.mask(first), finished)


def test_voxels_pass_between_segments(scene, add_volume):
    volume = add_volume()
    node = create_segmentation(volume)
    first, second = (node.GetSegmentation().AddEmptySegment(name) for name in "ab")
    grid = SegmentationGrid(node, volume)
    left, right = blob(grid.shape, (6, 10, 8), 3), blob(grid.shape, (16, 10, 8), 3)
    write(grid, {first: left, second: right})
    write(grid, {first: right, second: left})
    np.testing.assert_array_equal(grid.mask(first), right)
    np.testing.assert_array_equal(grid.mask(second), left)


def _add_transform(scene):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(10, 25, -40)
    matrix[:3, 3] = (15, -7.5, 30)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def test_matching_the_grid_keeps_the_shape(scene, add_volume, direction):
    coarse = add_volume(shape=(12, 10, 16), direction=direction, spacing=(1.6, 2.2, 3.0))
    fine = add_volume(shape=(24, 20, 16), direction=direction)
    node = create_segmentation(coarse)
    segment = node.GetSegmentation().AddEmptySegment("s")
    on_coarse, on_fine = SegmentationGrid(node, coarse), SegmentationGrid(node, fine)
    mask = blob(on_coarse.shape, (6, 5, 8))
    write(on_coarse, {segment: mask})
    match_grid(on_fine)
    assert on_fine.difference() is None
    millilitres = np.count_nonzero(mask) * 1.6 * 2.2, np.count_nonzero(on_fine.mask(segment)) * 0.8 * 1.1
    assert millilitres[1] == pytest.approx(millilitres[0], rel=0.1)
