"""Latent vectors as training leaves them: the main style a spike at the origin, other styles along rays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Truth = tuple[NDArray[np.float64], NDArray[np.intp]]


def spike_and_rays(seed: int, cases: int = 150, share: float = 0.15, dimensions: int = 2) -> Truth:
    """Latent vectors [case, dimension] and true styles: 0 main, 1 and 2 along two rays.

    Sizes are those seen after training on hippocampi: the spike a hundredth to a thirtieth of the rays'
    length, with heavy tails; one or two voxels of erosion at two distances along the same ray.
    """
    draw = np.random.default_rng(seed)
    each = round(cases * share / 2)
    kind = np.repeat([1, 2, 0], [each, each, cases - 2 * each])
    reach, core = draw.uniform(0.1, 0.25), draw.choice([0.002, 0.005, 0.008])
    latents = core * draw.standard_t(4, (cases, dimensions))
    latents[:, 0] *= draw.uniform(0.1, 1)  # the L1 norm holds one axis at 0 more often than the other
    first = draw.normal(size=dimensions)
    first /= np.linalg.norm(first)
    across = np.roll(first, 1) * np.where(np.arange(dimensions) == 0, -1, 1)
    second = -first if draw.random() < 0.6 else across
    for style, direction in ((1, first), (2, second)):
        rows = np.flatnonzero(kind == style)
        steps = np.where(draw.random(len(rows)) < 0.5, 0.65, 1.35)
        along = reach * (steps + draw.normal(0, 0.1, len(rows)))
        latents[rows] += np.maximum(along, 6 * core)[:, None] * direction
    return latents, kind


def equal_raters(seed: int, cases: int = 150, blur: float = 0.02) -> Truth:
    """Four styles of equal share at places and with spreads like those of four made raters."""
    draw = np.random.default_rng(seed)
    kind = np.arange(cases) % 4
    places = np.array([[0, 0.01], [0.02, -0.17], [-0.02, 0.18], [0.12, -0.06]])
    spreads = blur * np.array([0.5, 1.5, 1.3, 1.0])
    return places[kind] + draw.normal(size=(cases, 2)) * spreads[kind][:, None], kind


def spike_alone(seed: int, cases: int = 100, dimensions: int = 2) -> Truth:
    """One style and nothing else."""
    draw = np.random.default_rng(seed)
    size = draw.choice([0.002, 0.01, 0.05])
    return size * draw.standard_t(5, (cases, dimensions)), np.zeros(cases, dtype=np.intp)
