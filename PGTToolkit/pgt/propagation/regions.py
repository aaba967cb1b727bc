"""Where to look: the part of a slice around a structure, and the resolution to look at it with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_MARGIN = 14
MARGIN_SHARE = 0.25
LARGEST_SIDE = 160
"""Pixels of a region's longer side at most; a larger structure is looked at in coarser pixels."""
_MULTIPLE = 8


@dataclass(frozen=True)
class Region:
    """A box of rows and columns, within the slice, seen in blocks of ``factor`` x ``factor`` pixels."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    factor: int

    @property
    def box(self) -> tuple[slice, slice]:
        return slice(*self.rows), slice(*self.columns)

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]

    @property
    def working_shape(self) -> tuple[int, int]:
        """Rows and columns that a network sees: blocks, padded to multiples of 8."""
        step = self.factor * _MULTIPLE
        rows, columns = (-(-size // step) * _MULTIPLE for size in self.shape)
        return rows, columns


def region_around(masks: NDArray[np.bool_]) -> Region | None:
    """The region around masks (..., H, W) with a margin; None where all are empty."""
    together = np.any(masks, axis=tuple(range(masks.ndim - 2)))
    if not together.any():
        return None
    spans = []
    for axis, size in enumerate(together.shape):
        used = np.flatnonzero(np.any(together, axis=1 - axis))
        extent = int(used[-1] - used[0]) + 1
        margin = max(LEAST_MARGIN, round(MARGIN_SHARE * extent))
        spans.append((max(int(used[0]) - margin, 0), min(int(used[-1]) + 1 + margin, size)))
    return Region(spans[0], spans[1], _factor(spans[0], spans[1]))


def shared_regions(alone: Mapping[int, Region]) -> list[tuple[Region, tuple[int, ...]]]:
    """Join the regions of segments that lie together, so that they share one key encoding and one affinity.

    Two regions are joined where the joint region is no coarser than either and not much larger than both.
    """
    groups: list[tuple[Region, tuple[int, ...]]] = [
        (region, (value,)) for value, region in sorted(alone.items())
    ]
    joined = True
    while joined:
        joined = False
        for first in range(len(groups)):
            for second in range(first + 1, len(groups)):
                union = _union(groups[first][0], groups[second][0])
                if _worth_joining(union, groups[first][0], groups[second][0]):
                    values = tuple(sorted(groups[first][1] + groups[second][1]))
                    groups[first] = (union, values)
                    del groups[second]
                    joined = True
                    break
            if joined:
                break
    return groups


def _worth_joining(union: Region, first: Region, second: Region) -> bool:
    areas = [int(np.prod(region.shape)) for region in (union, first, second)]
    return union.factor == first.factor == second.factor and areas[0] <= 0.8 * (areas[1] + areas[2])


def _union(first: Region, second: Region) -> Region:
    rows = min(first.rows[0], second.rows[0]), max(first.rows[1], second.rows[1])
    columns = min(first.columns[0], second.columns[0]), max(first.columns[1], second.columns[1])
    return Region(rows, columns, _factor(rows, columns))


def _factor(rows: tuple[int, int], columns: tuple[int, int]) -> int:
    return -(-max(rows[1] - rows[0], columns[1] - columns[0]) // LARGEST_SIDE)


def to_working(images: NDArray[np.float32], region: Region) -> NDArray[np.float32]:
    """(..., rows, columns) of a region to its working shape: block means, its edge repeated."""
    padded = np.pad(images, _padding(images.shape, region), mode="edge")
    return padded if region.factor == 1 else _block_means(padded, region)


def masks_to_working(masks: NDArray[np.bool_], region: Region) -> NDArray[np.bool_]:
    """Masks of a region in its working shape: a block is inside where at least half of it is."""
    padded = np.pad(masks, _padding(masks.shape, region))
    return padded if region.factor == 1 else _block_means(padded, region) >= 0.5


def _padding(shape: tuple[int, ...], region: Region) -> list[tuple[int, int]]:
    """What rows and columns lack, at their ends, to whole blocks of the working shape."""
    rows, columns = (size * region.factor for size in region.working_shape)
    return [(0, 0)] * (len(shape) - 2) + [(0, rows - shape[-2]), (0, columns - shape[-1])]


def _block_means(padded: NDArray[Any], region: Region) -> NDArray[np.float32]:
    """(..., rows, columns) to the mean of every block."""
    rows, columns = region.working_shape
    blocks = padded.reshape(*padded.shape[:-2], rows, region.factor, columns, region.factor)
    return np.asarray(blocks.mean(axis=(-3, -1), dtype=np.float32))
