"""Styles that nobody is told of, found while training: cases gather at a few places of the map.

HyperSORT draws every latent vector towards one main style at the origin (Joutard et al., equation 1). Where
several raters annotate alike shares there is no main style: drawn to the origin, their styles fall on one
line or into each other, and not drawn at all each vector learns the whims of its own case. So vectors follow
the loss alone until the rates of the training fall, for cases that gather early gather where they happen to
be. From then on each is drawn towards a place that it shares with others. The middles of a few groups are
tried; places that explain no labels better than their neighbours are given up, so that as many stay as there
are styles that the network can tell apart. At first a place needs little to stay: two styles that the network
hardly tells apart yet become clearer once each has its own place, and what was no style does not. A case
moves to the best place unless its own vector explains its label clearly better, as that of a case in a style
of its own does. The place of most cases becomes the origin. When training ends, cases on their way to a
place, or that only whims keep away from it, come to rest there.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

PLACES = 8
"""Groups whose middles are tried."""

LEAST_GAIN = 0.08
"""A case keeps a vector of its own where its loss is lower there by more than this.

On hippocampi of four made raters, none with a case of a style of its own, no case gained more.
"""

LEAST_WORTH = 0.004
"""A place stays in the end if without it the mean loss over all cases would rise by more than this.

On hippocampi of four made raters each rater's place was worth 0.0043 or more, and up to 0.0035 what parted
each rater's cases in two: where the real label has the border between its structures.
"""

FIRST_WORTH = 0.002
"""What a place must be worth at first."""

FIRST_SHARE = 0.4
"""How much of the epochs with falling rates that lasts; in the others, cases settle on what is left."""

VIEWS = 5
"""Views of a case that are asked where it belongs in the end; on training's own, networks are too sure."""


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
    with warnings.catch_warnings():
        # Cases that gathered earlier may leave fewer places to find than are looked for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        grouping = KMeans(min(PLACES, different), n_init=3, random_state=seed).fit(points)
    return torch.from_numpy(grouping.cluster_centers_).float()


def worth_to_stay(share_over: float, is_last: bool) -> float:
    """What a place must be worth in a gathering.

    Args:
        share_over: of the epochs with falling rates.
        is_last: no other gathering follows.
    """
    return FIRST_WORTH if share_over < FIRST_SHARE and not is_last else LEAST_WORTH


def places_that_count(losses: Tensor, worth: float = LEAST_WORTH) -> list[int]:
    """The places that explain labels which no other place explains as well.

    Args:
        losses: of every case at every place, [case, place].
        worth: by how much the mean loss must rise without a place that stays.

    Returns:
        Their columns, at least one.
    """
    kept = list(range(losses.shape[1]))
    while len(kept) > 1:
        lowest, best = losses[:, kept].topk(2, dim=1, largest=False)
        rises = torch.zeros(len(kept)).index_add(0, best[:, 0], lowest[:, 1] - lowest[:, 0])
        least = int(rises.argmin())
        if float(rises[least]) > worth * len(losses):
            break
        del kept[least]
    return kept


def gathered(
    own: Tensor, places: Tensor, losses: Tensor, worth: float = LEAST_WORTH
) -> tuple[Tensor, Tensor]:
    """Where cases are drawn to from now on, and which of them go there at once.

    Args:
        own: the loss of every case where it is, [case].
        places: those that were tried, [place, dimension].
        losses: of every case at every place, [case, place].
        worth: as in `places_that_count`.

    Returns:
        The place of every case, [case, dimension], and the rows of the cases that move.
    """
    kept = places_that_count(losses, worth)
    lowest, best = losses[:, kept].min(dim=1)
    return places[kept][best], coming(own, lowest)


def coming(own: Tensor, there: Tensor) -> Tensor:
    """The rows of the cases that a place suits, by their losses where they are and at the place, [case]."""
    return torch.nonzero(there < own + LEAST_GAIN)[:, 0]


def main_place(homes: Tensor) -> Tensor:
    """The place of most cases, [dimension], from the places of all, [case, dimension]."""
    places, counts = torch.unique(homes, dim=0, return_counts=True)
    return places[int(counts.argmax())]
