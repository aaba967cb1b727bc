"""Weights and images for the golden test of STCN, from a formula instead of a file.

Element ``i`` of the tensor ``name`` starts as an integer hash of ``i`` and the CRC-32 of the name, exact on
every platform, mapped to [-1, 1). Its kind, read from name and shape in the official code, scales it:

* convolution and linear weights: times sqrt(3 / fan-in), which keeps the variance of activations, and four
  times that in the key projection, so that the affinity is far from uniform;
* batch-normalisation weights: 1 + 0.2 u, but 0.4 + 0.1 u in the last normalisation of a residual branch;
* biases and running means: 0.1 u; running variances: 1 + 0.5 u.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 75, 107
"""Not multiples of 16: the golden run pads to 80 x 112."""
SEGMENTS = 2
MEMORY_SLICES = 2


def uniform(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Pseudo-random numbers in [-1, 1), the same on every platform."""
    bits = np.arange(math.prod(shape), dtype=np.uint32) * np.uint32(2654435761)
    bits += np.uint32(zlib.crc32(name.encode()))
    for multiplier in (0x7FEB352D, 0x846CA68B):
        bits ^= bits >> np.uint32(16)
        bits *= np.uint32(multiplier)
    bits ^= bits >> np.uint32(16)
    return (bits / 2**31 - 1).reshape(shape)


def tensor(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """One parameter or buffer of the official network."""
    u = uniform(name, shape)
    if name.endswith("running_var"):
        u = 1 + 0.5 * u
    elif len(shape) > 1:
        u *= math.sqrt(3 / math.prod(shape[1:])) * (4 if name.startswith("key_proj.") else 1)
    elif name.endswith("weight"):
        u = 0.4 + 0.1 * u if name.split(".")[-2] in ("bn3", "bn2") else 1 + 0.2 * u
    else:
        u *= 0.1
    return u.astype(np.float32)


def state_dict(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Every tensor of a network whose names and shapes are given."""
    return {name: tensor(name, shape) for name, shape in shapes.items()}


def image(name: str) -> NDArray[np.float32]:
    """(3, ROWS, COLUMNS), -1 to 1: slow waves and a little noise."""
    row, column = np.mgrid[0:ROWS, 0:COLUMNS]
    phase = zlib.crc32(name.encode()) % 100 / 100
    waves = [np.sin(row / (7 + 2 * c) + phase) * np.cos(column / (11 - c) - phase) for c in range(3)]
    return (0.8 * np.stack(waves) + 0.2 * uniform(name, (3, ROWS, COLUMNS))).astype(np.float32)


def masks() -> NDArray[np.float32]:
    """(SEGMENTS, MEMORY_SLICES, ROWS, COLUMNS): discs that move and grow from slice to slice."""
    row, column = np.mgrid[0:ROWS, 0:COLUMNS]
    discs = [
        [
            (row - 30 - 9 * slice_number) ** 2 + (column - 25 - 45 * segment) ** 2
            < (13 + 4 * slice_number + 3 * segment) ** 2
            for slice_number in range(MEMORY_SLICES)
        ]
        for segment in range(SEGMENTS)
    ]
    return np.array(discs, np.float32)
