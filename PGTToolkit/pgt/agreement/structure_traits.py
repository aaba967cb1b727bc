"""What kind of structure it is, measured from its masks: size against the voxel, thickness, pieces, course.

The numbers answer those questions of a problem fingerprint (Metrics Reloaded, Fig. 3: properties of the
target structures) that masks can answer; :mod:`pgt.agreement.metric_choice` asks a person for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.lesions import components
from pgt.agreement.masks import CroppedMask, Mask, occupied_box
from pgt.agreement.thinning import skeleton
from pgt.geometry import Geometry, Vector

_MOST_VOXELS = 100_000
"""Of which a skeleton is taken; a larger structure is coarsened first, which its course survives."""

Points = NDArray[np.float64]


@dataclass(frozen=True)
class StructureTraits:
    """A structure in numbers; the median over the masks measured.

    Args:
        voxels: how many it has; 0 where no rater found it, and then all else is 0.
        equivalent_radius_voxels: radius of the ball of as many voxels.
        thickness_voxels: twice the inscribed radius along its middle, counted in voxels of the grid.
        thickness_mm: the same in mm.
        dice_one_voxel_in: its Dice with itself less the voxels at its border: what an outline that runs one
            voxel further inside scores, however good it is otherwise.
        components: pieces, by voxels that touch at all.
        largest_share: share of the voxels that the largest piece has.
        elongation: length of the largest piece along its middle, from end to end, over the width of the round
            tube of that length and volume; 1.2 for a ball.
        flatness: volume of the largest piece over that of a round tube of its inscribed radii along its
            middle; about 1 for a tube or a ball, more for a sheet.
        size_ratio: voxels of the largest mask over those of the smallest that is not empty.
        finest_spacing_mm: smallest distance of voxel centres.
    """

    voxels: float
    equivalent_radius_voxels: float
    thickness_voxels: float
    thickness_mm: float
    dice_one_voxel_in: float
    components: float
    largest_share: float
    elongation: float
    flatness: float
    size_ratio: float
    finest_spacing_mm: float


def measure_traits(masks: Sequence[CroppedMask], geometry: Geometry) -> StructureTraits:
    """Measure a structure on masks of one grid: several raters', or one.

    Args:
        masks: of one structure; empty ones are left out unless all are.
        geometry: the grid, of which only the spacing counts.
    """
    found = [_measure(mask.voxels, geometry.spacing) for mask in masks if not mask.is_empty]
    if not found:
        return StructureTraits(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, min(geometry.spacing))
    return typical_traits(found)


def typical_traits(traits: Sequence[StructureTraits]) -> StructureTraits:
    """One structure's traits in several cases as one: the median of each number, and sizes over all cases.

    Args:
        traits: one at least; those of cases in which it is absent are left out unless all are.
    """
    found = [one for one in traits if one.voxels] or list(traits)
    middle = {name: median(getattr(one, name) for one in found) for name in vars(found[0])}
    sizes = [one.voxels for one in found]
    within = max(one.size_ratio for one in found)
    middle["size_ratio"] = max(within, max(sizes) / min(sizes)) if min(sizes) else 0.0
    return StructureTraits(**middle)


def _measure(mask: Mask, spacing: Vector) -> StructureTraits:
    from scipy import ndimage

    voxels = int(np.count_nonzero(mask))
    inside = int(np.count_nonzero(ndimage.binary_erosion(mask)))
    labels, count = components(mask)
    sizes = np.bincount(labels.reshape(-1))[1:]
    largest = labels == int(sizes.argmax()) + 1
    box = occupied_box(largest)
    assert box is not None
    middle = _Middle.of(largest[box], np.array(spacing))
    volume_mm3 = float(sizes.max() * np.prod(spacing))
    return StructureTraits(
        voxels=voxels,
        equivalent_radius_voxels=(3 * voxels / (4 * np.pi)) ** (1 / 3),
        thickness_voxels=middle.thickness_voxels,
        thickness_mm=middle.thickness_mm,
        dice_one_voxel_in=2 * inside / (voxels + inside),
        components=count,
        largest_share=float(sizes.max() / voxels),
        elongation=middle.length_mm / (2 * np.sqrt(volume_mm3 / (np.pi * middle.length_mm))),
        flatness=volume_mm3 / middle.tube_mm3,
        size_ratio=1.0,
        finest_spacing_mm=min(spacing),
    )


@dataclass(frozen=True)
class _Middle:
    """The course of one piece: thickness along it, length with both ends, volume as if it were round."""

    thickness_voxels: float
    thickness_mm: float
    length_mm: float
    tube_mm3: float

    @classmethod
    def of(cls, piece: Mask, spacing: NDArray[np.float64]) -> _Middle:
        step = max(1, int(np.ceil((np.count_nonzero(piece) / _MOST_VOXELS) ** (1 / 3))))
        piece = _coarsened(piece, step)
        line = np.argwhere(skeleton(piece)).astype(float)
        radii_mm = _inscribed_radii(piece, line, spacing * step)
        radii = _inscribed_radii(piece, line, np.full(3, float(step)))
        course = _Course.of(line * spacing * step)
        radius = float(np.median(radii_mm[course.path]))
        return cls(
            thickness_voxels=2 * float(np.median(radii[course.path])),
            thickness_mm=2 * radius,
            length_mm=course.length_mm + 2 * radius,
            tube_mm3=float(np.pi * (radii_mm**2 @ course.stretches) + 4 / 3 * np.pi * radius**3),
        )


def _coarsened(piece: Mask, step: int) -> Mask:
    """Every block of ``step`` voxels each way as one, there if half of it is."""
    if step == 1:
        return piece
    padded = np.pad(piece, [(0, -size % step) for size in piece.shape])
    i, j, k = (size // step for size in padded.shape)
    blocks = padded.reshape(i, step, j, step, k, step).mean(axis=(1, 3, 5))
    coarse: Mask = blocks >= 0.5
    # What is thinner than a block everywhere would vanish.
    return coarse if coarse.any() else blocks > 0


def _inscribed_radii(piece: Mask, line: Points, spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius of the largest ball inside the piece about each voxel of its middle, (n,), in units of spacing.

    Where the piece is an even number of voxels across, its middle runs between voxels: the ball may lie half
    a voxel aside.
    """
    from scipy import ndimage
    from scipy.spatial import cKDTree

    around = np.pad(piece, 1)
    rim = np.argwhere(ndimage.binary_dilation(around, np.ones((3, 3, 3))) & ~around) - 1
    shifts = (np.indices((3, 3, 3)).reshape(3, -1).T - 1) / 2
    centres = ((line[:, None] + shifts) * spacing).reshape(-1, 3)
    near = min(8, len(rim))
    found = cKDTree(rim * spacing).query(centres, k=near)[1].reshape(len(centres), near)
    # To the wall of a voxel outside, not to its centre.
    apart = np.abs(centres[:, None] - (rim * spacing)[found]) - spacing / 2
    distances = np.linalg.norm(np.maximum(apart, 0), axis=2).min(axis=1)
    radii: NDArray[np.float64] = distances.reshape(len(line), len(shifts)).max(axis=1)
    return radii


