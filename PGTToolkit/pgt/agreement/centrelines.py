"""Agreement on the course of tubular structures: clDice.

Shit et al., "clDice - a novel topology-preserving loss function for tubular structure segmentation", CVPR
2021, section 3, with hard skeletons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pgt.agreement.masks import Mask, occupied_box
from pgt.agreement.thinning import skeleton


@dataclass(frozen=True)
class CentrelineScores:
    """How far two structures follow each other's centrelines.

    Args:
        topology_precision: share of the skeleton of b that lies in a.
        topology_sensitivity: share of the skeleton of a that lies in b.
    """

    topology_precision: float
    topology_sensitivity: float

    @property
    def cl_dice(self) -> float:
        """Harmonic mean of the two; 0 where both are 0."""
        total = self.topology_precision + self.topology_sensitivity
        return 2 * self.topology_precision * self.topology_sensitivity / total if total else 0.0


def cl_dice(a: Mask, b: Mask) -> float:
    """Centreline Dice of two masks of one shape; see :func:`centreline_scores`."""
    return centreline_scores(a, b).cl_dice


def centreline_scores(a: Mask, b: Mask) -> CentrelineScores:
    """Topology precision and sensitivity.

    Args:
        a: boolean array [i, j, k], the reference.
        b: boolean array of the same shape.

    Returns:
        both 1 where both masks are empty (agreement), both 0 where one is. No other skeleton is empty.
    """
    if not a.any() or not b.any():
        both = 0.0 if a.any() or b.any() else 1.0
        return CentrelineScores(both, both)
    return CentrelineScores(
        topology_precision=_share(centreline(b), a),
        topology_sensitivity=_share(centreline(a), b),
    )


def centreline(mask: Mask) -> Mask:
    """The skeleton, worked out only where the structure lies; boolean array of the mask's shape."""
    found = np.zeros(mask.shape, dtype=bool)
    box = occupied_box(mask)
    if box is not None:
        found[box] = skeleton(mask[box])
    return found


def _share(line: Mask, mask: Mask) -> float:
    return float(np.count_nonzero(line & mask) / np.count_nonzero(line))
