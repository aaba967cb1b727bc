"""The map of the training cases: which styles there are, and which cases are suspicious.

The main style lies at the origin, where the L1 norm of the loss draws it (Joutard et al., section 3); the
other groups are styles of their own, and cases far out or alone are worth a look (section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.styles.clustering import ALONE, Points, groups, spread_out
from pgt.styles.style_model import MAIN_STYLE, Latent
from pgt.styles.suspicion import Doubt, Suggestion, isolations, norms, scores, suggest

EXEMPLARS = 3
"""Cases that stand for a cluster."""


@dataclass(frozen=True)
class Cluster:
    """Cases of one style.

    Args:
        name: given by the user, or "main", "style 2", "style 3" and so on, the larger ones first.
        centre: the latent vector to segment with in this style: the median of the cases; of the main style
            the origin.
        cases: in the order of the map.
        is_main: whether this is the main style.
        exemplars: the cases nearest to the centre, nearest first.
    """

    name: str
    centre: Latent
    cases: tuple[str, ...]
    is_main: bool
    exemplars: tuple[str, ...]


@dataclass(frozen=True)
class Suspect:
    """How suspicious a case is.

    Args:
        case: its name.
        latent: where it lies.
        norm: length of the latent vector.
        isolation: mean distance to all other cases.
        score: from 0 to 1, the mean of its ranks by norm and by isolation.
        suggestion: what it may be.
        doubt: what the suggestion rests on; None where image or label were not at hand.
    """

    case: str
    latent: Latent
    norm: float
    isolation: float
    score: float
    suggestion: Suggestion
    doubt: Doubt | None = None


@dataclass(frozen=True)
class LatentMap:
    """The training cases on the map.

    Args:
        latents: where each case lies, in the order of the model.
        clusters: the main style first, then the larger ones first.
        suspects: every case, the most suspicious first.
        styles: latent vectors that the user named.
    """

    latents: Mapping[str, Latent]
    clusters: tuple[Cluster, ...]
    suspects: tuple[Suspect, ...]
    styles: Mapping[str, Latent] = field(default_factory=dict)

    @property
    def exemplars(self) -> Mapping[str, tuple[str, ...]]:
        """The cases that stand for each cluster, by its name."""
        return {cluster.name: cluster.exemplars for cluster in self.clusters}

    @property
    def cluster_of(self) -> Mapping[str, str | None]:
        """The name of each case's cluster; None for a case that lies alone."""
        named = {case: cluster.name for cluster in self.clusters for case in cluster.cases}
        return {case: named.get(case) for case in self.latents}


def latent_map(
    latents: Mapping[str, Latent],
    styles: Mapping[str, Latent] | None = None,
    doubts: Mapping[str, Doubt] | None = None,
    signatures: Points | None = None,
) -> LatentMap:
    """Find clusters, exemplars and suspicious cases.

    Args:
        latents: of the training cases.
        styles: latent vectors that the user named; a cluster that holds one takes its name.
        doubts: of the main style about cases whose images are at hand, for suggestions.
        signatures: of the cases, [case, dimension], from `pgt.styles.signatures`; clusters found in them
            are closer to the true styles than those found in the latent vectors alone.

    Raises:
        InputError: there is no case, or a latent vector is not finite.
    """
    if not latents:
        raise InputError("The model has no training cases, so it has no map.")
    points = np.array(list(latents.values()), dtype=np.float64)
    if not np.isfinite(points).all():
        raise InputError("The latent vectors are not all finite; the training has failed.")
    found = groups(spread_out(points) if signatures is None else signatures)
    clusters = _clusters(list(latents), points, found, styles or {})
    return LatentMap(latents, clusters, _suspects(latents, points, clusters, doubts or {}), styles or {})


def _clusters(
    cases: Sequence[str], points: Points, found: NDArray[np.intp], styles: Mapping[str, Latent]
) -> tuple[Cluster, ...]:
    """The main style is the group whose cases lie nearest to the origin."""
    numbers = sorted(set(found.tolist()) - {ALONE})
    lengths = norms(points)
    main = min(numbers, key=lambda number: float(np.median(lengths[found == number])))
    numbers.sort(key=lambda number: (number != main, -int((found == number).sum())))
    given = _given_names(points, found, styles)
    free = (name for name in _own_names() if name not in given.values())
    own = {number: MAIN_STYLE if number == main else next(free) for number in numbers}
    clusters = []
    for number in numbers:
        members = np.flatnonzero(found == number)
        centre = np.zeros(points.shape[1]) if number == main else np.median(points[members], axis=0)
        nearest = members[np.argsort(np.linalg.norm(points[members] - centre, axis=1), kind="stable")]
        clusters.append(
            Cluster(
                name=given.get(number, own[number]),
                centre=tuple(centre.tolist()),
                cases=tuple(cases[case] for case in members.tolist()),
                is_main=number == main,
                exemplars=tuple(cases[case] for case in nearest[:EXEMPLARS].tolist()),
            )
        )
    return tuple(clusters)


def _own_names() -> Sequence[str]:
    return [f"style {number}" for number in range(2, 1000)]


def _given_names(points: Points, found: NDArray[np.intp], styles: Mapping[str, Latent]) -> dict[int, str]:
    """The user's name of each group: that of the named vector nearest to one of its cases."""
    names: dict[int, tuple[float, str]] = {}
    for name, latent in styles.items():
        if len(latent) != points.shape[1]:
            continue
        away = np.linalg.norm(points - np.asarray(latent), axis=1)
        nearest = int(np.argmin(away))
        number, distance = int(found[nearest]), float(away[nearest])
        if number != ALONE and distance < names.get(number, (np.inf, ""))[0]:
            names[number] = (distance, name)
    return {number: name for number, (_, name) in names.items()}


def _suspects(
    latents: Mapping[str, Latent], points: Points, clusters: Sequence[Cluster], doubts: Mapping[str, Doubt]
) -> tuple[Suspect, ...]:
    norm, isolation = norms(points), isolations(points)
    score = scores(norm, isolation)
    main = {case for cluster in clusters if cluster.is_main for case in cluster.cases}
    together = {case for cluster in clusters for case in cluster.cases}
    suggestions = suggest(
        [doubts.get(case) for case in latents],
        np.array([case in main for case in latents]),
        np.array([case not in together for case in latents]),
    )
    suspects = [
        Suspect(
            case, latent, float(norm[row]), float(isolation[row]), float(score[row]), suggestions[row],
            doubts.get(case),
        )
        for row, (case, latent) in enumerate(latents.items())
    ]  # fmt: skip
    return tuple(sorted(suspects, key=lambda suspect: (-suspect.score, -suspect.norm)))
