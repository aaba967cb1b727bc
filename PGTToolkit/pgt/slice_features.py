"""What slices look like, as short vectors, and a few of them that stand for all.

The features are plain on purpose: block means of each slice under one intensity window for the whole volume,
reduced by a principal component analysis. Choosing is the greedy k-centre algorithm of core-set selection
(Sener and Savarese 2018), which is at most twice as far from the best cover as any choice can be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.volume import Volume

_BLOCKS = 32
_COMPONENTS = 16
_WINDOW_PERCENTILES = (1, 99)


def slice_features(volume: Volume, axis: int, first: int, last: int) -> NDArray[np.float64]:
    """One row for each slice from ``first`` to ``last`` (inclusive) across ``axis``.

    Returns:
        Array [slice, component] with at most 16 components, largest variance first.
    """
    planes = np.moveaxis(volume.voxels, axis, 0)[first : last + 1]
    means = np.stack([_block_means(plane) for plane in planes])
    low, high = np.percentile(means, _WINDOW_PERCENTILES)
    if low == high:  # all but a few blocks are alike
        low, high = means.min(), means.max()
    windowed = np.clip((means - low) / (high - low if high > low else 1.0), 0, 1)
    centred = windowed - windowed.mean(axis=0)
    left, strengths, _ = np.linalg.svd(centred, full_matrices=False)
    components: NDArray[np.float64] = left[:, :_COMPONENTS] * strengths[:_COMPONENTS]
    return components


def _block_means(plane: NDArray[Any]) -> NDArray[np.float64]:
    """A slice averaged over at most 32x32 blocks, flattened."""
    sums = plane.astype(np.float64)
    counts = np.ones((1, 1))
    for axis, size in enumerate(plane.shape):
        edges = np.linspace(0, size, min(_BLOCKS, size), endpoint=False).astype(int)
        sums = np.add.reduceat(sums, edges, axis=axis)
        lengths = np.diff(np.append(edges, size))
        counts = counts * (lengths[:, None] if axis == 0 else lengths[None, :])
    return (sums / counts).ravel()


def k_centre(features: NDArray[np.float64], count: int) -> tuple[int, ...]:
    """Rows that cover all rows well, ascending.

    The first is the row nearest to the mean of all; each next is the one farthest from those chosen. Where
    several are equally far, the one farthest along the rows is taken, so that equal slices are spread evenly.

    Args:
        features: array [row, component].
        count: how many rows, 1 to all.
    """
    rows = np.arange(len(features))
    to_mean = np.linalg.norm(features - features.mean(axis=0), axis=1)
    middle = np.abs(rows - (len(rows) - 1) / 2)
    chosen = [int(np.lexsort((middle, _rounded(to_mean)))[0])]
    distance = np.full(len(rows), np.inf)
    steps = np.full(len(rows), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, np.linalg.norm(features - features[chosen[-1]], axis=1))
        steps = np.minimum(steps, np.abs(rows - chosen[-1]))
        ranking = np.lexsort((-steps, -_rounded(distance), steps == 0))
        chosen.append(int(ranking[0]))
    return tuple(sorted(chosen))


def _rounded(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances without the last digits, which differ from one processor to another."""
    return np.round(distances, 9)
