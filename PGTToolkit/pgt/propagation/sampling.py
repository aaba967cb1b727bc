"""Draw training examples: a gap between annotated slices of a finished volume, and the truth in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from pgt.propagation.gaps import GapMaker, Memory, Query
from pgt.propagation.interpolation import signed_distance
from pgt.propagation.network import Gap

LONGEST_WINDOW = 12
"""Slices of a gap decoded together in training; longer gaps are seen in part."""
_LEAST_SLICES = 4
_BEYOND_END = 0.12
"""Share of examples in which the structure ends somewhere beyond the last annotated slice."""


@dataclass(frozen=True)
class LabelledVolume:
    """Arrays of a finished volume, propagation axis first.

    ``intensities`` (D, H, W); ``channels`` (D, C, H, W); ``labels`` (D, H, W); ``thickness`` in pixels.
    """

    intensities: NDArray[np.float32]
    channels: NDArray[np.float32]
    labels: NDArray[np.uint8]
    thickness: float


@dataclass
class Example:
    """A gap and its truth (O, D, H, W); ``counted`` (O, D) marks slices that the loss looks at."""

    gap: Gap
    truth: Tensor
    counted: Tensor


def random_windows(generator: np.random.Generator, intensities: NDArray[np.float32]) -> NDArray[np.float32]:
    """(D, C, H, W) channels of a made volume, by windows placed at random like those of CT and MR."""
    sample = intensities[:, ::4, ::4]
    bands = []
    for lower, upper in ((0.0, 1.0), (0.0, 0.7), (0.3, 1.0)):
        span = generator.uniform(0.35, 1.0)
        start = lower + generator.random() * max(upper - lower - span, 0.0)
        low, high = np.quantile(sample, [start, min(start + span, 1.0)])
        room = generator.uniform(-0.1, 0.6) * (high - low)
        low, high = low - room * generator.random(), high + room * generator.random()
        bands.append(np.clip((intensities - low) * (2 / max(high - low, 1e-3)) - 1, -1, 1))
    return np.stack(bands, axis=1).astype(np.float32)


def draw_example(volume: LabelledVolume, generator: np.random.Generator, size: int) -> Example | None:
    """One example of ``size`` x ``size`` pixels, or None where the structure drawn does not allow one."""
    extents = _extents(volume.labels)
    values = [value for value, (first, last) in extents.items() if last - first + 1 >= _LEAST_SLICES]
    if not values:
        return None
    value = int(generator.choice(values))
    annotated = _draw_annotated(generator, extents[value], len(volume.labels))
    before, after = _draw_gap(generator, annotated, extents[value], len(volume.labels))
    if after - before < 2:
        return None
    memory_indices = _nearest(annotated, before, after, int(generator.integers(1, 4)))
    if not any((volume.labels[index] == value).any() for index in memory_indices):
        return None
    window = min(after - before + 1, LONGEST_WINDOW)
    start = before + int(generator.integers(0, after - before + 2 - window))
    query_indices = tuple(range(start, start + window))
    crop = _draw_crop(generator, volume.labels, value, memory_indices, query_indices, size)
    values = _draw_company(generator, volume.labels, value, memory_indices, crop)
    return _assemble(generator, volume, values, memory_indices, query_indices, crop)


def _extents(labels: NDArray[np.uint8]) -> dict[int, tuple[int, int]]:
    """First and last slice of every label."""
    found: dict[int, tuple[int, int]] = {}
    for index, plane in enumerate(labels):
        for value in np.flatnonzero(np.bincount(plane.reshape(-1), minlength=2))[0:]:
            if value:
                found[int(value)] = (found.get(int(value), (index, index))[0], index)
    return found


def _draw_annotated(generator: np.random.Generator, extent: tuple[int, int], count: int) -> list[int]:
    """Slices a rater might have drawn: evenly from first to last, at random, or every few throughout."""
    first, last = extent
    choice = generator.random()
    if choice < 0.6:
        number = int(generator.choice([2, 3, 3, 3, 4, 5, 5, 7, 9]))
        return sorted({round(float(x)) for x in np.linspace(first, last, number)})
    if choice < 0.85:
        number = int(generator.integers(2, 7))
        inside = np.arange(first, last + 1)
        return sorted(int(x) for x in generator.choice(inside, min(number, len(inside)), replace=False))
    step = int(generator.integers(3, 13))
    return list(range(int(generator.integers(0, step)), count, step))


def _draw_gap(
    generator: np.random.Generator, annotated: list[int], extent: tuple[int, int], count: int
) -> tuple[int, int]:
    """The bounds of one gap; beyond an end, the outer bound lies a little past the structure's own end."""
    gaps = list(pairwise(annotated))
    wide = [gap for gap in gaps if gap[1] - gap[0] >= 2 and gap[0] < extent[1] and gap[1] > extent[0]]
    if not wide or generator.random() < _BEYOND_END:
        after = min(extent[1] + int(generator.integers(1, 6)), count - 1)
        before = max(extent[0] - int(generator.integers(1, 6)), 0)
        low, high = (before, annotated[0]), (annotated[-1], after)
        return low if generator.random() < 0.5 else high
    return wide[int(generator.integers(len(wide)))]


