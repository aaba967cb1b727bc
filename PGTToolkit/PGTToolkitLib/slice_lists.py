"""What the panel lists: the slices to draw and the slices to review."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pgt.annotation import SliceLedger, SliceRecord, SliceState


@dataclass(frozen=True)
class DrawingRow:
    """A slice that is planned, or annotated without a plan.

    Args:
        index: slice index along the axis.
        planned: whether the plan names it.
        record: its state for the segment in hand; None where nothing is known.
    """

    index: int
    planned: bool
    record: SliceRecord | None

    @property
    def annotated(self) -> bool:
        """Whether a rater drew it or confirmed it empty."""
        return self.record is not None and self.record.state is SliceState.ANNOTATED


def drawing_rows(ledger: SliceLedger, segment: str, axis: int, planned: Iterable[int]) -> list[DrawingRow]:
    """The planned and the annotated slices of a segment, ascending."""
    plan = set(planned)
    indices = sorted(plan | set(ledger.annotated(segment, axis)))
    return [DrawingRow(index, index in plan, ledger.record(segment, axis, index)) for index in indices]


@dataclass(frozen=True)
class ReviewRow:
    """A slice that a machine filled, for one or several segments.

    Args:
        index: slice index along the axis.
        confidence: 0 to 1, the least of its segments.
        segments: IDs of the segments that nobody has accepted there; empty when all are reviewed.
    """

    index: int
    confidence: float
    segments: tuple[str, ...]

    @property
    def reviewed(self) -> bool:
        """Whether a rater has accepted every segment."""
        return not self.segments


def review_rows(ledger: SliceLedger, axis: int) -> list[ReviewRow]:
    """The filled slices: unreviewed before reviewed, the least confident first."""
    filled: dict[int, list[SliceRecord]] = {}
    for record in ledger:
        if record.axis == axis and record.state is not SliceState.ANNOTATED:
            filled.setdefault(record.index, []).append(record)
    rows = [
        ReviewRow(
            index,
            min(1.0 if record.confidence is None else record.confidence for record in records),
            tuple(record.segment for record in records if record.state is SliceState.PROPAGATED),
        )
        for index, records in filled.items()
    ]
    return sorted(rows, key=lambda row: (row.reviewed, row.confidence, row.index))


def next_to_draw(rows: list[DrawingRow], shown: int | None, step: int = 1) -> int | None:
    """The next planned slice after the one shown (``step`` 1) or before it (-1), around the ends."""
    planned = [row.index for row in rows if row.planned] or [row.index for row in rows]
    if not planned:
        return None
    if shown is None:
        return planned[0]
    beyond = [index for index in planned if (index - shown) * step > 0]
    if step > 0:
        return beyond[0] if beyond else planned[0]
    return beyond[-1] if beyond else planned[-1]
