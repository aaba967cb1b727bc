"""The accuracy benchmark's scores as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .accuracy import Score

PEERS = ("shape", "contour")
TOLERATED_LOSS = 0.03

StructureKey = tuple[str, str, str]


@dataclass(frozen=True)
class Comparison:
    """A method on the structures of one data set (or of all).

    Args:
        mean_dice: over the structures.
        mean_gain: mean difference from the better peer of each structure.
        worst_gain: the smallest such difference, and
        worst_structure: where.
        losses: number of structures more than TOLERATED_LOSS below their better peer.
        beyond_ml: mean volume put beyond the structures' ends.
        seconds: mean time of a call.
    """

    structures: int
    mean_dice: float
    mean_gain: float
    worst_gain: float
    worst_structure: str
    losses: int
    beyond_ml: float
    seconds: float


def compare(scores: Sequence[Score], method: str) -> Comparison:
    """A method against the better peer of each structure, on scores of one plan."""
    better: dict[StructureKey, float] = {}
    for score in scores:
        if score.method in PEERS:
            better[_key(score)] = max(score.dice, better.get(_key(score), 0.0))
    own = [score for score in scores if score.method == method]
    gains = np.array([score.dice - better.get(_key(score), np.nan) for score in own])
    worst = int(np.argmin(gains)) if np.isfinite(gains).all() else 0
    return Comparison(
        structures=len(own),
        mean_dice=float(np.mean([score.dice for score in own])),
        mean_gain=float(gains.mean()),
        worst_gain=float(gains[worst]),
        worst_structure=f"{own[worst].case}, {own[worst].structure}",
        losses=int((gains < -TOLERATED_LOSS).sum()),
        beyond_ml=float(np.mean([score.beyond_ml for score in own])),
        seconds=float(np.nanmean([score.seconds for score in own])),
    )


def print_tables(scores: Sequence[Score]) -> None:
    """A table per plan: a block per data set, a row per method."""
    methods = list(dict.fromkeys(score.method for score in scores))
    for plan in dict.fromkeys(score.plan for score in scores):
        of_plan = [score for score in scores if score.plan == plan]
        print(f"\nAnnotated slices: {plan}")
        print(_HEADER)
        for data_set in [*dict.fromkeys(score.data_set for score in of_plan), None]:
            block = [score for score in of_plan if data_set in (None, score.data_set)]
            for place, method in enumerate(methods):
                print(
                    _row(data_set or "all structures" if place == 0 else "", method, compare(block, method))
                )


_HEADER = (
    f"{'data set':<24}{'method':<16}{'n':>4}{'Dice':>8}{'gain':>8}{'worst':>8}{'below':>6}{'ml beyond':>10}"
    f"{'s':>7}  worst structure (gain: over the better of shape and contour)"
)


def _row(data_set: str, method: str, comparison: Comparison) -> str:
    return (
        f"{data_set:<24}{method:<16}{comparison.structures:>4}{comparison.mean_dice:>8.3f}"
        f"{comparison.mean_gain:>+8.3f}{comparison.worst_gain:>+8.3f}{comparison.losses:>6}"
        f"{comparison.beyond_ml:>10.2f}{comparison.seconds:>7.2f}  {comparison.worst_structure}"
    )


def _key(score: Score) -> StructureKey:
    return score.data_set, score.case, score.structure
