"""What a slice budget study says: the paper's three findings on these data, and how to spend a budget.

A finding is put as a difference between two ways to spend the same budget, averaged over all pairs of ways
that the study tried, with its interval over seeds and test cases (:mod:`pgt.studies.seed_case_spread`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pgt.studies.cells import Result
from pgt.studies.evaluation import METRIC_NAMES, MetricName, Score, mean_over_labels
from pgt.studies.seed_case_spread import DrawnMeans, Interval, Scores, draw_means
from pgt.studies.slice_budget_configuration import Option, SliceBudgetCell, StrategyName

WAYS: dict[StrategyName, str] = {
    "fixed": "evenly spaced slices",
    "staggered": "staggered slices",
    "random": "random slices",
    "representative": "representative slices",
}
"""How slices are chosen, in words; staggered ones are evenly spaced from another start in every case."""

FEWEST_SEEDS = 2
"""With one seed nobody knows whether a difference is more than the chance of one training."""


class Verdict(str, Enum):
    """Whether the study's own data say what the paper says."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    OPEN = "cannot tell"


@dataclass(frozen=True)
class Comparison:
    """One finding for one network.

    Args:
        network: its name.
        which: which slices the comparison is about; empty for all.
        difference: mean over the pairs of the first way less the second.
        pairs: ways compared, two at a time.
        ahead: pairs in which the first way is ahead by its mean.
        verdict: about the paper's sentence.
    """

    network: str
    which: str
    difference: Interval
    pairs: int
    ahead: int
    verdict: Verdict


@dataclass(frozen=True)
class Finding:
    """One of the paper's findings.

    Args:
        sentence: of the paper.
        compared: what the difference is of.
        comparisons: one for each network, and each way to choose slices where that matters, of which
            there are pairs to compare.
    """

    sentence: str
    compared: str
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class Choice:
    """One way to spend a budget.

    Args:
        option: the way.
        slices: drawn in all, mean over the seeds.
        mean: of the metric.
        best: how likely it is the best way of all with its network and budget.
        near_best: how likely it is at most the margin below the best.
    """

    option: Option
    slices: float
    mean: Interval
    best: float
    near_best: float


