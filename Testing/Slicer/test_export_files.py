"""Scenes that Slicer's own engine saves can be exported, and Slicer reads the segmentations of an export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from conftest import VolumeMaker
from test_segmentation_files import SHAPE, box, segmentation_of, storage

from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.export.case_list import read_cases
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.exporting import export_cases
from pgt.volume_io import read_volume
from PGTToolkitLib.ledger_tags import read_ledger, write_ledger
from PGTToolkitLib.scene import SegmentationGrid, geometry_of

MASKS = {"liver": box((3, 4, 5)), "tumour": box((4, 5, 6))}


TIME = "2026-11-21T09:30:00+00:00"


def ledger_of_liver() -> SliceLedger:
    return SliceLedger(
        SliceRecord("liver", 2, index, state, 'Zoë | "the" rater', "1", TIME, machine=machine)
        for index, state, machine in (
            (5, SliceState.ANNOTATED, ""),
            (6, SliceState.REVIEWED, "network default sha256:" + "0" * 64),
        )
    )


def saved_scene(volume: slicer.vtkMRMLScalarVolumeNode, folder: Path, packed: bool) -> None:
    """Save everything as Slicer's "save scene" does, under names that have to be escaped."""
    scene = volume.GetScene()
    node = segmentation_of(volume, MASKS)
    node.SetName("Drawn é by Zoë")
    write_ledger(node, ledger_of_liver())
    for saved, name in ((volume, "CT of x.nrrd"), (node, f"{node.GetName()}.seg.nrrd")):
        saved.AddDefaultStorageNode()
        saved.GetStorageNode().SetFileName(str(folder / name))
        assert saved.GetStorageNode().WriteData(saved)
    if packed:
        assert scene.WriteToMRB(str(folder / "visit 1.mrb"))
        for file in folder.glob("*.nrrd"):
            file.unlink()
    else:
        scene.SetRootDirectory(str(folder))
        scene.SetURL(str(folder / "visit 1.mrml"))
        assert scene.Commit()


@pytest.mark.parametrize("packed", [False, True])
def test_a_saved_scene_goes_out_and_comes_back(
    tmp_path: Path, add_volume: VolumeMaker, direction: np.ndarray, packed: bool
) -> None:
    """Overlapping segments and slice states, through a scene, the export, and Slicer's reader again."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    volume = add_volume(SHAPE, direction)
    voxels = slicer.util.arrayFromVolume(volume).T.copy()
    saved_scene(volume, folder, packed)
    (case,) = read_cases(folder)
    assert case.case == "visit 1"
    assert [one.name for one in case.segments] == ["The liver", "The tumour"]
    assert case.overlapping
    export_cases([case], ExportSettings((ExportFormat.SEG_NRRD,)), tmp_path / "out")
    image = ExportSettings((ExportFormat.MONAI,), labels=("The liver",))
    export_cases([case], image, tmp_path / "images")
    node = volume.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage(node, tmp_path / "out" / "seg-nrrd" / "visit 1.seg.nrrd").ReadData(node)
    grid = SegmentationGrid(node, volume)
    for identifier, mask in MASKS.items():
        np.testing.assert_array_equal(grid.mask(identifier), mask)
        assert node.GetSegmentation().GetSegment(identifier).GetName() == f"The {identifier}"
    assert read_ledger(node) == ledger_of_liver()
    found = read_volume(tmp_path / "images" / "monai" / "images" / "visit 1.nii.gz")
    np.testing.assert_array_equal(found.voxels, voxels)
    assert found.geometry.difference(geometry_of(volume), 1e-3) is None
