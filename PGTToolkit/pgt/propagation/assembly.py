"""Several segments' logits to one label map and its uncertainty.

Soft aggregation as in STCN: the background's probability is the product of all segments' probabilities of
being absent, and the odds of background and segments are normalised to sum to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

SMALLEST_PROBABILITY = 1e-7


Box = tuple[slice, slice]


@dataclass
class _Plane:
    """What is known of one slice so far, (rows, columns) each, and the box that any segment has touched."""

    best: NDArray[np.float32]
    value: NDArray[Any]
    odds: NDArray[np.float32]
    absent: NDArray[np.float32]
    touched: Box


class SoftAggregation:
    """Running soft aggregation over slices, rows and columns.

    Memory does not grow with the segments, and a slice takes none before a segment is added to it.
    """

    def __init__(self, shape: tuple[int, int, int], label_type: DTypeLike) -> None:
        """``shape`` is (slices, rows, columns); ``label_type`` holds every segment's value."""
        self._shape = shape[1:]
        self._label_type = np.dtype(label_type)
        self._planes: dict[int, _Plane] = {}

    def add(self, value: int, index: int, box: Box, logits: NDArray[np.float32]) -> None:
        """Take in the logits (rows, columns) of one segment on one slice; ``box`` is where they lie."""
        plane = self._planes.get(index) or self._planes.setdefault(index, self._new_plane(box))
        limit = np.float32(-np.log(SMALLEST_PROBABILITY))
        logits = np.clip(logits, -limit, limit)
        plane.absent[box] -= np.logaddexp(0, logits)
        plane.odds[box] += np.exp(logits)
        better = logits > plane.best[box]
        plane.best[box] = np.where(better, logits, plane.best[box])
        plane.value[box] = np.where(better, value, plane.value[box])
        plane.touched = _hull(plane.touched, box)

    def result(self, index: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Labels of one slice, and for every voxel the probability that its label is wrong."""
        labels = np.zeros(self._shape, self._label_type)
        doubt = np.zeros(self._shape, np.float32)
        plane = self._planes.get(index)
        if plane is not None:
            box = plane.touched
            absent = np.clip(np.exp(plane.absent[box]), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
            background = absent / (1 - absent)
            best = np.exp(plane.best[box])
            inside = best > background
            labels[box] = np.where(inside, plane.value[box], 0)
            doubt[box] = 1 - np.where(inside, best, background) / (background + plane.odds[box])
        return labels, doubt

    def _new_plane(self, box: Box) -> _Plane:
        return _Plane(
            best=np.full(self._shape, -np.inf, np.float32),
            value=np.zeros(self._shape, self._label_type),
            odds=np.zeros(self._shape, np.float32),
            absent=np.zeros(self._shape, np.float32),
            touched=box,
        )


def _hull(first: Box, second: Box) -> Box:
    """The smallest box that holds both."""
    rows, columns = (
        slice(min(one.start, other.start), max(one.stop, other.stop))
        for one, other in zip(first, second, strict=True)
    )
    return rows, columns
