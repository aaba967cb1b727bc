"""One rater at work on one segmentation of one volume.

The slice states live in the segmentation (:mod:`PGTToolkitLib.ledger_tags`); nothing is kept here that the
scene does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import numpy as np
import slicer

from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.errors import InputError
from PGTToolkitLib.drawing import DrawingTracker, Edit
from PGTToolkitLib.ledger_tags import read_ledger, write_ledger
from PGTToolkitLib.scene import Mask, SegmentationGrid, segment_ids, segment_name


@dataclass(frozen=True)
class Identity:
    """Who draws, and in which sitting: a rater's second session tells intra-rater agreement."""

    rater: str
    session: str


@dataclass(frozen=True)
class Drawn:
    """What the rater's last edits amount to.

    Args:
        records: slices that are now annotated.
        unclear: edits across several slices, which mark none.
    """

    records: tuple[SliceRecord, ...]
    unclear: tuple[Edit, ...]


def now() -> str:
    """ISO 8601 in UTC, to the millisecond, so that two strokes never look like one."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def create_segmentation(volume_node: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    """A new segmentation with one segment, on the grid of a volume."""
    scene = volume_node.GetScene()
    name = scene.GenerateUniqueName(f"{volume_node.GetName()} segmentation")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    node.GetSegmentation().AddEmptySegment("", "Segment 1")
    return node


class AnnotationSession:
    """Marks slices as they are drawn, confirmed, propagated and accepted."""

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
        identity: Identity,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin to watch the segmentation.

        Args:
            volume_node: the image that is drawn on.
            segmentation_node: what is drawn.
            identity: who draws from now on.
            changed: called when voxels or states have changed; answer with :meth:`take_edits` once Slicer has
                finished what it is doing.
        """
        self.volume_node = volume_node
        self.segmentation_node = segmentation_node
        self.identity = identity
        self.grid = SegmentationGrid(segmentation_node, volume_node)
        self._tracker = DrawingTracker(self.grid, changed)

    def close(self) -> None:
        """Stop watching."""
        self._tracker.stop()

    @property
    def ledger(self) -> SliceLedger:
        """The slice states, read from the scene."""
        return read_ledger(self.segmentation_node)

    def drawn(self, segment: str, ledger: SliceLedger) -> Mask:
        """The segment on its annotated slices, along whatever axis, as boolean array [i, j, k]."""
        mask = self.grid.mask(segment)
        drawn = np.zeros_like(mask, order="F")
        for axis in range(3):
            annotated = list(ledger.annotated(segment, axis))
            np.moveaxis(drawn, axis, 0)[annotated] = np.moveaxis(mask, axis, 0)[annotated]
        return drawn

    def take_edits(self, preferred_axis: int) -> Drawn:
        """Mark the slices that were drawn since the last call as annotated by the present rater.

        Args:
            preferred_axis: the axis that the rater works along, for edits of a single voxel or line.
        """
        records, unclear = [], []
        for edit in self._tracker.edits():
            drawn = edit.drawn_slice(preferred_axis)
            if drawn is None:
                unclear.append(edit)
            else:
                records.append(self._annotated(edit.segment, *drawn))
        if records:
            self.mark(records)
        return Drawn(tuple(records), tuple(unclear))

    def confirm(self, segment: str, axis: int, index: int) -> SliceRecord:
        """The rater says that the slice is finished as it is, usually that the segment is absent there.

        Raises:
            InputError: a machine filled the slice, so it is to be accepted, not confirmed.
        """
        record = self._annotated(segment, axis, index)
        if not record.empty and self.ledger.state(segment, axis, index) is SliceState.PROPAGATED:
            name = segment_name(self.segmentation_node, segment)
            raise InputError(f"Slice {index} of {name} was propagated: accept it, or correct it by drawing.")
        self.mark([record])
        return record

    def accept(self, axis: int, index: int, segments: Iterable[str] | None = None) -> int:
        """Take over what the machine filled on a slice, for some or all segments; on how many slices."""
        chosen = set(segment_ids(self.segmentation_node) if segments is None else segments)
        return self._accept(
            record
            for record in self.ledger
            if (record.axis, record.index) == (axis, index) and record.segment in chosen
        )

    def accept_above(self, confidence: float) -> int:
        """Take over what the machine filled with at least this confidence (0 to 1); on how many slices."""
        return self._accept(
            record
            for record in self.ledger
            if record.confidence is not None and record.confidence >= confidence
        )

    def mark(self, records: Sequence[SliceRecord]) -> None:
        """Enter records into the states kept in the scene."""
        ledger = self.ledger
        taken = {record.segment for record in records if ledger.mark(record)}
        self.write(ledger, taken)

    def write(self, ledger: SliceLedger, segments: Iterable[str]) -> None:
        """Replace the states of segments."""
        with self.own_changes():
            write_ledger(self.segmentation_node, ledger, segments)

    def own_changes(self) -> AbstractContextManager[None]:
        """A context in which changes of voxels and states are the program's own, not drawing."""
        return self._tracker.ignoring()

    def _annotated(self, segment: str, axis: int, index: int) -> SliceRecord:
        part = self.grid.part(segment)
        empty = True
        if part is not None:
            box, mask = part
            inside = box[axis].start <= index < box[axis].stop
            empty = not (inside and np.take(mask, index - box[axis].start, axis=axis).any())
        return SliceRecord(
            segment=segment,
            axis=axis,
            index=index,
            state=SliceState.ANNOTATED,
            rater=self.identity.rater,
            session=self.identity.session,
            time=now(),
            empty=empty,
        )

    def _accept(self, records: Iterable[SliceRecord]) -> int:
        accepted = [
            replace(
                record,
                state=SliceState.REVIEWED,
                rater=self.identity.rater,
                session=self.identity.session,
                time=now(),
            )
            for record in records
            if record.state is SliceState.PROPAGATED
        ]
        if accepted:
            self.mark(accepted)
        return len({(record.axis, record.index) for record in accepted})
