"""How sure a number is that rests on several seeds and the same test cases: both are drawn again, crossed.

Seeds and cases are resampled with replacement, independently, and every configuration sees the same draw, so
that what makes a case hard for all of them cancels in their differences (the pigeonhole bootstrap, Owen
2007). With two or three seeds the spread over seeds is known only roughly, and the intervals are as rough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 4000
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
class Resampled:
    """Means of configurations over seeds and cases, as measured and in every bootstrap sample.

    Args:
        means: [configuration].
        samples: [resample, configuration].
    """

    means: NDArray[np.float64]
    samples: NDArray[np.float64]

    def interval(self, weights: NDArray[np.float64]) -> Interval:
        """Of a weighted sum of the configurations' means, such as a difference: weights [configuration]."""
        return _interval(float(self.means @ weights), self.samples @ weights)

    def of(self, configuration: int) -> Interval:
        """Of one configuration's mean."""
        return _interval(float(self.means[configuration]), self.samples[:, configuration])

    def share_best(self, among: list[int], margin: float = 0.0) -> NDArray[np.float64]:
        """In which share of the samples each of some configurations is the best of them.

        Args:
            among: their numbers.
            margin: how far below the best still counts as best.

        Returns:
            Shares from 0 to 1 in the order of ``among``.
        """
        samples = self.samples[:, among]
        shares: NDArray[np.float64] = (samples >= samples.max(axis=1, keepdims=True) - margin).mean(axis=0)
        return shares


def resample(scores: Scores, seed: int = 0, resamples: int = RESAMPLES) -> Resampled:
    """Draw seeds and cases again.

    Args:
        scores: [configuration, seed, case], finite.
        seed: of the draws.
        resamples: how many.
    """
    _, seeds, cases = scores.shape
    random = np.random.default_rng(seed)
    by_seed = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds
    by_case = random.multinomial(cases, np.full(cases, 1 / cases), size=resamples) / cases
    samples = np.einsum("rs,csn,rn->rc", by_seed, scores, by_case, optimize=True)
    return Resampled(scores.mean(axis=(1, 2)), samples)


def _interval(mean: float, samples: NDArray[np.float64]) -> Interval:
    edge = (1 - _LEVEL) / 2
    low, high = np.quantile(samples, [edge, 1 - edge])
    return Interval(mean, float(low), float(high))
