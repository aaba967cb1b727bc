"""How sure a number is that rests on a few seeds and some test cases, crossed: every seed met every case.

With two or three seeds a bootstrap over them is far too sure of itself: it knows no more than the two or
three values, and misses that their spread is a guess. So the means of another study are drawn from what
Student's t says instead: around the means found, one part that varies with the seed (S - 1 degrees of
freedom) and one that varies with the case (C - 1), each with the spread found. All configurations are drawn
together, so that what a seed or a case does to all of them cancels in their differences. For one
configuration, or one difference, and one kind of variation this is Student's interval.

Chance that belongs to one training on one case alone is in both parts, so the intervals are a little too wide
rather than too narrow; how often they hold the truth is tested.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
_LEVEL = 0.95

Scores = NDArray[np.float64]
"""[configuration, seed, case]"""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    def plain(self) -> dict[str, float]:
        """As JSON holds it."""
        return {"mean": round(self.mean, 5), "low": round(self.low, 5), "high": round(self.high, 5)}


@dataclass(frozen=True, eq=False)
class DrawnMeans:
    """Means of configurations over seeds and cases, as found and as further studies might find them.

    Args:
        means: [configuration].
        draws: [draw, configuration].
    """

    means: NDArray[np.float64]
    draws: NDArray[np.float64]

    def interval(self, weights: NDArray[np.float64]) -> Interval:
        """Of a weighted sum of the configurations' means, such as a difference: weights [configuration]."""
        return _interval(float(self.means @ weights), self.draws @ weights)

    def of(self, configuration: int) -> Interval:
        """Of one configuration's mean."""
        return _interval(float(self.means[configuration]), self.draws[:, configuration])

    def share_best(self, among: list[int], margin: float = 0.0) -> NDArray[np.float64]:
        """In which share of the draws each of some configurations is the best of them.

        Args:
            among: their numbers.
            margin: how far below the best still counts as best.

        Returns:
            Shares from 0 to 1 in the order of ``among``.
        """
        draws = self.draws[:, among]
        shares: NDArray[np.float64] = (draws >= draws.max(axis=1, keepdims=True) - margin).mean(axis=0)
        return shares


def draw_means(scores: Scores, seed: int = 0, draws: int = DRAWS) -> DrawnMeans:
    """What further studies might find.

    Args:
        scores: [configuration, seed, case], finite. One seed alone shows nothing of the variation of seeds.
        seed: of the draws.
        draws: how many.
    """
    random = np.random.default_rng(seed)
    means = scores.mean(axis=(1, 2))
    around = sum(_part(scores.mean(axis=other), means, draws, random) for other in (2, 1))
    return DrawnMeans(means, means + around)


def _part(
    values: NDArray[np.float64], means: NDArray[np.float64], draws: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """How far the mean over some seeds (or cases) is off: [draw, configuration].

    Args:
        values: [configuration, seed or case].
        means: of them, [configuration].
        draws: how many.
        random: where chance comes from.
    """
    count = values.shape[1]
    if count < 2:
        return np.zeros((draws, len(means)))
    spread = (values - means[:, None]) / np.sqrt(count * (count - 1))
    # Normal draws of this spread have the covariance of the means; t divides by the spread's own chance.
    normal = random.normal(size=(draws, count)) @ spread.T
    return normal / np.sqrt(random.chisquare(count - 1, size=(draws, 1)) / (count - 1))


def _interval(mean: float, draws: NDArray[np.float64]) -> Interval:
    edge = (1 - _LEVEL) / 2
    low, high = np.quantile(draws, [edge, 1 - edge])
    return Interval(mean, float(low), float(high))
