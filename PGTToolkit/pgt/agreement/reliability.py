"""How alike many raters are: Fleiss' kappa and Krippendorff's alpha on voxels, ICC on volumes.

Both coefficients correct for chance, and chance depends on how much background is counted: the more, the
nearer to 1. So the region is fixed (:data:`REGION`) and told beside the number. They need no list of voxels,
only how many voxels were called the structure by how many of their readers; these counts are summed over
cases, and intervals come from resampling whole cases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgt.agreement.bootstrap import Numbers, Scale, statistic_estimate
from pgt.agreement.intraclass import icc_of
from pgt.agreement.masks import Box, CroppedMask, Mask, common_box, occupied_box
from pgt.agreement.peak import session_order
from pgt.agreement.readings import DrawnSlices, Reading
from pgt.agreement.results import Estimate, Reliability
from pgt.errors import InputError

Coefficient = Callable[[Numbers, Numbers], Numbers]

REGION = (
    "In each case the smallest box of voxels that holds what any rater drew, first sessions only. "
    "Where raters drew only some slices, of these the slices that two or more of them drew. Voxels of all "
    "cases count alike, so larger structures count more."
)


def reliability_of(
    label: str,
    readings: Sequence[Reading],
    same_raters: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Reliability:
    """All three coefficients of one label.

    Args:
        label: the structure.
        readings: of human raters only; of each rater the first session in each case counts. Readings that
            lack the label are missing.
        same_raters: whether a rater's name means the same person in every case, which decides the form of
            the ICC; by default they do where at least half of the cases were read by all of them. Say False
            for anonymous readers who are merely numbered.
        level: of the intervals.
        seed: of the resampling.

    Raises:
        InputError: the readings of a case lie on different grids.
    """
    cases = _first_readings(label, readings)
    names = sorted({name for case in cases.values() for name in case})
    tables = []
    volumes = np.full((len(cases), len(names)), np.nan)
    for row, case in enumerate(cases.values()):
        voxels = _CaseVoxels.of(label, list(case.values()))
        tables.append(voxels.table(len(names)))
        volumes[row, [names.index(name) for name in case]] = voxels.volumes_ml()
    icc, form = icc_of(volumes, same_raters, level)
    return Reliability(
        label=label,
        raters=len(names),
        fleiss_kappa=_over_cases(tables, len(cases), fleiss_kappa, len(names), level, seed),
        krippendorff_alpha=_over_cases(tables, len(cases), krippendorff_alpha, len(names), level, seed),
        icc=icc,
        icc_form=form,
        region=REGION,
    )


def fleiss_kappa(ratings: Numbers, times: Numbers) -> Numbers:
    """Fleiss' kappa (1971); in Gwet's form (2014, section 2.7) where subjects have unlike numbers of ratings.

    Args:
        ratings: (U, K) how many raters put a subject of kind u into category k.
        times: (M, U) how many subjects of each kind there are, in each of M samples.

    Returns:
        (M,) kappa; NaN where all ratings are the same category, of which chance would explain everything.
    """
    raters, ratings, times = _rated_twice(ratings, times)
    agreeing = (ratings * (ratings - 1)).sum(axis=1) / (raters * (raters - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        subjects = times.sum(axis=1)
        observed = times @ agreeing / subjects
        by_chance = ((times @ (ratings / raters[:, None]) / subjects[:, None]) ** 2).sum(axis=1)
        return np.where(by_chance < 1, (observed - by_chance) / (1 - by_chance), np.nan)


def krippendorff_alpha(ratings: Numbers, times: Numbers) -> Numbers:
    """Krippendorff's alpha for nominal data (2011, "Computing Krippendorff's alpha-reliability").

    Args:
        ratings: (U, K) how many raters put a unit of kind u into category k; units with one rating are
            left out, as they pair with nothing.
        times: (M, U) how many units of each kind there are, in each of M samples.

    Returns:
        (M,) alpha; NaN where all ratings are the same category.
    """
    raters, ratings, times = _rated_twice(ratings, times)
    unlike = (raters**2 - (ratings**2).sum(axis=1)) / (raters - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        totals = times @ ratings
        pairable = totals.sum(axis=1)
        expected = (pairable**2 - (totals**2).sum(axis=1)) / (pairable - 1)
        return np.where(expected > 0, 1 - times @ unlike / expected, np.nan)


def _rated_twice(ratings: Numbers, times: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    raters = ratings.sum(axis=1)
    pairable = raters > 1
    return raters[pairable], ratings[pairable], times[:, pairable]


def _first_readings(label: str, readings: Sequence[Reading]) -> dict[str, dict[str, Reading]]:
    """By case and rater, the first session that has the label."""
    cases: dict[str, dict[str, Reading]] = {}
    for reading in sorted(readings, key=lambda reading: session_order(reading.sitting)):
        if label in reading.masks:
            cases.setdefault(reading.case, {}).setdefault(reading.sitting.rater, reading)
    for case, by_rater in cases.items():
        shapes = {reading.masks[label].shape for reading in by_rater.values()}
        if len(shapes) > 1:
            raise InputError(f"The raters of {case} drew {label} on different grids.")
    return cases


@dataclass(frozen=True, eq=False)
class _CaseVoxels:
    """The region of one case.

    Args:
        masks: what each rater drew, without the slices that a machine filled.
        box: the smallest that holds them; None where all found the structure absent.
        drawn: for each rater which voxels of the box were drawn, broadcast to it; None for all.
        voxel_ml: volume of a voxel.
    """

    masks: Sequence[CroppedMask]
    box: Box | None
    drawn: Sequence[Mask | None]
    voxel_ml: float

    @classmethod
    def of(cls, label: str, readings: Sequence[Reading]) -> _CaseVoxels:
        slices = [reading.drawn.get(label) for reading in readings]
        masks = [
            reading.masks[label] if part is None else _as_drawn(reading.masks[label], part)
            for reading, part in zip(readings, slices, strict=True)
        ]
        box = common_box(masks)
        drawn = [None if part is None or box is None else _drawn_within(part, box) for part in slices]
        return cls(masks, box, drawn, readings[0].geometry.voxel_volume / 1000)

    def table(self, raters: int) -> Numbers:
        """Voxels by how many raters drew their slice and how many called them the structure:
        ((raters + 1)²,), the latter fastest."""
        if self.box is None:
            return np.zeros((raters + 1) ** 2)
        everywhere = sum(part is None for part in self.drawn)
        shape = [part.stop - part.start for part in self.box]
        answers = np.full(shape, (raters + 1) * everywhere, dtype=np.uint16)
        for mask, drawn in zip(self.masks, self.drawn, strict=True):
            answers += mask.within(self.box)
            if drawn is not None:
                answers += ((raters + 1) * drawn).astype(np.uint16)
        # Slice by slice: counting turns the voxels into 8-byte integers.
        counts = sum(np.bincount(part.ravel(), minlength=(raters + 1) ** 2) for part in answers)
        return np.asarray(counts, dtype=np.float64)

    def volumes_ml(self) -> list[float]:
        """Each rater's volume on the slices that all of them drew."""
        if self.box is None:
            return [0.0] * len(self.masks)
        every = [part for part in self.drawn if part is not None]
        if not every:
            return [mask.count * self.voxel_ml for mask in self.masks]
        all_drawn = np.logical_and.reduce(np.broadcast_arrays(*every))
        return [np.count_nonzero(mask.within(self.box) & all_drawn) * self.voxel_ml for mask in self.masks]


