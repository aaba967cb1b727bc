"""How unusual a training case is, and what may be the reason.

A case is unusual whose latent vector is long, or far from all others (Joutard et al., sections 3 and 4.2).
Why is a guess, from two numbers: how far the label is from what the main style predicts, and how sure that
prediction is of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pgt.styles.clustering import Points

_SPREAD = 1.4826
"""Makes the median absolute deviation comparable with a standard deviation."""

_UNUSUAL = 3.5
"""Robust standard deviations from which a number is taken for unusual (Iglewicz and Hoaglin)."""


class Suggestion(str, Enum):
    """What a case may be. No more than a suggestion."""

    USUAL = "nothing unusual"
    OTHER_STYLE = "another style"
    BAD_LABEL = "bad label"
    HARD_CASE = "hard case"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Doubt:
    """The main style's prediction for one case; both numbers from 0 to 1.

    Args:
        disagreement: 1 - Dice of the prediction and the label, mean over the structures.
        uncertainty: 1 - the Dice that the prediction expects of itself, by its own probabilities.
    """

    disagreement: float
    uncertainty: float

    @property
    def excess(self) -> float:
        """Disagreement that the prediction's own uncertainty does not explain."""
        return self.disagreement - self.uncertainty


def norms(latents: Points) -> NDArray[np.float64]:
    """Length of every latent vector: how far a case is from the main style. [case]"""
    return np.linalg.norm(latents, axis=1)


def isolations(latents: Points) -> NDArray[np.float64]:
    """Mean distance of every case to all others (section 4.2). [case]"""
    if len(latents) < 2:
        return np.zeros(len(latents))
    distances = np.linalg.norm(latents[:, None] - latents[None], axis=2)
    return distances.sum(axis=1) / (len(latents) - 1)


def scores(norm: NDArray[np.float64], isolation: NDArray[np.float64]) -> NDArray[np.float64]:
    """One number a case, from 0 to 1: the mean of its two ranks, as shares of the cases that rank below."""
    if len(norm) < 2:
        return np.zeros(len(norm))
    return (rankdata(norm) + rankdata(isolation) - 2) / (2 * (len(norm) - 1))


def beyond_usual(values: NDArray[np.float64], usual: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far values lie above the median of the usual cases, in robust standard deviations.

    Args:
        values: [case].
        usual: which cases are the measure, [case].
    """
    middle = float(np.median(values[usual]))
    spread = _SPREAD * float(np.median(np.abs(values[usual] - middle)))
    return (values - middle) / max(spread, 1e-9)


def suggest(
    doubts: list[Doubt | None], main: NDArray[np.bool_], alone: NDArray[np.bool_]
) -> list[Suggestion]:
    """What each case may be.

    A case in a group beside the main one is another style. Of the others, a label that the prediction
    contradicts more than its uncertainty explains may be bad, and a case of which the prediction is unsure
    may be hard, both compared with the cases of the main style; where both hold, the stronger one is named.
    A case that lies alone on the map is never called usual.

    Args:
        doubts: of every case; None where its image or label is not at hand.
        main: which cases belong to the main style, [case].
        alone: which cases belong to no group, [case].
    """
    known = np.array([doubt is not None for doubt in doubts], dtype=bool)
    excess = np.array([doubt.excess if doubt else 0.0 for doubt in doubts])
    unsure = np.array([doubt.uncertainty if doubt else 0.0 for doubt in doubts])
    usual = main & known
    if usual.any():
        excess, unsure = beyond_usual(excess, usual), beyond_usual(unsure, usual)
    suggestions = []
    for case in range(len(doubts)):
        if not main[case] and not alone[case]:
            suggestions.append(Suggestion.OTHER_STYLE)
        elif not known[case] or not usual.any():
            suggestions.append(Suggestion.UNKNOWN)
        elif alone[case] or max(excess[case], unsure[case]) > _UNUSUAL:
            bad = excess[case] > unsure[case]
            suggestions.append(Suggestion.BAD_LABEL if bad else Suggestion.HARD_CASE)
        else:
            suggestions.append(Suggestion.USUAL)
    return suggestions
