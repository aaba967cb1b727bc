"""How restless a structure is: what goes wrong on annotated slices that are left out.

An annotated slice is filled in from its two annotated neighbours by shape alone and compared with what was
drawn. No image is looked at, so this is quick, and the same after every change elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from pgt.propagation.interpolation import ShapeInterpolator
from pgt.propagation.regions import region_around
from pgt.propagation.stack import Stack


def unrest(stack: Stack) -> dict[int, float]:
    """Wrong voxels per slice of distance, on the annotated slices between others; all labels together.

    The distance is that to both neighbours together, as of parallel resistors: half of either where they are
    equally far, nearly the smaller one where the other is much farther.
    """
    found: dict[int, float] = {}
    for value, annotated in stack.annotated.items():
        for (before, index), (_, after) in pairwise(pairwise(annotated)):
            apart = (index - before) * (after - index) / (after - before)
            found[index] = found.get(index, 0.0) + _wrong_voxels(stack, value, before, index, after) / apart
    return found


def unrest_at(rates: Mapping[int, float], bounds: Sequence[int]) -> float | None:
    """Mean unrest of the bounds of a gap, or of the slice nearest to them that could be left out."""
    if not rates:
        return None
    near = [rates[bound] for bound in bounds if bound in rates]
    if near:
        return float(np.mean(near))
    distance = {index: min(abs(index - bound) for bound in bounds) for index in rates}
    least = min(distance.values())
    return float(np.mean([rates[index] for index in rates if distance[index] == least]))


def _wrong_voxels(stack: Stack, value: int, before: int, index: int, after: int) -> int:
    whole = slice(0, stack.labels.shape[1]), slice(0, stack.labels.shape[2])
    region = region_around(stack.masks([value], (before, index, after), whole))
    if region is None:
        return 0
    start, drawn, end = stack.masks([value], (before, index, after), region.box)[0]
    shape = ShapeInterpolator({before: start, after: end}, stack.spacing[1:], stack.spacing[0], "area")
    return int(np.count_nonzero((shape.distances([index])[0] > 0) != drawn))