def _nearest(annotated: list[int], before: int, after: int, reach: int) -> tuple[int, ...]:
    """The ``reach`` annotated slices nearest to the gap on either side."""
    below = [index for index in annotated if index <= before][-reach:]
    above = [index for index in annotated if index >= after][:reach]
    return tuple(sorted({*below, *above}))


def _draw_crop(
    generator: np.random.Generator,
    labels: NDArray[np.uint8],
    value: int,
    memory: tuple[int, ...],
    query: tuple[int, ...],
    size: int,
) -> tuple[slice, slice]:
    """A square around the structure, off centre at random, or a part of a larger structure."""
    together = (labels[[*memory, *query]] == value).any(axis=0)
    parts = []
    for axis in (0, 1):
        used = np.flatnonzero(together.any(axis=1 - axis))
        centre = (
            generator.uniform(used[0], used[-1]) if used[-1] - used[0] > size else (used[0] + used[-1]) / 2
        )
        start = round(centre + generator.uniform(-0.15, 0.15) * size - size / 2)
        start = int(np.clip(start, 0, max(labels.shape[axis + 1] - size, 0)))
        parts.append(slice(start, start + size))
    return parts[0], parts[1]


def _draw_company(
    generator: np.random.Generator,
    labels: NDArray[np.uint8],
    value: int,
    memory: tuple[int, ...],
    crop: tuple[slice, slice],
) -> list[int]:
    """The structure, and sometimes up to two others annotated on the same slices."""
    if generator.random() < 0.5:
        return [value]
    present = np.unique(labels[list(memory)][:, crop[0], crop[1]])
    others = [int(other) for other in present if other not in (0, value)]
    generator.shuffle(others)
    return [value, *others[: int(generator.integers(1, 3))]]


def _assemble(
    generator: np.random.Generator,
    volume: LabelledVolume,
    values: list[int],
    memory_indices: tuple[int, ...],
    query_indices: tuple[int, ...],
    crop: tuple[slice, slice],
) -> Example:
    turn = _draw_turn(generator)

    def cut(array: NDArray[Any], indices: tuple[int, ...]) -> NDArray[Any]:
        return np.ascontiguousarray(turn(array[list(indices)][..., crop[0], crop[1]]))

    truth = np.stack([cut(volume.labels, query_indices) == value for value in values])
    masks = np.stack([cut(volume.labels, memory_indices) == value for value in values])
    if generator.random() < 0.5:
        masks = _jittered(generator, masks)
    known = _draw_known(generator, truth, masks, memory_indices, query_indices)
    memory = Memory(
        memory_indices, cut(volume.intensities, memory_indices), cut(volume.channels, memory_indices), masks
    )
    query = Query(
        query_indices, cut(volume.intensities, query_indices), cut(volume.channels, query_indices), known
    )
    gap = GapMaker(memory, volume.thickness).gap(query)
    counted = torch.ones(truth.shape[:2])
    counted[:, [place for place, index in enumerate(query_indices) if index in memory_indices]] = 0
    return Example(gap, torch.from_numpy(truth.astype(np.float32)), counted)


def _draw_turn(generator: np.random.Generator) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """A random flip and transposition of the last two axes."""
    flips = [axis for axis in (-2, -1) if generator.random() < 0.5]
    transposed = generator.random() < 0.5

    def turn(array: NDArray[Any]) -> NDArray[Any]:
        array = np.flip(array, tuple(flips))
        return np.swapaxes(array, -2, -1) if transposed else array

    return turn


def _jittered(generator: np.random.Generator, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Masks as a hand would draw them: the outline wavers by up to about a pixel."""
    amount = generator.uniform(0.2, 1.0)
    result = masks.copy()
    for segment, index in np.ndindex(masks.shape[:2]):
        mask = masks[segment, index]
        if mask.any():
            noise = gaussian_filter(generator.standard_normal(mask.shape), 3)
            distance = signed_distance(mask, (1.0, 1.0))
            moved = distance + amount * noise / noise.std() > 0
            result[segment, index] = moved if moved.any() else mask
    return result


def _draw_known(
    generator: np.random.Generator,
    truth: NDArray[np.bool_],
    masks: NDArray[np.bool_],
    memory_indices: tuple[int, ...],
    query_indices: tuple[int, ...],
) -> NDArray[np.int8]:
    """What is annotated within the gap: its bounding slices, sometimes rows or columns of crossing slices."""
    known = np.zeros(truth.shape, np.int8)
    signs = truth.astype(np.int8) * 2 - 1
    if generator.random() < 0.25:
        for _ in range(int(generator.integers(1, 4))):
            line = int(generator.integers(truth.shape[-1]))
            if generator.random() < 0.5:
                known[..., line] = signs[..., line]
            else:
                known[..., line, :] = signs[..., line, :]
    for number, index in enumerate(query_indices):
        if index in memory_indices:
            known[:, number] = masks[:, memory_indices.index(index)].astype(np.int8) * 2 - 1
    return known
