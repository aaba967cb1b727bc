"""Bring a volume into an order of axes that does not depend on how it happens to be stored.

The networks are not symmetric: a flipped image gives a slightly different answer. Two files of the same
volume, one stored flipped or with other axes first, must nevertheless give the same label map. So the axes
are put in an order, and given a sense, that follows from the image itself; world orientation plays no part,
which makes oblique volumes no special case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TIE = 1e-9
"""Relative asymmetry below which an axis has no sense of its own."""


@dataclass(frozen=True)
class Turn:
    """How to turn an array [i, j, k] into (slices, rows, columns), as views without copying.

    ``axes`` names the original axis of each turned axis; ``flips`` tells which turned axes run backwards.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """[i, j, k] to (slices, rows, columns)."""
        return array.transpose(self.axes)[self._steps()]

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """(slices, rows, columns) to [i, j, k]."""
        back = tuple(int(place) for place in np.argsort(self.axes))
        return array[self._steps()].transpose(back)

    def index(self, index: int, size: int, axis: int = 0) -> int:
        """An index along a turned axis of ``size``, from the original index or back."""
        return size - 1 - index if self.flips[axis] else index

    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else None) for flip in self.flips)


def choose_turn(
    voxels: NDArray[Any], spacing: tuple[float, float, float], axis: int, fallback: NDArray[Any]
) -> Turn:
    """The turn of a volume whose slices lie across ``axis``.

    The in-plane axes are ordered by spacing, size and asymmetry of the image; every axis runs towards its
    lighter side. ``fallback`` is an array [i, j, k] that decides where the image is symmetric.
    """
    senses = [_asymmetry(voxels, number) or _asymmetry(fallback, number) for number in range(3)]
    in_plane = sorted(
        (number for number in range(3) if number != axis),
        key=lambda number: (round(spacing[number], 6), voxels.shape[number], abs(senses[number])),
    )
    axes = (axis, in_plane[0], in_plane[1])
    return Turn(axes, (senses[axes[0]] > 0, senses[axes[1]] > 0, senses[axes[2]] > 0))


def _asymmetry(voxels: NDArray[Any], axis: int) -> float:
    """First moment of the mean intensity along an axis about its middle; 0 where it is symmetric."""
    others = tuple(number for number in range(3) if number != axis)
    profile = voxels.mean(axis=others, dtype=np.float64)
    profile = profile - profile.min()
    place = np.arange(len(profile)) - (len(profile) - 1) / 2
    scale = float(np.abs(profile).sum() * max(len(profile) - 1, 1) / 2)
    moment = float((profile * place).sum()) / scale if scale > 0 else 0.0
    return moment if abs(moment) > _TIE else 0.0
