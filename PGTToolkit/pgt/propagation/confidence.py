"""How far a propagated slice can be trusted, and which slice to annotate next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_TIE = 1e-6
"""Share by which gains may differ and still be the same."""


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


def next_slice(doubt: Mapping[int, float], annotated: Sequence[int]) -> int | None:
    """The slice whose annotation is expected to remove most doubt, None where nothing is in doubt.

    Args:
        doubt: expected number of wrong voxels on each propagated slice.
        annotated: indices of the annotated slices.

    Doubt is taken to fall in proportion to the distance to the nearest annotated slice. So an annotated slice
    settles itself, helps the slices that it is nearer to than any other, and most where gaps are wide.
    """
    gains = {candidate: _gain(candidate, doubt, annotated) for candidate in doubt}
    most = max(gains.values(), default=0.0)
    if most <= 0:
        return None
    # Where doubt is even, any slice of a gap gains the same; then the one farthest from what is drawn.
    tied = [candidate for candidate, gain in gains.items() if gain >= most * (1 - _TIE)]
    return max(tied, key=lambda candidate: min(abs(candidate - index) for index in annotated))


def _gain(candidate: int, doubt: Mapping[int, float], annotated: Sequence[int]) -> float:
    """Wrong voxels that annotating ``candidate`` is expected to put right."""
    gain = doubt[candidate]
    for index, wrong in doubt.items():
        distance = min(abs(index - other) for other in annotated)
        if index != candidate and distance:
            gain += wrong * max(1 - abs(index - candidate) / distance, 0.0)
    return gain
