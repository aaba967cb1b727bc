"""Images and label maps in memory: an array of voxels [i, j, k] and where it lies.

Reading and writing files is in :mod:`pgt.volume_io`; turning and resampling in :mod:`pgt.resampling`.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.geometry import Geometry

Color = tuple[float, float, float]

# Counting a slab at a time keeps the scan of a large label map within the processor's cache.
_SLAB_VOXELS = 1 << 20
_COUNTABLE_VALUES = 1 << 16


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar image.

    Args:
        voxels: array [i, j, k] of any real number type.
        geometry: where the voxels lie; ``geometry.shape == voxels.shape``.
    """

    voxels: NDArray[Any]
    geometry: Geometry

    def __post_init__(self) -> None:
        _check_shape(self.voxels, self.geometry)


@dataclass(frozen=True)
class Segment:
    """One label of a label map.

    Args:
        value: voxel value, at least 1.
        name: what a user reads.
        color: red, green and blue from 0 to 1.
        terminology: Slicer's serialised terminology entry, empty if none.
        identifier: Slicer's segment ID, empty if the segment has none yet.
    """

    value: int
    name: str
    color: Color
    terminology: str = ""
    identifier: str = ""

    @classmethod
    def numbered(cls, value: int) -> Segment:
        """A segment that nobody named, with a colour of its own."""
        return cls(value, f"Segment_{value}", color_of_value(value))


@dataclass(frozen=True, eq=False)
class LabelMap:
    """One integer per voxel: 0 is background, every other value a segment.

    Args:
        voxels: array [i, j, k] of an integer type, no value below 0.
        geometry: where the voxels lie.
        segments: the labels, each value once; segments without any voxel are allowed.
    """

    voxels: NDArray[Any]
    geometry: Geometry
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        _check_shape(self.voxels, self.geometry)
        if not np.issubdtype(self.voxels.dtype, np.integer):
            raise InputError(f"A label map holds integers, not {self.voxels.dtype}.")
        object.__setattr__(self, "segments", tuple(self.segments))
        if len(set(self.values)) != len(self.segments) or min(self.values, default=1) < 1:
            raise InputError(f"Label values must be positive and differ from each other, not {self.values}.")

    @classmethod
    def from_voxels(cls, voxels: NDArray[Any], geometry: Geometry) -> LabelMap:
        """A label map with one numbered segment for each value that occurs."""
        return cls(voxels, geometry, tuple(Segment.numbered(value) for value in values_present(voxels)))

    @property
    def values(self) -> tuple[int, ...]:
        """The label values of the segments, in the segments' order."""
        return tuple(segment.value for segment in self.segments)

    def segment(self, value: int) -> Segment:
        """The segment of a label value; InputError when there is none."""
        for segment in self.segments:
            if segment.value == value:
                return segment
        raise InputError(f"The label map has no label {value}; it has {_listed(self.values)}.")

    def mask(self, value: int) -> NDArray[np.bool_]:
        """Where the label map has ``value``, as a boolean array [i, j, k]."""
        mask: NDArray[np.bool_] = self.voxels == value
        return mask


def values_present(voxels: NDArray[Any]) -> tuple[int, ...]:
    """The positive values that occur in an integer array, ascending."""
    if voxels.size == 0:
        return ()
    largest = int(voxels.max())
    if largest >= _COUNTABLE_VALUES or int(voxels.min()) < 0:
        return tuple(int(value) for value in np.unique(voxels) if value > 0)
    flat = voxels.ravel(order="K")
    counts = np.zeros(largest + 1, dtype=np.int64)
    for start in range(0, flat.size, _SLAB_VOXELS):
        counts += np.bincount(flat[start : start + _SLAB_VOXELS], minlength=largest + 1)
    return tuple(int(value) for value in np.flatnonzero(counts) if value > 0)


def color_of_value(value: int) -> Color:
    """A colour for a label value: neighbours far apart in hue, the same value always the same."""
    golden_ratio = 0.618033988749895
    return colorsys.hsv_to_rgb((value * golden_ratio) % 1.0, 0.55 + 0.15 * (value % 3), 0.9)


def _check_shape(voxels: NDArray[Any], geometry: Geometry) -> None:
    if voxels.shape != geometry.shape:
        raise ValueError(f"voxels of shape {voxels.shape} do not fill a geometry of shape {geometry.shape}")


def _listed(values: Iterable[int]) -> str:
    return ", ".join(str(value) for value in values) or "none"
