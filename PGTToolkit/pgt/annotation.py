"""Who drew which slice: the sparse label that propagation starts from.

A slice is *annotated* (a rater drew it or confirmed it empty), *propagated* (a machine filled it) or
*reviewed* (a machine filled it and a rater accepted it), for each segment on its own. :class:`SliceLedger`
keeps these states with rater, session and time; :class:`SparseAnnotation` is what remains for computing:
a label map and the slices of it that are true.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.volume import LabelMap

AXIS_NAMES = ("i", "j", "k")

LEDGER_SCHEMA = "pgt-slice-ledger"
LEDGER_VERSION = 1

_LATER_ENTRIES = {"machine"}

LEDGER_TAG = "PGTToolkit.SliceStates"
"""The segment tag under which scenes and .seg.nrrd files keep a segment's slice states."""


class SliceState(str, Enum):
    """How the voxels of one segment on one slice came about."""

    ANNOTATED = "annotated"
    PROPAGATED = "propagated"
    REVIEWED = "reviewed"


def utc_now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class SliceRecord:
    """The state of one segment on one slice.

    Args:
        segment: segment ID.
        axis: 0, 1 or 2 for slices across i, j or k.
        index: slice index along the axis, from 0.
        state: how the voxels came about.
        rater: who drew or accepted the slice; the pseudonym the rater goes by, never a patient.
        session: the sitting it was done in; two sessions of one rater tell intra-rater agreement.
        time: ISO 8601, UTC.
        empty: the rater confirmed that the segment is absent here.
        confidence: 0 to 1 for slices that a machine filled.
        machine: what filled the slice (`pgt.machine_names`); it stays when a rater accepts the slice.
    """

    segment: str
    axis: int
    index: int
    state: SliceState
    rater: str
    session: str
    time: str = field(default_factory=utc_now)
    empty: bool = False
    confidence: float | None = None
    machine: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", SliceState(self.state))
        if self.axis not in (0, 1, 2) or self.index < 0:
            raise InputError(f"There is no slice {self.index} on axis {self.axis}.")
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise InputError(f"A confidence lies between 0 and 1, not at {self.confidence}.")


class SliceLedger:
    """The slice states of one segmentation, at most one record for a segment, axis and index."""

    def __init__(self, records: Iterable[SliceRecord] = ()) -> None:
        self._records: dict[tuple[str, int, int], SliceRecord] = {}
        for record in records:
            self.mark(record)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[SliceRecord]:
        """The records by segment, axis and index."""
        return iter([self._records[key] for key in sorted(self._records)])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SliceLedger) and self._records == other._records

    def mark(self, record: SliceRecord) -> bool:
        """Enter a record and say whether it was taken.

        What a rater drew is never replaced by what a machine filled, even when accepted. A slice filled
        again is unreviewed again.
        """
        key = (record.segment, record.axis, record.index)
        present = self._records.get(key)
        if present and present.state is SliceState.ANNOTATED and record.state is not SliceState.ANNOTATED:
            return False
        self._records[key] = record
        return True

    def forget(self, segment: str, axis: int | None = None, index: int | None = None) -> None:
        """Remove the record of a slice, of all slices of an axis, or of a whole segment."""
        for key in list(self._records):
            if key[0] == segment and axis in (None, key[1]) and index in (None, key[2]):
                del self._records[key]

    def record(self, segment: str, axis: int, index: int) -> SliceRecord | None:
        """The record of a slice, None when nothing is known about it."""
        return self._records.get((segment, axis, index))

    def state(self, segment: str, axis: int, index: int) -> SliceState | None:
        """The state of a slice, None when nothing is known about it."""
        record = self.record(segment, axis, index)
        return record.state if record else None

    def slices(self, segment: str, axis: int, state: SliceState) -> tuple[int, ...]:
        """Ascending indices of a segment's slices in a state."""
        return tuple(r.index for r in self if (r.segment, r.axis, r.state) == (segment, axis, state))

    def annotated(self, segment: str, axis: int) -> tuple[int, ...]:
        """Ascending indices of the slices that a rater drew or confirmed empty."""
        return self.slices(segment, axis, SliceState.ANNOTATED)

    @property
    def segments(self) -> tuple[str, ...]:
        """The segment IDs that have any record, sorted."""
        return tuple(sorted({segment for segment, _, _ in self._records}))

    def to_json(self) -> str:
        """The ledger as text that :meth:`from_json` reads, the same for the same records."""
        content = {
            "schema": LEDGER_SCHEMA,
            "version": LEDGER_VERSION,
            "records": [_record_to_json(record) for record in self],
        }
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> SliceLedger:
        """Read what :meth:`to_json` wrote.

        Raises:
            InputError: the text is no slice ledger, or one of a later version.
        """
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"The slice states are not valid JSON ({error}).") from error
        if not isinstance(content, dict) or content.get("schema") != LEDGER_SCHEMA:
            raise InputError("The slice states were not written by PGT Toolkit.")
        if content.get("version") != LEDGER_VERSION:
            raise InputError(
                f"The slice states have version {content.get('version')}; "
                f"this PGT Toolkit reads version {LEDGER_VERSION}."
            )
        records = content.get("records")
        if not isinstance(records, list):
            raise InputError("The slice states hold no list of records.")
        return cls(_record_from_json(record) for record in records)


def _record_to_json(record: SliceRecord) -> dict[str, Any]:
    """Entries without a value that version 1 did not have from the beginning are left out."""
    return {name: value for name, value in asdict(record).items() if value or name not in _LATER_ENTRIES}


