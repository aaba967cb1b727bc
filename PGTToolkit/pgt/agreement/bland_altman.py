"""Bland–Altman: by how much two raters' volumes differ, and how far that varies.

Bland and Altman (1999), section 2: bias is the mean difference, 95 % of differences lie within 1.96 standard
deviations of it if they are normally distributed. The interval of the bias is Student's t. Those of the
limits are exact, from the noncentral t distribution (Carkeet 2015), not the paper's approximation
``sqrt(3 / n)``, which is too short with few cases.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from pgt.agreement.bootstrap import FEWEST_FOR_INTERVAL
from pgt.agreement.peak import first_sessions
from pgt.agreement.readings import Sitting
from pgt.agreement.results import BlandAltman, Estimate, PairKind, PairScores

WITHIN = 0.95
"""Share of differences between the limits of agreement."""


def bland_altman(
    pairs: Sequence[PairScores], candidates: Collection[str] = (), level: float = 0.95
) -> tuple[BlandAltman, ...]:
    """Volumes of every two raters against each other, by label.

    Args:
        pairs: all comparisons. Of raters their first sessions count; comparisons with the reference count,
            those within a rater do not.
        candidates: raters that are models; they are compared with the reference only.
        level: of the intervals.

    Returns:
        One for every label and two sittings that share a case. Differences are always the later-named rater's
        volume minus the earlier's, and anybody's minus the reference's. With one case there are no limits.
    """
    chosen = first_sessions(
        [
            pair
            for pair in pairs
            if pair.kind is PairKind.INTER and not {pair.a.rater, pair.b.rater} & set(candidates)
        ]
    ) + [pair for pair in pairs if pair.kind is PairKind.REFERENCE]
    groups: dict[tuple[str, Sitting, Sitting], list[tuple[str, float, float]]] = {}
    for pair in chosen:
        forward = pair.kind is PairKind.REFERENCE or pair.a <= pair.b
        a, b = (pair.a, pair.b) if forward else (pair.b, pair.a)
        volumes = (pair.volume_a_ml, pair.volume_b_ml) if forward else (pair.volume_b_ml, pair.volume_a_ml)
        groups.setdefault((pair.label, a, b), []).append((pair.case, *volumes))
    return tuple(_compare(*group, found, level) for group, found in groups.items())


def _compare(
    label: str, a: Sitting, b: Sitting, found: Sequence[tuple[str, float, float]], level: float
) -> BlandAltman:
    differences = [second - first for _, first, second in found]
    bias, lower, upper = limits_of_agreement(differences, level)
    return BlandAltman(
        label=label,
        a=a,
        b=b,
        cases=tuple(case for case, _, _ in found),
        means_ml=tuple((first + second) / 2 for _, first, second in found),
        differences_ml=tuple(differences),
        bias_ml=bias,
        lower_limit_ml=lower,
        upper_limit_ml=upper,
    )


def limits_of_agreement(
    differences: Sequence[float], level: float = 0.95
) -> tuple[Estimate, Estimate, Estimate]:
    """Bias, lower and upper 95 % limit of agreement of differences (one or more), with intervals."""
    from scipy.stats import nct, norm, t

    cases = len(differences)
    bias = float(np.mean(differences))
    if cases < 2:
        note = "One case: there are no limits of agreement."
        nothing = Estimate(None, cases=cases, level=level, note=note)
        return Estimate(bias, cases=cases, level=level, note="No interval: 1 case is too few."), *(
            nothing,
            nothing,
        )
    spread = float(np.std(differences, ddof=1))
    reach = float(norm.ppf((1 + WITHIN) / 2))
    values = bias, bias - reach * spread, bias + reach * spread
    if cases < FEWEST_FOR_INTERVAL:
        note = f"No interval: {cases} cases are too few."
        first, second, third = (Estimate(value, cases=cases, level=level, note=note) for value in values)
        return first, second, third
    error = spread / np.sqrt(cases)
    tail = (1 - level) / 2
    around = float(t.ppf(1 - tail, cases - 1)) * error
    # A limit is a quantile of the differences; its exact bounds are of a Student's t off centre by as much.
    near, far = (float(nct.ppf(at, cases - 1, reach * np.sqrt(cases))) * error for at in (tail, 1 - tail))
    note = "" if spread > 0 else "All differences are the same; the interval has no width."
    return (
        Estimate(bias, bias - around, bias + around, cases, level, note),
        Estimate(values[1], bias - far, bias - near, cases, level, note),
        Estimate(values[2], bias + near, bias + far, cases, level, note),
    )
