"""Which slices of a volume to draw.

Zhang and others compared fixed intervals, random choice and unsupervised choice of slices for training and
found no strategy reliably ahead, so the simplest is the default for one volume. How a budget is spent over
many volumes matters more, see :mod:`pgt.case_planning`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from pgt.annotation import AXIS_NAMES
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.slice_features import k_centre, slice_features
from pgt.volume import Volume

SLICE_PLAN_SCHEMA = "pgt-slice-plan"
SLICE_PLAN_VERSION = 1

# Spacing must stand out by this factor for its axis to count as the one that was scanned slice by slice.
_THICKER = 1.05

# Places within the first interval at which staggered slices may begin.
_STARTS = 1 << 20


class Strategy(str, Enum):
    """How slices are chosen."""

    FIXED = "fixed"
    STAGGERED = "staggered"
    RANDOM = "random"
    REPRESENTATIVE = "representative"


@dataclass(frozen=True)
class SlicePlan:
    """The slices of one volume that are to be drawn.

    Args:
        axis: 0, 1 or 2 for slices across i, j or k.
        slices: ascending indices from 0.
        strategy: how they were chosen.
        seed: what random choice was started with; the other strategies do without.
        extent: first and last slice, both included, among which the plan chose.
    """

    axis: int
    slices: tuple[int, ...]
    strategy: Strategy
    seed: int
    extent: tuple[int, int]

    @property
    def density(self) -> float:
        """Planned slices as a part of the slices in the extent."""
        return len(self.slices) / (self.extent[1] - self.extent[0] + 1)

    def to_json(self) -> str:
        """The plan as text that :meth:`from_json` reads."""
        return json.dumps(
            {"schema": SLICE_PLAN_SCHEMA, "version": SLICE_PLAN_VERSION, **content_of(self)}, indent=1
        )

    @classmethod
    def from_json(cls, text: str) -> SlicePlan:
        """Read what :meth:`to_json` wrote; InputError when it is anything else."""
        content = parsed_json(text, SLICE_PLAN_SCHEMA, SLICE_PLAN_VERSION, "slice plan")
        return plan_of(content)


def plan_slices(
    volume: Volume | Geometry,
    axis: int | None = None,
    count: int | None = None,
    density: float | None = None,
    strategy: Strategy | str = Strategy.FIXED,
    seed: int = 0,
    extent: tuple[int, int] | None = None,
) -> SlicePlan:
    """Choose slices to draw.

    Args:
        volume: the image; for fixed and random choice its geometry will do.
        axis: 0, 1 or 2; None for :func:`usual_axis`.
        count: how many slices.
        density: instead of a count, which part of the slices in the extent, above 0 and up to 1; the nearest
            whole number of slices, at least one.
        strategy: ``fixed``: evenly spaced. Within an extent its first and last slice are drawn, because the
            structure's ends bound the propagation; without one, half an interval stays free at either end,
            where a scan seldom shows the structure. ``staggered``: evenly spaced from a random start, for
            cases that show the same anatomy at the same places: with seeds of their own they are drawn at
            other places each. ``random``: uniform without repetition. ``representative``: slices that look
            unlike each other and together cover all others.
        seed: start of the random choice.
        extent: first and last slice that may be chosen; None for all.

    Raises:
        InputError: no or two budgets, a budget beyond the slices there are, an axis or extent outside the
            volume, an unknown strategy, or representative choice without the voxels.
    """
    geometry = volume.geometry if isinstance(volume, Volume) else volume
    axis = usual_axis(geometry) if axis is None else axis
    if axis not in (0, 1, 2):
        raise InputError(f"The axis must be i, j or k (0, 1 or 2), not {axis}.")
    first, last = checked_extent(extent, geometry.shape[axis], axis)
    number = _slice_count(count, density, last - first + 1)
    strategy = _strategy(strategy)
    if strategy is Strategy.FIXED:
        chosen = _evenly_spaced(number, last - first + 1, ends=extent is not None)
    elif strategy is Strategy.STAGGERED:
        chosen = _staggered(number, last - first + 1, checked_seed(seed))
    elif strategy is Strategy.RANDOM:
        drawn = np.random.default_rng(checked_seed(seed)).choice(last - first + 1, number, replace=False)
        chosen = tuple(sorted(int(index) for index in drawn))
    elif isinstance(volume, Volume):
        chosen = k_centre(slice_features(volume, axis, first, last), number)
    else:
        raise InputError("Representative slices can only be chosen from an image, not from its geometry.")
    return SlicePlan(axis, tuple(first + index for index in chosen), strategy, seed, (first, last))


def usual_axis(geometry: Geometry) -> int:
    """The axis to draw across when nobody says: the scan's own slices, or axial ones of even voxels."""
    spacing = np.array(geometry.spacing)
    thickest = int(np.argmax(spacing))
    if spacing[thickest] > _THICKER * np.delete(spacing, thickest).max():
        return thickest
    return next(axis for axis in (0, 1, 2) if geometry.orientation[axis] in "SI")


