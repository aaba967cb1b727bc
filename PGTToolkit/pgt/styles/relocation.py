"""Latent vectors that lead a case to the wrong side of the map start anew where other cases do better.

A latent vector is learnt by following a gradient from a start that is drawn by chance. Where styles differ in
more than one way, a vector can end in a valley between two of them, and a case stays with a style that is not
its own. So from time to time every case tries the middles of a few groups of cases, and moves where one of
them explains its label better.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

PLACES = 6
"""Groups whose middles are tried."""

LEAST_GAIN = 0.003
"""A case moves where its loss falls by more than this; less may be chance."""


def places_to_try(vectors: Tensor, seed: int) -> Tensor:
    """Middles of a few groups of cases.

    Args:
        vectors: of all cases, [case, dimension].
        seed: decides how the grouping begins.

    Returns:
        [place, dimension]; fewer than `PLACES` where there are fewer different vectors.
    """
    points = vectors.double().numpy()
    different = len(np.unique(points, axis=0))
    grouping = KMeans(min(PLACES, different), n_init=3, random_state=seed).fit(points)
    return torch.from_numpy(grouping.cluster_centers_).float()


def better_places(losses: Tensor) -> tuple[Tensor, Tensor]:
    """Which cases move, and where to.

    Args:
        losses: [case, 1 + place]; of every case where it is, then at each place that was tried.

    Returns:
        Rows of the cases that move, and for each the number of its place.
    """
    lowest, place = losses[:, 1:].min(dim=1)
    rows = torch.nonzero(lowest < losses[:, 0] - LEAST_GAIN)[:, 0]
    return rows, place[rows]
