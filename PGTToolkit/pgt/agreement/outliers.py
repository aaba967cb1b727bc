"""Which rater stands apart on a structure, and how: larger, smaller, shifted, or merely different.

How far a rater stands from the others in a case is the mean of 1 - Dice with each of them: bounded, so that
one spoilt case cannot decide alone, and a missed structure counts in full. From this the case's mean over
raters is taken away, and what remains is averaged over the cases. The rater furthest apart is named only if

- it is furthest in at least 95 % of bootstrap samples over cases,
- so large a distance would be rare if the raters of each case could be exchanged for each other (permutation
  test; Benjamini and Hochberg over the labels: of the outliers named, at most 5 % by chance), and
- it matters: at least 10 % further from the others than these are from each other.

Each rater has one voice a case, that of the first session. It takes three raters: of two, neither can be
called the outlier. It takes cases, too: with three raters four at least, in fewer chance decides too often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.bootstrap import resampled_counts
from pgt.agreement.disagreement import common_geometry, share_slices
from pgt.agreement.outlier_directions import DrawnCase, direction_of
from pgt.agreement.readings import Reading
from pgt.agreement.results import Outlier
from pgt.agreement.votes import collect_votes, first_sessions

LEAST_PROBABILITY = 0.95
FALSE_SHARE = 0.05
LEAST_EXCESS = 1.1
_PERMUTATIONS = 2000
_BLOCK = 100
_ROUNDING = 1e-6  # permutations are added up in single precision

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class OutlierSearch:
    """Who stands apart, and for every label where nobody does, why nobody is named."""

    outliers: tuple[Outlier, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Distances:
    """1 - Dice of every two raters in every case, (cases, R, R); NaN where one is missing.

    Cases in which fewer than three raters drew the label are left out.
    """

    label: str
    raters: tuple[str, ...]
    cases: tuple[tuple[Reading, ...], ...]
    pairs: Numbers

    def excess(self) -> Numbers:
        """(cases, R) mean distance of each rater to the others less the case's mean; NaN where missing."""
        count = np.count_nonzero(~np.isnan(self.pairs), axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.nansum(self.pairs, axis=2) / count
        return np.asarray(apart - np.nanmean(apart, axis=1, keepdims=True))

    def ratio(self, rater: int) -> float:
        """Distance of a rater to the others against that of the others to each other; infinite against 0."""
        there = ~np.isnan(self.pairs[:, rater]).all(axis=1)
        own = float(np.nanmean(self.pairs[there, rater]))
        others = np.delete(np.delete(self.pairs[there], rater, axis=1), rater, axis=2)
        among = float(np.nanmean(others))
        return own / among if among else float("inf") if own else 1.0


def outliers(
    readings: Sequence[Reading],
    labels: Sequence[str] | None = None,
    *,
    anonymous: bool = False,
    seed: int = 0,
) -> tuple[Outlier, ...]:
    """The outliers of :func:`find_outliers`, without the reasons for naming nobody."""
    return find_outliers(readings, labels, anonymous=anonymous, seed=seed).outliers


def find_outliers(
    readings: Sequence[Reading],
    labels: Sequence[str] | None = None,
    *,
    anonymous: bool = False,
    seed: int = 0,
) -> OutlierSearch:
    """Look for a rater who stands apart, label by label.

    Args:
        readings: of raters, in any number of cases; neither references nor models.
        labels: all that occur, if left out.
        anonymous: rater names do not mean the same person from case to case; then nobody is named.
        seed: of resampling.

    Raises:
        InputError: readings of a case lie on different grids.
    """
    if anonymous:
        return OutlierSearch(
            (), ("Raters are anonymous and change from case to case: none can stand apart.",)
        )
    first = first_sessions(readings)
    wanted = labels if labels is not None else dict.fromkeys(name for one in first for name in one.masks)
    raters = {one.sitting.rater for one in first}
    if len(raters) < 2:
        return OutlierSearch((), ("One rater alone cannot stand apart from others.",))
    if len(raters) < 3:
        return OutlierSearch((), ("Of two raters neither can be called the outlier; it takes a third.",))
    notes, tested = [], []
    for label in wanted:
        distances = _distances(first, label)
        reason = _too_few(distances)
        if reason:
            notes.append(f"{label}: nobody is named as outlier, {reason}.")
        else:
            tested.append((distances, *_chances(distances, seed)))
    found = []
    for (distances, rater, probability, _), rare in zip(
        tested, _adjusted([chance for *_, chance in tested]), strict=True
    ):
        who, ratio = distances.raters[rater], distances.ratio(rater)
        if probability >= LEAST_PROBABILITY and rare <= FALSE_SHARE and ratio >= LEAST_EXCESS:
            found.append(_outlier(distances, rater, probability, rare, ratio, seed))
        else:
            notes.append(
                f"{distances.label}: nobody is named as outlier; {who} is furthest from the others, but in "
                f"{probability:.0%} of bootstrap samples, {ratio:.2f} times as far as they from each other "
                f"(p = {rare:.2g})."
            )
    return OutlierSearch(tuple(found), tuple(notes))


def _distances(readings: Sequence[Reading], label: str) -> _Distances:
    having = [one for one in readings if label in one.masks]
    raters = tuple(dict.fromkeys(one.sitting.rater for one in having))
    cases, pairs = [], []
    for case in dict.fromkeys(one.case for one in having):
        of_case = tuple(one for one in having if one.case == case)
        if len(of_case) < 3 or not share_slices(of_case, label):
            continue
        common_geometry(of_case)
        places = [raters.index(one.sitting.rater) for one in of_case]
        matrix = np.full((len(raters), len(raters)), np.nan)
        matrix[np.ix_(places, places)] = _one_minus_dice(of_case, label)
        cases.append(of_case)
        pairs.append(matrix)
    return _Distances(
        label, raters, tuple(cases), np.array(pairs).reshape(len(cases), len(raters), len(raters))
    )


def _one_minus_dice(of_case: Sequence[Reading], label: str) -> Numbers:
    """(R, R), NaN on the diagonal; 0 where both are empty."""
    votes = collect_votes([one.masks[label] for one in of_case], [one.drawn.get(label) for one in of_case])
    counts = [int(np.count_nonzero(marks)) for marks in votes.marks]
    matrix = np.full((len(counts), len(counts)), np.nan)
    for a in range(len(counts)):
        for b in range(a + 1, len(counts)):
            both, either = int(np.count_nonzero(votes.marks[a] & votes.marks[b])), counts[a] + counts[b]
            matrix[a, b] = matrix[b, a] = 1 - 2 * both / either if either else 0.0
    return matrix


def _too_few(distances: _Distances) -> str:
    """Why chance alone would too often put some rater furthest apart; empty where it would not."""
    cases = len(distances.cases)
    if not cases:
        return "as no case has three raters who drew it"
    raters = float(np.median([len(of_case) for of_case in distances.cases]))
    if raters ** (1 - cases) <= FALSE_SHARE:
        return ""
    return f"as {cases} case{'s are' if cases > 1 else ' is'} too few to tell habit from chance"


def _chances(distances: _Distances, seed: int) -> tuple[int, float, float]:
    """The rater furthest apart, how surely it is that one, and how often chance puts one as far."""
    excess = distances.excess()
    there = ~np.isnan(excess)
    filled = np.where(there, excess, 0.0)
    weights = there.astype(float)
    means = filled.sum(axis=0) / weights.sum(axis=0).clip(min=1)
    rater = int(np.argmax(np.where(there.any(axis=0), means, -np.inf)))

    counts = resampled_counts(len(excess), seed)
    drawn = counts @ weights
    resampled = np.where(drawn > 0, counts @ filled / np.maximum(drawn, 1), -np.inf)
    probability = float(np.mean(resampled.argmax(axis=1) == rater))

    largest = _largest_by_chance(filled, there, seed)
    reached = int(np.count_nonzero(largest >= means[rater] - _ROUNDING))
    return rater, probability, (1 + reached) / (1 + _PERMUTATIONS)


def _largest_by_chance(excess: Numbers, there: NDArray[np.bool_], seed: int) -> Numbers:
    """(permutations,) the largest mean when each case's raters are exchanged at random."""
    random = np.random.default_rng(seed)
    count = there.sum(axis=0).clip(min=1)
    # Where each case's values go: those of raters who are there, in any order; those who are not stay last.
    places = np.argsort(~there, axis=1, kind="stable")
    largest = np.empty(_PERMUTATIONS)
    for number in range(0, _PERMUTATIONS, _BLOCK):
        keys = random.random((_BLOCK, *excess.shape), dtype=np.float32)
        order = np.argsort(np.where(there, keys, np.inf), axis=2, kind="stable")
        exchanged = np.empty_like(keys)
        np.put_along_axis(
            exchanged,
            places[None],
            np.take_along_axis(excess[None].astype(np.float32), order, axis=2),
            axis=2,
        )
        largest[number : number + _BLOCK] = (exchanged.sum(axis=1) / count).max(axis=1)
    return largest


def _adjusted(chances: Sequence[float]) -> list[float]:
    from scipy.stats import false_discovery_control

    return list(map(float, false_discovery_control(chances))) if chances else []


def _outlier(
    distances: _Distances, rater: int, probability: float, rare: float, ratio: float, seed: int
) -> Outlier:
    who, label = distances.raters[rater], distances.label
    cases = []
    for of_case in distances.cases:
        own = [one for one in of_case if one.sitting.rater == who]
        if own:
            cases.append(DrawnCase.of(own[0], [one for one in of_case if one is not own[0]], label))
    direction = direction_of(cases, seed)
    size, words = direction.size, direction.words
    if direction.kind == "differs":
        mean = 100 * float(np.nanmean(distances.pairs[:, rater]))
        size, words = mean, f"is neither larger, smaller nor shifted; {mean:.0f} % (1 - Dice) from the others"
    far = "the others agree fully" if np.isinf(ratio) else f"{ratio:.1f} times as far as they from each other"
    note = (
        f"{who} stands apart from the others on {label}, {far}, over {len(cases)} cases "
        f"({probability:.0%} of bootstrap samples, p = {rare:.2g}): {who} {words}."
    )
    return Outlier(label, who, direction.kind, size, probability, note)
