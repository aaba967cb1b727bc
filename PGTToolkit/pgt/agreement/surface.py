"""Surfaces of masks and the distances between them, in mm.

A surface consists of surfels: one for each 2×2×2 neighbourhood of voxels that holds some inside and some
outside. A surfel lies at the corner that the eight voxels share and weighs its area
(:mod:`pgt.agreement.surfel_areas`). Outside the volume nothing is inside, so that a structure that the
volume's border cuts is closed there. Distances go from surfel to nearest surfel, and are exact. All of this
is the definition of DeepMind's surface-distance (Nikolov et al., JMIR 2021).

On drawn slices contours take the place of surfaces: 2×2 neighbourhoods, weighing their length. The distance
is that to the nearest contour in the same slice or, where the other rater drew nothing in that slice, to the
nearest in another compared slice. Either is no smaller than the distance to the surface that the slices were
cut from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import DrawnSlices
from pgt.agreement.surfel_areas import contour_lengths, surfel_areas
from pgt.geometry import Vector

SURFACE_METRICS = ("nsd", "hd_mm", "hd95_mm", "assd_mm")

_ROUNDING_MM = 1e-6
"""Beyond the tolerance by less is within it: spacing that is read from a turned volume is not exact."""
_ROUNDING_SHARE = 1e-9
"""And so for the share of the area at a percentile."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The surfels of one mask.

    Args:
        points: (n, 3) indices [i, j, k] of the corners at which surfels lie, in order; corner 0 is half a
            voxel before the centre of voxel 0. On drawn slices, the index across them is the slice's.
        sizes: (n,) areas in mm², or lengths in mm on drawn slices.
        spacing: of voxels along i, j, k in mm.
        axis: the axis across the slices where the surface is a pile of contours; None in 3D.
    """

    points: NDArray[np.int32]
    sizes: NDArray[np.float64]
    spacing: Vector
    axis: int | None = None

    @classmethod
    def of(cls, mask: CroppedMask, spacing: Vector) -> Surface:
        """The closed surface of a mask."""
        if mask.is_empty:
            return cls(np.zeros((0, 3), np.int32), np.zeros(0), spacing)
        codes = _neighbourhood_codes(mask.voxels, axes=(0, 1, 2))
        points, found = _surfels(codes, full=255)
        return cls(points + np.array(mask.start, np.int32), surfel_areas(spacing)[found], spacing)

    @classmethod
    def on_slices(cls, mask: CroppedMask, spacing: Vector, drawn: DrawnSlices) -> Surface:
        """The closed contours of a mask in the slices that were drawn."""
        axis, start = drawn.axis, mask.start[drawn.axis]
        kept = [
            i for i in drawn.indices if not mask.is_empty and start <= i < start + mask.voxels.shape[axis]
        ]
        if not kept:
            return cls(np.zeros((0, 3), np.int32), np.zeros(0), spacing, axis)
        u, v = (other for other in range(3) if other != axis)
        slices = np.take(mask.voxels, np.array(kept) - start, axis=axis)
        points, found = _surfels(_neighbourhood_codes(slices, axes=(u, v)), full=15)
        points += np.array(mask.start, np.int32)
        points[:, axis] = np.array(kept, np.int32)[points[:, axis] - start]
        return cls(points, contour_lengths((spacing[u], spacing[v]))[found], spacing, axis)

    @property
    def size(self) -> float:
        """Area of the surface in mm², or length of all contours in mm."""
        return float(self.sizes.sum())

    def distances_to(self, other: Surface) -> NDArray[np.float64]:
        """Distance in mm of every surfel to the nearest of another surface that is not empty, (n,)."""
        distances = np.zeros(len(self.points))
        apart = np.flatnonzero(~_contained(self._keys, other._keys))
        points = self.points[apart]
        nearest = other._nearest(points)
        # From whole numbers, so that a distance of two voxels is exactly that.
        offsets = (other.points[nearest] - points) * np.array(self.spacing)
        distances[apart] = np.sqrt(np.einsum("na,na->n", offsets, offsets))
        return distances

    def _nearest(self, points: NDArray[np.int32]) -> NDArray[np.intp]:
        """Index of the surfel nearest to each of some corners."""
        if self.axis is None:
            return self._tree.query(points * np.array(self.spacing))[1]
        nearest: NDArray[np.intp] = self._tree_by_slice.query(points * self._slices_apart)[1]
        elsewhere = self.points[nearest, self.axis] != points[:, self.axis]
        nearest[elsewhere] = self._tree.query(points[elsewhere] * np.array(self.spacing))[1]
        return nearest

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        """One number for each corner, rising with the points; the same in every surface."""
        i, j, k = self.points.astype(np.int64).T
        keys: NDArray[np.int64] = (i << 42) | (j << 21) | k
        return keys

    @cached_property
    def _tree(self) -> Any:
        return _tree(self.points * np.array(self.spacing))

    @cached_property
    def _tree_by_slice(self) -> Any:
        return _tree(self.points * self._slices_apart)

    @property
    def _slices_apart(self) -> NDArray[np.float64]:
        """Spacing that sets slices so far apart that what lies in the same slice is always nearest."""
        spacing = np.array(self.spacing)
        spacing[self.axis] = 1e6
        return spacing


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """How far apart two surfaces lie, neither of which is empty.

    Args:
        a_to_b: distance in mm of every surfel of ``a`` to the nearest of ``b``.
        b_to_a: and the other way round.
        sizes_a: areas in mm² (lengths in mm) of the surfels of ``a``.
        sizes_b: of ``b``.
    """

    a_to_b: NDArray[np.float64]
    b_to_a: NDArray[np.float64]
    sizes_a: NDArray[np.float64]
    sizes_b: NDArray[np.float64]

    @classmethod
    def between(cls, a: Surface, b: Surface) -> SurfaceDistances:
        """Measure two surfaces that are not empty."""
        return cls(a.distances_to(b), b.distances_to(a), a.sizes, b.sizes)

    @property
    def hausdorff_mm(self) -> float:
        """The largest of all distances."""
        return float(max(self.a_to_b.max(), self.b_to_a.max()))

    @property
    def average_mm(self) -> float:
        """Mean over the area of both surfaces together."""
        moved = self.a_to_b @ self.sizes_a + self.b_to_a @ self.sizes_b
        return float(moved / (self.sizes_a.sum() + self.sizes_b.sum()))

    def percentile_mm(self, percent: float) -> float:
        """The larger of the two directed distances within which ``percent`` of a surface's area lies."""
        return max(
            _percentile(self.a_to_b, self.sizes_a, percent), _percentile(self.b_to_a, self.sizes_b, percent)
        )

    def surface_dice(self, tolerance_mm: float) -> float:
        """Share of both surfaces' area that lies within the tolerance of the other."""
        near = tolerance_mm + _ROUNDING_MM
        within = self.sizes_a[self.a_to_b <= near].sum() + self.sizes_b[self.b_to_a <= near].sum()
        return float(within / (self.sizes_a.sum() + self.sizes_b.sum()))

    def values(self, tolerance_mm: float) -> dict[str, float]:
        """Every surface metric by key."""
        return {
            "nsd": self.surface_dice(tolerance_mm),
            "hd_mm": self.hausdorff_mm,
            "hd95_mm": self.percentile_mm(95),
            "assd_mm": self.average_mm,
        }


