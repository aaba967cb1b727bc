"""Signed-distance interpolation of one structure between its annotated slices.

A slice is a bool array (rows, columns); which volume axes those are is the caller's affair. Every distance
is in mm: positive inside the structure, negative outside, zero on the edges between voxels. A voxel belongs
to the interpolated shape where its signed distance is above zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import distance_transform_edt

Profile = Literal["distance", "area"]
"""What changes evenly from one annotated slice to the next; see ShapeInterpolator."""

EMPTY_DISTANCE = -1.0e4
"""Signed distance in mm, everywhere, of a slice that holds nothing: further outside than any scan is wide."""

_MARGIN_VOXELS = 4
_DECIMALS_OF_MM = 3


def signed_distance(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.float32]:
    """Signed distance of every voxel of a slice to the outline of its mask.

    Args:
        mask: bool (rows, columns).
        spacing: mm between rows and between columns.

    Returns:
        float32 (rows, columns) in mm, positive inside. The outline runs half a voxel (of the smaller spacing)
        from the centres of the voxels on either side, so inside and outside are treated alike. The border of
        the array is no outline, unless the mask fills the array. An empty mask is EMPTY_DISTANCE everywhere.
    """
    mask = np.asarray(mask, dtype=bool)
    if not mask.any():
        return np.full(mask.shape, EMPTY_DISTANCE, np.float32)
    if mask.all():
        return signed_distance(np.pad(mask, 1), spacing)[1:-1, 1:-1]
    half_voxel = 0.5 * min(spacing)
    inside = distance_transform_edt(mask, sampling=spacing)
    outside = distance_transform_edt(~mask, sampling=spacing)
    distance: NDArray[np.float32] = np.where(mask, inside - half_voxel, half_voxel - outside).astype(
        np.float32
    )
    return distance


class ShapeInterpolator:
    """The signed distance of a structure on any slice, from the slices that were annotated.

    Between two annotated slices the signed distance is interpolated linearly. What its outline encloses
    depends on the profile:
      - "distance" takes the interpolated signed distance as it is: the textbooks' shape-based interpolation.
        Outlines that barely overlap leave little or nothing between them, and a rounded end becomes a cone.
      - "area" moves its zero level so that the area follows a monotone cubic curve through the areas of the
        annotated slices. Outlines apart meet half-way, and a rounded end becomes a dome.

    Towards an annotated-empty slice the shape shrinks evenly and is gone half-way. Before the first and after
    the last annotated slice it shrinks evenly too, and is gone after the smaller of
      - the radius of the largest circle that fits in that slice, and
      - half the gap to the nearest other annotated slice.
    An annotated-empty slice is never crossed. Annotated slices return their own signed distance.

    Distance maps are computed when first needed, in the box around all masks, and kept; outside of that box
    they go on falling by the distance to it.
    """

    def __init__(
        self,
        masks: Mapping[int, NDArray[np.bool_]],
        spacing: tuple[float, float],
        slice_spacing: float,
        profile: Profile = "distance",
    ) -> None:
        """
        Args:
            masks: slice index -> bool (rows, columns), for every annotated slice, empty ones included.
            spacing: mm between rows and between columns.
            slice_spacing: mm between neighbouring slices.
            profile: what changes evenly between annotated slices.

        Raises:
            ValueError: no slice, or slices of different shapes.
        """
        if not masks:
            raise ValueError("interpolation needs at least one annotated slice")
        shapes = {mask.shape for mask in masks.values()}
        if len(shapes) != 1:
            raise ValueError(f"annotated slices differ in shape: {sorted(shapes)}")
        self.shape: tuple[int, int] = next(iter(shapes))
        self.spacing = spacing
        self.slice_spacing = slice_spacing
        self.profile = profile
        self.annotated = np.array(sorted(masks))
        self._masks = {index: np.asarray(mask, dtype=bool) for index, mask in masks.items()}
        self._rows, self._columns = _box_around(self._masks.values(), self.shape)
        self._distances: dict[int, NDArray[np.float32]] = {}

    def distances(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Signed distance in mm on the given slices: float32 (len(indices), rows, columns)."""
        result = np.empty((len(indices), *self.shape), np.float32)
        for place, index in enumerate(indices):
            result[place] = self._extended(self._distance(int(index)))
        return result

    def _distance(self, index: int) -> NDArray[np.float32]:
        """Signed distance on one slice, in the box."""
        after = int(np.searchsorted(self.annotated, index))
        if after < len(self.annotated) and self.annotated[after] == index:
            return self._annotated_distance(index)
        if after == 0:
            return self._beyond_end(index, end=0, neighbour=1)
        if after == len(self.annotated):
            return self._beyond_end(index, end=len(self.annotated) - 1, neighbour=len(self.annotated) - 2)
        return self._between(index, int(self.annotated[after - 1]), int(self.annotated[after]))

    def _between(self, index: int, before: int, after: int) -> NDArray[np.float32]:
        gap = after - before
        if self._is_empty(before) and self._is_empty(after):
            return self._annotated_distance(before)
        if self._is_empty(after):
            return self._shrunk(before, (index - before) / (gap / 2))
        if self._is_empty(before):
            return self._shrunk(after, (after - index) / (gap / 2))
        start, end = self._annotated_distance(before), self._annotated_distance(after)
        between: NDArray[np.float32] = start + np.float32((index - before) / gap) * (end - start)
        if self.profile == "area":
            return with_area(between, float(self._areas(before)(index)))
        return between

    def _beyond_end(self, index: int, end: int, neighbour: int) -> NDArray[np.float32]:
        last = int(self.annotated[end])
        if self._is_empty(last):
            return self._annotated_distance(last)
        reach = float(self._annotated_distance(last).max())
        if 0 <= neighbour < len(self.annotated):
            reach = min(reach, abs(int(self.annotated[neighbour]) - last) * self.slice_spacing / 2)
        return self._shrunk(last, abs(index - last) * self.slice_spacing / reach)

    def _shrunk(self, index: int, fraction: float) -> NDArray[np.float32]:
        """The annotated slice shrunk evenly; nothing is left of it at a fraction of 1."""
        distance = self._annotated_distance(index)
        if self.profile == "area" and fraction < 1:
            return with_area(distance, (1 - fraction) * self._area(index))
        shrunk: NDArray[np.float32] = distance - np.float32(fraction * float(distance.max()))
        return shrunk

    def _areas(self, index: int) -> PchipInterpolator:
        """The area in voxels over the run of non-empty annotated slices that holds the given one."""
        first = last = int(np.searchsorted(self.annotated, index))
        while first > 0 and not self._is_empty(int(self.annotated[first - 1])):
            first -= 1
        while last + 1 < len(self.annotated) and not self._is_empty(int(self.annotated[last + 1])):
            last += 1
        run = self.annotated[first : last + 1]
        return PchipInterpolator(run, [self._area(int(at)) for at in run])

    def _area(self, index: int) -> int:
        return int(np.count_nonzero(self._masks[index]))

    def _is_empty(self, index: int) -> bool:
        return not self._masks[index].any()

    def _annotated_distance(self, index: int) -> NDArray[np.float32]:
        if index not in self._distances:
            self._distances[index] = signed_distance(
                self._masks[index][self._rows, self._columns], self.spacing
            )
        return self._distances[index]

    def _extended(self, distance: NDArray[np.float32]) -> NDArray[np.float32]:
        """From the box to the whole slice."""
        margins = tuple(
            (part.start, size - part.stop)
            for part, size in zip((self._rows, self._columns), self.shape, strict=True)
        )
        steps = [
            spacing
            * np.concatenate([np.arange(low, 0, -1), np.zeros(size - low - high), np.arange(1, high + 1)])
            for (low, high), size, spacing in zip(margins, self.shape, self.spacing, strict=True)
        ]
        away = np.hypot(steps[0][:, None], steps[1][None, :]).astype(np.float32)
        extended: NDArray[np.float32] = np.pad(distance, margins, mode="edge") - away
        return extended


