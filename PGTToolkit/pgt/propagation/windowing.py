"""Intensities to the three image channels that the networks see; one normalisation for the whole volume.

CT: the abdomen, chest and spine windows of the FLARE22 paper (section 2.1). MR and anything else: three
windows between percentiles of the volume. Each channel runs from -1 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Modality = Literal["auto", "ct", "mr"]

CT_WINDOWS = ((-160.0, 240.0), (-1350.0, 150.0), (-500.0, 1300.0))
"""Lower and upper Hounsfield units: abdomen (width 400, level 40), chest (1500, -600), spine (1800, 400)."""

MR_PERCENTILES = ((1.0, 99.0), (0.0, 80.0), (30.0, 99.8))
"""Lower and upper percentiles of the voxels above the background."""

_STORED_OFFSET = 1000.0
"""CT stored without negative numbers has this added: air at 0, water at 1000."""
_SAMPLE = 200_000


@dataclass(frozen=True)
class Windowing:
    """The windows chosen for a volume: lower and upper intensity of each channel."""

    modality: Literal["ct", "mr"]
    windows: tuple[tuple[float, float], ...]

    def channels(self, intensities: NDArray[np.float32]) -> NDArray[np.float32]:
        """(D, H, W) intensities to (D, C, H, W) channels from -1 to 1."""
        bands = [
            np.clip((intensities - low) * (2 / max(high - low, 1e-6)) - 1, -1, 1)
            for low, high in self.windows
        ]
        return np.stack(bands, axis=1).astype(np.float32)


def choose_windowing(voxels: NDArray[np.generic], modality: Modality = "auto") -> Windowing:
    """Windows for a volume of any axis order, from its modality or, with ``auto``, from its intensities."""
    sample = _sample(voxels)
    offset = _stored_offset(sample)
    if modality == "ct" or (modality == "auto" and (offset > 0 or _looks_like_ct(sample))):
        return Windowing("ct", tuple((low + offset, high + offset) for low, high in CT_WINDOWS))
    foreground = sample[sample > _background_level(sample)]
    if foreground.size < 0.02 * sample.size:
        foreground = sample
    windows = tuple(
        (float(np.percentile(foreground, low)), float(np.percentile(foreground, high)))
        for low, high in MR_PERCENTILES
    )
    return Windowing("mr", windows)


def _sample(voxels: NDArray[np.generic]) -> NDArray[np.float32]:
    """An even sample of the voxels, sorted so that the order of axes cannot change a sum."""
    step = max(round((voxels.size / _SAMPLE) ** (1 / 3)), 1)
    picked = [np.arange(size % step // 2 if size > step else 0, size, step) for size in voxels.shape]
    return np.sort(voxels[np.ix_(*picked)].astype(np.float32).reshape(-1))


def _looks_like_ct(sample: NDArray[np.float32]) -> bool:
    """Air or lung well below zero, and soft tissue around zero."""
    return bool(sample[0] <= -500 and np.mean((sample > -200) & (sample < 400)) > 0.05)


def _stored_offset(sample: NDArray[np.float32]) -> float:
    """What was added to Hounsfield units so that none is negative, or 0."""
    if sample[0] < 0:
        return 0.0
    air = float(np.mean(sample < 100))
    between = float(np.mean((sample > 250) & (sample < 700)))
    soft_tissue = float(np.mean((sample > 850) & (sample < 1200)))
    return _STORED_OFFSET if air > 0.05 and soft_tissue > 0.05 and soft_tissue > 2 * between else 0.0


def _background_level(sample: NDArray[np.float32]) -> float:
    """An intensity below which there is mostly air: a twentieth of the way to the bright tissues."""
    low, high = float(np.percentile(sample, 0.5)), float(np.percentile(sample, 99.5))
    return low + 0.05 * (high - low)