@dataclass(frozen=True)
class Recommendation:
    """How to spend one budget with one network; the best way by its mean comes first."""

    network: str
    budget: float
    choices: tuple[Choice, ...]


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Every option's scores, and what the seeds and cases leave open about them.

    Args:
        options: what was tried.
        scores: [option, seed, case] by metric; means over the labels.
        drawn: means of the study's metric, as found and as further studies might find them.
        slices: drawn in all, mean over the seeds, [option].
        filled_iou: of the filled slices with their truth, mean over the seeds, by option; of those with
            propagation alone.
        seeds: how many.
    """

    options: tuple[Option, ...]
    scores: dict[MetricName, Scores]
    drawn: DrawnMeans
    slices: NDArray[np.float64]
    filled_iou: dict[Option, float]
    seeds: int

    def weights(self, first: Option, second: Option) -> NDArray[np.float64]:
        """Of the difference of two options, [option]."""
        weights = np.zeros(len(self.options))
        weights[self.options.index(first)] = 1
        weights[self.options.index(second)] = -1
        return weights


def score_table(
    options: Sequence[Option], seeds: int, cells: dict[str, Result], metric: MetricName
) -> ScoreTable:
    """Put the results of all cells together.

    Args:
        options: what was tried.
        seeds: how often.
        cells: every cell's result by its name.
        metric: that answers are about.
    """
    kept = {
        option: [cells[SliceBudgetCell(option, seed).name] for seed in range(seeds)] for option in options
    }
    scores = {
        name: np.array([[_by_case(result, name) for result in kept[option]] for option in options])
        for name in METRIC_NAMES
    }
    filled = {
        option: [result["filled_iou"] for result in kept[option] if result["filled_iou"] is not None]
        for option in options
        if option.propagated
    }
    return ScoreTable(
        tuple(options),
        scores,
        draw_means(scores[metric]),
        np.array([np.mean([result["drawn_slices"] for result in kept[option]]) for option in options]),
        {option: float(np.mean(found)) for option, found in filled.items() if found},
        seeds,
    )


def findings(table: ScoreTable, margin: float) -> tuple[Finding, ...]:
    """The paper's three findings, in its order.

    Args:
        table: of the study.
        margin: of the metric; a gain below it counts as none.
    """
    networks = tuple(dict.fromkeys(option.network for option in table.options))
    spread = [
        _compared(table, name, WAYS[way], _spread_pairs(table, name, way), None)
        for name in networks
        for way in WAYS
    ]
    chosen = [
        _compared(table, name, f"against {WAYS[way]}", _chosen_pairs(table, name, way), margin)
        for name in networks
        for way in WAYS
        if way != "representative"
    ]
    filled = [_compared(table, name, "", _filled_pairs(table, name), margin) for name in networks]
    return (
        Finding(
            "It is almost always preferable to annotate fewer slices per volume and more volumes given an "
            "annotation budget.",
            "more volumes with fewer slices, less fewer volumes with more slices, at the same budget",
            tuple(one for one in spread if one),
        ),
        Finding(
            "Selecting slices by unsupervised active learning is not superior to selecting slices randomly "
            "or at fixed intervals.",
            "representative slices, less as many at fixed intervals or at random",
            tuple(one for one in chosen if one),
        ),
        Finding(
            "Interpolating masks between annotated slices rarely enhances model performance, with "
            "exceptions for 3D models.",
            "with propagated slices, less without",
            tuple(one for one in filled if one),
        ),
    )


def recommendations(table: ScoreTable, margin: float) -> tuple[Recommendation, ...]:
    """For each network and budget of which two ways or more were tried, how to spend it.

    Args:
        table: of the study.
        margin: of the metric; ways that are no further below the best are as good.
    """
    kinds = sorted({(option.network, option.budget) for option in table.options})
    found = []
    for network, budget in kinds:
        among = [
            place
            for place, option in enumerate(table.options)
            if (option.network, option.budget) == (network, budget)
        ]
        best = table.drawn.share_best(among)
        near = table.drawn.share_best(among, margin)
        choices = [
            Choice(
                table.options[place],
                float(table.slices[place]),
                table.drawn.of(place),
                float(best[number]),
                float(near[number]),
            )
            for number, place in enumerate(among)
        ]
        if len(choices) > 1:
            found.append(
                Recommendation(network, budget, tuple(sorted(choices, key=lambda one: -one.mean.mean)))
            )
    return tuple(found)


Pair = tuple[Option, Option]
"""Ways to spend a budget: the first less the second."""


def _spread_pairs(table: ScoreTable, network: str, way: StrategyName) -> list[Pair]:
    """The same budget on more and on fewer volumes, all else alike and nothing propagated."""
    drawn = [
        option
        for option in table.options
        if (option.network, option.strategy) == (network, way) and not option.propagated
    ]
    pairs: list[Pair] = []
    for one, other in combinations(drawn, 2):
        if one.budget == other.budget:
            more, fewer = sorted((one, other), key=lambda option: -option.volumes)
            pairs.append((more, fewer))
    return pairs


def _chosen_pairs(table: ScoreTable, network: str, way: StrategyName) -> list[Pair]:
    """Representative slices and those of a simpler choice, of the same density and volumes."""
    pairs: list[Pair] = []
    for option in table.options:
        other = replace(option, strategy=way)
        if (option.network, option.strategy) == (network, "representative") and other in table.options:
            pairs.append((option, other))
    return pairs


def _filled_pairs(table: ScoreTable, network: str) -> list[Pair]:
    """The same drawn slices with and without those that were filled in."""
    pairs: list[Pair] = []
    for option in table.options:
        drawn = replace(option, propagated=False)
        if option.network == network and option.propagated and drawn in table.options:
            pairs.append((option, drawn))
    return pairs


def _compared(
    table: ScoreTable, network: str, which: str, pairs: Sequence[Pair], margin: float | None
) -> Comparison | None:
    """The mean difference over pairs. The paper says it is above 0 or, given a margin, no gain."""
    if not pairs:
        return None
    each = np.stack([table.weights(*pair) for pair in pairs])
    difference = table.drawn.interval(each.mean(axis=0))
    ahead = int(np.count_nonzero(each @ table.drawn.means > 0))
    return Comparison(
        network, which, difference, len(pairs), ahead, _verdict(difference, margin, table.seeds)
    )


def _verdict(difference: Interval, margin: float | None, seeds: int) -> Verdict:
    if seeds < FEWEST_SEEDS:
        return Verdict.OPEN
    if margin is None:
        if difference.low > 0:
            return Verdict.AGREES
        return Verdict.DISAGREES if difference.high < 0 else Verdict.OPEN
    if difference.low > 0:
        return Verdict.DISAGREES
    return Verdict.AGREES if difference.high < margin else Verdict.OPEN


def _by_case(result: Result, metric: MetricName) -> list[float]:
    scores = [Score(**entry) for entry in result["scores"]]
    means = mean_over_labels(scores, metric)
    return [means[case] for case in sorted(means)]