def surface_values(a: Surface, b: Surface, tolerance_mm: float, diagonal_mm: float) -> dict[str, float]:
    """Every surface metric by key; always finite.

    Args:
        a: one surface, which may be empty.
        b: the other.
        tolerance_mm: of NSD.
        diagonal_mm: of the compared volume, the distance where one of the surfaces is empty.
    """
    if len(a.points) and len(b.points):
        return SurfaceDistances.between(a, b).values(tolerance_mm)
    one_empty = len(a.points) + len(b.points) > 0
    distance = diagonal_mm if one_empty else 0.0
    return {"nsd": float(not one_empty), "hd_mm": distance, "hd95_mm": distance, "assd_mm": distance}


def _neighbourhood_codes(voxels: NDArray[np.bool_], axes: tuple[int, ...]) -> NDArray[np.uint8]:
    """Number of each neighbourhood of 2×2(×2) voxels, the first one voxel before the array along ``axes``."""
    margins = [(1, 1) if axis in axes else (0, 0) for axis in range(voxels.ndim)]
    codes: NDArray[np.uint8] = np.pad(voxels, margins).view(np.uint8)
    for place, axis in enumerate(axes):
        first, second = [slice(None)] * 3, [slice(None)] * 3
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        codes = codes[tuple(first)] | (codes[tuple(second)] << np.uint8(1 << place))
    return codes


def _surfels(codes: NDArray[np.uint8], full: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Indices (n, 3) and codes (n,) of the neighbourhoods that are neither outside nor inside."""
    where = np.flatnonzero((codes != 0) & (codes != full))
    points = np.stack(np.unravel_index(where, codes.shape), axis=1).astype(np.int32)
    return points, codes.ravel()[where]


def _contained(keys: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of some rising numbers are among others that rise too."""
    places = np.minimum(np.searchsorted(others, keys), len(others) - 1)
    found: NDArray[np.bool_] = others[places] == keys
    return found


def _tree(positions: NDArray[np.float64]) -> Any:
    from scipy.spatial import cKDTree

    # Measured on organs: built fastest, as fast for near surfaces, several times faster for far ones.
    return cKDTree(positions, leafsize=32, balanced_tree=False, compact_nodes=False)


def _percentile(distances: NDArray[np.float64], sizes: NDArray[np.float64], percent: float) -> float:
    """The smallest distance within which at least ``percent`` of the area lies."""
    order = np.argsort(distances)
    within = np.cumsum(sizes[order])
    place = np.searchsorted(within, within[-1] * (percent / 100 - _ROUNDING_SHARE))
    return float(distances[order[min(int(place), len(order) - 1)]])
