"""Where raters differ: the entropy of their votes, and the slices most in dispute.

Every reading given has one voice. Only slices that all of them drew count: on others nothing is in dispute.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import Box
from pgt.agreement.readings import Reading
from pgt.agreement.results import WorstSlice
from pgt.agreement.votes import Votes, collect_votes
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.planning import usual_axis

WORST_SLICES = 12


def entropy(readings: Sequence[Reading], label: str) -> tuple[Box, NDArray[np.float32]]:
    """How divided the raters are on each voxel: entropy of the share p who marked it.

    -p log2(p) - (1 - p) log2(1 - p), in bits: 0 where all agree, 1 where they are split in half.

    Args:
        readings: of one case; those without the label have no voice.

    Returns:
        A box of the volume that holds every mark, and the entropy on it as float32 [i, j, k]; 0 elsewhere,
        and on slices that not all raters drew. The box is empty where nobody marked a voxel.

    Raises:
        InputError: fewer than two readings have the label, or they cannot be laid on each other.
    """
    votes = _votes(readings, label)
    raters = len(votes.marks)
    shares = np.arange(raters + 1) / raters
    return votes.box, _bits(shares).astype(np.float32)[votes.counts]


def disputed_areas(readings: Sequence[Reading], label: str, axis: int | None = None) -> NDArray[np.float64]:
    """The area in mm² on which not all raters agree, for every slice of the volume along ``axis``.

    Args:
        readings: of one case; those without the label have no voice.
        axis: 0, 1 or 2 for slices across i, j or k; by default :func:`slice_axis`.

    Raises:
        InputError: as :func:`entropy`.
    """
    axis = slice_axis(readings, label) if axis is None else axis
    votes = _votes(readings, label)
    geometry = readings[0].geometry
    areas = np.zeros(geometry.shape[axis])
    others = tuple(other for other in range(3) if other != axis)
    areas[votes.box[axis]] = votes.disputed.sum(axis=others) * float(
        np.prod([geometry.spacing[n] for n in others])
    )
    return areas


def slice_axis(readings: Sequence[Reading], label: str) -> int:
    """The axis across the slices that somebody drew; else the scan's own, or axial ones of even voxels."""
    for reading in readings:
        if label in reading.drawn:
            return reading.drawn[label].axis
    return usual_axis(readings[0].geometry)


def worst_slices(
    readings: Sequence[Reading],
    labels: Sequence[str] | None = None,
    axis: int | None = None,
    count: int = WORST_SLICES,
    each: int = 1,
) -> tuple[WorstSlice, ...]:
    """The slices with the largest area on which not all raters agree, largest first.

    A label that only one reading of a case has is passed over there: a reading that is missing is no dispute.
    So is one whose readings have no drawn slice in common.

    Args:
        readings: of any number of cases.
        labels: all that occur, if left out.
        axis: see :func:`disputed_areas`.
        count: how many slices at most.
        each: how many of one case and label at most, so that one large organ does not fill the list.

    Raises:
        InputError: readings of a case lie on different grids.
    """
    wanted = labels if labels is not None else list(dict.fromkeys(name for r in readings for name in r.masks))
    by_case: dict[str, list[Reading]] = {}
    for reading in readings:
        by_case.setdefault(reading.case, []).append(reading)
    worst: list[WorstSlice] = []
    for case, of_case in by_case.items():
        for label in wanted:
            having = [reading for reading in of_case if label in reading.masks]
            if len(having) < 2 or not share_slices(having, label):
                continue
            across = slice_axis(having, label) if axis is None else axis
            areas = disputed_areas(having, label, across)
            largest = np.argsort(-areas, kind="stable")[:each]
            worst += [
                WorstSlice(case, label, across, int(index), float(areas[index]))
                for index in largest
                if areas[index]
            ]
    return tuple(sorted(worst, key=lambda found: -found.disagreeing_mm2)[:count])


def share_slices(readings: Sequence[Reading], label: str) -> bool:
    """Whether there is a slice that all readings drew the label on."""
    drawn = [reading.drawn[label] for reading in readings if label in reading.drawn]
    if len({slices.axis for slices in drawn}) > 1:
        return False
    return not drawn or bool(set.intersection(*(set(slices.indices) for slices in drawn)))


def common_geometry(readings: Sequence[Reading]) -> Geometry:
    """The grid that all readings of a case lie on.

    Raises:
        InputError: they lie on different ones, or are of different cases.
    """
    first = readings[0]
    for reading in readings[1:]:
        if reading.case != first.case:
            raise InputError(f"Readings of {first.case} and {reading.case} cannot be laid on each other.")
        different = first.geometry.difference(reading.geometry)
        if different:
            raise InputError(
                f"{first.sitting} and {reading.sitting} lie on different grids in case {first.case}: "
                f"{different}."
            )
    return first.geometry


def _votes(readings: Sequence[Reading], label: str) -> Votes:
    having = [reading for reading in readings if label in reading.masks]
    if len(having) < 2:
        raise InputError(f"Disagreement on {label} needs two readings of it or more; there are fewer.")
    common_geometry(having)
    return collect_votes(
        [reading.masks[label] for reading in having], [reading.drawn.get(label) for reading in having]
    )


def _bits(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import entr

    return np.asarray((entr(shares) + entr(1 - shares)) / np.log(2))
