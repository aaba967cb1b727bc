"""A structure as it is compared: its voxels, kept only where it lies.

Fifty masks of a 512×512×300 volume would fill 4 GB; fifty crops of an organ do not. Everything that compares
works on the union of the crops it needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgt.geometry import Shape

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class CroppedMask:
    """The voxels of one structure.

    Args:
        voxels: boolean array [i, j, k], as small as the structure allows; of shape (0, 0, 0) when empty.
        start: index in the volume of ``voxels[0, 0, 0]``.
        shape: shape of the volume.
    """

    voxels: Mask
    start: Shape
    shape: Shape

    @classmethod
    def of(cls, mask: Mask) -> CroppedMask:
        """Crop a boolean array [i, j, k] that fills the volume."""
        shape = (int(mask.shape[0]), int(mask.shape[1]), int(mask.shape[2]))
        box = occupied_box(mask)
        if box is None:
            return cls.empty(shape)
        start = (box[0].start, box[1].start, box[2].start)
        return cls(np.ascontiguousarray(mask[box], dtype=bool), start, shape)

    @classmethod
    def empty(cls, shape: Shape) -> CroppedMask:
        """A structure that is absent from a volume of this shape."""
        return cls(np.zeros((0, 0, 0), dtype=bool), (0, 0, 0), shape)

    @property
    def is_empty(self) -> bool:
        """Whether the structure has no voxel."""
        return self.voxels.size == 0

    @property
    def count(self) -> int:
        """Number of voxels of the structure."""
        return int(np.count_nonzero(self.voxels))

    @property
    def box(self) -> Box:
        """Where ``voxels`` lies in the volume."""
        i, j, k = (slice(s, s + n) for s, n in zip(self.start, self.voxels.shape, strict=True))
        return i, j, k

    def within(self, box: Box) -> Mask:
        """The structure in a box of the volume (inside its bounds), as boolean array of the box's shape."""
        found = np.zeros([part.stop - part.start for part in box], dtype=bool)
        if self.is_empty:
            return found
        here, there = [], []
        for mine, wanted in zip(self.box, box, strict=True):
            first, last = max(mine.start, wanted.start), min(mine.stop, wanted.stop)
            if first >= last:
                return found
            here.append(slice(first - mine.start, last - mine.start))
            there.append(slice(first - wanted.start, last - wanted.start))
        found[tuple(there)] = self.voxels[tuple(here)]
        return found

    def full(self) -> Mask:
        """The structure as boolean array of the volume's shape."""
        return self.within((slice(0, self.shape[0]), slice(0, self.shape[1]), slice(0, self.shape[2])))


def occupied_box(mask: Mask) -> Box | None:
    """The smallest box that holds every true voxel of an array [i, j, k]; None where there is none."""
    box = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        if occupied.size == 0:
            return None
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return box[0], box[1], box[2]


def common_box(masks: Iterable[CroppedMask]) -> Box | None:
    """The smallest box that holds every structure; None when all are empty."""
    boxes = [mask.box for mask in masks if not mask.is_empty]
    if not boxes:
        return None
    i, j, k = (
        slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes))
        for axis in range(3)
    )
    return i, j, k
