"""In which direction a rater stands apart: larger, smaller or shifted.

Size and place are put into one measure, the volume that they would bring into dispute by themselves: for a
larger or smaller structure the mean difference of the volumes; for a shifted one what a shift by the mean
distance of the centroids uncovers and covers. The larger of the two is the direction, if it is the same over
the cases (95 % interval) and makes up half of the dispute at least. The other is told too, if it is the same
over the cases and makes up a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.bootstrap import mean_estimate
from pgt.agreement.masks import Mask
from pgt.agreement.readings import Reading
from pgt.agreement.results import Estimate
from pgt.agreement.votes import collect_votes
from pgt.geometry import Geometry

LEAST_SHARE = 0.5
"""Of the rater's dispute with the others, what a direction must explain to be named."""
LEAST_SHARE_OF_SECOND = 0.25

_TOWARDS = ("the patient's right", "anterior", "superior")
_AWAY = ("the patient's left", "posterior", "inferior")

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Direction:
    """How a rater stands apart.

    Args:
        kind: "larger", "smaller", "shifted" or "differs".
        size: per cent of the volume, or mm; 0 for "differs".
        words: what the rater does, as the rest of a sentence; empty for "differs".
    """

    kind: str
    size: float
    words: str


@dataclass(frozen=True, eq=False)
class DrawnCase:
    """One rater against the others in one case.

    Args:
        marks: the rater's voxels, on a box.
        geometry: the grid.
        volume: of the rater's structure, in voxels; ``others_volume`` the mean of the others'.
        shift: from the mean of the others' centroids to the rater's, in mm (RAS); None where the rater or all
            others found nothing.
        dispute: voxels on which the rater differs from another, mean over the others.
    """

    marks: Mask
    geometry: Geometry
    volume: float
    others_volume: float
    shift: Numbers | None
    dispute: float

    @classmethod
    def of(cls, own: Reading, others: Sequence[Reading], label: str) -> DrawnCase:
        """From readings of one case that all have the label; on the slices that all drew."""
        together = [own, *others]
        votes = collect_votes(
            [one.masks[label] for one in together], [one.drawn.get(label) for one in together]
        )
        start = np.array([part.start for part in votes.box])
        centroids = [_centroid(marks, start, own.geometry) for marks in votes.marks]
        found = [centroid for centroid in centroids[1:] if centroid is not None]
        shift = None if centroids[0] is None or not found else centroids[0] - np.mean(found, axis=0)
        return cls(
            marks=votes.marks[0],
            geometry=own.geometry,
            volume=float(np.count_nonzero(votes.marks[0])),
            others_volume=float(np.mean([np.count_nonzero(marks) for marks in votes.marks[1:]])),
            shift=shift,
            dispute=float(np.mean([np.count_nonzero(votes.marks[0] ^ marks) for marks in votes.marks[1:]])),
        )

    @property
    def percent_larger(self) -> float:
        """Volume less the others', in per cent of the mean of both; from -200 to 200."""
        both = self.volume + self.others_volume
        return 200 * (self.volume - self.others_volume) / both if both else 0.0


def direction_of(cases: Sequence[DrawnCase], seed: int = 0) -> Direction:
    """The direction in which a rater differs from the others over the cases."""
    percent = mean_estimate([case.percent_larger for case in cases], seed=seed)
    with_shift = [case for case in cases if case.shift is not None]
    shifts = np.array([case.shift for case in with_shift], dtype=float).reshape(-1, 3)
    mean = shifts.mean(axis=0) if len(shifts) else np.zeros(3)
    share_of_size = abs(_share([case.volume - case.others_volume for case in cases], cases))
    share_of_shift = _share([uncovered(case, mean) for case in with_shift], with_shift)
    larger = Direction(
        "larger" if (percent.value or 0) > 0 else "smaller", abs(percent.value or 0), _of_size(percent)
    )
    shifted = Direction("shifted", float(np.linalg.norm(mean)), _of_shift(mean))
    choices = []
    if _not_zero(percent) and share_of_size >= LEAST_SHARE_OF_SECOND:
        choices.append((share_of_size, larger))
    if _not_zero(_along(shifts, seed)) and share_of_shift >= LEAST_SHARE_OF_SECOND:
        choices.append((share_of_shift, shifted))
    choices.sort(key=lambda choice: -choice[0])
    if not choices or choices[0][0] < LEAST_SHARE:
        return Direction("differs", 0.0, "")
    words = " and ".join(direction.words for _, direction in choices)
    return Direction(choices[0][1].kind, choices[0][1].size, words)


def uncovered(case: DrawnCase, shift: Numbers) -> float:
    """Voxels that a shift by ``shift`` mm (RAS) of the rater's structure uncovers and covers.

    In parts of voxels for shifts of less than one (linear interpolation).
    """
    from scipy.ndimage import shift as shifted

    voxels = np.linalg.inv(case.geometry.ijk_to_ras[:3, :3]) @ shift
    room = np.ceil(np.abs(voxels)).astype(int) + 1
    marks = np.pad(case.marks, [(int(n), int(n)) for n in room]).astype(np.float32)
    return float(np.abs(marks - shifted(marks, voxels, order=1)).sum())


def towards(shift: Numbers) -> str:
    """A direction in the patient in words: the axis it mostly runs along, and others that matter."""
    order = np.argsort(-np.abs(shift))
    return " and ".join(
        (_TOWARDS if shift[axis] > 0 else _AWAY)[axis]
        for axis in order
        if abs(shift[axis]) >= abs(shift[order[0]]) / 2 and shift[axis]
    )


def _centroid(marks: Mask, start: NDArray[np.integer], geometry: Geometry) -> Numbers | None:
    count = np.count_nonzero(marks)
    if not count:
        return None
    middle = []
    for axis in range(3):
        along = np.count_nonzero(marks, axis=tuple(other for other in range(3) if other != axis))
        middle.append(float(along @ np.arange(len(along))) / count)
    matrix = geometry.ijk_to_ras
    return np.asarray(matrix[:3, :3] @ (start + middle) + matrix[:3, 3])


def _along(shifts: Numbers, seed: int) -> Estimate:
    """Each case's shift along the mean direction of the others: on average 0 where there is no direction."""
    others = shifts.sum(axis=0) - shifts
    lengths = np.linalg.norm(others, axis=1)
    usable = lengths > 0
    if np.count_nonzero(usable) < 2:
        return Estimate(None)
    projections = (shifts[usable] * others[usable]).sum(axis=1) / lengths[usable]
    return mean_estimate(projections.tolist(), seed=seed)


def _not_zero(estimate: Estimate) -> bool:
    ends = estimate.interval
    return ends is not None and ends[0] * ends[1] > 0


def _share(voxels: Sequence[float], cases: Sequence[DrawnCase]) -> float:
    """Of the dispute in mm³ over the cases."""
    volumes = [case.geometry.voxel_volume for case in cases]
    dispute = float(np.dot(volumes, [case.dispute for case in cases]))
    return float(np.dot(volumes, voxels)) / dispute if dispute else 0.0


def _of_size(percent: Estimate) -> str:
    value = percent.value or 0.0
    ends = sorted(abs(end) for end in percent.interval or (value, value))
    return (
        f"draws it {abs(value):.0f} % {'larger' if value > 0 else 'smaller'} "
        f"(95 % interval {ends[0]:.0f} to {ends[1]:.0f} %)"
    )


def _of_shift(mean: Numbers) -> str:
    return f"draws it shifted {np.linalg.norm(mean):.1f} mm towards {towards(mean)}"
