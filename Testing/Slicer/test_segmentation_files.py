"""Slicer reads the segmentations that the core writes, and the core those that Slicer writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from conftest import Pen, VolumeMaker

from pgt.agreement.reading_files import read_reading
from pgt.agreement.readings import DrawnSlices, Sitting
from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.errors import InputError
from pgt.volume import LabelMap, Segment
from pgt.volume_io import read_label_map, write_label_map
from PGTToolkitLib.ledger_tags import write_ledger
from PGTToolkitLib.scene import SegmentationGrid, geometry_of
from PGTToolkitLib.session import create_segmentation

SHAPE = (24, 20, 16)


def box(start: tuple[int, int, int], size: int = 5) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(first, first + size) for first in start)] = True
    return mask


def storage(node: slicer.vtkMRMLSegmentationNode, path: Path) -> slicer.vtkMRMLSegmentationStorageNode:
    storage_node = node.GetScene().AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage_node.SetFileName(str(path))
    return storage_node


def segmentation_of(
    volume: slicer.vtkMRMLScalarVolumeNode, masks: dict[str, np.ndarray]
) -> slicer.vtkMRMLSegmentationNode:
    """A segmentation with one segment for each mask [i, j, k], free to overlap."""
    node = create_segmentation(volume)
    segmentation = node.GetSegmentation()
    segmentation.RemoveAllSegments()
    editor = slicer.vtkSlicerSegmentEditorLogic()
    editor.SetMRMLScene(volume.GetScene())
    settings = volume.GetScene().AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    settings.SetOverwriteMode(settings.OverwriteNone)
    editor.SetSegmentEditorNode(settings)
    editor.SetSegmentationNode(node)
    grid = SegmentationGrid(node, volume)
    for name, mask in masks.items():
        segmentation.AddEmptySegment(name, f"The {name}", (0.25, 0.5, 0.75))
        Pen(grid, slicer.vtkSegmentationHistory(), editor).paint(name, mask)
    return node


@pytest.mark.parametrize("cropped", [False, True])
def test_the_core_reads_what_slicer_writes(
    tmp_path: Path, add_volume: VolumeMaker, direction: np.ndarray, cropped: bool
) -> None:
    volume = add_volume(SHAPE, direction)
    node = segmentation_of(volume, {"liver": box((3, 4, 5)), "spleen": box((12, 9, 8))})
    node.GetSegmentation().SeparateSegmentLabelmap("spleen")
    writer = storage(node, tmp_path / "case.seg.nrrd")
    writer.SetCropToMinimumExtent(cropped)
    assert writer.WriteData(node)
    label_map = read_label_map(tmp_path / "case.seg.nrrd")
    assert label_map.geometry.difference(geometry_of(volume), tolerance=1e-4) is None
    names = {segment.identifier: segment for segment in label_map.segments}
    np.testing.assert_array_equal(label_map.mask(names["liver"].value), box((3, 4, 5)))
    np.testing.assert_array_equal(label_map.mask(names["spleen"].value), box((12, 9, 8)))
    assert names["liver"].name == "The liver"
    assert names["liver"].color == pytest.approx((0.25, 0.5, 0.75))


def test_overlapping_segments_of_slicer_are_refused(tmp_path: Path, add_volume: VolumeMaker) -> None:
    node = segmentation_of(add_volume(SHAPE), {"liver": box((3, 4, 5)), "tumour": box((4, 5, 6))})
    assert storage(node, tmp_path / "case.seg.nrrd").WriteData(node)
    with pytest.raises(InputError, match="'The tumour' with 'The liver'"):
        read_label_map(tmp_path / "case.seg.nrrd")


@pytest.mark.parametrize("cropped", [False, True])
def test_a_rater_s_overlapping_segments_and_slice_states_are_read(
    tmp_path: Path, add_volume: VolumeMaker, direction: np.ndarray, cropped: bool
) -> None:
    volume = add_volume(SHAPE, direction)
    node = segmentation_of(volume, {"liver": box((3, 4, 5)), "tumour": box((4, 5, 6))})
    states = {
        5: SliceState.ANNOTATED,
        6: SliceState.PROPAGATED,
        7: SliceState.REVIEWED,
        8: SliceState.ANNOTATED,
    }
    ledger = SliceLedger(
        SliceRecord("liver", 2, index, state, 'Zoë | "the" \\ rater', "1") for index, state in states.items()
    )
    write_ledger(node, ledger)
    writer = storage(node, tmp_path / "case.seg.nrrd")
    writer.SetCropToMinimumExtent(cropped)
    assert writer.WriteData(node)
    reading = read_reading(tmp_path / "case.seg.nrrd", "case", Sitting("Zoë"))
    assert reading.geometry.difference(geometry_of(volume), tolerance=1e-4) is None
    np.testing.assert_array_equal(reading.masks["The liver"].full(), box((3, 4, 5)))
    np.testing.assert_array_equal(reading.masks["The tumour"].full(), box((4, 5, 6)))
    assert reading.drawn == {"The liver": DrawnSlices(2, (5, 8))}


def test_slicer_reads_what_the_core_writes(
    tmp_path: Path, add_volume: VolumeMaker, direction: np.ndarray
) -> None:
    volume = add_volume(SHAPE, direction)
    voxels = box((3, 4, 5)) * np.uint8(4) + box((12, 9, 8)) * np.uint8(2)
    segments = (
        Segment(4, "Leber é", (0.25, 0.5, 0.75), "A~B^1^b~B^1^b~^^~C~^^~^^", "liver"),
        Segment(2, "Spleen", (1, 0, 0)),
        Segment(9, "Nothing", (0, 1, 0)),
    )
    write_label_map(LabelMap(voxels, geometry_of(volume), segments), tmp_path / "case.seg.nrrd")
    node = volume.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage(node, tmp_path / "case.seg.nrrd").ReadData(node)
    grid = SegmentationGrid(node, volume)
    np.testing.assert_array_equal(grid.mask("liver"), voxels == 4)
    np.testing.assert_array_equal(grid.mask("Segment_2"), voxels == 2)
    assert not grid.mask("Segment_9").any()
    liver = node.GetSegmentation().GetSegment("liver")
    assert liver.GetName() == "Leber é"
    assert liver.GetColor() == pytest.approx((0.25, 0.5, 0.75))
    terminology = vtk.reference("")
    assert liver.GetTag("TerminologyEntry", terminology)
    assert terminology.get() == segments[0].terminology
