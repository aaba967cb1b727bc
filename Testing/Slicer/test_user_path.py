"""What a rater does, on Slicer's engine and with the real worker.

Plan, draw, propagate, cancel, undo, review, save, load, export.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import slicer
from conftest import EmptyScene, Pen, add_volume_node, label_of

from pgt.annotation import SliceState
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.sample_volume import make_sample
from pgt.volume import LabelMap, Volume
from pgt.volume_io import read_label_map
from PGTToolkitLib.propagation import Propagator, suggested_slice
from PGTToolkitLib.segment_writer import SegmentChange, SegmentWriter
from PGTToolkitLib.session import AnnotationSession
from PGTToolkitLib.slice_plan import plan_volume, store_plan, stored_plan
from PGTToolkitLib.uncertainty import uncertainty_node
from PGTToolkitLib.worker import Failed, Finished, Progressed, Stopped, WorkerClient

K = 2
ORGANS = ("Liver", "Spleen")


@pytest.fixture(scope="module")
def sample():
    """A small made abdomen, oblique, with its truth."""
    return make_sample(shape=(72, 60, 48))


@pytest.fixture(scope="module")
def worker():
    worker = WorkerClient()
    yield worker
    worker.close()


@dataclass
class Desk:
    """A rater's session with pen and propagator."""

    session: AnnotationSession
    truth: dict[str, np.ndarray]
    pen: Pen
    propagator: Propagator
    saved: int = field(default=0)

    def draw(self, organ: str, index: int) -> None:
        """Draw an organ's true outline on a slice, or confirm that it is absent."""
        mask = self.truth[organ][:, :, index]
        if mask.any():
            self.pen.draw_slice(organ, K, index, mask)
            self.session.take_edits(K)
        else:
            self.session.confirm(organ, K, index)

    def start(self, **settings) -> None:
        self.propagator.start(self.session, {"method": "shape", **settings})

    def finish(self, seconds: float = 60.0):
        """Poll as the panel's timer does, until the propagation has ended."""
        events, deadline = [], time.monotonic() + seconds
        while self.propagator.busy and time.monotonic() < deadline:
            events += self.propagator.poll(self._save)
            time.sleep(0.02)
        assert not self.propagator.busy
        return events

    def masks(self) -> dict[str, np.ndarray]:
        return {organ: self.session.grid.mask(organ) for organ in self.truth}

    def _save(self) -> None:
        self.saved += 1
        self.pen.history.SaveState()


@pytest.fixture
def make_desk(scene, make_session, pen_for, worker):
    def make(volume: Volume, truth: LabelMap, organs=ORGANS) -> Desk:
        session = make_session(add_volume_node(scene, volume), organs)
        masks = {organ: label_of(truth, organ) for organ in organs}
        return Desk(session, masks, pen_for(session), Propagator(worker, SegmentWriter()))

    return make


@pytest.fixture
def desk(make_desk, sample):
    return make_desk(*sample)


def drawn_slices(mask: np.ndarray, count: int) -> list[int]:
    present = np.flatnonzero(mask.any(axis=(0, 1)))
    return sorted({int(index) for index in np.linspace(present[0], present[-1], count)})


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))


def test_the_whole_path(desk, scene, tmp_path: Path):
    session = desk.session
    plan = plan_volume(session.volume_node, K, 6, "fixed")
    store_plan(session.segmentation_node, plan)

    for organ in ORGANS:
        for index in {*plan.slices, *drawn_slices(desk.truth[organ], 4)}:
            desk.draw(organ, index)
    assert set(plan.slices) <= set(session.ledger.annotated("Liver", K))
    before, ledger_before = desk.masks(), session.ledger

    desk.start()
    events = desk.finish()
    assert isinstance(events[-1], Finished), events[-1]
    assert any(isinstance(event, Progressed) for event in events)
    assert desk.saved == 1
    after = desk.masks()
    for organ in ORGANS:
        locked = list(session.ledger.annotated(organ, K))
        np.testing.assert_array_equal(after[organ][:, :, locked], before[organ][:, :, locked])
        assert dice(after[organ], desk.truth[organ]) > 0.7
        assert set(session.ledger.slices(organ, K, SliceState.PROPAGATED)).isdisjoint(locked)
    assert session.ledger.slices("Liver", K, SliceState.PROPAGATED)
    assert session.take_edits(K).records == ()

    desk.pen.history.RestorePreviousState()
    session.take_edits(K)
    assert session.ledger == ledger_before
    for organ, mask in before.items():
        np.testing.assert_array_equal(session.grid.mask(organ), mask)
    desk.pen.history.RestoreNextState()
    session.take_edits(K)
    np.testing.assert_array_equal(session.grid.mask("Liver"), after["Liver"])

    waiting = session.ledger.slices("Liver", K, SliceState.PROPAGATED)
    assert session.accept(K, waiting[0]) == 1
    assert session.ledger.state("Liver", K, waiting[0]) is SliceState.REVIEWED
    session.accept_above(0.0)
    assert not any(record.state is SliceState.PROPAGATED for record in session.ledger)

    _check_save_and_load(session, scene, tmp_path)
    _check_export(session, tmp_path)


