"""What label quality and results have to do with each other, with the uncertainty of it.

Every number rests on cases: intervals of correlations and slopes come from resampling the cases whose labels
were judged, the kept-out cases and the training seeds, all at once. A rank correlation of a handful of
versions takes few values, so these intervals are plain percentiles. Differences of two versions are measured
case by case and have the studentised interval of :mod:`pgt.agreement.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.bootstrap import RESAMPLES, mean_estimate
from pgt.agreement.results import Estimate

Numbers = NDArray[np.float64]

FEWEST_VERSIONS = 3
"""With fewer there is no correlation to speak of."""


@dataclass(frozen=True)
class Relation:
    """How results follow the labels' quality over the versions.

    Args:
        spearman: rank correlation.
        kendall: rank correlation (tau-b).
        slope: points of the result for a point of label quality, by least squares.
        versions: how many it rests on.
    """

    spearman: Estimate
    kendall: Estimate
    slope: Estimate
    versions: int


@dataclass(frozen=True)
class Gain:
    """What one version of the labels brings over another, by the result on kept-out cases.

    Args:
        worse: the version of lower label quality.
        better: the other one.
        improvement: of label quality, from 0 to 1.
        gain: of the result: mean over the kept-out cases of the difference, its interval widened for the
            number of pairs that were looked at (Bonferroni).
        every_seed: whether it has the same direction with every training seed.
    """

    worse: str
    better: str
    improvement: float
    gain: Estimate
    every_seed: bool

    @property
    def paid_off(self) -> bool:
        """Whether the better labels gave a better result beyond doubt."""
        return self.every_seed and self.gain.lower is not None and self.gain.lower > 0

    @property
    def lost(self) -> bool:
        """Whether the better labels gave a worse result beyond doubt."""
        return self.every_seed and self.gain.upper is not None and self.gain.upper < 0


def relation(quality: Numbers, results: Numbers, seed: int = 0, resamples: int = RESAMPLES) -> Relation:
    """How results follow quality.

    Args:
        quality: of the labels, [version, case], each number the mean over the structures.
        results: [version, seed, kept-out case], likewise.
        seed: of the resampling.
        resamples: how many.
    """
    versions, cases = quality.shape
    _, seeds, kept = results.shape
    count = min(cases, kept)
    if versions < FEWEST_VERSIONS:
        note = f"{versions} label versions are too few for a correlation."
        empty = Estimate(None, cases=count, note=note)
        return Relation(empty, empty, empty, versions)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(cases, np.full(cases, 1 / cases), resamples) / cases
    kept_drawn = random.multinomial(kept, np.full(kept, 1 / kept), resamples) / kept
    seeds_drawn = random.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    qualities = drawn @ quality.T
    outcomes = np.einsum("bs,vsk,bk->bv", seeds_drawn, results, kept_drawn)
    here = quality.mean(axis=1)[None], results.mean(axis=(1, 2))[None]
    rho, tau, rate = (
        _percentile_estimate(function(*here)[0], function(qualities, outcomes), count)
        for function in (spearman, kendall, slope)
    )
    return Relation(rho, tau, rate, versions)


def gains(
    names: Sequence[str], quality: Sequence[float], results: Numbers, seed: int = 0
) -> tuple[Gain, ...]:
    """Every pair of versions, the smallest improvement first.

    Args:
        names: of the versions.
        quality: of each.
        results: [version, seed, kept-out case].
        seed: of the resampling.
    """
    order = np.argsort(quality, kind="stable")
    pairs = [(int(a), int(b)) for at, a in enumerate(order) for b in order[at + 1 :]]
    level = 1 - 0.05 / max(len(pairs), 1)
    found = []
    for worse, better in pairs:
        difference = results[better] - results[worse]
        by_seed = difference.mean(axis=1)
        found.append(
            Gain(
                names[worse],
                names[better],
                float(quality[better] - quality[worse]),
                mean_estimate(difference.mean(axis=0).tolist(), level=level, seed=seed),
                bool((by_seed > 0).all() or (by_seed < 0).all()),
            )
        )
    return tuple(sorted(found, key=lambda gain: gain.improvement))


@dataclass(frozen=True)
class PayOff:
    """From which improvement on it was seen to pay off.

    Args:
        smallest: the pair with the smallest improvement that paid off; None where none did.
        sure_from: the improvement from which on every pair paid off; None where the largest did not.
        largest_without: the pair with the largest improvement that did not pay off; None where all did.
        paid: pairs that paid off.
        lost: pairs in which the better labels gave a worse result beyond doubt.
        pairs: all of them.
    """

    smallest: Gain | None
    sure_from: float | None
    largest_without: Gain | None
    paid: int
    lost: int
    pairs: int


def pay_off(found: Sequence[Gain]) -> PayOff:
    """Sum pairs up; see `gains`."""
    ordered = sorted(found, key=lambda gain: gain.improvement)
    paid = [gain for gain in ordered if gain.paid_off]
    without = [gain for gain in ordered if not gain.paid_off]
    above = [gain for gain in ordered if not without or gain.improvement > without[-1].improvement]
    return PayOff(
        smallest=paid[0] if paid else None,
        sure_from=above[0].improvement if above else None,
        largest_without=without[-1] if without else None,
        paid=len(paid),
        lost=sum(gain.lost for gain in ordered),
        pairs=len(ordered),
    )


def spearman(x: Numbers, y: Numbers) -> Numbers:
    """Rank correlation of each row of two arrays [sample, version]; NaN where one of them is constant."""
    return _correlation(_ranks(x), _ranks(y))


def kendall(x: Numbers, y: Numbers) -> Numbers:
    """Kendall's tau-b of each row of two arrays [sample, version]; NaN where one of them is constant."""
    first, second = np.triu_indices(x.shape[1], 1)
    signs = [np.sign(values[:, second] - values[:, first]) for values in (x, y)]
    with np.errstate(divide="ignore", invalid="ignore"):
        norm = np.sqrt((signs[0] ** 2).sum(axis=1) * (signs[1] ** 2).sum(axis=1))
        return (signs[0] * signs[1]).sum(axis=1) / norm


def slope(x: Numbers, y: Numbers) -> Numbers:
    """Slope of the least-squares line of y over x for each row of two arrays [sample, version]."""
    x = x - x.mean(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (x * y).sum(axis=1) / (x**2).sum(axis=1)


def _correlation(x: Numbers, y: Numbers) -> Numbers:
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))


def _ranks(values: Numbers) -> Numbers:
    """Ranks from 1 along the rows; equal numbers share the mean of theirs."""
    below = (values[:, None, :] < values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    ranks: Numbers = below + (equal + 1) / 2
    return ranks


def _percentile_estimate(value: float, resampled: Numbers, cases: int) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None, cases=cases, note="All versions came out the same; it is not defined.")
    usable = resampled[np.isfinite(resampled)]
    if cases < 3 or usable.size < resampled.size / 2:
        return Estimate(float(value), cases=cases, note="No interval: too few cases.")
    lower, upper = np.quantile(usable, [0.025, 0.975])
    return Estimate(float(value), float(min(lower, value)), float(max(upper, value)), cases)
