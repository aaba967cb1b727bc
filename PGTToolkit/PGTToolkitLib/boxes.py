"""Boxes of voxels: three slices, along i, j and k."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


def bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    """The smallest box [i, j, k] that holds every true voxel; None without any."""
    sides = [slice(0, size) for size in mask.shape]
    # Slicer's arrays vary slowest along k, where a drawn slice is thin: what remains to be searched is small.
    for axis in (2, 1, 0):
        searched = mask[tuple(sides)]
        present = np.flatnonzero(searched.any(axis=tuple(other for other in range(3) if other != axis)))
        if present.size == 0:
            return None
        sides[axis] = slice(int(present[0]), int(present[-1]) + 1)
    return (sides[0], sides[1], sides[2])


def union(first: Box, second: Box) -> Box:
    """The smallest box that holds both."""
    i, j, k = (
        slice(min(one.start, other.start), max(one.stop, other.stop))
        for one, other in zip(first, second, strict=True)
    )
    return (i, j, k)


def shifted(box: Box, start: tuple[int, int, int], sign: int = 1) -> Box:
    """The box moved by ``sign * start`` voxels."""
    i, j, k = (
        slice(side.start + sign * first, side.stop + sign * first)
        for side, first in zip(box, start, strict=True)
    )
    return (i, j, k)


def start_of(box: Box) -> tuple[int, int, int]:
    """The first voxel of a box."""
    return (box[0].start, box[1].start, box[2].start)


def filled(box: Box, content: tuple[Box, NDArray[Any]] | None) -> NDArray[Any]:
    """The labels of a box of which ``content`` is a part, 0 around it."""
    if content is not None and content[0] == box:
        return content[1]
    dtype = content[1].dtype if content is not None else np.dtype(np.uint8)
    labels = np.zeros([side.stop - side.start for side in box], dtype=dtype, order="F")
    if content is not None:
        labels[shifted(content[0], start_of(box), -1)] = content[1]
    return labels
