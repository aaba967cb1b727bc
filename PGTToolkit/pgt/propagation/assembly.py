"""Several segments' logits to one label map and its uncertainty.

Soft aggregation as in STCN: the background's probability is the product of all segments' probabilities of
being absent, and the odds of background and segments are normalised to sum to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

SMALLEST_PROBABILITY = 1e-7


class SoftAggregation:
    """Running soft aggregation over slices, rows and columns; memory does not grow with the segments."""

    def __init__(self, shape: tuple[int, int, int], label_type: DTypeLike) -> None:
        """``shape`` is (slices, rows, columns) of the box; ``label_type`` holds every segment's value."""
        self._best = np.full(shape, -np.inf, np.float32)
        self._value = np.zeros(shape, label_type)
        self._odds = np.zeros(shape, np.float32)
        self._absent = np.zeros(shape, np.float32)

    def add(self, value: int, index: int, box: tuple[slice, slice], logits: NDArray[np.float32]) -> None:
        """Take in the logits (rows, columns) of one segment on one slice; ``box`` is where they lie."""
        limit = np.float32(-np.log(SMALLEST_PROBABILITY))
        logits = np.clip(logits, -limit, limit)
        place = (index, *box)
        self._absent[place] -= np.logaddexp(0, logits)
        self._odds[place] += np.exp(logits)
        better = logits > self._best[place]
        self._best[place] = np.where(better, logits, self._best[place])
        self._value[place] = np.where(better, value, self._value[place])

    def result(self, index: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Labels of one slice, and for every voxel the probability that its label is wrong."""
        absent = np.clip(np.exp(self._absent[index]), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        background = absent / (1 - absent)
        best = np.exp(self._best[index])
        inside = best > background
        chosen = np.where(inside, best, background)
        total = background + self._odds[index]
        labels = np.where(inside, self._value[index], self._value.dtype.type(0))
        return labels, np.asarray(1 - chosen / total, np.float32)
