"""Intraclass correlation of volumes: which part of their spread is between cases rather than between raters.

Forms of Shrout and Fleiss (1979). Intervals are theirs and McGraw and Wong's (1996), from the F distribution:
unlike a bootstrap over cases they also allow for other raters, and in simulation they were shorter and held
the truth as often (12 cases, 3 raters, 300 studies: 93 to 95 % for normal and moderately skewed volumes, 86 %
for very skewed ones, log standard deviation 1; the bootstrap 91 to 95 % and 83 %).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pgt.agreement.bootstrap import FEWEST_FOR_INTERVAL, Numbers
from pgt.agreement.results import Estimate

TWO_WAY = "ICC(2,1): two-way random, absolute agreement, single rater"
ONE_WAY = "ICC(1,1): one-way random, single rater; raters may differ between cases"

_ROUNDING = 1e-12


def icc_of(volumes: Numbers, same_raters: bool | None = None, level: float = 0.95) -> tuple[Estimate, str]:
    """The intraclass correlation and the name of its form.

    Args:
        volumes: (cases, raters), NaN where a rater did not read a case.
        same_raters: whether a column is the same person in every case: then ICC(2,1) on the cases that all
            read, else ICC(1,1) on those that two or more read. By default ICC(2,1) where all raters read at
            least half of the cases, and at least two.
        level: of the interval.

    Returns:
        The estimate, without value where there are fewer than two cases or raters or no spread at all.
    """
    complete = ~np.isnan(volumes).any(axis=1) if volumes.shape[1] > 1 else np.zeros(len(volumes), dtype=bool)
    if same_raters is None:
        same_raters = complete.sum() >= max(2, len(volumes) / 2)
    usable = complete if same_raters else (~np.isnan(volumes)).sum(axis=1) > 1
    form = TWO_WAY if same_raters else ONE_WAY
    cases = int(usable.sum())
    if cases < 2:
        note = f"Not defined: {cases} case{'' if cases == 1 else 's'} read by several raters, two are needed."
        return Estimate(None, cases=cases, level=level, note=note), form
    used = volumes[usable]
    icc = two_way(used, level) if same_raters else one_way(used, level)
    if icc is None:
        note = "Not defined: all volumes are the same."
        return Estimate(None, cases=cases, level=level, note=note), form
    notes = []
    if cases < len(volumes):
        notes.append(f"{len(volumes) - cases} of {len(volumes)} cases lack a rater and are left out.")
    if icc.lower is None:
        notes.append("No interval: the volumes vary too little between cases.")
    elif icc.lower == icc.upper:
        notes.append("The raters' volumes are the same in every case; the interval has no width.")
    if cases < FEWEST_FOR_INTERVAL and icc.lower is not None:
        notes.append(f"No interval: {cases} cases are too few.")
        icc = IntraclassCorrelation(icc.value, None, None)
    return Estimate(icc.value, icc.lower, icc.upper, cases, level, " ".join(notes)), form


@dataclass(frozen=True)
class IntraclassCorrelation:
    """An ICC and the ends of its interval."""

    value: float
    lower: float | None
    upper: float | None


def two_way(volumes: Numbers, level: float = 0.95) -> IntraclassCorrelation | None:
    """ICC(2,1), called ICC(A,1) by McGraw and Wong, of complete (cases, raters) numbers.

    None where all numbers are the same.
    """
    from scipy.stats import f

    cases, raters = volumes.shape
    centred = volumes - volumes.mean()
    rows, columns = centred.mean(axis=1), centred.mean(axis=0)
    between = raters * float((rows**2).sum()) / (cases - 1)
    of_raters = cases * float((columns**2).sum()) / (raters - 1)
    rest = centred - rows[:, None] - columns
    error = float((rest**2).sum()) / ((cases - 1) * (raters - 1))
    total = between + (raters - 1) * error + raters * (of_raters - error) / cases
    scale = float((centred**2).mean())
    if scale <= _ROUNDING * float((volumes**2).mean()) or total <= _ROUNDING * scale:
        return None
    value = (between - error) / total
    if 1 - value <= _ROUNDING:
        return IntraclassCorrelation(1.0, 1.0, 1.0)
    tail = (1 - level) / 2
    weight = raters * value / (cases * (1 - value))
    parts = weight * of_raters, (1 + weight * (cases - 1)) * error
    squares = parts[0] ** 2 / (raters - 1) + parts[1] ** 2 / ((cases - 1) * (raters - 1))
    if squares <= 0 or sum(parts) <= 0:
        return IntraclassCorrelation(value, None, None)
    freedom = sum(parts) ** 2 / squares
    low, high = f.ppf(1 - tail, cases - 1, freedom), f.ppf(1 - tail, freedom, cases - 1)
    noise = raters * of_raters + (raters * cases - raters - cases) * error
    # Divided through by the quantiles, which are infinite where hardly a degree of freedom is left.
    ends = (
        cases * (between / low - error) / (noise + cases * between / low),
        cases * (between - error / high) / (noise / high + cases * between),
    )
    if not np.isfinite(ends).all():
        return IntraclassCorrelation(value, None, None)
    return IntraclassCorrelation(value, float(np.clip(ends[0], -1, value)), float(np.clip(ends[1], value, 1)))


def one_way(volumes: Numbers, level: float = 0.95) -> IntraclassCorrelation | None:
    """ICC(1,1) of (cases, raters) numbers with NaN for missing ones, two or more a case.

    With unequal numbers of readings the mean number is the one that makes the mean squares unbiased, and the
    interval is approximate. None where all numbers are the same.
    """
    from scipy.stats import f

    readings = (~np.isnan(volumes)).sum(axis=1)
    total, cases = int(readings.sum()), len(volumes)
    means = np.nanmean(volumes, axis=1)
    grand = np.nansum(volumes) / total
    between = float((readings * (means - grand) ** 2).sum()) / (cases - 1)
    within = float(np.nansum((volumes - means[:, None]) ** 2)) / (total - cases)
    each = (total - float((readings**2).sum()) / total) / (cases - 1)
    if between + within <= _ROUNDING * float(np.nanmean(volumes**2)):
        return None
    value = (between - within) / (between + (each - 1) * within)
    if 1 - value <= _ROUNDING:
        return IntraclassCorrelation(1.0, 1.0, 1.0)
    tail = (1 - level) / 2
    ratio = between / within
    low = ratio / f.ppf(1 - tail, cases - 1, total - cases)
    high = ratio * f.ppf(1 - tail, total - cases, cases - 1)
    return IntraclassCorrelation(
        float(value), float((low - 1) / (low + each - 1)), float((high - 1) / (high + each - 1))
    )