def _as_drawn(mask: CroppedMask, drawn: DrawnSlices) -> CroppedMask:
    """The structure on the drawn slices only, cropped anew."""
    if mask.is_empty:
        return mask
    kept = mask.voxels & _drawn_within(drawn, mask.box)
    box = occupied_box(kept)
    if box is None:
        return CroppedMask.empty(mask.shape)
    i, j, k = (part.start + first for part, first in zip(box, mask.start, strict=True))
    return CroppedMask(np.ascontiguousarray(kept[box]), (i, j, k), mask.shape)


def _drawn_within(drawn: DrawnSlices, box: Box) -> Mask:
    """Whether each voxel of the box was drawn; of size 1 across the two axes that do not matter."""
    part = box[drawn.axis]
    found = np.isin(np.arange(part.start, part.stop), drawn.indices)
    return found.reshape([-1 if axis == drawn.axis else 1 for axis in range(3)])


def _over_cases(
    tables: Sequence[Numbers], cases: int, coefficient: Coefficient, raters: int, level: float, seed: int
) -> Estimate:
    """The coefficient of all cases' voxels together."""
    counted = np.array([table for table in tables if table[2 * (raters + 1) :].any()])
    if len(counted) == 0:
        return Estimate(
            None, level=level, note="No voxel was read by two raters, or all found the structure absent."
        )
    readers, found = np.indices((raters + 1, raters + 1)).reshape(2, -1)
    ratings = np.stack([np.maximum(readers - found, 0), found], axis=1).astype(np.float64)

    def statistic(counts: Numbers) -> Numbers:
        return coefficient(ratings, counts @ counted)

    estimate = statistic_estimate(len(counted), statistic, level, seed, Scale.CORRELATION)
    notes = [estimate.note]
    if estimate.value is None:
        notes = ["Not defined: all raters call every voxel of the region the structure."]
    if len(counted) < cases:
        notes.append(
            f"{cases - len(counted)} of {cases} cases have no voxel that two raters read, or all found the "
            "structure absent."
        )
    return replace(estimate, note=" ".join(filter(None, notes)))
