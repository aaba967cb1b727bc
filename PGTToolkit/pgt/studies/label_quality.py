"""How good a version of a data set's labels is, measured against the base labels (Jaus et al., section 2.2).

Every structure has its mean and standard deviation over the cases (equation 2); only structures that all
versions can hold count (equation 3); the structures' means are averaged (equation 4), and their deviations by
root mean square.

Where neither label map has the structure, Dice and NSD are 1: absence was agreed on. Where one of the two
lacks it they are 0. The paper does not say; this is the policy of :mod:`pgt.agreement.metrics`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.studies.evaluation import scores_of

METRICS = ("dice", "nsd")
"""In the order of the last axis of every array of scores."""

EMPTY_POLICY = (
    "Where neither of two label maps has a structure, Dice and NSD are 1; where one of the two lacks it, 0."
)

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class StructureQuality:
    """One structure over all cases, by one metric (equation 2).

    Args:
        structure: its name.
        mean: over the cases, from 0 to 1.
        deviation: standard deviation over the cases, divided by their number and not by one less.
    """

    structure: str
    mean: float
    deviation: float


@dataclass(frozen=True)
class Quality:
    """All structures over all cases, by one metric.

    Args:
        mean: of the structures' means (equation 4).
        deviation: root mean square of the structures' deviations.
        structures: each for itself.
    """

    mean: float
    deviation: float
    structures: tuple[StructureQuality, ...]


def aggregated(scores: Scores, structures: Sequence[str]) -> Quality:
    """Equations 2 and 4.

    Args:
        scores: of one metric, [case, structure].
        structures: their names.
    """
    means, deviations = scores.mean(axis=0), scores.std(axis=0)
    return Quality(
        mean=float(means.mean()),
        deviation=float(np.sqrt((deviations**2).mean())),
        structures=tuple(
            StructureQuality(name, float(mean), float(deviation))
            for name, mean, deviation in zip(structures, means, deviations, strict=True)
        ),
    )


def common_structures(base: Sequence[str], held: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The structures of the base labels that every version can hold (equation 3), in the base's order.

    Args:
        base: of the base labels, without the background.
        held: by version, what it can hold; one that merely failed to label a structure can hold it.

    Raises:
        InputError: no structure is left.
    """
    common = tuple(name for name in base if all(name in holds for holds in held.values()))
    if not common:
        least = min(held, key=lambda version: len(set(held[version]) & set(base)))
        raise InputError(
            f"No structure is left that all label versions can hold; {least} holds "
            f"{', '.join(sorted(held[least])) or 'none'} of {', '.join(base)}."
        )
    return common


def scores_against(
    base: NDArray[Any],
    other: NDArray[Any],
    geometry: Geometry,
    classes: Sequence[int],
    tolerance_mm: float,
) -> Scores:
    """Dice and NSD of each structure of one case, [structure, metric].

    Args:
        base: label map [i, j, k] that counts as the truth.
        other: label map of the same grid and values.
        geometry: of both.
        classes: the structures' values.
        tolerance_mm: distance up to which surfaces count as the same in NSD.
    """
    scores = scores_of("", other, base, geometry, classes, tolerance_mm)
    return np.array([[getattr(score, metric) for metric in METRICS] for score in scores])
