"""Cases as the studies use them: on one small grid in memory to learn from, on their own to be measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pgt.case_table import CaseRow, read_case_table
from pgt.errors import InputError
from pgt.geometry import Geometry, Vector
from pgt.resampling import with_spacing
from pgt.styles.preparation import Preparation
from pgt.volume import LabelMap, Volume, values_present
from pgt.volume_io import read_label_map, read_volume

ORIENTATION = "RAS"
"""Of the working grid: its axes run towards right, anterior and superior, whichever way a file's do."""


@dataclass(frozen=True, eq=False)
class StudyCase:
    """One case.

    Args:
        case: its name.
        image: float32 [i, j, k] on the working grid, mean 0 and standard deviation 1.
        label: class of every voxel, int16 on the working grid: 0 for the background, then 1, 2, ... in the
            order of the study's label values.
        grid: the working grid.
        truth: the label map on its own grid, with the values of its file.
    """

    case: str
    image: NDArray[np.float32]
    label: NDArray[np.int16]
    grid: Geometry
    truth: LabelMap

    @property
    def volume(self) -> Volume:
        """The image on the working grid."""
        return Volume(self.image, self.grid)


@dataclass(frozen=True)
class CaseReader:
    """How cases are brought to the working grid.

    Args:
        spacing: of the working grid in mm, towards right, anterior and superior.
        values: label values to learn, ascending.
    """

    spacing: Vector
    values: tuple[int, ...]

    @property
    def preparation(self) -> Preparation:
        """What is done to images and labels."""
        return Preparation(self.spacing, self.values, ORIENTATION)

    @property
    def classes(self) -> int:
        """Number of classes, background included."""
        return len(self.values) + 1

    def read(self, row: CaseRow) -> StudyCase:
        """Read a case.

        Raises:
            InputError: a file cannot be read, or the label map is on another grid than the image.
        """
        return self.prepared(row.case, *read_pair(row))

    def prepared(self, case: str, volume: Volume, truth: LabelMap) -> StudyCase:
        """A case whose image and label map lie on one grid."""
        preparation = self.preparation
        image = preparation.image(volume)[0].numpy()
        label = preparation.labels(truth).numpy().argmax(axis=0).astype(np.int16)
        return StudyCase(case, image, label, working_grid(volume.geometry, preparation), truth)

    def labelled(self, probabilities: NDArray[np.float32], truth: LabelMap) -> NDArray[Any]:
        """Label values on a case's own grid from probabilities [class, i, j, k] on its working grid."""
        preparation = self.preparation
        fields = torch.from_numpy(np.ascontiguousarray(probabilities))
        return preparation.labelled(preparation.on_grid(fields, truth.geometry))


def study_rows(table: Path) -> tuple[CaseRow, ...]:
    """The cases of a study; each has an image and a label map.

    Raises:
        InputError: the table cannot be read, lacks a column or entry, names a case twice, or a file that
            does not exist.
    """
    rows = read_case_table(table, ("case", "image", "label"))
    for row in rows:
        for path in (row.image, row.label):
            if path is not None and not path.exists():
                raise InputError(f"{path} (case {row.case} of {table}) does not exist.")
    return rows


def read_cases(
    rows: Sequence[CaseRow],
    spacing: Vector | None = None,
    values: Sequence[int] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[CaseReader, tuple[StudyCase, ...]]:
    """Read the cases of a study.

    Args:
        rows: of the table.
        spacing: of the working grid; None for the median spacing of the cases.
        values: label values to learn; None for all that occur.
        progress: called after every case with cases done and in all.

    Raises:
        InputError: a file cannot be read, an image and its label map do not fit, or none of the values
            occurs.
    """
    pairs = [read_pair(row) for row in rows]
    present = sorted({value for _, truth in pairs for value in values_present(truth.voxels)})
    wanted = tuple(sorted(values)) if values is not None else tuple(present)
    absent = [value for value in wanted if value not in present]
    if absent or not wanted:
        named = f"the label {', '.join(map(str, absent))}" if absent else "any label"
        raise InputError(f"No case has {named}; there are {', '.join(map(str, present)) or 'none'}.")
    reader = CaseReader(spacing or _median_spacing([volume.geometry for volume, _ in pairs]), wanted)
    cases = []
    for number, (row, pair) in enumerate(zip(rows, pairs, strict=True)):
        cases.append(reader.prepared(row.case, *pair))
        progress(number + 1, len(rows))
    return reader, tuple(cases)


def read_pair(row: CaseRow) -> tuple[Volume, LabelMap]:
    """The image and label map of a case, on one grid.

    Raises:
        InputError: a file cannot be read, or the grids differ.
    """
    assert row.label is not None  # study_rows
    volume, truth = read_volume(row.image), read_label_map(row.label)
    difference = truth.geometry.difference(volume.geometry)
    if difference is not None:
        raise InputError(f"{row.label} (case {row.case}) does not lie on its image: {difference}.")
    return volume, truth


def working_grid(geometry: Geometry, preparation: Preparation) -> Geometry:
    """Where the voxels lie that a preparation makes of a volume."""
    order, flips = geometry.turn_to(preparation.orientation)
    turned = geometry.permuted(order)
    for axis in flips:
        turned = turned.flipped(axis)
    shape = preparation.shape_of(geometry)
    i, j, k = (n * s / m for n, s, m in zip(turned.shape, turned.spacing, shape, strict=True))
    return replace(with_spacing(turned, (i, j, k)), shape=shape)


def _median_spacing(grids: Sequence[Geometry]) -> Vector:
    """Median over the cases, towards right, anterior and superior."""
    turned = [np.array(grid.spacing)[list(grid.turn_to(ORIENTATION)[0])] for grid in grids]
    i, j, k = (float(length) for length in np.median(np.stack(turned), axis=0))
    return i, j, k
