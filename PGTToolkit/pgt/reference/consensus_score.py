"""How far several models agree on a volume: the certainty of a pseudo-label (FLARE22 seed, equation 1).

::

    score_i = 1 / (K M) * sum over slices k and models m of DSC(Y_m^{k,i}, Y_AVG^{k,i})

What the equation leaves open is settled so:

- Several structures: the equation for each of them, then the mean over the structures, so that a small one
  counts as much as a large one. A structure that no output shows anywhere has no say.
- Slices: K counts the slices on which the aggregate or any model shows the structure. Slices on which all of
  them are empty would raise the score with the field of view, and say nothing of the label.
- Both masks empty on a slice that counts: they agree, DSC = 1. One of them empty: DSC = 0.
- No output shows any structure: there is nothing to learn from and the score is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError


@dataclass(frozen=True)
class ConsensusScore:
    """The certainty of one volume's pseudo-label.

    Args:
        score: mean over the structures that any output shows, from 0 to 1; 0 where none does.
        structures: the score of each of these structures, by label value.
        slices: K, the number of slices that each score was taken over, by label value.
    """

    score: float
    structures: Mapping[int, float]
    slices: Mapping[int, int]


def consensus_score(
    outputs: Sequence[NDArray[Any]], aggregate: NDArray[Any], values: Sequence[int], axis: int
) -> ConsensusScore:
    """Equation 1 for one volume.

    Args:
        outputs: the label array [i, j, k] of every model, two or more.
        aggregate: the label array [i, j, k] of their averaged probabilities.
        values: the label values that count.
        axis: 0, 1 or 2, across the slices.

    Raises:
        InputError: fewer than two outputs, or outputs of differing shape.
    """
    if len(outputs) < 2:
        raise InputError("Agreement of models needs two models or more.")
    if any(output.shape != aggregate.shape for output in outputs):
        raise InputError("The models' outputs do not lie on one grid.")
    structures: dict[int, float] = {}
    slices: dict[int, int] = {}
    for value in values:
        dice = _dice_of_slices([output == value for output in outputs], aggregate == value, axis)
        if dice.size:
            structures[value] = float(dice.mean())
            slices[value] = dice.shape[1]
    score = float(np.mean(list(structures.values()))) if structures else 0.0
    return ConsensusScore(score, structures, slices)


def _dice_of_slices(
    masks: Sequence[NDArray[np.bool_]], aggregate: NDArray[np.bool_], axis: int
) -> NDArray[np.float64]:
    """DSC (equation 2) of every model with the aggregate on every slice that counts, (models, slices)."""
    in_plane = tuple(other for other in range(3) if other != axis)
    averaged = np.count_nonzero(aggregate, axis=in_plane)
    own = np.stack([np.count_nonzero(mask, axis=in_plane) for mask in masks])
    shared = np.stack([np.count_nonzero(mask & aggregate, axis=in_plane) for mask in masks])
    total = own + averaged
    counts = (total > 0).any(axis=0)
    return np.where(total > 0, 2 * shared / np.maximum(total, 1), 1.0)[:, counts]
