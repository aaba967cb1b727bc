"""Which cases lie together on the map, without being told how many groups there are.

The L1 norm in HyperSORT's loss (Joutard et al., equation 1) draws the main style into a spike at the origin
and leaves the other styles spread along rays, a hundred times less dense, that begin at its rim. HDBSCAN
asks for gaps that a whole range of densities respects, and finds none here: on trained maps it agreed with
the true styles by an adjusted Rand index of 0.0 to 0.8, from one setting to the next. A mixture of Gaussians
gives every group a density and a shape of its own. Its number of components minimises Schwarz's criterion;
components without a valley between them (Ray and Lindsay's ridgeline, Annals of Statistics 2005) are one
group, since a spike with a halo, or a bent ray, takes several.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import chi2, multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

Points = NDArray[np.float64]
Groups = NDArray[np.intp]

ALONE = -1
"""The group of a case that belongs to none."""

_SMALLEST_SHARE = 0.03
_SMALLEST_SIZE = 3
_MOST_COMPONENTS = 8
_STARTS = 3
_PATIENCE = 3
"""How often Schwarz's criterion may rise before no more components are tried."""
_FEWEST_FOR_PRINCIPAL_AXES = 60
"""Cases from which on components with the principal axes are tried; fewer they would split needlessly."""
_LEAST_VARIANCE = 0.015
"""Dimensions with a smaller share of the variance tell nothing of groups, and cost parameters."""
_BLUR = 0.055
"""How precisely places are known, as a share of their spread; groups are no thinner than this."""
_VALLEY = 0.8
"""Components are apart if the density between them falls below this share of the lower peak."""
_OUTSIDE = 1e-6
"""Chance that a group has for a case as far out as one that is said to lie alone."""


def spread_out(latents: Points) -> Points:
    """Latent vectors with their length r replaced by arsinh(r / s), s being the median length.

    Proportional near the origin, logarithmic far from it: rays become clouds of the size of the spike.

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
    """How many cases make a group: 3 % of all, at least 3."""
    return max(_SMALLEST_SIZE, round(_SMALLEST_SHARE * cases))


def groups(points: Points) -> Groups:
    """The group of every point, numbered from 0; `ALONE` for isolated ones.

    Args:
        points: [case, dimension], from `spread_out` or `pgt.styles.signatures`.
    """
    smallest = smallest_group(len(points))
    seen, spread = _along_principal_axes(points)
    if len(points) < 2 * smallest or not spread > 0:
        return np.zeros(len(points), dtype=np.intp)
    # Threads cost more than they bring on matrices this small, many times more on a busy machine.
    with threadpool_limits(1):
        mixture = _fitted(seen, _BLUR * spread, min(_MOST_COMPONENTS, len(points) // smallest))
    return _regrouped(mixture, seen, smallest)


def _along_principal_axes(points: Points) -> tuple[Points, float]:
    """Points without the axes along which hardly anything differs, and their standard deviation in all."""
    centred = points - points.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    variances = sizes**2 / len(points)
    kept = variances >= _LEAST_VARIANCE * variances.sum()
    return centred @ axes[kept].T, float(np.sqrt(variances.sum()))


@dataclass(frozen=True)
class _Mixture:
    """Weights [component], means [component, dimension], covariances [component, dimension, dimension]."""

    weights: Points
    means: Points
    covariances: Points

    def densities(self, points: Points) -> Points:
        """Weighted density of each component: [component, point]."""
        found = [
            weight * np.atleast_1d(multivariate_normal(mean, covariance).pdf(points))
            for weight, mean, covariance in zip(self.weights, self.means, self.covariances, strict=True)
        ]
        return np.array(found)

    def distances(self, points: Points) -> Points:
        """Squared Mahalanobis distance from each component: [component, point]."""
        found = [
            cdist(points, mean[None], "mahalanobis", VI=np.linalg.inv(covariance))[:, 0] ** 2
            for mean, covariance in zip(self.means, self.covariances, strict=True)
        ]
        return np.array(found)


def _fitted(points: Points, blur: float, most: int) -> _Mixture:
    """The mixture with the lowest Schwarz criterion.

    Components have axes of their own where the cases suffice to tell them, or else the principal axes. Of few
    cases these simpler components would part what belongs together.
    """
    best, lowest = None, np.inf
    for kind in ("full", "diag") if len(points) >= _FEWEST_FOR_PRINCIPAL_AXES else ("full",):
        lowest_of_kind, since = np.inf, 0
        for components in range(1, most + 1):
            mixture = GaussianMixture(
                components, covariance_type=kind, n_init=_STARTS, reg_covar=blur**2, max_iter=300,
                random_state=0,
            )  # fmt: skip
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                criterion = mixture.fit(points).bic(points)
            since += 1
            if criterion < lowest_of_kind:
                lowest_of_kind, since = criterion, 0
            if criterion < lowest:
                best, lowest = mixture, criterion
            if since == _PATIENCE:
                break
    assert best is not None
    covariances = best.covariances_
    if best.covariance_type == "diag":
        covariances = np.array([np.diag(variances) for variances in covariances])
    return _Mixture(best.weights_, best.means_, covariances)


def _regrouped(mixture: _Mixture, points: Points, smallest: int) -> Groups:
    """From components to groups: those of one hill joined, small ones dissolved, far points left alone."""
    hills = _hills(mixture)
    densities, distances = mixture.densities(points), mixture.distances(points)
    likely = np.array([densities[hills == hill].sum(axis=0) for hill in range(hills.max() + 1)])
    away = np.array([distances[hills == hill].min(axis=0) for hill in range(hills.max() + 1)])
    kept = np.ones(len(likely), dtype=bool)
    while True:
        found = np.where(kept[:, None], likely, -1.0).argmax(axis=0)
        outside = away[found, np.arange(len(points))] > chi2.isf(_OUTSIDE, points.shape[1])
        sizes = np.bincount(found[~outside], minlength=len(likely))
        small = kept & (sizes < smallest)
        if not small.any() or kept.sum() == 1:
            break
        kept[np.flatnonzero(small)[np.argmin(sizes[small])]] = False
    found = np.where(outside, ALONE, found)
    _, numbered = np.unique(found[~outside], return_inverse=True)
    regrouped = np.full(len(points), ALONE, dtype=np.intp)
    regrouped[~outside] = numbered
    return regrouped


def _hills(mixture: _Mixture) -> Groups:
    """The hill of each component, numbered from 0."""
    hills = np.arange(len(mixture.weights))
    for one in range(len(hills)):
        for other in range(one):
            if _valley(mixture, one, other) >= _VALLEY:
                hills[hills == hills[one]] = hills[other]
    return np.unique(hills, return_inverse=True)[1]


def _valley(mixture: _Mixture, one: int, other: int) -> float:
    """The lowest density between two components as a share of the lower peak; 1 where there is no valley.

    All peaks and saddles of two Gaussians lie on one curve from mean to mean, the ridgeline.
    """
    pair = _Mixture(*(part[[one, other]] for part in (mixture.weights, mixture.means, mixture.covariances)))
    first, second = (np.linalg.inv(covariance) for covariance in pair.covariances)
    ridge = [
        np.linalg.solve(
            (1 - share) * first + share * second,
            (1 - share) * first @ pair.means[0] + share * second @ pair.means[1],
        )
        for share in np.linspace(0, 1, 101)
    ]
    density = pair.densities(np.array(ridge)).sum(axis=0)
    before = np.maximum.accumulate(density)
    after = np.maximum.accumulate(density[::-1])[::-1]
    return float((density / np.minimum(before, after)).min())
