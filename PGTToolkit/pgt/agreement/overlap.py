"""Agreement of two masks voxel by voxel: everything that follows from four counts.

Definitions and what is said of empty masks are those of :mod:`pgt.agreement.metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pgt.agreement.masks import Box, CroppedMask
from pgt.agreement.readings import DrawnSlices
from pgt.agreement.results import Occupancy

OVERLAP_METRICS = (
    "dice",
    "iou",
    "volume_difference_ml",
    "volume_difference_percent",
    "sensitivity",
    "precision",
    "kappa",
)


@dataclass(frozen=True)
class VoxelCounts:
    """How many voxels two masks have, alone and together.

    Args:
        a: voxels of the first mask.
        b: voxels of the second.
        both: voxels of both.
        compared: voxels on which they are compared: the whole volume, or all of the slices that both drew.
    """

    a: int
    b: int
    both: int
    compared: int

    @property
    def either(self) -> int:
        """Voxels of the union."""
        return self.a + self.b - self.both

    @property
    def occupancy(self) -> Occupancy:
        """Which of the two have voxels."""
        if self.a and self.b:
            return Occupancy.BOTH
        return Occupancy.ONE_EMPTY if self.a or self.b else Occupancy.BOTH_EMPTY


def count_voxels(a: CroppedMask, b: CroppedMask) -> VoxelCounts:
    """Compare two masks of one volume on all its voxels."""
    box = _shared_box(a, b)
    both = 0 if box is None else int(np.count_nonzero(a.within(box) & b.within(box)))
    return VoxelCounts(a.count, b.count, both, a.shape[0] * a.shape[1] * a.shape[2])


def on_slices(mask: CroppedMask, drawn: DrawnSlices) -> CroppedMask:
    """What a mask has on some slices, the rest of the volume left empty."""
    if mask.is_empty:
        return mask
    start = mask.start[drawn.axis]
    kept = np.zeros(mask.voxels.shape[drawn.axis], dtype=bool)
    kept[[index - start for index in drawn.indices if 0 <= index - start < kept.size]] = True
    shape = [1, 1, 1]
    shape[drawn.axis] = kept.size
    voxels = mask.voxels & kept.reshape(shape)
    return CroppedMask(voxels, mask.start, mask.shape) if voxels.any() else CroppedMask.empty(mask.shape)


def overlap_values(counts: VoxelCounts, voxel_volume_ml: float) -> dict[str, float]:
    """Every metric that follows from counts, by key; always finite.

    Args:
        counts: of two masks.
        voxel_volume_ml: volume of one voxel in ml.
    """
    a, b, both = counts.a, counts.b, counts.both
    agreed = 1.0 if counts.occupancy is Occupancy.BOTH_EMPTY else 0.0
    return {
        "dice": 2 * both / (a + b) if a + b else agreed,
        "iou": both / counts.either if counts.either else agreed,
        "volume_difference_ml": (b - a) * voxel_volume_ml,
        "volume_difference_percent": 200.0 * (b - a) / (a + b) if a + b else 0.0,
        "sensitivity": both / a if a else agreed,
        "precision": both / b if b else agreed,
        "kappa": _cohen_kappa(counts),
    }


def _cohen_kappa(counts: VoxelCounts) -> float:
    """Cohen (1960), two categories, over all compared voxels; whole numbers, so that nothing cancels."""
    n, a, b = counts.compared, counts.a, counts.b
    agreeing = n - counts.either + counts.both
    by_chance = a * b + (n - a) * (n - b)
    # Both are empty or both are full: nothing is left to chance, and they agree on every voxel.
    if by_chance == n * n:
        return 1.0
    return (n * agreeing - by_chance) / (n * n - by_chance)


def _shared_box(a: CroppedMask, b: CroppedMask) -> Box | None:
    """Where both crops lie; None where they do not meet."""
    if a.is_empty or b.is_empty:
        return None
    parts = []
    for mine, other in zip(a.box, b.box, strict=True):
        first, last = max(mine.start, other.start), min(mine.stop, other.stop)
        if first >= last:
            return None
        parts.append(slice(first, last))
    return parts[0], parts[1], parts[2]
