"""What a network sees in one step of a training: slices or patches, padded or cropped to one size.

A draw depends on the seed and the number of the step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Arrays = tuple[NDArray[np.float32], NDArray[np.int16], NDArray[np.bool_]]
"""Image, label and where the label counts, all [i, j, k]."""
Batch = tuple[Tensor, Tensor, Tensor]
"""Images float32 [sample, 1, ...], labels int64 [sample, ...], annotated bool [sample, ...]."""


@dataclass(frozen=True)
class SampleLook:
    """What samples are like.

    Args:
        patch: size of a sample.
        batch: samples of a step.
        flips: axes of the sample along which half of them are mirrored.
        intensity: how far contrast and brightness are changed at most.
        seed: of all draws.
    """

    patch: tuple[int, ...]
    batch: int
    flips: tuple[int, ...]
    intensity: float
    seed: int


class SliceSampler:
    """Slices that have an annotated voxel, each as likely as any other, whichever case it is of.

    Args:
        cases: arrays of each.
        look: of the samples.
        axis: across the slices.
    """

    def __init__(
        self,
        cases: Sequence[Arrays],
        look: SampleLook,
        axis: int,
    ) -> None:
        self._look = look
        self._slices = [
            (np.take(image, index, axis), np.take(label, index, axis), np.take(known, index, axis))
            for image, label, known in cases
            for index in _annotated(known, axis)
        ]
        # Of the case and not of the slice, as where it is predicted.
        self._lowest = [float(image.min()) for image, _, known in cases for _ in _annotated(known, axis)]

    def batch(self, step: int) -> Batch:
        """The samples of a step."""
        random = np.random.default_rng((self._look.seed, step))
        rows = random.integers(len(self._slices), size=self._look.batch)
        samples = []
        for row in rows:
            arrays = self._slices[row]
            start = [_any_start(n, p, random) for n, p in zip(arrays[0].shape, self._look.patch, strict=True)]
            cut = _cut(arrays, start, self._look.patch, self._lowest[row])
            samples.append(_varied(cut, self._look, random))
        return _stacked(samples)


class VolumeSampler:
    """Patches around annotated voxels of cases that are drawn evenly.

    Args:
        cases: arrays of each.
        look: of the samples.
        foreground: share of the patches around a voxel that is annotated as no background.
    """

    def __init__(
        self,
        cases: Sequence[Arrays],
        look: SampleLook,
        foreground: float,
    ) -> None:
        self._cases = [case for case in cases if case[2].any()]
        self._look, self._share = look, foreground
        self._known = [np.flatnonzero(known) for _, _, known in self._cases]
        self._drawn = [np.flatnonzero(known & (label > 0)) for _, label, known in self._cases]
        self._lowest = [float(image.min()) for image, _, _ in self._cases]

    def batch(self, step: int) -> Batch:
        """The samples of a step."""
        random = np.random.default_rng((self._look.seed, step))
        samples = []
        for row in random.integers(len(self._cases), size=self._look.batch):
            arrays = self._cases[row]
            wanted = self._drawn[row] if random.random() < self._share else self._known[row]
            among = wanted if len(wanted) else self._known[row]
            centre = np.unravel_index(int(random.choice(among)), arrays[0].shape)
            start = [
                _start_around(int(c), n, p, random)
                for c, n, p in zip(centre, arrays[0].shape, self._look.patch, strict=True)
            ]
            cut = _cut(arrays, start, self._look.patch, self._lowest[row])
            samples.append(_varied(cut, self._look, random))
        return _stacked(samples)


def _annotated(known: NDArray[np.bool_], axis: int) -> NDArray[np.intp]:
    """Slices that have an annotated voxel."""
    return np.flatnonzero(known.any(axis=tuple(other for other in range(3) if other != axis)))


def _any_start(size: int, wanted: int, random: np.random.Generator) -> int:
    """Where a patch begins: anywhere in a larger case, and with a smaller one anywhere in it."""
    low, high = sorted((size - wanted, 0))
    return int(random.integers(low, high + 1))


def _start_around(centre: int, size: int, wanted: int, random: np.random.Generator) -> int:
    """Where a patch around a voxel begins; with a smaller case anywhere in the patch."""
    if size <= wanted:
        return _any_start(size, wanted, random)
    return int(np.clip(centre - wanted // 2, 0, size - wanted))


def _cut(arrays: Sequence[NDArray[Any]], start: Sequence[int], size: Sequence[int], lowest: float) -> Any:
    """A patch; beyond the case the image has its lowest value and nothing is annotated."""
    cut = []
    for array, outside in zip(arrays, (lowest, 0, False), strict=True):
        patch = np.full(size, outside, array.dtype)
        here = tuple(
            slice(max(s, 0), min(s + n, m)) for s, n, m in zip(start, size, array.shape, strict=True)
        )
        there = tuple(slice(part.start - s, part.stop - s) for part, s in zip(here, start, strict=True))
        patch[there] = array[here]
        cut.append(patch)
    return cut


def _varied(
    arrays: Sequence[NDArray[Any]], look: SampleLook, random: np.random.Generator
) -> tuple[NDArray[Any], ...]:
    """A patch mirrored, brighter or darker."""
    mirrored = tuple(axis for axis in look.flips if random.random() < 0.5)
    image, label, known = (np.flip(array, mirrored) if mirrored else array for array in arrays)
    contrast = 1 + look.intensity * random.uniform(-1, 1)
    brightness = look.intensity * random.uniform(-1, 1)
    return image * np.float32(contrast) + np.float32(brightness), label, known


def _stacked(samples: Sequence[tuple[NDArray[Any], ...]]) -> Batch:
    images, labels, known = (np.stack(parts) for parts in zip(*samples, strict=True))
    return (
        torch.from_numpy(images.astype(np.float32, copy=False))[:, None],
        torch.from_numpy(labels.astype(np.int64)),
        torch.from_numpy(known),
    )
