"""Which cases lie together on the map, without being told how many groups there are.

The L1 norm in HyperSORT's loss (Joutard et al., equation 1) draws the main style into a spike at the origin
and leaves the other styles spread along rays, a hundred times less dense. HDBSCAN looks for groups that stay
together over a range of densities, and such a range hides either the spike or the rays. So the radius is
taken on a scale on which both are alike: proportional near the origin, logarithmic far from it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN

Points = NDArray[np.float64]

ALONE = -1
"""The group of a case that belongs to none."""

_SMALLEST_SHARE = 0.04
_SMALLEST_SIZE = 3
_NEIGHBOURS = 5
_REACH = 3.0
_TYPICAL = 0.95


def spread_out(latents: Points) -> Points:
    """Latent vectors with their length r replaced by arsinh(r / s), s being the median length.

    Args:
        latents: [case, dimension].

    Returns:
        Points of the same directions; unchanged by any scaling of the latent vectors.
    """
    lengths = np.linalg.norm(latents, axis=1, keepdims=True)
    scale = float(np.median(lengths)) or float(lengths.mean())
    if scale == 0:
        return np.zeros_like(latents)
    return latents * (np.arcsinh(lengths / scale) / np.maximum(lengths, np.finfo(float).tiny))


def smallest_group(cases: int) -> int:
    """How many cases make a group: 4 % of all, at least 3."""
    return max(_SMALLEST_SIZE, round(_SMALLEST_SHARE * cases))


def groups(points: Points) -> NDArray[np.intp]:
    """The group of every point, numbered from 0; `ALONE` for isolated ones.

    HDBSCAN leaves out much of the rim of a group. A point that it left out joins the nearest group when it
    lies no farther from it than three times the distance at which the group's own points have their
    neighbours.

    Args:
        points: [case, dimension], from `spread_out`.
    """
    smallest = smallest_group(len(points))
    if len(points) < 2 * smallest or not np.ptp(points, axis=0).any():
        return np.zeros(len(points), dtype=np.intp)
    found = HDBSCAN(
        min_cluster_size=smallest,
        min_samples=min(_NEIGHBOURS, len(points) - 1),
        allow_single_cluster=True,
        copy=True,
    ).fit_predict(points)
    if found.max() < 0:
        return np.zeros(len(points), dtype=np.intp)
    return _rim_joined(points, found.astype(np.intp))


def _rim_joined(points: Points, found: NDArray[np.intp]) -> NDArray[np.intp]:
    joined = found.copy()
    outside = np.flatnonzero(found == ALONE)
    nearest = np.full(len(outside), np.inf)
    for number in range(found.max() + 1):
        members = points[found == number]
        among = np.linalg.norm(members[:, None] - members[None], axis=2)
        np.fill_diagonal(among, np.inf)
        reach = _REACH * np.quantile(among.min(axis=1), _TYPICAL)
        away = np.linalg.norm(points[outside][:, None] - members[None], axis=2).min(axis=1)
        closer = (away <= reach) & (away < nearest)
        joined[outside[closer]] = number
        nearest[closer] = away[closer]
    return joined
