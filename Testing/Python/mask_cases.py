"""Masks of every kind that a metric may meet."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

SPACINGS = st.tuples(*[st.floats(0.2, 8)] * 3)


@st.composite
def two_masks(draw: st.DrawFn, largest: int = 7) -> tuple[Mask, Mask]:
    """Two masks of one small volume, of any filling, that may touch its border anywhere."""
    shape = draw(st.tuples(*[st.integers(1, largest)] * 3))
    return draw(arrays.arrays(bool, shape)), draw(arrays.arrays(bool, shape))


def blob(shape: tuple[int, int, int], seed: int, share: float = 0.4) -> Mask:
    """A smooth structure with several parts that fills a share of the volume, its border too."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2, mode="reflect")
    return np.asarray(field > np.quantile(field, 1 - share))


def named_masks(shape: tuple[int, int, int]) -> dict[str, Mask]:
    """One mask of each kind that a policy or a formula may trip over, by name."""
    empty = np.zeros(shape, bool)
    single, corner, low, high, face = (empty.copy() for _ in range(5))
    single[tuple(n // 2 for n in shape)] = True
    corner[-1, -1, -1] = True
    low[: max(shape[0] // 3, 1)] = True
    high[shape[0] - max(shape[0] // 3, 1) :] = True
    face[:, :, 0] = True
    return {
        "empty": empty,
        "full": ~empty,
        "single voxel": single,
        "voxel in the corner": corner,
        "at the low border": low,
        "at the high border": high,
        "one face": face,
        "scattered": blob(shape, 3) if min(shape) > 1 else single | corner,
    }
