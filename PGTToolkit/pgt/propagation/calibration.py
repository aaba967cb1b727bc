"""Logits to probabilities that hold: of the voxels called 80 % certain, about 80 % are right.

Doubt grows with the distance to the nearest annotated slice, like that of a random walk. Logits are divided
by ``offset + slope * sqrt(distance in pixels)``. Both numbers were fitted by maximum likelihood on made
volumes (``python -m Benchmarks.calibration``, which also tells how well they hold).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST_DOUBT = 0.25


@dataclass(frozen=True)
class Calibration:
    """How doubt grows with distance."""

    offset: float
    slope: float

    def __call__(self, logits: NDArray[np.float32], distances: NDArray[np.float64]) -> NDArray[np.float32]:
        """(O, D, rows, columns) logits on slices ``distances`` (D) pixels from the nearest annotated one."""
        doubt = np.maximum(self.offset + self.slope * np.sqrt(distances), _LEAST_DOUBT)
        return np.asarray(logits / doubt[:, None, None], np.float32)


SHAPE = Calibration(offset=-0.48, slope=1.07)
"""For signed distance in pixels that is interpolated between annotated slices."""
NETWORK = Calibration(offset=0.07, slope=0.45)
"""For the default network's logits."""