def _check_save_and_load(session, scene, tmp_path: Path) -> None:
    """A bundle (.mrb) and what comes back from it."""
    bundle = tmp_path / "case.mrb"
    assert scene.WriteToMRB(str(bundle), None)
    loaded = EmptyScene(tmp_path).scene
    assert loaded.ReadFromMRB(str(bundle), True)
    volume = loaded.GetFirstNodeByName(session.volume_node.GetName())
    node = loaded.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    again = AnnotationSession(volume, node, session.identity)
    assert again.ledger == session.ledger
    assert stored_plan(node) == stored_plan(session.segmentation_node)
    assert uncertainty_node(node) is not None
    for organ in ORGANS:
        np.testing.assert_array_equal(again.grid.mask(organ), session.grid.mask(organ))
    again.close()


def _check_export(session, tmp_path: Path) -> None:
    """A .seg.nrrd alone carries voxels and slice states; the core reads it."""
    file = tmp_path / "case.seg.nrrd"
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(file))
    assert storage.WriteData(session.segmentation_node)
    label_map = read_label_map(file)
    for organ in ORGANS:
        assert np.count_nonzero(label_of(label_map, organ)) == np.count_nonzero(session.grid.mask(organ))
    assert "PGTToolkit.SliceStates" in file.read_bytes()[:500_000].decode("latin-1")


def test_cancelling_changes_nothing_and_is_quick(make_desk):
    volume, truth = make_sample(shape=(160, 128, 80))
    desk = make_desk(volume, truth)
    for organ in ORGANS:
        for index in drawn_slices(desk.truth[organ], 4):
            desk.draw(organ, index)
    before, ledger = desk.masks(), desk.session.ledger
    desk.start(method="contour")
    while not any(isinstance(event, Progressed) for event in desk.propagator.poll(desk._save)):
        time.sleep(0.01)
        if not desk.propagator.busy:
            pytest.skip("the propagation was over before it could be cancelled")
    asked = time.monotonic()
    desk.propagator.cancel()
    events = desk.finish()
    assert time.monotonic() - asked < 1.0
    assert isinstance(events[-1], Stopped)
    assert desk.session.ledger == ledger
    for organ, mask in before.items():
        np.testing.assert_array_equal(desk.session.grid.mask(organ), mask)


