"""What the training cases are, before anything is prepared: grids, structures, and what is wrong with them.

Everything that a user would want mended before hours of training is refused here, in one sentence that names
the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.styles.training_order import check_rows, listed
from pgt.volume import LabelMap, Segment
from pgt.volume_io import read_geometry, read_label_map

_NUMBERED = re.compile(r"Segment_\d+")
"""What segments are called that nobody named."""

Box = tuple[tuple[int, int], ...]
"""First and last voxel along i, j and k."""

CaseProgress = Callable[[int, int], None]
"""Called with the number of cases done and of all."""


@dataclass(frozen=True)
class SurveyedCase:
    """One case as its files have it.

    Args:
        row: its line of the table.
        geometry: of image and label map.
        names: of the structures that have voxels, by label value; empty text where the file names none.
        box: around all of them.
    """

    row: CaseRow
    geometry: Geometry
    names: Mapping[int, str]
    box: Box


@dataclass(frozen=True)
class Survey:
    """All cases, and the structures they share.

    Args:
        cases: in the order of the table.
        names: of the structures by label value, ascending.
    """

    cases: tuple[SurveyedCase, ...]
    names: Mapping[int, str]


def survey(
    rows: Sequence[CaseRow],
    values: Sequence[int] | None = None,
    progress: CaseProgress = lambda done, total: None,
) -> Survey:
    """Look at every case.

    Args:
        rows: of the table.
        values: label values of the structures to learn; by default all that occur. Other labels count as
            background.
        progress: called after every case.

    Raises:
        InputError: there are fewer than two cases; a label map is missing, on another grid than its image,
            or the same everywhere; a label value has different names; or one occurs in a single case only,
            which is more often a slip than a structure.
    """
    check_rows(rows)
    cases = []
    for number, row in enumerate(rows):
        cases.append(_look_at(row, values))
        progress(number + 1, len(rows))
    return Survey(tuple(cases), _shared_names(cases, values))


def read_labels(row: CaseRow, geometry: Geometry) -> LabelMap:
    """The label map of a case, which lies on the grid of its image. Raises InputError."""
    assert row.label is not None  # check_rows
    label_map = read_label_map(row.label)
    difference = label_map.geometry.difference(geometry)
    if difference:
        raise InputError(
            f"{row.label} does not lie on the grid of {row.image} (case {row.case}): {difference}."
        )
    return label_map


def _look_at(row: CaseRow, values: Sequence[int] | None) -> SurveyedCase:
    geometry = read_geometry(row.image)
    label_map = read_labels(row, geometry)
    labelled = label_map.voxels > 0 if values is None else np.isin(label_map.voxels, values)
    present = set(np.unique(label_map.voxels[labelled]).tolist())
    if not present and values is not None:
        wanted_labels = listed([str(value) for value in values])
        raise InputError(f"{row.label} (case {row.case}) has none of the labels to learn ({wanted_labels}).")
    if not present or (len(present) == 1 and bool(labelled.all())):
        what = f"{next(iter(present))} everywhere" if present else "background everywhere"
        raise InputError(f"{row.label} (case {row.case}) is {what}; it annotates nothing.")
    named = {one.value: one.name for one in label_map.segments if not _NUMBERED.fullmatch(one.name)}
    names = {value: named.get(value, "") for value in sorted(present)}
    return SurveyedCase(row, geometry, names, _box(labelled))


def _box(mask: NDArray[np.bool_]) -> Box:
    """First and last index along every axis where the mask has a voxel."""
    box = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        box.append((int(places[0]), int(places[-1])))
    return tuple(box)


def _shared_names(cases: Sequence[SurveyedCase], values: Sequence[int] | None) -> dict[int, str]:
    """One name a label value; a value that nobody named is called by its number."""
    names: dict[int, str] = {}
    for value in sorted({value for case in cases for value in case.names}):
        having = [case for case in cases if value in case.names]
        if len(having) == 1 and values is None:
            raise InputError(
                f"Only {having[0].row.label} (case {having[0].row.case}) has label {value}; mend it, or "
                "choose the labels to learn."
            )
        by_name = {case.names[value]: case for case in having if case.names[value]}
        if len(by_name) > 1:
            (one, first), (other, second) = list(by_name.items())[:2]
            raise InputError(
                f"{first.row.label} calls label {value} {one!r}, {second.row.label} calls it {other!r}; the "
                "same structure needs the same value in every label map."
            )
        names[value] = next(iter(by_name), "") or Segment.numbered(value).name
    absent = sorted(set(values or ()) - set(names))
    if absent:
        raise InputError(f"No case has label {listed([str(value) for value in absent])}.")
    return names