def interpolate_shape(
    masks: Mapping[int, NDArray[np.bool_]],
    indices: Sequence[int],
    spacing: tuple[float, float],
    slice_spacing: float,
    profile: Profile = "distance",
) -> NDArray[np.float32]:
    """Signed distance of a structure on the given slices; see ShapeInterpolator.

    Args:
        masks: slice index -> bool (rows, columns), for every annotated slice, empty ones included.
        indices: the slices wanted, in any order, annotated ones allowed.
        spacing: mm between rows and between columns.
        slice_spacing: mm between neighbouring slices.
        profile: what changes evenly between annotated slices.

    Returns:
        float32 (len(indices), rows, columns) in mm; above zero is inside.
    """
    return ShapeInterpolator(masks, spacing, slice_spacing, profile).distances(indices)


def with_area(distance: NDArray[np.float32], voxels: float) -> NDArray[np.float32]:
    """The same distances (or logits) with their zero level moved so that about this many voxels lie above it.

    Voxels at the same distance go together, in or out, so that mirrored shapes have mirrored results.
    """
    # What is equal but for rounding must be equal, or a mirrored volume would lose other voxels of a tie.
    distance = np.round(distance, _DECIMALS_OF_MM)
    count = min(max(round(voxels), 0), distance.size)
    if count == 0:
        return distance - distance.max()
    value = np.partition(distance, distance.size - count, axis=None)[distance.size - count]
    above, below = distance > value, distance < value
    if distance.size - np.count_nonzero(below) - count > count - np.count_nonzero(above) and above.any():
        level = (value + distance[above].min()) / 2
    else:
        level = (value + distance[below].max()) / 2 if below.any() else value - np.float32(1.0)
    moved: NDArray[np.float32] = distance - level
    return moved


def _box_around(masks: Iterable[NDArray[np.bool_]], shape: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns that hold every mask, with a margin; the whole slice where all masks are empty."""
    together = np.zeros(shape, dtype=bool)
    for mask in masks:
        together |= mask
    if not together.any():
        return slice(0, shape[0]), slice(0, shape[1])
    parts = []
    for axis, size in enumerate(shape):
        used = np.flatnonzero(together.any(axis=1 - axis))
        parts.append(
            slice(max(int(used[0]) - _MARGIN_VOXELS, 0), min(int(used[-1]) + 1 + _MARGIN_VOXELS, size))
        )
    return parts[0], parts[1]
