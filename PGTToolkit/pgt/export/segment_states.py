"""How the slices of a segmentation came about, from its file or from what the case list says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import AXIS_NAMES, SliceLedger, SliceRecord, SliceState
from pgt.errors import InputError
from pgt.export.case_state import SegmentState
from pgt.volume import LabelMap, Segment

if TYPE_CHECKING:
    from pgt.volume_io import LayeredSegmentation

_UNRECORDED_AXIS = 2


def segment_identifier(segment: Segment, named: bool) -> str:
    """What a segment's slice states go by."""
    return segment.identifier if named and segment.identifier else str(segment.value)


def stored_records(stored: LayeredSegmentation) -> tuple[SliceRecord, ...]:
    """The slice states that a segmentation file keeps, under the segments' present identifiers."""
    return tuple(
        replace(record, segment=identifier)
        for identifier, ledger in stored.slice_states.items()
        for record in ledger
    )


def records_of_ledger(path: Path, segments: Sequence[tuple[str, str]]) -> tuple[SliceRecord, ...]:
    """The slice states of a file that :meth:`pgt.annotation.SliceLedger.to_json` wrote.

    Args:
        path: the file.
        segments: identifier and name of the case's segments; records may go by either.

    Raises:
        InputError: the file is missing or damaged, or has records of another segment.
    """
    try:
        ledger = SliceLedger.from_json(_text(path))
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error
    identifiers = {name: identifier for identifier, name in segments}
    identifiers |= {identifier: identifier for identifier, _ in segments}
    unknown = sorted({record.segment for record in ledger} - set(identifiers))
    if unknown:
        raise InputError(f"{path} has slice states of the segment {unknown[0]}, which the label lacks.")
    return tuple(replace(record, segment=identifiers[record.segment]) for record in ledger)


def records_of_propagation(
    path: Path, segments: Sequence[tuple[str, str]], rater: str, session: str
) -> tuple[SliceRecord, ...]:
    """The slice states that ``pgt propagate --report`` tells of, the same for every segment.

    Args:
        path: the report.
        segments: identifier and name of the case's segments.
        rater: who drew the annotated slices.
        session: in which sitting.

    Raises:
        InputError: the file is missing or no such report.
    """
    try:
        content: dict[str, Any] = json.loads(_text(path))
        axis = AXIS_NAMES.index(content["axis"])
        machine = " ".join(str(content[name]) for name in ("method", "model") if content[name])
        records = []
        for entry in content["slices"]:
            if entry["state"] is None:
                continue
            state = SliceState(entry["state"])
            drawn = state is SliceState.ANNOTATED
            records += [
                SliceRecord(
                    segment=identifier,
                    axis=axis,
                    index=int(entry["index"]),
                    state=state,
                    rater=rater if drawn else machine,
                    session=session if drawn else "",
                    time="",  # the report does not say
                    confidence=None if drawn else float(entry["confidence"]),
                )
                for identifier, _ in segments
            ]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no report of pgt propagate.") from error
    return tuple(records)


def segment_states(
    layers: Sequence[LabelMap], named: bool, records: Sequence[SliceRecord]
) -> tuple[SegmentState, ...]:
    """The segments of all layers with the states of their slices.

    Args:
        layers: on one grid.
        named: whether the file names its segments.
        records: the slice states.

    Raises:
        InputError: a record is of a slice that the volume has not.
    """
    by_segment: dict[str, list[SliceRecord]] = {}
    for record in records:
        size = layers[0].geometry.shape[record.axis]
        if record.index >= size:
            raise InputError(
                f"slice {record.index} has a state, but axis {AXIS_NAMES[record.axis]} "
                f"has slices 0 to {size - 1}"
            )
        by_segment.setdefault(record.segment, []).append(record)
    found = []
    for number, layer in enumerate(layers):
        for segment in layer.segments:
            identifier = segment_identifier(segment, named)
            own = by_segment.get(identifier, [])
            axis = _main_axis(own)
            slices = {state: _indices(own, axis, state) for state in SliceState}
            found.append(
                SegmentState(
                    identifier=identifier,
                    name=segment.name,
                    value=segment.value,
                    layer=number,
                    terminology=segment.terminology,
                    color=segment.color,
                    axis=axis,
                    shown=_shown(layer.mask(segment.value), axis),
                    annotated=slices[SliceState.ANNOTATED],
                    propagated=slices[SliceState.PROPAGATED],
                    reviewed=slices[SliceState.REVIEWED],
                )
            )
    return tuple(found)


def overlapping(layers: Sequence[LabelMap]) -> bool:
    """Whether two layers have a label on the same voxel."""
    taken = layers[0].voxels != 0
    for layer in layers[1:]:
        others = layer.voxels != 0
        if np.any(taken & others):
            return True
        taken |= others
    return False


def unannotated(
    masks: Mapping[str, NDArray[np.bool_]], records: Sequence[SliceRecord], shape: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """The voxels whose label no rater drew or accepted.

    A voxel is known where every segment is known, and where a segment is that is known there itself: labels
    exclude each other. A segment without any record counts as drawn throughout, as whoever converts a
    finished label map would have it.

    Args:
        masks: voxels [i, j, k] of every segment by identifier.
        records: slice states of all segments.
        shape: of the masks.
    """
    everywhere = np.ones(shape, dtype=bool)
    positive = np.zeros(shape, dtype=bool)
    recorded = {record.segment for record in records}
    for identifier, mask in masks.items():
        if identifier not in recorded:
            positive |= mask
            continue
        known = np.zeros(shape, dtype=bool)
        for record in records:
            if record.segment == identifier and record.state is not SliceState.PROPAGATED:
                selection: list[Any] = [slice(None)] * 3
                selection[record.axis] = record.index
                known[tuple(selection)] = True
        everywhere &= known
        positive |= known & mask
    return ~(everywhere | positive)


def _main_axis(records: Sequence[SliceRecord]) -> int:
    if not records:
        return _UNRECORDED_AXIS
    return max((0, 1, 2), key=lambda axis: (sum(record.axis == axis for record in records), axis))


def _indices(records: Sequence[SliceRecord], axis: int, state: SliceState) -> tuple[int, ...]:
    return tuple(sorted(r.index for r in records if r.axis == axis and r.state is state))


def _shown(mask: NDArray[np.bool_], axis: int) -> tuple[int, ...]:
    others = tuple(other for other in (0, 1, 2) if other != axis)
    return tuple(int(index) for index in np.flatnonzero(mask.any(axis=others)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
