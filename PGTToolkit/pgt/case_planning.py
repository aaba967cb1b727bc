"""How to spend a budget of slices over many volumes.

Zhang and others found that for the same number of drawn slices more volumes with fewer slices each train the
better model, "almost always". The exception was a 3D network on small, scattered lesions, which learned
nothing once less than a fifth of each volume was drawn. So a plan takes as many cases as the budget pays for,
gives each its minimum, by default a fifth of its slices and never fewer than three (two ends and a middle),
and only then spreads what is left. For 2D networks, which showed no such limit, a density of 0.05 will do.

Slices are evenly spaced, in each case from a start of its own. On volumes that show the same anatomy at the
same places, such as crops around an organ, the same few places in all cases teach a network these places
alone (measured in docs/slice-budget.md).
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.output_files import write_text
from pgt.planning import (
    SlicePlan,
    Strategy,
    checked_extent,
    checked_seed,
    content_of,
    parsed_json,
    plan_of,
    plan_slices,
    usual_axis,
)
from pgt.volume_io import read_geometry, read_volume

CASES_PLAN_SCHEMA = "pgt-cases-plan"
CASES_PLAN_VERSION = 1

MINIMUM_DENSITY = 0.20
MINIMUM_SLICES = 3


@dataclass(frozen=True)
class CaseImage:
    """A volume that could be drawn.

    Args:
        case: its name, unlike all others; a pseudonym, since plans are passed around.
        image: the image file or DICOM folder.
        axis: 0, 1 or 2; None for :func:`~pgt.planning.usual_axis`.
        extent: first and last slice in which to draw; None for all.
    """

    case: str
    image: Path
    axis: int | None = None
    extent: tuple[int, int] | None = None


@dataclass(frozen=True)
class PlannedCase:
    """A volume and the slices of it to draw."""

    case: str
    image: Path
    plan: SlicePlan


@dataclass(frozen=True)
class CasesPlan:
    """What a budget is spent on.

    Args:
        budget: slices that may be drawn in all.
        cases: the cases to draw, in the order they were given.
        left_out: names of the cases that the budget does not reach.
        minimum_slices: fewest slices of a case.
        minimum_density: smallest part of a case's slices.
    """

    budget: int
    cases: tuple[PlannedCase, ...]
    left_out: tuple[str, ...]
    minimum_slices: int
    minimum_density: float

    @property
    def slice_count(self) -> int:
        """Planned slices of all cases; below the budget only when every slice is planned."""
        return sum(len(planned.plan.slices) for planned in self.cases)


def plan_cases(
    cases: Sequence[CaseImage],
    budget: int,
    *,
    strategy: Strategy | str = Strategy.STAGGERED,
    seed: int = 0,
    minimum_slices: int = MINIMUM_SLICES,
    minimum_density: float = MINIMUM_DENSITY,
) -> CasesPlan:
    """Spend a budget of slices on as many cases as it pays for.

    Cases with the lowest minimum come first, those with the same in an order drawn with the seed, so that a
    list sorted by site or date is not cut at its end. What is left goes, slice by slice, to the case with the
    lowest density.

    Args:
        cases: the volumes to choose from.
        budget: slices to draw in all.
        strategy: how the slices of a case are chosen, see :func:`~pgt.planning.plan_slices`.
        seed: start of every random choice; the same seed gives the same plan.
        minimum_slices: fewest slices of a case, at least 1; a smaller case is drawn whole.
        minimum_density: smallest part of the slices of a case's extent, 0 to 1.

    Raises:
        InputError: no case, two cases of one name, a minimum or extent out of range, an unreadable image, or
            a budget too small for any case.
    """
    _check(cases, minimum_slices, minimum_density)
    grids = [read_geometry(case.image) for case in cases]
    sizes = [_slice_count(case, grid) for case, grid in zip(cases, grids, strict=True)]
    minima = [min(size, max(minimum_slices, math.ceil(minimum_density * size - 1e-9))) for size in sizes]
    counts = _spend(budget, sizes, minima, checked_seed(seed))
    if not any(counts):
        raise InputError(
            f"A budget of {budget} slices is less than the {min(minima)} that the smallest case needs "
            f"(at least {minimum_slices} slices and {minimum_density:.0%} of a case)."
        )
    planned = [
        PlannedCase(case.case, case.image, _plan(case, grid, count, strategy, seed))
        for case, grid, count in zip(cases, grids, counts, strict=True)
        if count
    ]
    left_out = [case.case for case, count in zip(cases, counts, strict=True) if not count]
    return CasesPlan(budget, tuple(planned), tuple(left_out), minimum_slices, minimum_density)


def write_plan(plan: CasesPlan, path: str | Path, overwrite: bool = False) -> None:
    """Write a plan as JSON, image paths relative to the file, so that a folder can be moved whole."""
    path = Path(path)
    content = {
        "schema": CASES_PLAN_SCHEMA,
        "version": CASES_PLAN_VERSION,
        "budget": plan.budget,
        "minimum_slices": plan.minimum_slices,
        "minimum_density": plan.minimum_density,
        "cases": [
            {
                "case": planned.case,
                "image": _relative(planned.image, path.parent),
                **content_of(planned.plan),
            }
            for planned in plan.cases
        ],
        "left_out": list(plan.left_out),
    }
    write_text(path, json.dumps(content, indent=1) + "\n", overwrite)


def read_plan(path: str | Path) -> CasesPlan:
    """Read what :func:`write_plan` wrote; image paths come back absolute.

    Raises:
        InputError: the file is missing, is no plan, or one of a later version.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a plan of cases.") from error
    try:
        content = parsed_json(text, CASES_PLAN_SCHEMA, CASES_PLAN_VERSION, "plan of cases")
        return _plan_from(content, path.parent.absolute())
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is a damaged plan of cases ({error!r}).") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _plan_from(content: dict[str, Any], folder: Path) -> CasesPlan:
    planned = [
        PlannedCase(
            case=str(entry["case"]),
            image=Path(os.path.normpath(folder / str(entry["image"]))),
            plan=plan_of(entry),
        )
        for entry in content["cases"]
    ]
    return CasesPlan(
        budget=int(content["budget"]),
        cases=tuple(planned),
        left_out=tuple(str(name) for name in content["left_out"]),
        minimum_slices=int(content["minimum_slices"]),
        minimum_density=float(content["minimum_density"]),
    )


