"""Cases of the scene and of lists through the worker into files, and back: states, filter, resume, cancel."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
import slicer
from conftest import DIRECTIONS, add_volume_node, rotation
from made_series import write_series
from test_export_scene import LIVER, SHAPE, TUMOUR, drawn  # noqa: F401 - a fixture

from pgt.agreement.job import AskedFor
from pgt.agreement.masks import CroppedMask
from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.export.case_list import read_cases
from pgt.export.case_list_job import AskedCases
from pgt.export.export_settings import CaseFilter, ExportFormat, ExportSettings
from pgt.export.folder_state import export_in
from pgt.export.job import ExportOutcome
from pgt.geometry import Geometry
from pgt.volume import LabelMap, Volume
from pgt.volume_io import read_label_map, read_layers, write_label_map, write_volume
from PGTToolkitLib import export_scene
from PGTToolkitLib.agreement_runner import AgreementRunner, scene_source
from PGTToolkitLib.export_runner import ExportRunner
from PGTToolkitLib.export_states import scene_states
from PGTToolkitLib.ledger_tags import write_ledger
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.reading_nodes import ReadingEntry, enter
from PGTToolkitLib.self_test import export_drawn_case
from PGTToolkitLib.worker import Failed, Finished, Progressed, Stopped

SEG_NRRD = ExportSettings((ExportFormat.SEG_NRRD,))
BOTH = ExportSettings((ExportFormat.SEG_NRRD, ExportFormat.NIFTI), separate_segments=True)
_TURNED_CT = tuple(map(tuple, (np.diag([-1.0, -1.0, 1.0]) @ rotation(12, -8, 20)).tolist()))
GRID = Geometry(SHAPE, (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), tuple(map(tuple, DIRECTIONS["oblique"].tolist())))


@pytest.fixture
def exporter(warm_worker):
    assert not warm_worker.busy
    return ExportRunner(warm_worker)


@pytest.fixture
def cases(scene, drawn):  # noqa: F811 - the fixture
    export_scene.add([drawn[0]])
    return export_scene.scene_cases(scene)


def finish(work, seconds=120.0):
    """The event that ended the job."""
    deadline = time.monotonic() + seconds
    last = None
    while work.busy:
        assert time.monotonic() < deadline
        for event in work.poll():
            last = event if not isinstance(event, Progressed) else last
        time.sleep(0.01)
    return last


def done(exporter):
    event = finish(exporter)
    assert isinstance(event, Finished), event
    if not isinstance(event.result, ExportOutcome):
        return event.result
    assert event.result.failed == exporter.failed == ()
    return event.result.report


def table_of(folder, count, label=LIVER):
    """A list of so many cases with the same label."""
    lines = ["case,image,label,agreement,suspicious"]
    for number in range(count):
        image = np.random.default_rng(number).normal(size=SHAPE).astype(np.float32)
        write_volume(Volume(image, GRID), folder / f"image{number}.nii.gz")
        write_label_map(LabelMap.from_voxels(label.astype(np.uint8), GRID), folder / f"label{number}.nii.gz")
        lines.append(
            f"case{number},image{number}.nii.gz,label{number}.nii.gz,{min(0.7 + 0.1 * number, 1.0):.1f},no"
        )
    (folder / "CASES.csv").write_text("\n".join(lines) + "\n")
    return AskedCases(folder / "CASES.csv")


def test_the_scene_says_of_a_case_what_its_file_says(scene, tmp_path, cases):
    (shown,) = scene_states(cases)
    written = export_scene.write_case(cases[0], tmp_path)
    (tmp_path / "CASES.csv").write_text(
        f"case,image,label\n{cases[0].case},{written.image},{written.label}\n"
    )
    (read,) = read_cases(tmp_path / "CASES.csv")
    assert shown.records == read.records
    assert shown.overlapping
    assert read.overlapping
    assert shown.is_reviewed is read.is_reviewed is False
    assert shown.raters == read.raters == ("Ada",)
    for one, other in zip(shown.segments, read.segments, strict=True):
        assert (one.identifier, one.name, one.axis, one.shown) == (
            other.identifier, other.name, other.axis, other.shown
        )  # fmt: skip
        assert (one.annotated, one.propagated, one.reviewed) == (
            other.annotated, other.propagated, other.reviewed
        )  # fmt: skip


def test_agreement_of_the_scene_is_that_of_different_raters(scene, warm_worker, drawn):  # noqa: F811
    node, image, geometry = drawn
    smaller = LIVER.copy()
    smaller[3] = False
    for rater, session, mask in (("Ada", "1", LIVER), ("Ada", "2", LIVER), ("Ben", "1", smaller)):
        other = add_segmentation(scene, f"{rater}{session}", geometry, {"Liver": CroppedMask.of(mask)})
        enter(other, ReadingEntry(rater, session))
    runner = AgreementRunner(warm_worker)
    runner.compare(scene, scene_source(scene, image, {}), AskedFor(page=False), image)
    assert isinstance(finish(runner), Finished)
    export_scene.add([node])
    (state,) = scene_states(export_scene.scene_cases(scene))
    # Two pairs of different raters, both with the Dice of LIVER and LIVER without one of its six planes.
    assert state.agreement.pairs == 2
    assert state.agreement.value == pytest.approx(2 * 5 / 11)


def test_overlapping_segments_and_states_come_back(tmp_path, scene, exporter, cases, drawn):  # noqa: F811
    geometry = drawn[2]
    before = scene.GetNumberOfNodes()
    exporter.export(None, cases, BOTH, tmp_path / "out")
    report = done(exporter)
    assert exporter.report is report
    assert report.exported == (cases[0].case,)
    assert scene.GetNumberOfNodes() == before, "the scene is only read"
    (file,) = (tmp_path / "out").rglob("*.seg.nrrd")
    stored = read_layers(file)
    masks = {one.name: layer.mask(one.value) for layer in stored.layers for one in layer.segments}
    np.testing.assert_array_equal(masks["Liver"], LIVER)
    np.testing.assert_array_equal(masks["Tumour"], TUMOUR)
    assert stored.layers[0].geometry.difference(geometry, tolerance=1e-4) is None
    (ledger,) = stored.slice_states.values()
    assert [(one.index, one.rater) for one in ledger] == [(3, "Ada")]
    maps = [read_label_map(path) for path in (tmp_path / "out").rglob("*.nii.gz")]
    assert len(maps) == 2
    assert {int(np.count_nonzero(one.voxels)) for one in maps} == {LIVER.sum(), TUMOUR.sum()}
    # The records beside say who drew, and no place of this computer.
    records = [json.loads(path.read_text()) for path in (tmp_path / "out").rglob("*provenance*.json")]
    assert any("Ada" in json.dumps(one) for one in records)
    assert not any("pgt-job" in json.dumps(one) for one in records)


def test_the_same_export_goes_on_and_another_is_refused(tmp_path, exporter, cases, drawn):  # noqa: F811
    folder = tmp_path / "out"
    assert export_in(folder) is None
    exporter.export(None, cases, SEG_NRRD, folder)
    done(exporter)
    assert export_in(folder).complete
    assert export_in(folder).cases == 1
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.seg.nrrd")}
    exporter.export(None, cases, SEG_NRRD, folder)
    assert done(exporter).resumed == (cases[0].case,)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.seg.nrrd")} == times
    segment = drawn[0].GetSegmentation().GetNthSegmentID(0)
    write_ledger(drawn[0], SliceLedger([SliceRecord(segment, 2, 4, SliceState.ANNOTATED, "Ben", "1")]))
    exporter.export(None, cases, SEG_NRRD, folder)
    event = finish(exporter)
    assert isinstance(event, Failed)
    assert "holds a finished export" in event.message
    assert exporter.report is None
    exporter.export(None, cases, ExportSettings(SEG_NRRD.formats, overwrite=True), folder)
    assert done(exporter).exported == (cases[0].case,)


def test_a_list_and_the_scene_go_together(tmp_path, scene, exporter):
    listed = table_of(tmp_path, 3)
    exporter.read_list(listed)
    done(exporter)
    assert exporter.listed.source == listed
    assert [one.case for one in exporter.listed.states] == ["case0", "case1", "case2"]
    node = add_segmentation(scene, "mine", GRID, {"Segment_1": CroppedMask.of(LIVER)})
    image = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    slicer.util.updateVolumeFromArray(image, np.zeros(SHAPE[::-1], np.int16))
    image.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(GRID.ijk_to_ras))
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    export_scene.add([node])
    settings = ExportSettings((ExportFormat.NIFTI,), CaseFilter(agreement_above=0.75))
    exporter.export(listed, export_scene.scene_cases(scene), settings, tmp_path / "out")
    report = done(exporter)
    assert report.exported == ("case1", "case2")
    assert [(one.case, one.reason) for one in report.left_out] == [
        ("case0", "Raters agree to 0.700, below 0.75."),
        ("mine", "Nobody compared raters on it."),
    ]
    node.SetAttribute("PGTToolkit.ExportCase", "case1")
    exporter.export(listed, export_scene.scene_cases(scene), settings, tmp_path / "twice")
    assert "case1 is in the list and in the scene" in finish(exporter).message
    assert not (tmp_path / "twice").exists()


def test_cancelled_within_a_second_and_goes_on(tmp_path, exporter):
    listed = table_of(tmp_path, 12)
    settings = ExportSettings((ExportFormat.NIFTI, ExportFormat.SEG_NRRD, ExportFormat.NNUNET))
    folder = tmp_path / "out"
    exporter.export(listed, (), settings, folder)
    deadline = time.monotonic() + 120
    while not list(folder.glob("nifti/*.nii.gz")):
        assert time.monotonic() < deadline
        assert all(isinstance(event, Progressed) for event in exporter.poll())
        time.sleep(0.002)
    started = time.monotonic()
    exporter.cancel()
    event = finish(exporter)
    assert time.monotonic() - started < 1.0
    if isinstance(event, Stopped):
        assert not export_in(folder).complete
    exporter.export(listed, (), settings, folder)
    report = done(exporter)
    assert len(report.exported) == 12
    assert report.resumed
    assert export_in(folder).complete
    assert len(list(folder.glob("nifti/*.nii.gz"))) == 12


def test_bad_input_is_one_sentence(tmp_path, exporter):
    listed = table_of(tmp_path, 2)
    (tmp_path / "label1.nii.gz").unlink()
    exporter.read_list(listed)
    event = finish(exporter)
    assert "label1.nii.gz" in event.message
    assert exporter.listed is None
    exporter.export(listed, (), SEG_NRRD, tmp_path / "out")
    assert "label1.nii.gz" in finish(exporter).message
    assert not (tmp_path / "out").exists()


def test_what_came_after_a_closed_scene_is_not_kept(tmp_path, exporter):
    exporter.read_list(table_of(tmp_path, 2))
    exporter.forget()
    finish(exporter)
    assert exporter.listed is None


@pytest.mark.parametrize("upside_down", [False, True])
def test_a_volume_of_the_hospital_becomes_dicom_seg(tmp_path, scene, exporter, monkeypatch, upside_down):
    turned = Geometry(SHAPE, (0.8, 0.8, 2.5), (-20.0, 31.0, -7.0), _TURNED_CT)
    voxels = np.random.default_rng(0).integers(-500, 900, SHAPE).astype(np.int16)
    (tmp_path / "database").mkdir()
    instances = write_series(tmp_path / "database", voxels, turned)
    files = {uid: tmp_path / "database" / f"{n:04}.dcm" for n, uid in enumerate(instances)}
    monkeypatch.setattr(
        slicer, "dicomDatabase", SimpleNamespace(fileForInstance=lambda uid: str(files[uid])), False
    )
    masks, grid = {"Liver": LIVER, "Tumour": TUMOUR}, turned
    if upside_down:
        # As another reader may have stacked the same slices.
        voxels, masks = voxels[:, :, ::-1], {name: mask[:, :, ::-1] for name, mask in masks.items()}
        flip = np.diag([1.0, 1.0, -1.0, 1.0])
        flip[2, 3] = SHAPE[2] - 1
        grid = Geometry.from_ijk_to_ras(turned.ijk_to_ras @ flip, SHAPE)
    image = add_volume_node(scene, Volume(voxels, grid))
    image.SetName("CT")
    image.SetAttribute("DICOM.instanceUIDs", " ".join(instances))
    node = add_segmentation(scene, "Drawn", grid, {name: CroppedMask.of(one) for name, one in masks.items()})
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    export_scene.add([node])
    cases = export_scene.scene_cases(scene)
    assert scene_states(cases)[0].series == tmp_path / "database"
    exporter.export(None, cases, ExportSettings((ExportFormat.DICOM_SEG,)), tmp_path / "out")
    done(exporter)
    (file,) = (tmp_path / "out").rglob("*.dcm")
    written = pydicom.dcmread(file)
    assert written.Modality == "SEG"
    names = {one.SegmentNumber: one.SegmentLabel for one in written.SegmentSequence}
    frames = written.pixel_array.reshape(-1, SHAPE[1], SHAPE[0])
    seen = {name: np.zeros(SHAPE, bool) for name in names.values()}
    for frame, place in zip(frames, written.PerFrameFunctionalGroupsSequence, strict=True):
        number = place.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        corner = np.array([-1, -1, 1]) * place.PlanePositionSequence[0].ImagePositionPatient
        k = round(float((np.linalg.inv(turned.ijk_to_ras) @ [*corner, 1.0])[2]))
        seen[names[number]][:, :, k] |= frame.T > 0
    np.testing.assert_array_equal(seen["Liver"], LIVER)
    np.testing.assert_array_equal(seen["Tumour"], TUMOUR)


def test_self_test(scene):
    assert export_drawn_case(scene) >= 2