def _record_from_json(content: Any) -> SliceRecord:
    types: dict[str, tuple[type, ...]] = {
        "segment": (str,), "axis": (int,), "index": (int,), "state": (str,), "rater": (str,),
        "session": (str,), "time": (str,), "empty": (bool,), "confidence": (float, int, type(None)),
    }  # fmt: skip
    if not isinstance(content, dict) or set(content) - _LATER_ENTRIES != set(types):
        raise InputError(f"A slice record needs exactly the entries {', '.join(types)}.")
    for name, value in content.items():
        allowed = types.get(name, (str,))
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise InputError(f"A slice record has {name} {value!r}.")
    try:
        return SliceRecord(**content)
    except ValueError as error:
        raise InputError(f"A slice record has the unknown state {content['state']!r}.") from error


@dataclass(frozen=True, eq=False)
class SparseAnnotation:
    """A label map of which only some slices are true.

    Args:
        label_map: the labels; what lies outside the annotated slices has no meaning.
        slices: for each label value and axis the annotated slices. Every voxel of such a slice is known
            for that label, background too, so a slice without the label says that it is absent there.

    Raises:
        InputError: no slice is annotated, one lies outside the volume, or no annotated slice shows a label.
    """

    label_map: LabelMap
    slices: Mapping[int, Mapping[int, tuple[int, ...]]]
    labels: tuple[int, ...] = field(init=False)
    """The label values that have voxels on their annotated slices, ascending."""

    def __post_init__(self) -> None:
        ordered = {
            value: {
                axis: tuple(sorted({int(index) for index in indices}))
                for axis, indices in by_axis.items()
                if len(indices) > 0
            }
            for value, by_axis in self.slices.items()
        }
        object.__setattr__(self, "slices", ordered)
        self._check_slices()
        labels = tuple(value for value in sorted(ordered) if self._has_voxels(value))
        if not labels:
            raise InputError("The annotated slices show no label: every segment is empty on them.")
        object.__setattr__(self, "labels", labels)

    @classmethod
    def from_label_map(
        cls, label_map: LabelMap, axis: int, slices: Sequence[int] | None = None
    ) -> SparseAnnotation:
        """Every label annotated on the same slices.

        Args:
            label_map: the drawn slices.
            axis: 0, 1 or 2.
            slices: the annotated slices along the axis; None for every slice that has any label.
        """
        _check_axis(axis)
        if slices is None:
            others = tuple(other for other in (0, 1, 2) if other != axis)
            drawn = np.flatnonzero(np.any(label_map.voxels != 0, axis=others))
            slices = [int(index) for index in drawn]
        return cls(label_map, {value: {axis: tuple(slices)} for value in label_map.values})

    @classmethod
    def from_ledger(
        cls, label_map: LabelMap, ledger: SliceLedger, values: Mapping[str, int]
    ) -> SparseAnnotation:
        """The slices that a ledger holds as annotated.

        Args:
            label_map: the segmentation as a label map.
            ledger: its slice states.
            values: label value of each segment ID; segments left out are left alone.
        """
        return cls(
            label_map,
            {
                value: {axis: ledger.annotated(segment, axis) for axis in (0, 1, 2)}
                for segment, value in values.items()
            },
        )

    def annotated(self, axis: int, value: int | None = None) -> tuple[int, ...]:
        """Ascending annotated slices along an axis, of one label or of any."""
        values = self.slices if value is None else [value]
        return tuple(sorted({index for v in values for index in self.slices.get(v, {}).get(axis, ())}))

    @property
    def axis_with_most_slices(self) -> int:
        """The axis along which most slices are annotated; k before j before i when equal."""
        return max((0, 1, 2), key=lambda axis: (len(self.annotated(axis)), axis))

    def known(self, value: int) -> NDArray[np.bool_]:
        """Boolean array [i, j, k], true on every voxel of the label's annotated slices."""
        known = np.zeros(self.label_map.geometry.shape, dtype=bool)
        for axis, indices in self.slices.get(value, {}).items():
            known[_across(axis, list(indices))] = True
        return known

    def _check_slices(self) -> None:
        if not self.slices:
            raise InputError("There is no label: every segment is empty.")
        for axis in {axis for by_axis in self.slices.values() for axis in by_axis}:
            _check_axis(axis)
        if not any(self.annotated(axis) for axis in (0, 1, 2)):
            raise InputError("No slice is annotated.")
        for axis in (0, 1, 2):
            size = self.label_map.geometry.shape[axis]
            outside = [index for index in self.annotated(axis) if not 0 <= index < size]
            if outside:
                raise InputError(
                    f"Slice {', '.join(map(str, outside))} lies outside the volume: "
                    f"axis {AXIS_NAMES[axis]} has slices 0 to {size - 1}."
                )

    def _has_voxels(self, value: int) -> bool:
        return any(
            np.any(self.label_map.voxels[_across(axis, index)] == value)
            for axis, indices in self.slices[value].items()
            for index in indices
        )


def _check_axis(axis: int) -> None:
    if axis not in (0, 1, 2):
        raise InputError(f"The axis must be i, j or k (0, 1 or 2), not {axis}.")


def _across(axis: int, index: int | list[int]) -> tuple[Any, ...]:
    """The array index that selects slices across an axis."""
    selection: list[Any] = [slice(None)] * 3
    selection[axis] = index
    return tuple(selection)
