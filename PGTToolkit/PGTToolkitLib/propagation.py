"""One propagation: from the annotated slices in the scene to the worker, and its result into the scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import SliceLedger, SliceRecord, SliceState, SparseAnnotation
from pgt.errors import InputError
from pgt.machine_names import machine_name
from pgt.propagation.job import write_job
from PGTToolkitLib.boxes import Box
from PGTToolkitLib.scene import Mask, segment_ids, volume_of
from PGTToolkitLib.segment_writer import SegmentChange, SegmentWriter
from PGTToolkitLib.session import AnnotationSession, now
from PGTToolkitLib.uncertainty import store_uncertainty
from PGTToolkitLib.worker import Event, Failed, Finished, WorkerClient

if TYPE_CHECKING:
    from pgt.propagation.engine import PropagationResult

_NEXT_SLICE = "PGTToolkit.NextSlice"


def sparse_annotation(session: AnnotationSession) -> tuple[SparseAnnotation, dict[str, int]]:
    """The annotated slices of every segment that has any, and the label value of each.

    Raises:
        InputError: nothing is annotated, segments overlap on annotated slices, or the grids differ.
    """
    session.grid.check()
    ledger = session.ledger
    drawn = [segment for segment in segment_ids(session.segmentation_node) if _annotated(ledger, segment)]
    if not drawn:
        raise InputError("No slice is annotated yet: draw a segment on at least one slice.")
    values = {segment: value for value, segment in enumerate(drawn, start=1)}
    # Only annotated voxels are handed over: what a machine filled elsewhere is no evidence.
    label_map = session.grid.label_map(values, lambda segment: session.drawn(segment, ledger))
    return SparseAnnotation.from_ledger(label_map, ledger, values), values


def _annotated(ledger: SliceLedger, segment: str) -> bool:
    return any(ledger.annotated(segment, axis) for axis in range(3))


@dataclass(frozen=True)
class _Job:
    """What was asked of the worker; a later job on the same image and settings can refine its result."""

    session: AnnotationSession
    values: dict[str, int]
    settings: dict[str, Any]
    image_time: int
    identifier: str

    def refines(self, other: _Job) -> bool:
        return (
            self.session.volume_node is other.session.volume_node
            and self.image_time == other.image_time
            and self.settings == other.settings
            and self.values == other.values
        )


class Propagator:
    """Runs propagations one after another in the worker and writes their results."""

    def __init__(self, worker: WorkerClient, writer: SegmentWriter) -> None:
        self._worker = worker
        self._writer = writer
        self._job: _Job | None = None
        self._newest: _Job | None = None

    @property
    def busy(self) -> bool:
        """Whether a propagation is under way, or has yet to stop."""
        return self._worker.busy

    def start(self, session: AnnotationSession, settings: Mapping[str, Any]) -> None:
        """Send the annotated slices to the worker.

        Args:
            session: what to propagate.
            settings: fields of `PropagationSettings` that differ from their defaults.

        Raises:
            InputError: there is nothing to propagate from.
            OSError: the worker cannot be started.
        """
        volume = volume_of(session.volume_node)
        annotation, values = sparse_annotation(session)
        image_time = session.volume_node.GetImageData().GetMTime()
        job = _Job(session, values, dict(settings), image_time, identifier="")
        previous = self._newest.identifier if self._newest and job.refines(self._newest) else None
        identifier = self._worker.submit(
            "propagate", lambda folder: write_job(folder, volume, annotation, settings), previous
        )
        self._job = replace(job, identifier=identifier)

    def cancel(self) -> None:
        """Stop the propagation; nothing has been written, so nothing is undone."""
        self._worker.cancel()

    def forget(self) -> None:
        """Stop, and write nothing any more: the scene is closing."""
        self._worker.cancel()
        self._job = self._newest = None

    def poll(self, save_for_undo: Callable[[], Any]) -> list[Event]:
        """What has happened since the last call. A finished result is in the scene when this returns.

        Args:
            save_for_undo: called once, before anything is written.
        """
        events = self._worker.poll()
        for position, event in enumerate(events):
            if isinstance(event, Finished) and self._job is not None:
                job, self._job = self._job, None
                try:
                    if job.session.segmentation_node.GetScene() is None:
                        raise InputError("The segmentation was removed while it was being propagated.")
                    save_for_undo()
                    apply_result(job.session, job.values, event.result, self._writer)
                    self._newest = job
                except InputError as error:
                    events[position] = Failed(str(error))
        if not self._worker.busy:
            self._job = None
        return events


def apply_result(
    session: AnnotationSession, values: Mapping[str, int], result: PropagationResult, writer: SegmentWriter
) -> None:
    """Write a result and its slice states into the segmentation.

    Slices annotated by now, even while the worker was busy, keep every voxel. Other segments are not touched,
    and where one is in the way the result gives way.
    """
    session.grid.check()
    ledger = session.ledger
    present = segment_ids(session.segmentation_node)
    values = {segment: value for segment, value in values.items() if segment in present}
    drawn = _drawn_labels(session, ledger, values)
    changes = []
    for segment, value in values.items():
        before = session.grid.mask(segment)
        after = np.asfortranarray(result.label_map.mask(value))
        after &= (drawn == 0) | (drawn == value)
        for other in set(present) - set(values):
            _give_way(after, session.grid.part(other), drawn == value)
        for axis in range(3):
            locked = list(ledger.annotated(segment, axis))
            np.moveaxis(after, axis, 0)[locked] = np.moveaxis(before, axis, 0)[locked]
        _record(session, ledger, segment, result, before, after)
        changes.append(SegmentChange.between(segment, before, after))
    with session.own_changes():
        writer.write(session.grid, changes)
    session.write(ledger, values)
    store_uncertainty(session.segmentation_node, session.volume_node, result.uncertainty)
    suggestion = "" if result.next_slice is None else f"{result.axis} {result.next_slice}"
    session.segmentation_node.SetAttribute(_NEXT_SLICE, suggestion)


def _drawn_labels(
    session: AnnotationSession, ledger: SliceLedger, values: Mapping[str, int]
) -> NDArray[np.unsignedinteger]:
    """Array [i, j, k]: the label value of each voxel that a rater drew, 0 elsewhere."""
    dtype = np.min_scalar_type(max(values.values(), default=0))
    drawn = np.zeros(session.grid.shape, dtype=dtype, order="F")
    for segment, value in values.items():
        np.copyto(drawn, value, where=session.drawn(segment, ledger))
    return drawn


def _give_way(mask: Mask, other: tuple[Box, Mask] | None, drawn: Mask) -> None:
    """Take the voxels of another segment out of a mask, unless the rater drew into that segment.

    A tumour drawn inside its organ may go on overlapping it.
    """
    if other is not None:
        box, voxels = other
        if not np.any(voxels & drawn[box]):
            mask[box] &= ~voxels


def _record(
    session: AnnotationSession,
    ledger: SliceLedger,
    segment: str,
    result: PropagationResult,
    before: Mask,
    after: Mask,
) -> None:
    """Enter what the machine filled. A reviewed slice stays reviewed where no voxel of it changed."""
    axis = result.axis
    others = tuple(other for other in range(3) if other != axis)
    filled = after.any(axis=others)
    changed = (before ^ after).any(axis=others)
    kept = {index for index in ledger.slices(segment, axis, SliceState.REVIEWED) if not changed[index]}
    for record in list(ledger):
        stale = record.state is not SliceState.ANNOTATED and (record.axis != axis or record.index not in kept)
        if record.segment == segment and stale:
            ledger.forget(segment, record.axis, record.index)
    annotated = ledger.annotated(segment, axis) or (0,)
    machine = machine_name(result.method, result.model)
    for outcome in result.slices:
        index = outcome.index
        between = annotated[0] <= index <= annotated[-1]
        if outcome.state is SliceState.PROPAGATED and index not in kept and (filled[index] or between):
            ledger.mark(
                SliceRecord(
                    segment=segment,
                    axis=axis,
                    index=index,
                    state=SliceState.PROPAGATED,
                    rater=" ".join(part for part in (result.method, result.model) if part),
                    session=session.identity.session,
                    time=now(),
                    empty=not filled[index],
                    confidence=float(outcome.confidence),
                    machine=machine,
                )
            )


def suggested_slice(session: AnnotationSession) -> tuple[int, int] | None:
    """Axis and index of the slice whose annotation would help most; None where nothing is suggested."""
    words = (session.segmentation_node.GetAttribute(_NEXT_SLICE) or "").split()
    if len(words) != 2:
        return None
    axis, index = int(words[0]), int(words[1])
    ledger = session.ledger
    propagated = any(record.state is SliceState.PROPAGATED for record in ledger)
    drawn = any(ledger.state(segment, axis, index) is SliceState.ANNOTATED for segment in ledger.segments)
    return (axis, index) if propagated and not drawn else None
