"""Prepare what the network sees of one gap between annotated slices, from arrays of one region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pgt.propagation.appearance import AppearanceModel, evidence, separation, surroundings
from pgt.propagation.interpolation import ShapeInterpolator
from pgt.propagation.network import Gap

FARTHEST = 60.0
"""Signed distances are clipped to this many pixels: beyond it they carry no more information."""


@dataclass(frozen=True)
class Memory:
    """The annotated slices that a gap reads, in its region of interest.

    ``indices`` (M) ascending; ``intensities`` (M, H, W); ``channels`` (M, C, H, W) normalised image;
    ``masks`` bool (O, M, H, W).
    """

    indices: tuple[int, ...]
    intensities: NDArray[np.float32]
    channels: NDArray[np.float32]
    masks: NDArray[np.bool_]


@dataclass(frozen=True)
class Query:
    """Consecutive slices of a gap: ``indices`` (D), ``intensities`` (D, H, W), ``channels`` (D, C, H, W).

    ``known`` int8 (O, D, H, W): 1 annotated inside, -1 annotated outside, 0 not annotated.
    """

    indices: tuple[int, ...]
    intensities: NDArray[np.float32]
    channels: NDArray[np.float32]
    known: NDArray[np.int8]


class GapMaker:
    """Gathers masks, shape and appearance of every segment around one set of annotated slices."""

    def __init__(self, memory: Memory, thickness: float) -> None:
        """``thickness`` is the distance between slices in pixels."""
        self.memory = memory
        self.thickness = thickness
        self._interpolators = [
            ShapeInterpolator(dict(zip(memory.indices, masks, strict=True)), (1.0, 1.0), thickness, "area")
            for masks in memory.masks
        ]
        self._model = AppearanceModel(memory.intensities)
        rings = [surroundings(masks) for masks in memory.masks]
        self._ratios = [
            self._model.ratios(masks, ring) for masks, ring in zip(memory.masks, rings, strict=True)
        ]
        self._memory_evidence = [self._model.of_memory(ratios) for ratios in self._ratios]
        self._separations = [
            separation(found, masks, ring)
            for found, masks, ring in zip(self._memory_evidence, memory.masks, rings, strict=True)
        ]

    def prior(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """(O, D, H, W) signed distance in pixels, interpolated between the annotated slices."""
        distances = [interpolator.distances(indices) for interpolator in self._interpolators]
        return np.clip(np.stack(distances), -FARTHEST, FARTHEST)

    def gap(self, query: Query, outside: NDArray[np.float32] | None = None) -> Gap:
        """What the network sees of ``query``.

        ``outside`` (D, H, W) is the signed distance in pixels of segments that are not propagated here, if
        any.
        """
        memory = self.memory
        prior = self.prior(query.indices)
        bins = self._model.bins(query.intensities)
        position = position_features(query.indices, memory.indices, self.thickness, self._separations)
        return Gap(
            images=torch.from_numpy(query.channels),
            memory_images=torch.from_numpy(memory.channels),
            memory_masks=torch.from_numpy(memory.masks.astype(np.float32)),
            memory_others=torch.from_numpy(other_masks(memory.masks).astype(np.float32)),
            memory_appearance=torch.from_numpy(np.stack(self._memory_evidence)),
            prior=torch.from_numpy(prior),
            prior_others=torch.from_numpy(other_distances(prior, outside)),
            appearance=torch.from_numpy(np.stack([evidence(bins, ratios) for ratios in self._ratios])),
            known=torch.from_numpy(query.known.astype(np.float32)),
            position=torch.from_numpy(position),
        )


def other_masks(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(O, M, H, W): where any other segment lies."""
    count = masks.sum(axis=0, dtype=np.int16)
    return count[None] - masks > 0


def other_distances(
    prior: NDArray[np.float32], outside: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """(O, D, H, W): the largest signed distance of any other segment."""
    result = np.full_like(prior, -FARTHEST)
    for number in range(len(prior)):
        rest = np.delete(prior, number, axis=0)
        if len(rest):
            result[number] = rest.max(axis=0)
        if outside is not None:
            np.maximum(result[number], outside, out=result[number])
    return result


def position_features(
    indices: Sequence[int], annotated: Sequence[int], thickness: float, separations: Sequence[float]
) -> NDArray[np.float32]:
    """(O, D, 8): distances to the annotated slices before and after, and what is common to the gap.

    Per slice: logarithm of the distance before and after in slices (0 where there is none), whether there is
    one, the place within the gap from 0 at an annotated slice to 1 half-way. Per gap: logarithm of its width
    in pixels, logarithm of the slice thickness in pixels, and how well intensity tells the segment.
    """
    rows = []
    for index in indices:
        before = [index - a for a in annotated if a <= index]
        after = [a - index for a in annotated if a >= index]
        below, above = min(before, default=None), min(after, default=None)
        width = (below or 0) + (above or 0)
        middle = 2 * min(below, above) / max(width, 1) if below is not None and above is not None else 1.0
        rows.append(
            [
                np.log1p(below or 0) / 3,
                np.log1p(above or 0) / 3,
                float(below is not None),
                float(above is not None),
                middle,
                np.log1p(width * thickness) / 4,
                np.log(thickness),
            ]
        )
    shared = np.asarray(rows, np.float32)
    return np.stack([np.column_stack([shared, np.full(len(rows), s, np.float32)]) for s in separations])