def _check(cases: Sequence[CaseImage], minimum_slices: int, minimum_density: float) -> None:
    if not cases:
        raise InputError("There is no case to plan.")
    names = [case.case for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"Cases need names of their own; {', '.join(twice)} is used twice.")
    if minimum_slices < 1 or not 0 <= minimum_density <= 1:
        raise InputError(
            f"At least 1 slice and a density from 0 to 1 can be the minimum of a case, "
            f"not {minimum_slices} and {minimum_density:g}."
        )


def _slice_count(case: CaseImage, geometry: Geometry) -> int:
    """Slices of a case that may be chosen."""
    axis = usual_axis(geometry) if case.axis is None else case.axis
    first, last = checked_extent(case.extent, geometry.shape[axis], axis)
    return last - first + 1


def _spend(budget: int, sizes: Sequence[int], minima: Sequence[int], seed: int) -> list[int]:
    """Slices for each case; 0 for those that the budget does not reach."""
    drawn_order = np.random.default_rng(seed).permutation(len(sizes))
    cheapest_first = sorted(range(len(sizes)), key=lambda case: (minima[case], drawn_order[case]))
    counts = [0] * len(sizes)
    left = budget
    for case in cheapest_first:
        if minima[case] <= left:
            counts[case] = minima[case]
            left -= minima[case]
    open_cases = [case for case in cheapest_first if 0 < counts[case] < sizes[case]]
    while left > 0 and open_cases:
        sparsest = min(open_cases, key=lambda case: counts[case] / sizes[case])
        counts[sparsest] += 1
        left -= 1
        if counts[sparsest] == sizes[sparsest]:
            open_cases.remove(sparsest)
    return counts


def _plan(case: CaseImage, geometry: Geometry, count: int, strategy: Strategy | str, seed: int) -> SlicePlan:
    volume = read_volume(case.image) if strategy == Strategy.REPRESENTATIVE else geometry
    # A seed of its own for each case, so that staggered and random plans of equal volumes differ.
    own_seed = zlib.crc32(f"{seed} {case.case}".encode())
    return plan_slices(volume, case.axis, count=count, strategy=strategy, seed=own_seed, extent=case.extent)


def _relative(image: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(image.absolute(), folder.absolute())).as_posix()
    except ValueError:  # another drive on Windows
        return image.absolute().as_posix()
