"""Segmentations on different grids, brought onto one.

A structure takes the value of the voxel that is nearest to each voxel centre of the wanted grid, so what lies
there is a decision of the rater's and no average. What lies outside that grid cannot be compared.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import Box, CroppedMask
from pgt.agreement.readings import DrawnSlices
from pgt.agreement.structures import Segmentation
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.resampling import resampled
from pgt.volume import LabelMap

# Parts of a voxel by which slices may miss each other and still count as the same.
_SLICE_TOLERANCE = 0.05


def on_grid(segmentation: Segmentation, wanted: Geometry, owner: str) -> Segmentation:
    """A segmentation on another grid, with a note that says so; the same one where the grids agree.

    Args:
        segmentation: what to bring there.
        wanted: the grid to compare on.
        owner: whose grid that is, for the note.

    Raises:
        InputError: the grids share no space, all structures lie outside, or annotated slices have no
            counterpart.
    """
    own = segmentation.geometry
    difference = own.difference(wanted)
    if difference is None:
        return segmentation
    if not _share_space(own, wanted):
        raise InputError(
            f"{segmentation.title} and {owner} do not overlap in space ({difference}); "
            "they cannot be of the same case."
        )
    structures = []
    outside = total = 0
    for one in segmentation.structures:
        outside += _count_outside(one.mask, own, wanted)
        total += one.mask.count
        drawn = _same_slices(one.drawn, own, wanted, segmentation.title, owner) if one.drawn else None
        structures.append(replace(one, mask=placed(one.mask, own, wanted), drawn=drawn))
    if total and outside == total:
        raise InputError(f"Every structure of {segmentation.title} lies outside the grid of {owner}.")
    note = f"{segmentation.title} was resampled to the grid of {owner} by nearest neighbour ({difference})."
    if outside:
        share = 100 * outside / total
        note += f" {share:.2g} % of its labelled voxels lie outside that grid and are not compared."
    return replace(segmentation, geometry=wanted, structures=tuple(structures), note=note)


def placed(mask: CroppedMask, own: Geometry, wanted: Geometry) -> CroppedMask:
    """A structure on another grid, by nearest neighbour; only the part where it lies is computed."""
    if mask.is_empty:
        return CroppedMask.empty(wanted.shape)
    box = _box_around(mask, own, wanted)
    if box is None:
        return CroppedMask.empty(wanted.shape)
    start = (box[0].start, box[1].start, box[2].start)
    crop = LabelMap.from_voxels(mask.voxels.astype(np.uint8), own.cropped(mask.start, mask.voxels.shape))
    found = resampled(crop, wanted.cropped(start, [part.stop - part.start for part in box]))
    part = CroppedMask.of(found.voxels.astype(bool))
    if part.is_empty:
        return CroppedMask.empty(wanted.shape)
    i, j, k = (int(one) + first for one, first in zip(part.start, start, strict=True))
    return CroppedMask(part.voxels, (i, j, k), wanted.shape)


def _indices_between(own: Geometry, wanted: Geometry) -> NDArray[np.float64]:
    """4x4 matrix from voxel indices of one grid to those of the other."""
    matrix: NDArray[np.float64] = wanted.ras_to_ijk @ own.ijk_to_ras
    return matrix


def _corners(first: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eight corners of a box as homogeneous columns, of shape (4, 8)."""
    ends = np.stack([first, last])
    choices = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")).reshape(3, -1)
    points = ends[choices, np.arange(3)[:, None]]
    return np.vstack([points, np.ones(points.shape[1])])


def _box_around(mask: CroppedMask, own: Geometry, wanted: Geometry) -> Box | None:
    """The voxels of the wanted grid that can lie in a mask's box; None where there are none."""
    first = np.array(mask.start, dtype=float) - 0.5
    moved = _indices_between(own, wanted) @ _corners(first, first + mask.voxels.shape)
    low = np.maximum(np.floor(moved[:3].min(axis=1)).astype(int), 0)
    high = np.minimum(np.ceil(moved[:3].max(axis=1)).astype(int) + 1, wanted.shape)
    if np.any(high <= low):
        return None
    i, j, k = (slice(int(one), int(other)) for one, other in zip(low, high, strict=True))
    return i, j, k


def _share_space(own: Geometry, wanted: Geometry) -> bool:
    """Whether the boxes of two grids overlap, by the separating axes of two boxes."""
    centres, halves, axes = [], [], []
    for grid in (own, wanted):
        middle = (np.array(grid.shape) - 1) / 2
        centres.append((grid.ijk_to_ras @ np.append(middle, 1.0))[:3])
        axes.append(np.array(grid.direction))
        halves.append(np.array(grid.direction) * (np.array(grid.shape) * grid.spacing / 2))
    directions = [*axes[0].T, *axes[1].T]
    directions += [np.cross(one, other) for one in axes[0].T for other in axes[1].T]
    apart = centres[1] - centres[0]
    for direction in directions:
        reach = sum(float(np.abs(direction @ half).sum()) for half in halves)
        if abs(float(direction @ apart)) >= reach > 0 and np.linalg.norm(direction) > 1e-6:
            return False
    return True


def _count_outside(mask: CroppedMask, own: Geometry, wanted: Geometry) -> int:
    """How many voxels have their centre outside another grid."""
    if mask.is_empty:
        return 0
    matrix = _indices_between(own, wanted)
    first = np.array(mask.start, dtype=float)
    limits = np.array(wanted.shape) - 0.5
    corners = (matrix @ _corners(first, first + np.array(mask.voxels.shape) - 1))[:3].T
    if np.all((corners >= -0.5) & (corners <= limits)):
        return 0  # the field of view is convex
    points = np.argwhere(mask.voxels) + first
    moved = points @ matrix[:3, :3].T + matrix[:3, 3]
    return int(np.count_nonzero(np.any((moved < -0.5) | (moved > limits), axis=1)))


def _same_slices(drawn: DrawnSlices, own: Geometry, wanted: Geometry, title: str, owner: str) -> DrawnSlices:
    """The annotated slices counted on another grid, which must have the same slice planes."""
    matrix = _indices_between(own, wanted)[:3]
    step = matrix[:, drawn.axis]
    axis = int(np.argmax(np.abs(step)))
    across = [other for other in (0, 1, 2) if other != drawn.axis]
    tilt = float(np.sum(np.abs(matrix[axis, across]) * np.array(own.shape)[across]))
    places = step[axis] * np.array(drawn.indices, dtype=float) + matrix[axis, 3]
    whole = np.rint(places)
    parallel = abs(abs(step[axis]) - 1) * own.shape[drawn.axis] <= _SLICE_TOLERANCE
    if tilt > _SLICE_TOLERANCE or not parallel or np.any(np.abs(places - whole) > _SLICE_TOLERANCE):
        raise InputError(
            f"Only some slices of {title} are annotated, and the grid of {owner} has no slices in the same "
            "places; draw both on the same volume."
        )
    inside = whole[(whole >= 0) & (whole < wanted.shape[axis])]
    return DrawnSlices(axis, tuple(sorted(int(index) for index in inside)))