def content_of(plan: SlicePlan) -> dict[str, Any]:
    """The entries of a plan in a JSON file."""
    return {
        "axis": AXIS_NAMES[plan.axis],
        "slices": list(plan.slices),
        "strategy": plan.strategy.value,
        "seed": plan.seed,
        "extent": list(plan.extent),
    }


def plan_of(content: Mapping[str, Any]) -> SlicePlan:
    """The plan of the entries that :func:`content_of` made.

    Raises:
        InputError: an entry is missing or makes no sense.
    """
    try:
        first, last = (int(index) for index in content["extent"])
        if not isinstance(content["slices"], list):
            raise TypeError("slices are no list")
        slices = tuple(int(index) for index in content["slices"])
        axis = AXIS_NAMES.index(content["axis"])
        plan = SlicePlan(axis, slices, Strategy(content["strategy"]), int(content["seed"]), (first, last))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"The slice plan is damaged ({error!r}).") from error
    if list(slices) != sorted(set(slices)) or not slices or not 0 <= first <= slices[0] <= slices[-1] <= last:
        raise InputError(f"The slice plan has slices {list(slices)} outside of {first} to {last} or twice.")
    return plan


def parsed_json(text: str, schema: str, version: int, what: str) -> dict[str, Any]:
    """The object in a JSON text of ours.

    Raises:
        InputError: the text is no JSON, of another schema, or of a later version.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"The {what} is not valid JSON ({error}).") from error
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise InputError(f"This is no {what} of PGT Toolkit.")
    if content.get("version") != version:
        raise InputError(
            f"The {what} has version {content.get('version')}; this PGT Toolkit reads version {version}."
        )
    return content


def checked_extent(extent: tuple[int, int] | None, size: int, axis: int) -> tuple[int, int]:
    """First and last slice of an extent, of all slices for None; InputError outside the volume."""
    if extent is None:
        return 0, size - 1
    first, last = extent
    if not 0 <= first <= last < size:
        raise InputError(
            f"Slices {first} to {last} lie outside the volume: axis {AXIS_NAMES[axis]} has 0 to {size - 1}."
        )
    return first, last


def checked_seed(seed: int) -> int:
    """The seed; InputError below 0."""
    if seed < 0:
        raise InputError(f"A seed is a whole number from 0, not {seed}.")
    return seed


def _slice_count(count: int | None, density: float | None, available: int) -> int:
    if (count is None) == (density is None):
        raise InputError("Give either a number of slices or a density.")
    if density is not None:
        if not 0 < density <= 1:
            raise InputError(f"A density lies above 0 and is at most 1, not {density:g}.")
        return max(1, int(density * available + 0.5))
    assert count is not None
    if not 1 <= count <= available:
        raise InputError(f"{count} slices cannot be chosen from {available}.")
    return count


def _strategy(name: Strategy | str) -> Strategy:
    try:
        return Strategy(name)
    except ValueError as error:
        known = ", ".join(strategy.value for strategy in Strategy)
        raise InputError(f"There is no strategy {name!r}; there are {known}.") from error


def _evenly_spaced(count: int, available: int, ends: bool) -> tuple[int, ...]:
    """Indices whose gaps differ by at most one slice."""
    if ends and count > 1:
        places = np.arange(count) * (available - 1) / (count - 1)
        return tuple(int(place + 0.5) for place in places)
    return tuple(int((2 * number + 1) * available // (2 * count)) for number in range(count))


def _staggered(count: int, available: int, seed: int) -> tuple[int, ...]:
    """As evenly spaced, the first slice anywhere in the first interval."""
    start = int(np.random.default_rng(seed).integers(_STARTS))
    return tuple((number * _STARTS + start) * available // (_STARTS * count) for number in range(count))
