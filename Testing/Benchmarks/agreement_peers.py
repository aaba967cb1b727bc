"""The libraries that agreement is checked against and timed beside, called as their documentation shows."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def deepmind() -> ModuleType:
    """DeepMind's ``surface_distance.metrics`` (0.1), on the NumPy and SciPy of today.

    It calls names that both have moved since; they are put back in that module alone.
    """
    from scipy import ndimage
    from surface_distance import metrics

    metrics.np = _NumpyOfOld()
    metrics.ndimage = SimpleNamespace(filters=ndimage, morphology=ndimage)
    return metrics


class _NumpyOfOld:
    Inf, NaN = np.inf, np.nan

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def deepmind_values(a: Mask, b: Mask, spacing: Sequence[float], tolerance_mm: float) -> dict[str, float]:
    """Dice and the surface metrics of two masks, neither empty, by the keys of this project."""
    metrics = deepmind()
    distances = metrics.compute_surface_distances(a, b, spacing)
    moved_a, moved_b = metrics.compute_average_surface_distance(distances)
    area_a, area_b = distances["surfel_areas_gt"].sum(), distances["surfel_areas_pred"].sum()
    return {
        "dice": float(metrics.compute_dice_coefficient(a, b)),
        "nsd": float(metrics.compute_surface_dice_at_tolerance(distances, tolerance_mm)),
        "hd_mm": float(metrics.compute_robust_hausdorff(distances, 100)),
        "hd95_mm": float(metrics.compute_robust_hausdorff(distances, 95)),
        # It gives the means of the two surfaces apart; together, each counts by its area.
        "assd_mm": float((moved_a * area_a + moved_b * area_b) / (area_a + area_b)),
    }


def monai_values(a: Mask, b: Mask, spacing: Sequence[float], tolerance_mm: float) -> dict[str, float]:
    """The same from MONAI, whose definitions are not all the same.

    Dice is, and with subvoxels NSD. HD, HD95 and ASSD go between the voxels at the border of the masks,
    each of which counts once, whatever its area.
    """
    import torch
    from monai import metrics

    first, second = (torch.from_numpy(mask)[None, None] for mask in (a, b))
    where = {"include_background": True, "spacing": list(spacing)}
    found = {
        "dice": metrics.compute_dice(second, first, include_background=True),
        "nsd": metrics.compute_surface_dice(second, first, [tolerance_mm], use_subvoxels=True, **where),
        "hd_mm": metrics.compute_hausdorff_distance(second, first, **where),
        "hd95_mm": metrics.compute_hausdorff_distance(second, first, percentile=95, **where),
        "assd_mm": metrics.compute_average_surface_distance(second, first, symmetric=True, **where),
    }
    return {key: float(value) for key, value in found.items()}
