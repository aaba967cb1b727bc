"""Cases opened from files: voxels, slice states and overlaps as in the file, and drawing that is not lost."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from test_export_scene import LIVER, SHAPE, TUMOUR, drawn  # noqa: F401 - a fixture

from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.errors import InputError
from pgt.export.case_list import read_cases
from pgt.export.case_state import CaseFile, CaseState
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.exporting import export_cases
from pgt.geometry import Geometry
from pgt.volume import LabelMap, Volume
from pgt.volume_io import write_label_map, write_volume
from PGTToolkitLib import export_scene
from PGTToolkitLib.case_opening import open_case, opened_to_export
from PGTToolkitLib.export_states import scene_states
from PGTToolkitLib.ledger_tags import read_ledger
from PGTToolkitLib.scene import SegmentationGrid, ijk_to_ras, nodes_of, segment_ids
from PGTToolkitLib.segment_writer import SegmentChange, SegmentWriter
from PGTToolkitLib.segmentation_readings import drawn_on


@pytest.fixture
def files(tmp_path, scene, drawn):  # noqa: F811 - the fixture
    """The drawn case in files, and its table; the scene is empty again."""
    node, _image, geometry = drawn
    export_scene.add([node])
    (case,) = export_scene.scene_cases(scene)
    written = export_scene.write_case(case, tmp_path)
    scene.Clear(0)
    (tmp_path / "CASES.csv").write_text(f"case,image,label\none,{written.image.name},{written.label.name}\n")
    (state,) = read_cases(tmp_path / "CASES.csv")
    return state, geometry


def opened(scene):
    (node,) = nodes_of(scene, "vtkMRMLSegmentationNode")
    return node


def test_a_segmentation_file_comes_as_it_is(scene, files):
    state, geometry = files
    open_case(scene, state)
    node = opened(scene)
    image = drawn_on(node)
    assert opened_to_export(scene) == "one"
    np.testing.assert_allclose(ijk_to_ras(image), geometry.ijk_to_ras, atol=1e-5)
    grid = SegmentationGrid(node, image)
    for segment, mask in zip(segment_ids(node), (LIVER, TUMOUR), strict=True):
        np.testing.assert_array_equal(grid.mask(segment), mask)
    assert list(read_ledger(node)) == list(state.records)
    assert node.GetStorageNode().GetFileName() == str(state.label.path)


def test_one_from_a_packed_scene_is_no_file_to_save_to(tmp_path, scene, files):
    state, _geometry = files
    packed = tmp_path / "scene.mrb"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(state.label.path, "scene/Data/label.seg.nrrd")
        archive.write(state.image.path, "scene/Data/image.nrrd")
    label, image = (CaseFile(packed, f"scene/Data/{name}") for name in ("label.seg.nrrd", "image.nrrd"))
    inside = CaseState("packed", label, image, segments=state.segments, records=state.records)
    open_case(scene, inside)
    assert opened(scene).GetStorageNode() is None
    assert list(read_ledger(opened(scene))) == list(state.records)


def test_scenes_that_slicer_saved_are_cases(tmp_path, scene, drawn):  # noqa: F811 - the fixture
    node, image, geometry = drawn
    export_scene.add([node])
    (shown,) = scene_states(export_scene.scene_cases(scene))
    for one in (node, image):
        one.AddDefaultStorageNode()
    (tmp_path / "scenes").mkdir()
    assert scene.WriteToMRB(str(tmp_path / "scenes" / "patient 7.mrb"), None)
    scene.Clear(0)
    (state,) = read_cases(tmp_path / "scenes")
    assert state.case == "patient 7"
    assert state.records == shown.records
    assert state.overlapping
    assert [(one.name, one.axis, one.shown) for one in state.segments] == [
        (one.name, one.axis, one.shown) for one in shown.segments
    ]
    open_case(scene, state)
    grid = SegmentationGrid(opened(scene), drawn_on(opened(scene)))
    np.testing.assert_allclose(ijk_to_ras(grid.volume_node), geometry.ijk_to_ras, atol=1e-5)
    for segment, mask in zip(segment_ids(opened(scene)), (LIVER, TUMOUR), strict=True):
        np.testing.assert_array_equal(grid.mask(segment), mask)
    report = export_cases([state], ExportSettings((ExportFormat.SEG_NRRD,)), tmp_path / "out")
    assert report.exported == ("patient 7",)


def test_a_plain_label_map_gets_the_states_that_the_list_names(tmp_path, scene, direction):
    geometry = Geometry(SHAPE, (1.0, 1.2, 3.0), (5.0, -6.0, 7.0), tuple(map(tuple, direction.tolist())))
    voxels = LIVER.astype(np.uint8)
    voxels[TUMOUR & ~LIVER] = 7
    write_label_map(LabelMap.from_voxels(voxels, geometry), tmp_path / "label.nii.gz")
    write_volume(Volume(np.zeros(SHAPE, np.int16), geometry), tmp_path / "image.nii.gz")
    ledger = SliceLedger(
        [
            SliceRecord("7", 1, 8, SliceState.PROPAGATED, "net", "", confidence=0.5),
            SliceRecord("7", 1, 9, SliceState.ANNOTATED, "Ada", "1"),
        ]
    )
    (tmp_path / "states.json").write_text(ledger.to_json())
    (tmp_path / "CASES.csv").write_text(
        "case,image,label,ledger\none,image.nii.gz,label.nii.gz,states.json\n"
    )
    (state,) = read_cases(tmp_path / "CASES.csv")
    open_case(scene, state)
    node = opened(scene)
    second = segment_ids(node)[1]
    assert read_ledger(node).slices(second, 1, SliceState.PROPAGATED) == (8,)
    assert read_ledger(node).annotated(second, 1) == (9,)
    grid = SegmentationGrid(node, drawn_on(node))
    np.testing.assert_array_equal(grid.mask(second), TUMOUR & ~LIVER)


def test_the_next_case_takes_its_place_but_no_drawing_is_lost(scene, files):
    state, _geometry = files
    open_case(scene, state)
    first = opened(scene)
    open_case(scene, state)
    assert opened(scene) is not first
    assert len(nodes_of(scene, "vtkMRMLScalarVolumeNode")) == 1
    assert len(nodes_of(scene, "vtkMRMLSegmentationStorageNode")) == 1

    node = opened(scene)
    grid, segment = SegmentationGrid(node, drawn_on(node)), segment_ids(node)[0]
    before = grid.mask(segment)
    after = before.copy()
    after[0, 0, 0] = True
    SegmentWriter().write(grid, [SegmentChange.between(segment, before, after)])
    open_case(scene, state)
    assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 2
    assert SegmentationGrid(node, drawn_on(node)).mask(segment)[0, 0, 0], "what was drawn is kept"


def test_damaged_files_change_nothing(scene, files):
    state, _geometry = files
    open_case(scene, state)
    before = scene.GetNumberOfNodes()
    state.image.path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"image\.nrrd"):
        open_case(scene, state)
    assert scene.GetNumberOfNodes() == before
