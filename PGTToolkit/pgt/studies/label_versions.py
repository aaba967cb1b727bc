"""Versions of one data set's labels: what they are called, how they come about, and what they can hold.

Beside the rater's own labels (the *base*): labels propagated from a few drawn slices, predictions of networks
of different strength, labels made worse on purpose, and labels that the table of cases brings along.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.studies.label_perturbation import Perturbation, perturbed
from pgt.volume import LabelMap, Volume

BASE = "base"
"""The name of the rater's own labels among the versions."""

NONE = "no pre-training"
"""What stands in their place where nothing was pre-trained."""


@dataclass(frozen=True)
class PropagatedVersion:
    """A few slices of the base labels, the rest filled in by a machine.

    Args:
        name: of the version.
        slices: drawn in every case, evenly spaced from the structures' first to their last slice.
        axis: 0, 1 or 2, across the slices; None for the axis that scanning and spacing suggest.
        method: of `pgt.propagation.engine`.
        model: a model's name or file, for the methods that use one.
    """

    name: str
    slices: int
    axis: int | None = None
    method: Literal["auto", "network", "shape", "contour"] = "shape"
    model: str = "default"

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.slices < 2:
            raise InputError(
                f"Label version {self.name} needs two drawn slices or more a case, not {self.slices}."
            )
        if self.axis not in (None, 0, 1, 2):
            raise InputError(f"Label version {self.name} has slices across axis 0, 1 or 2, not {self.axis}.")

    @property
    def words(self) -> str:
        """How it came about, for the report."""
        return f"propagated from {self.slices} drawn slices (method {self.method})"


@dataclass(frozen=True)
class PredictedVersion:
    """Predictions of a network that learnt from the base labels of other cases (cross-fitting).

    Args:
        name: of the version.
        channels: of the network's levels; fewer make it weaker.
        steps: of its training.
        cases: that it learns from; None for all of the other folds.
        folds: into which the cases are divided; every case is predicted by the network of its fold, which
            learnt from other folds.
    """

    name: str
    channels: tuple[int, ...] = (8, 16, 32)
    steps: int = 150
    cases: int | None = None
    folds: int = 5

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.folds < 2 or self.steps < 1 or (self.cases is not None and self.cases < 1):
            raise InputError(
                f"Label version {self.name} needs two folds, one step and one case to learn from, or more."
            )
        if len(self.channels) < 3 or min(self.channels) < 1:
            raise InputError(
                f"Label version {self.name} needs a network of three levels or more with channels each."
            )

    @property
    def words(self) -> str:
        """How it came about, for the report."""
        learnt = "all cases" if self.cases is None else f"{self.cases} cases"
        return (
            f"predicted by DynUNets of {'-'.join(map(str, self.channels))} channels, {self.steps} steps on "
            f"{learnt} of the other {self.folds - 1} folds"
        )


@dataclass(frozen=True)
class PerturbedVersion:
    """The base labels made worse on purpose.

    Args:
        name: of the version.
        perturbation: what is done.
        mm: how far (`pgt.studies.label_perturbation.perturbed`).
    """

    name: str
    perturbation: Perturbation
    mm: float

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not 0 < self.mm < np.inf:
            raise InputError(f"Label version {self.name} is {self.perturbation} by mm above 0.")

    @property
    def words(self) -> str:
        """How it came about, for the report."""
        said: dict[Perturbation, str] = {
            "eroded": f"border moved in by {self.mm:g} mm",
            "dilated": f"border moved out by {self.mm:g} mm",
            "uneven": f"border moved by −{self.mm:g} to +{self.mm:g} mm, drawn for each case",
            "smoothed": f"smoothed by a Gaussian of {self.mm:g} mm",
            "shifted": f"shifted by {self.mm:g} mm, the direction drawn for each case",
        }
        return said[self.perturbation]


@dataclass(frozen=True)
class ColumnVersion:
    """Labels that the table of cases names in a column of its own.

    Args:
        name: of the version.
        column: of the table.
        structures: that these labels can hold; None for those that occur in any case.
    """

    name: str
    column: str
    structures: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)

    @property
    def words(self) -> str:
        """How it came about, for the report."""
        return f"column {self.column} of the case list"


LabelVersion = PropagatedVersion | PredictedVersion | PerturbedVersion | ColumnVersion