def test_a_finished_neighbour_is_not_touched(desk):
    """A third segment that nobody drew on slices, as from another tool, lies right in the way."""
    session = desk.session
    neighbour = desk.truth["Liver"].copy()
    neighbour[: neighbour.shape[0] // 2] = False
    session.segmentation_node.GetSegmentation().AddEmptySegment("done", "done")
    with session.own_changes():
        change = SegmentChange.between("done", np.zeros_like(neighbour), neighbour)
        SegmentWriter().write(session.grid, [change])
    for index in drawn_slices(desk.truth["Liver"], 4):
        desk.pen.draw_slice("Liver", K, index, desk.truth["Liver"][:, :, index] & ~neighbour[:, :, index])
        session.take_edits(K)
    desk.start()
    assert isinstance(desk.finish()[-1], Finished)
    np.testing.assert_array_equal(session.grid.mask("done"), neighbour)
    assert not np.any(session.grid.mask("Liver") & neighbour)


def test_a_slice_drawn_while_the_worker_is_busy_is_kept(desk):
    for index in drawn_slices(desk.truth["Liver"], 4):
        desk.draw("Liver", index)
    late = sum(drawn_slices(desk.truth["Liver"], 4)[:2]) // 2
    desk.start()
    scribble = np.zeros(desk.session.grid.shape[:2], bool)
    scribble[2:6, 3:9] = True
    desk.pen.draw_slice("Liver", K, late, scribble)
    desk.session.take_edits(K)
    assert isinstance(desk.finish()[-1], Finished)
    np.testing.assert_array_equal(desk.session.grid.mask("Liver")[:, :, late], scribble)
    assert desk.session.ledger.state("Liver", K, late) is SliceState.ANNOTATED


def test_a_reviewed_slice_stays_reviewed_unless_it_changes(desk):
    slices = drawn_slices(desk.truth["Liver"], 4)
    for index in slices:
        desk.draw("Liver", index)
    desk.start()
    desk.finish()
    desk.session.accept_above(0.0)
    early, late = slices[0] + 1, slices[-1] - 1
    desk.pen.erase("Liver", np.ones((*desk.session.grid.shape[:2], 1), bool), (0, 0, slices[-1]))
    desk.session.take_edits(K)
    desk.start()
    assert isinstance(desk.finish()[-1], Finished)
    assert desk.session.ledger.state("Liver", K, early) is SliceState.REVIEWED
    assert desk.session.ledger.state("Liver", K, late) is SliceState.PROPAGATED


def test_the_suggestion_goes_when_its_slice_is_drawn(desk):
    for index in drawn_slices(desk.truth["Liver"], 3):
        desk.draw("Liver", index)
    assert suggested_slice(desk.session) is None
    desk.start()
    desk.finish()
    axis, index = suggested_slice(desk.session)
    assert axis == K
    desk.draw("Liver", index)
    assert suggested_slice(desk.session) is None


def test_nothing_drawn_is_one_sentence(desk):
    with pytest.raises(InputError, match="No slice is annotated yet"):
        desk.start()


def test_overlapping_drawings_are_named(desk):
    mask = desk.truth["Liver"]
    index = drawn_slices(mask, 3)[1]
    desk.draw("Liver", index)
    desk.pen.editor.GetSegmentEditorNode().SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
    desk.pen.draw_slice("Spleen", K, index, mask[:, :, index])
    desk.session.take_edits(K)
    with pytest.raises(InputError, match="Liver and Spleen overlap"):
        desk.start()


def test_a_killed_worker_loses_nothing(desk, worker):
    import os
    import signal

    for index in drawn_slices(desk.truth["Liver"], 3):
        desk.draw("Liver", index)
    before, ledger = desk.masks(), desk.session.ledger
    desk.start()
    os.kill(worker.process_id, signal.SIGKILL)
    events = desk.finish()
    assert isinstance(events[-1], Failed)
    assert desk.session.ledger == ledger
    np.testing.assert_array_equal(desk.session.grid.mask("Liver"), before["Liver"])
    desk.start()
    assert isinstance(desk.finish()[-1], Finished)


@pytest.mark.parametrize("twin", ["flipped", "oblique", "transformed"])
def test_a_turned_twin_gives_the_same_label_map(scene, make_desk, sample, twin):
    """Same voxels, other place in space; a flip along k also turns the slice numbers round."""
    volume, truth = sample
    plain = Geometry(volume.geometry.shape, volume.geometry.spacing)
    results = []
    for turned in (False, True):
        geometry, voxels, labels = plain, volume.voxels, truth.voxels
        if turned and twin == "flipped":
            geometry = plain.flipped(K)
            voxels, labels = voxels[:, :, ::-1], labels[:, :, ::-1]
        elif turned and twin == "oblique":
            geometry = volume.geometry
        desk = make_desk(Volume(voxels, geometry), LabelMap(labels, geometry, truth.segments), ("Liver",))
        if turned and twin == "transformed":
            transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
            transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(volume.geometry.ijk_to_ras))
            desk.session.volume_node.SetAndObserveTransformNodeID(transform.GetID())
            desk.session.segmentation_node.SetAndObserveTransformNodeID(transform.GetID())
        upright = drawn_slices(label_of(truth, "Liver"), 4)
        flipped = turned and twin == "flipped"
        for index in upright:
            desk.draw("Liver", geometry.shape[K] - 1 - index if flipped else index)
        desk.start()
        assert isinstance(desk.finish()[-1], Finished)
        mask = desk.session.grid.mask("Liver")
        results.append(mask[:, :, ::-1] if flipped else mask)
    np.testing.assert_array_equal(results[0], results[1])


def test_the_network_of_the_shipped_model(desk, sample):
    """The default method, from a cold worker."""
    pytest.importorskip("torch")
    for index in drawn_slices(desk.truth["Liver"], 4):
        desk.draw("Liver", index)
    locked = list(desk.session.ledger.annotated("Liver", K))
    before = desk.masks()["Liver"]
    desk.start(method="auto", device="cpu")
    finished = desk.finish(seconds=900.0)[-1]
    assert isinstance(finished, Finished), finished
    assert finished.result.device == "cpu"
    after = desk.masks()["Liver"]
    np.testing.assert_array_equal(after[:, :, locked], before[:, :, locked])
    assert dice(after, desk.truth["Liver"]) > 0.75
