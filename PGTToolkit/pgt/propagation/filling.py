"""Ways to fill an opening: the shape of the annotated slices alone, or the network's correction of it.

A filler gives logits for every label on every slice, at the resolution of the volume: above zero is inside,
and more so the larger. Slices come in order, a few at a time, so that memory does not grow with the opening.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pgt.propagation.calibration import SHAPE
from pgt.propagation.interpolation import ShapeInterpolator
from pgt.propagation.regions import Region
from pgt.propagation.stack import Opening, Stack

CERTAIN = 16.0
"""Logit of a voxel that a rater has annotated."""
_RUN_BEYOND_END = 8

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class FilledSlices:
    """Logits (O, D, rows, columns) of the opening's labels on ``indices`` (D), within the region."""

    indices: tuple[int, ...]
    logits: Logits


class Filler(Protocol):
    """A way to fill the slices of an opening."""

    device: str
    """Where it computes: ``cpu`` or ``cuda``; may change while it works."""
    notes: list[str]
    """What a user should know about how it went."""

    def fill(
        self, stack: Stack, opening: Opening, region: Region, values: tuple[int, ...]
    ) -> Iterator[FilledSlices]:
        """Logits of ``values``, walking away from the annotated slice where only one bounds the opening."""


class ShapeFiller:
    """Signed distance interpolated between the annotated slices; the image is not looked at."""

    _SLICES_AT_ONCE = 8

    def __init__(self) -> None:
        self.device = "cpu"
        self.notes: list[str] = []

    def fill(
        self, stack: Stack, opening: Opening, region: Region, values: tuple[int, ...]
    ) -> Iterator[FilledSlices]:
        masks = stack.masks(values, opening.memory, region.box)
        pixel = float(np.sqrt(stack.spacing[1] * stack.spacing[2]))
        interpolators = [
            ShapeInterpolator(
                dict(zip(opening.memory, segment, strict=True)), stack.spacing[1:], stack.spacing[0], "area"
            )
            for segment in masks
        ]
        for indices in runs(opening, self._SLICES_AT_ONCE):
            distances = np.stack([interpolator.distances(indices) for interpolator in interpolators])
            logits = SHAPE(distances / np.float32(pixel), opening.distances(indices) * stack.thickness)
            known = stack.known(values, indices, region.box)
            yield FilledSlices(indices, with_known(logits, known))


def runs(opening: Opening, length: int) -> Iterator[tuple[int, ...]]:
    """The slices of an opening, at most ``length`` at a time.

    Beyond the first or last annotated slice the runs are short and lead away from it, so that the walk can be
    given up where the structure ends. Within a run indices ascend.
    """
    if opening.one_sided:
        length = min(length, _RUN_BEYOND_END)
    slices = range(opening.first, opening.last + 1)
    if opening.before is None:
        for stop in range(len(slices), 0, -length):
            yield tuple(slices[max(stop - length, 0) : stop])
    else:
        for start in range(0, len(slices), length):
            yield tuple(slices[start : start + length])


def with_known(logits: Logits, known: NDArray[np.int8]) -> Logits:
    """Annotated voxels are certain, whatever was computed."""
    return np.where(known == 0, np.clip(logits, -CERTAIN, CERTAIN), CERTAIN * known).astype(np.float32)