@dataclass(frozen=True, eq=False)
class _Course:
    """How the voxels of a middle hang together.

    Args:
        path: which of them lie on the longest way through it; side branches are left out.
        length_mm: of that way.
        stretches: length that falls to each voxel in mm, (n,): half the way to those it is joined to.
    """

    path: NDArray[np.intp]
    length_mm: float
    stretches: NDArray[np.float64]

    @classmethod
    def of(cls, line: Points) -> _Course:
        """Join voxels, at positions in mm, to the shortest tree."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
        from scipy.spatial import cKDTree

        if len(line) < 2:
            return cls(np.arange(len(line)), 0.0, np.zeros(len(line)))
        near = min(27, len(line))
        away, which = cKDTree(line).query(line, k=near)
        rows = np.repeat(np.arange(len(line)), near)
        graph = coo_matrix((away.reshape(-1), (rows, which.reshape(-1))), shape=(len(line), len(line)))
        tree = minimum_spanning_tree(graph.tocsr()).tocoo()
        joined = np.concatenate([tree.row, tree.col])
        stretches = np.bincount(joined, np.tile(tree.data / 2, 2), minlength=len(line)).astype(float)
        # In a tree the point furthest from any is an end of the longest way.
        start = _furthest(dijkstra(tree, directed=False, indices=0))
        distances, before = dijkstra(tree, directed=False, indices=start, return_predecessors=True)
        path = [_furthest(distances)]
        while path[-1] != start:
            path.append(int(before[path[-1]]))
        return cls(np.array(path), float(distances[path[0]]), stretches)


def _furthest(distances: NDArray[np.float64]) -> int:
    return int(np.argmax(np.where(np.isfinite(distances), distances, -1)))