def slug(name: str) -> str:
    """A version's name as part of a file's name: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def propagated_labels(volume: Volume, base: LabelMap, version: PropagatedVersion, device: str) -> LabelMap:
    """The base labels of a few slices, the others filled in.

    Args:
        volume: the image.
        base: its labels; structures that no drawn slice shows are lost.
        version: how many slices, and how they are filled in.
        device: "auto", "cpu" or "cuda".

    Raises:
        InputError: as `pgt.propagation.engine.propagate`.
    """
    from pgt.annotation import SparseAnnotation
    from pgt.planning import plan_slices, usual_axis
    from pgt.propagation.engine import PropagationSettings, propagate

    axis = usual_axis(base.geometry) if version.axis is None else version.axis
    others = tuple(other for other in range(3) if other != axis)
    shown = np.flatnonzero((base.voxels != 0).any(axis=others))
    if not shown.size:
        return base
    extent = (int(shown[0]), int(shown[-1]))
    count = min(version.slices, extent[1] - extent[0] + 1)
    drawn = plan_slices(base.geometry, axis, count, extent=extent).slices
    sparse = np.zeros_like(base.voxels)
    place: list[slice | list[int]] = [slice(None)] * 3
    place[axis] = list(drawn)
    sparse[tuple(place)] = base.voxels[tuple(place)]
    seen = LabelMap.from_voxels(sparse, base.geometry)
    settings = PropagationSettings(
        axis=axis,
        method=version.method,
        model=version.model,
        device="cuda" if device == "cuda" else "cpu" if device == "cpu" else "auto",
    )
    filled = propagate(volume, SparseAnnotation.from_label_map(seen, axis, drawn), settings)
    return LabelMap(filled.label_map.voxels, base.geometry, base.segments)


def perturbed_labels(base: LabelMap, version: PerturbedVersion, seed: int, case: int) -> LabelMap:
    """The base labels made worse; what is drawn depends on the version, ``seed`` and the case's number."""
    named = [*version.name.encode()]
    return perturbed(base, version.perturbation, version.mm, np.random.default_rng([seed, case, *named]))


def column_file(row: CaseRow, version: ColumnVersion, table: Path) -> Path:
    """Where a version's label map of one case lies.

    Args:
        row: the case's line.
        version: which column.
        table: the file of the case list, from whose folder relative paths count.

    Raises:
        InputError: the column, the entry or the file is missing.
    """
    entry = row.others.get(version.column)
    if not entry:
        raise InputError(
            f"{table} names no file in the column {version.column} for the case {row.case}; label version "
            f"{version.name} needs one for every case."
        )
    path = table.parent / entry
    if not path.exists():
        raise InputError(f"{path} (case {row.case} of {table}, column {version.column}) does not exist.")
    return path


def folds_of(cases: int, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of every case, [case]; folds differ in size by one case at most.

    Raises:
        InputError: there are fewer cases than folds.
    """
    if cases < folds:
        raise InputError(f"{cases} cases cannot be divided into {folds} folds.")
    found = np.empty(cases, dtype=np.int64)
    found[np.random.default_rng([seed, 5]).permutation(cases)] = np.arange(cases) % folds
    return found


def generator_cases(
    fold: int, folds: NDArray[np.int64], training: NDArray[np.int64], most: int | None, seed: int
) -> tuple[int, ...]:
    """The cases that the network of a fold learns from: training cases of the other folds, ascending.

    Cases kept out of the study's training teach no generator either, so that no version of the labels knows
    of them; the paper's generators saw them.

    Args:
        fold: whose cases the network will predict.
        folds: the fold of every case.
        training: numbers of the study's training cases.
        most: as many of them, drawn at random; None for all.
        seed: of the draw.
    """
    usable = [int(case) for case in training if folds[case] != fold]
    if most is not None and most < len(usable):
        drawn = np.random.default_rng([seed, 6, fold]).choice(len(usable), most, replace=False)
        usable = [usable[int(place)] for place in drawn]
    return tuple(sorted(usable))


def split_cases(cases: int, kept_out: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the training cases and of those kept out, ascending; the same for every version.

    Raises:
        InputError: fewer than two cases would be left on one of the sides.
    """
    count = round(cases * kept_out)
    if count < 2 or cases - count < 2:
        raise InputError(
            f"{cases} cases cannot be divided into training and {kept_out:.0%} kept out; either needs two "
            "cases or more."
        )
    order = np.random.default_rng([seed, 4]).permutation(cases)
    return np.sort(order[count:]), np.sort(order[:count])


def _check_name(name: str) -> None:
    if not slug(name):
        raise InputError(f"A label version needs a name with letters or digits, not {name!r}.")
    if slug(name) in (slug(BASE), slug(NONE)):
        raise InputError(f"The name {name!r} is taken: {BASE} are the rater's own labels.")
