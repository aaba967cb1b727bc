"""Checks of the whole chain, in the worker: propagate, compare raters, learn a style, export."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from pgt.agreement.job import AskedFor
from pgt.agreement.masks import CroppedMask
from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.case_table import CaseRow, write_case_table
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.geometry import Geometry
from pgt.sample_volume import make_sample
from pgt.styles.segment_job import NamedStyle
from pgt.styles.training_job import AskedTraining
from pgt.volume import LabelMap, Volume
from pgt.volume_io import read_label_map, write_label_map, write_volume
from PGTToolkitLib import export_scene
from PGTToolkitLib.agreement_runner import AgreementRunner, scene_source
from PGTToolkitLib.agreement_store import stored_agreement
from PGTToolkitLib.export_runner import ExportRunner
from PGTToolkitLib.ledger_tags import write_ledger
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.propagation import Propagator
from PGTToolkitLib.reading_nodes import ReadingEntry, enter
from PGTToolkitLib.sample_data import add_volume
from PGTToolkitLib.segment_writer import SegmentChange, SegmentWriter
from PGTToolkitLib.session import AnnotationSession, Identity, create_segmentation
from PGTToolkitLib.style_training import StyleTraining
from PGTToolkitLib.styles_runner import StylesRunner
from PGTToolkitLib.worker import Failed, WorkerClient

_AXIS = 2
_SECONDS = 120.0
_LEAST_DICE = 0.8


def draw_and_propagate(scene: slicer.vtkMRMLScene) -> float:
    """Draw every eighth slice of a made liver, fill the others, and compare with the truth.

    Needs no package that Slicer lacks.

    Returns:
        The Dice coefficient.

    Raises:
        AssertionError: the worker failed, a drawn slice changed, or the result is poor.
    """
    volume, label_map = make_sample(shape=(72, 60, 48))
    truth = label_map.mask(label_map.segments[0].value)
    volume_node = add_volume(scene, volume, "Self-test CT")
    session = AnnotationSession(volume_node, create_segmentation(volume_node), Identity("self-test", "1"))
    worker = WorkerClient()
    try:
        segment = session.segmentation_node.GetSegmentation().GetNthSegmentID(0)
        drawn = np.flatnonzero(truth.any(axis=(0, 1)))[::8]
        for index in drawn:
            _draw(session, segment, int(index), truth)
        _propagate(session, worker)
        mask = session.grid.mask(segment)
        assert np.array_equal(mask[:, :, drawn], truth[:, :, drawn]), "a drawn slice was changed"
        dice = 2 * np.count_nonzero(mask & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))
        assert dice > _LEAST_DICE, f"Dice is only {dice:.2f}"
        return float(dice)
    finally:
        worker.close()
        session.close()


def _draw(session: AnnotationSession, segment: str, index: int, truth: np.ndarray) -> None:
    before = session.grid.mask(segment)
    after = before.copy()
    after[:, :, index] = truth[:, :, index]
    SegmentWriter().write(session.grid, [SegmentChange.between(segment, before, after)])
    (record,) = session.take_edits(_AXIS).records
    assert (record.axis, record.index) == (_AXIS, index), "the drawn slice was not noticed"


def _propagate(session: AnnotationSession, worker: WorkerClient) -> None:
    propagator = Propagator(worker, SegmentWriter())
    propagator.start(session, {"method": "shape"})
    _wait(propagator, lambda: None)


def _wait(
    work: Propagator | AgreementRunner | StyleTraining | StylesRunner | ExportRunner, *to_poll: Any
) -> None:
    deadline = time.monotonic() + _SECONDS
    while work.busy:
        assert time.monotonic() < deadline, "the worker takes too long"
        for event in work.poll(*to_poll):
            assert not isinstance(event, Failed), event
        time.sleep(0.05)


def compare_made_raters(scene: slicer.vtkMRMLScene) -> float:
    """Compare three made raters, one of them twice, whose Dice coefficients are known.

    Needs no package that Slicer lacks.

    Returns:
        The Dice coefficient of the first two raters.

    Raises:
        AssertionError: the worker failed, or a number is wrong.
    """
    geometry = Geometry((40, 40, 20), (1.0, 1.0, 2.0))
    for rater, session, width in (("A", "1", 20), ("A", "2", 20), ("B", "1", 16), ("C", "1", 18)):
        block = np.zeros(geometry.shape, dtype=bool)
        block[10 : 10 + width, 10:30, 5:15] = True
        node = add_segmentation(scene, f"{rater}{session}", geometry, {"Block": CroppedMask.of(block)})
        enter(node, ReadingEntry(rater, session))
    worker = WorkerClient()
    try:
        runner = AgreementRunner(worker)
        runner.compare(scene, scene_source(scene, None, {}), AskedFor(page=False))
        _wait(runner)
        stored = stored_agreement(scene)
        assert stored is not None, "nothing came back"
        found = {(str(pair.a), str(pair.b)): pair.values["dice"] for pair in stored.agreement.pairs}
        assert found["A", "A (session 2)"] == 1.0, found
        assert abs(found["A", "B"] - 32 / 36) < 1e-12, found
        return float(found["A", "B"])
    finally:
        worker.close()


def train_and_segment(scene: slicer.vtkMRMLScene) -> float:
    """Train a small model on a few made balls, and segment one of them in the main style.

    Returns:
        The volume that was found, in ml. So short a training promises no more than that there is one.

    Raises:
        AssertionError: the worker failed.
    """
    worker = WorkerClient()
    try:
        with tempfile.TemporaryDirectory(prefix="pgt-self-test-") as name:
            folder = Path(name)
            volumes = _made_balls(folder)
            training = StyleTraining(worker)
            training.start(AskedTraining(folder / "cases.csv", folder / "model", device="cpu", epochs=3))
            _wait(training)
            runner = StylesRunner(worker)
            node = add_volume(scene, volumes[0], "Self-test ball")
            runner.segment(node, folder / "model", [NamedStyle("main", (0.0, 0.0))], "cpu")
            _wait(runner)
            assert runner.shown is not None, "nothing came back"
            (found,) = runner.shown.found.volumes
            assert found.label_map.voxels.shape == volumes[0].voxels.shape, "another grid came back"
            return float(found.volumes_ml[1])
    finally:
        worker.close()


def _made_balls(folder: Path) -> list[Volume]:
    """Images of noisy balls and their labels, and the table of both."""
    volumes, rows = [], []
    for number in range(4):
        random = np.random.default_rng(number)
        far = np.linalg.norm(np.moveaxis(np.indices((16, 16, 12)), 0, -1) - (7.5, 7.5, 5.5), axis=-1)
        ball = far <= 4 + 0.3 * number
        voxels = 100 * ball + random.normal(0, 5, ball.shape)
        volume = Volume(voxels.astype(np.float32), Geometry(ball.shape))
        row = CaseRow(f"ball {number}", folder / f"image{number}.nrrd", folder / f"label{number}.nrrd")
        write_volume(volume, row.image)
        write_label_map(LabelMap.from_voxels(ball.astype(np.uint8), volume.geometry), row.label)
        volumes.append(volume)
        rows.append(row)
    write_case_table(folder / "cases.csv", rows)
    return volumes


def export_drawn_case(scene: slicer.vtkMRMLScene) -> int:
    """Export a made case of the scene as NIfTI and as segmentation, and read both back.

    Needs no package that Slicer lacks.

    Returns:
        The number of files that the checksum list names.

    Raises:
        AssertionError: the worker failed, or a label came back otherwise.
    """
    volume, label_map = make_sample(shape=(40, 36, 24))
    organ = label_map.segments[0]
    image = add_volume(scene, volume, "Self-test case")
    masks = {organ.name: CroppedMask.of(label_map.mask(organ.value))}
    node = add_segmentation(scene, "Self-test label", label_map.geometry, masks)
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    segment = node.GetSegmentation().GetNthSegmentID(0)
    drawn = SliceRecord(segment, _AXIS, 12, SliceState.ANNOTATED, "self-test", "1")
    write_ledger(node, SliceLedger([drawn]))
    export_scene.add([node])
    worker = WorkerClient()
    try:
        with tempfile.TemporaryDirectory(prefix="pgt-self-test-") as name:
            runner = ExportRunner(worker)
            settings = ExportSettings((ExportFormat.NIFTI, ExportFormat.SEG_NRRD))
            runner.export(None, export_scene.scene_cases(scene), settings, Path(name) / "export")
            _wait(runner)
            assert runner.report is not None, "nothing came back"
            written = [*Path(name).rglob("*.nii.gz"), *Path(name).rglob("*.seg.nrrd")]
            assert len(written) == len(settings.formats), written
            for file in written:
                found = read_label_map(file)
                assert np.array_equal(found.voxels > 0, label_map.mask(organ.value)), f"{file} differs"
            return runner.report.files
    finally:
        worker.close()
