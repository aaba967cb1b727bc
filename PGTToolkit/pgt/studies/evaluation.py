"""How near a prediction comes to the truth: Dice, IoU and NSD of each label, as agreement defines them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import CroppedMask
from pgt.agreement.overlap import count_voxels, overlap_values
from pgt.agreement.surface import Surface, surface_values
from pgt.geometry import Geometry, Vector

MetricName = Literal["dice", "iou", "nsd"]
METRIC_NAMES: tuple[MetricName, ...] = ("dice", "iou", "nsd")
METRIC_TITLES: dict[MetricName, str] = {"dice": "Dice", "iou": "IoU", "nsd": "NSD"}


@dataclass(frozen=True)
class Score:
    """One label of one case; 1 is best. A label that both leave out scores 1, one that one leaves out 0.

    Args:
        case: name.
        value: the label's.
        dice: Dice.
        iou: intersection over union.
        nsd: normalised surface Dice at the study's tolerance.
    """

    case: str
    value: int
    dice: float
    iou: float
    nsd: float

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            key: round(entry, 6) if isinstance(entry, float) else entry for key, entry in asdict(self).items()
        }


def scores_of(
    case: str,
    predicted: NDArray[Any],
    truth: NDArray[Any],
    geometry: Geometry,
    values: Sequence[int],
    tolerance_mm: float,
) -> tuple[Score, ...]:
    """Compare label values voxel by voxel and surface by surface.

    Args:
        case: name.
        predicted: [i, j, k].
        truth: same shape.
        geometry: of both.
        values: labels to compare.
        tolerance_mm: of NSD.
    """
    diagonal = float(np.linalg.norm(np.array(geometry.shape) * geometry.spacing))
    return tuple(
        _score(case, value, predicted == value, truth == value, geometry.spacing, tolerance_mm, diagonal)
        for value in values
    )


def mean_over_labels(scores: Sequence[Score], metric: MetricName) -> dict[str, float]:
    """The mean of a metric over the labels, by case."""
    by_case: dict[str, list[float]] = {}
    for score in scores:
        by_case.setdefault(score.case, []).append(getattr(score, metric))
    return {case: float(np.mean(found)) for case, found in by_case.items()}


def _score(
    case: str,
    value: int,
    predicted: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    spacing: Vector,
    tolerance_mm: float,
    diagonal_mm: float,
) -> Score:
    a, b = CroppedMask.of(truth), CroppedMask.of(predicted)
    overlap = overlap_values(count_voxels(a, b), float(np.prod(spacing)) / 1000)
    surface = surface_values(Surface.of(a, spacing), Surface.of(b, spacing), tolerance_mm, diagonal_mm)
    return Score(case, value, overlap["dice"], overlap["iou"], surface["nsd"])
