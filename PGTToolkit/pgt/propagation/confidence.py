"""How far a propagated slice can be trusted, and which slice to annotate next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pgt.propagation.left_out import unrest_at

_TIE = 1e-6
"""Share by which gains may differ and still be the same."""
_POWER_OF_DOUBT = 0.7
_POWER_OF_UNREST = 0.5
"""The wrong voxels of a gap follow doubt and unrest to these powers.

Fitted on gaps of made volumes by least squares of the logarithms: 0.63 and 0.55 for shape interpolation
(4,033 gaps), 0.77 and 0.48 for method ``auto`` (382). They leave a deviation of 0.54 and 0.47, doubt alone
0.65 and 0.62.
"""


def expected_dice(logits: NDArray[np.float32], typical_voxels: float) -> float:
    """The Dice that a slice's thresholded mask has on average, were its probabilities right.

    Args:
        logits: (rows, columns) of one segment.
        typical_voxels: the segment's size on its annotated slices. Where nothing is above threshold, the mass
            of probability left is compared with it.
    """
    probability = 1 / (1 + np.exp(-logits))
    inside = logits > 0
    mass = float(probability.sum())
    size = int(inside.sum())
    if size == 0:
        return max(1 - mass / max(typical_voxels, 1.0), 0.0)
    return 2 * float(probability[inside].sum()) / (mass + size)


def next_slice(
    doubt: Mapping[int, float], annotated: Sequence[int], unrest: Mapping[int, float] = MappingProxyType({})
) -> int | None:
    """The slice whose annotation is expected to put most voxels right, None where nothing is in doubt.

    Args:
        doubt: expected number of wrong voxels on each propagated slice, were the probabilities right.
        annotated: indices of the annotated slices.
        unrest: voxels that went wrong, per slice of distance, on annotated slices that were left out
            (:func:`.left_out.unrest`); empty where none could be.

    What is wrong is taken to grow in proportion to the distance to the nearest annotated slice. So an
    annotated slice settles itself, helps the slices that it is nearer to than any other, and most where gaps
    are wide.
    """
    wrong = _expected_wrong(doubt, sorted(annotated), unrest)
    gains = {candidate: _gain(candidate, wrong, annotated) for candidate in wrong}
    most = max(gains.values(), default=0.0)
    if most <= 0:
        return None
    # Where two slices gain the same, the one farthest from what is drawn.
    tied = [candidate for candidate, gain in gains.items() if gain >= most * (1 - _TIE)]
    return max(tied, key=lambda candidate: _distance(candidate, annotated))


def _expected_wrong(
    doubt: Mapping[int, float], annotated: Sequence[int], unrest: Mapping[int, float]
) -> dict[int, float]:
    """Expected number of wrong voxels on every slice in doubt, gap by gap.

    Doubt alone takes every structure to change alike from slice to slice. How much this one does, and where,
    is seen on the slices that were left out; the two together tell more than either.
    """
    gaps: dict[int, list[int]] = {}
    for index in doubt:
        gaps.setdefault(bisect_right(annotated, index), []).append(index)
    wrong = {}
    for place, indices in gaps.items():
        shares = {index: doubt[index] * max(_distance(index, annotated), 1) for index in indices}
        together = sum(shares.values())
        if together > 0:
            total = sum(doubt[index] for index in indices)
            rate = unrest_at(unrest, annotated[max(place - 1, 0) : place + 1])
            if rate is not None:
                total = (total + 1) ** _POWER_OF_DOUBT * (rate * len(indices) + 1) ** _POWER_OF_UNREST
            wrong.update({index: total * share / together for index, share in shares.items()})
    return wrong


def _gain(candidate: int, wrong: Mapping[int, float], annotated: Sequence[int]) -> float:
    """Wrong voxels that annotating ``candidate`` is expected to put right."""
    gain = wrong[candidate]
    for index, voxels in wrong.items():
        distance = _distance(index, annotated)
        if index != candidate and distance:
            gain += voxels * max(1 - abs(index - candidate) / distance, 0.0)
    return gain


def _distance(index: int, annotated: Sequence[int]) -> int:
    """Slices to the nearest annotated one."""
    return min(abs(index - other) for other in annotated)
