"""A check of the whole chain where it runs: draw on a made volume, propagate in the worker, compare."""

from __future__ import annotations

import time

import numpy as np
import slicer

from pgt.sample_volume import make_sample
from PGTToolkitLib.propagation import Propagator
from PGTToolkitLib.sample_data import add_volume
from PGTToolkitLib.segment_writer import SegmentChange, SegmentWriter
from PGTToolkitLib.session import AnnotationSession, Identity, create_segmentation
from PGTToolkitLib.worker import Failed, WorkerClient

_AXIS = 2
_SECONDS = 60.0
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
    deadline = time.monotonic() + _SECONDS
    while propagator.busy:
        assert time.monotonic() < deadline, "the worker takes too long"
        for event in propagator.poll(save_for_undo=lambda: None):
            assert not isinstance(event, Failed), event
        time.sleep(0.05)
