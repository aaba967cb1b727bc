"""A case list as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from pgt.annotation import SliceState
from pgt.export.case_state import CaseState
from pgt.export.export_settings import CaseFilter
from pgt.export.selection import reason_against

_HEADINGS = (
    "case", "segments", "annotated", "propagated", "reviewed", "all reviewed", "agreement", "suspicious",
    "exported",
)  # fmt: skip


def summary_lines(cases: Sequence[CaseState], wanted: CaseFilter) -> tuple[str, ...]:
    """A table: a line a case, then a line for each of its segments that has slice states.

    Args:
        cases: the whole list.
        wanted: the filter that the last column answers to.
    """
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for case in cases:
        rows.append(_case_row(case, wanted))
        rows += [_segment_row(case, number) for number, one in enumerate(case.segments) if one.has_states]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return tuple(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _case_row(case: CaseState, wanted: CaseFilter) -> tuple[str, ...]:
    counts = [str(case.slices(state)) if case.records else "-" for state in SliceState]
    return (
        case.case,
        str(len(case.segments)) + (" overlapping" if case.overlapping else ""),
        *counts,
        _word(case.is_reviewed),
        f"{case.agreement.value:.3f}" if case.agreement else "-",
        _word(case.suspicion.suspicious) if case.suspicion else "-",
        reason_against(case, wanted) or "yes",
    )


def _segment_row(case: CaseState, number: int) -> tuple[str, ...]:
    segment = case.segments[number]
    counts = [str(len(one)) for one in (segment.annotated, segment.propagated, segment.reviewed)]
    return (f"  {segment.name}", "", *counts, _word(segment.is_reviewed), "", "", "")


def _word(answer: bool | None) -> str:
    return "-" if answer is None else "yes" if answer else "no"
