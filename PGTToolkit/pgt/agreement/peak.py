"""Peak Ground Truth: between which similarities to the reference a model stops getting better.

Kofler et al., section 2.3: inter-rater reliability is the lower bound, intra-rater reliability the upper one;
the peak lies between. A model below the band still learns from the labels, inside it gains may be noise, and
beyond it the model fits the annotators' errors.

How the bounds are computed, per label and metric:

- inter-rater: comparisons of different raters, of each rater in each case the first session only, so that a
  rater who repeats does not count twice;
- intra-rater: comparisons of sessions of the same rater;
- neither a reference nor a candidate takes part in them;
- a case is one unit: the mean of its comparisons. Intervals and probabilities are over cases
  (:mod:`pgt.agreement.bootstrap`), with the same resampled cases for both bounds and the candidates.

Volume differences have a sign that only tells who was named first; their size is used instead. Sensitivity
and precision depend on who is called the reference, which no two raters are: they have no band.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pgt.agreement.bootstrap import FEWEST_FOR_INTERVAL, Scale, confidence_that_greater, mean_estimate
from pgt.agreement.metrics import Better, metric
from pgt.agreement.pair_measurement import diagonal_mm
from pgt.agreement.readings import FIRST_SESSION, Sitting
from pgt.agreement.results import Band, BandState, Estimate, PairKind, PairScores, Placement
from pgt.geometry import Geometry

TOLD_APART = 0.975
"""Confidence that intra-rater agreement is the better, from which the two bounds count as told apart: the
95 % interval of their difference then excludes 0."""

SHARED_ERRORS = "Errors that the raters share make both bounds look better than they are"
_MOST_PERCENT = 200.0  # of a difference in volume, where one missed the structure

BLINDED = "repeats only count if the rater did not see the first session"


@dataclass(frozen=True)
class Extent:
    """How large numbers can get at most in the volumes of a study; intervals end there.

    Args:
        longest_mm: the longest diagonal of a volume.
        largest_ml: the content of the largest volume.
    """

    longest_mm: float = math.inf
    largest_ml: float = math.inf

    @classmethod
    def of(cls, geometries: Iterable[Geometry]) -> Extent:
        """That of volumes on these grids."""
        grids = list(geometries)
        contents = [math.prod(grid.shape) * grid.voxel_volume / 1000 for grid in grids]
        return cls(max(map(diagonal_mm, grids)), max(contents))

    def greatest(self, key: str) -> float:
        """The greatest value of a metric; infinite where its scale tells it already."""
        by_unit = {"mm": self.longest_mm, "ml": self.largest_ml, "%": _MOST_PERCENT}
        return by_unit.get(metric(key).unit, math.inf)


ANY_EXTENT = Extent()


def summaries(
    pairs: Sequence[PairScores],
    candidates: Collection[str] = (),
    level: float = 0.95,
    seed: int = 0,
    extent: Extent = ANY_EXTENT,
) -> dict[tuple[str, str, PairKind], Estimate]:
    """Mean over cases by label, metric key and kind of comparison, with intervals.

    Args:
        pairs: all comparisons. Of differences in volume the size is averaged, not the sign.
        candidates: raters that are models. They are left out of inter- and intra-rater agreement;
            agreement with the reference counts everybody who was compared with it.
        level: of the intervals.
        seed: of the resampling.
        extent: of the volumes.
    """
    found = {}
    for label in labels_of(pairs):
        here = [pair for pair in pairs if pair.label == label]
        for kind in PairKind:
            chosen = pairs_of_kind(here, kind, candidates)
            for key in metrics_of(chosen):
                estimate = _estimate(by_case(chosen, key), key, level, seed, extent)
                found[label, key, kind] = estimate
    return found


def bands(
    pairs: Sequence[PairScores],
    candidates: Sequence[str] = (),
    metrics: Sequence[str] | None = None,
    level: float = 0.95,
    seed: int = 0,
    extent: Extent = ANY_EXTENT,
) -> tuple[Band, ...]:
    """The band of every label and metric, and where each candidate stands.

    Args:
        pairs: all comparisons.
        candidates: raters that are models. Their similarity is to the reference where there are comparisons
            with one, to the raters otherwise; they never enter the bounds.
        metrics: keys; by default all that the pairs have.
        level: of the intervals.
        seed: of the resampling.
        extent: of the volumes.
    """
    found = []
    for label in labels_of(pairs):
        here = [pair for pair in pairs if pair.label == label]
        for key in metrics if metrics is not None else metrics_of(here):
            if has_band(key) and all(key in pair.values for pair in here):
                found.append(_band(label, key, here, candidates, level, seed, extent))
    return tuple(found)


def has_band(key: str) -> bool:
    """Whether a metric treats two raters alike, up to sign.

    Raises:
        InputError: there is no such metric.
    """
    described = metric(key)
    return described.symmetric or described.better is Better.ZERO


def labels_of(pairs: Iterable[PairScores]) -> tuple[str, ...]:
    """Every label once, as they come."""
    return tuple(dict.fromkeys(pair.label for pair in pairs))


def metrics_of(pairs: Iterable[PairScores]) -> tuple[str, ...]:
    """Every metric key once, as they come."""
    return tuple(dict.fromkeys(key for pair in pairs for key in pair.values))


def pairs_of_kind(
    pairs: Sequence[PairScores], kind: PairKind, candidates: Collection[str] = ()
) -> list[PairScores]:
    """The comparisons that count for this kind: see the rules at the top of this file."""
    of_kind = [pair for pair in pairs if pair.kind is kind]
    if kind is PairKind.REFERENCE:
        return of_kind
    humans = [pair for pair in of_kind if not {pair.a.rater, pair.b.rater} & set(candidates)]
    return first_sessions(humans) if kind is PairKind.INTER else humans


def first_sessions(pairs: Sequence[PairScores]) -> list[PairScores]:
    """Comparisons of different raters, of each rater in each case and label the first session there is."""
    first: dict[tuple[str, str, str], Sitting] = {}
    for pair in pairs:
        for sitting in (pair.a, pair.b):
            place = (pair.case, pair.label, sitting.rater)
            if place not in first or session_order(sitting) < session_order(first[place]):
                first[place] = sitting
    return [
        pair
        for pair in pairs
        if all(first[pair.case, pair.label, sitting.rater] == sitting for sitting in (pair.a, pair.b))
    ]


def session_order(sitting: Sitting) -> tuple[bool, list[tuple[bool, int, str]]]:
    """Sorts sessions as people count: the one named "1" first, then 2 before 10."""
    parts = re.findall(r"\d+|\D+", sitting.session)
    return sitting.session != FIRST_SESSION, [
        (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts
    ]


def by_case(pairs: Iterable[PairScores], key: str) -> dict[str, float]:
    """Each case's mean of a metric over its comparisons; of differences in volume, the mean size."""
    unsigned = metric(key).better is Better.ZERO
    values: dict[str, list[float]] = {}
    for pair in pairs:
        values.setdefault(pair.case, []).append(abs(pair.values[key]) if unsigned else pair.values[key])
    return {case: sum(numbers) / len(numbers) for case, numbers in values.items()}


def scale_of(key: str) -> Scale:
    """The range of a metric's mean over cases."""
    if key == "kappa":
        return Scale.CORRELATION
    return Scale.UNIT if metric(key).better is Better.HIGHER else Scale.POSITIVE


def _estimate(values: Mapping[str, float], key: str, level: float, seed: int, extent: Extent) -> Estimate:
    estimate = mean_estimate(list(values.values()), level, seed, scale_of(key), extent.greatest(key))
    if metric(key).better is not Better.ZERO:
        return estimate
    return replace(estimate, note=f"Mean size of the difference, without its sign. {estimate.note}".rstrip())


@dataclass(frozen=True)
class _Bounds:
    """What the bounds of one label and metric rest on: numbers by case."""

    key: str
    inter: Mapping[str, float]
    intra: Mapping[str, float]
    lower: Estimate
    upper: Estimate
    extent: Extent

    def better(self, a: Mapping[str, float], b: Mapping[str, float], seed: int) -> float:
        """Confidence that ``a`` is better than ``b``; both with enough cases."""
        cases = sorted({*a, *b})
        sign = -1.0 if scale_of(self.key) is Scale.POSITIVE else 1.0
        first, second = ([sign * part.get(case, float("nan")) for case in cases] for part in (a, b))
        return confidence_that_greater(first, second, seed)


def _band(
    label: str,
    key: str,
    pairs: Sequence[PairScores],
    candidates: Sequence[str],
    level: float,
    seed: int,
    extent: Extent,
) -> Band:
    inter = pairs_of_kind(pairs, PairKind.INTER, candidates)
    intra = pairs_of_kind(pairs, PairKind.INTRA, candidates)
    values = by_case(inter, key), by_case(intra, key)
    lower, upper = (_estimate(part, key, level, seed, extent) for part in values)
    bounds = _Bounds(key, *values, lower, upper, extent)
    state, reason = _state(bounds, seed)
    notes = [reason, *_cautions(inter, intra, state)]
    placements: list[Placement] = []
    if state is BandState.BAND:
        for name in candidates:
            similarity = by_case(_of_candidate(pairs, name, candidates), key)
            if len(similarity) >= FEWEST_FOR_INTERVAL:
                placements.append(_placement(name, similarity, bounds, level, seed))
            else:
                notes.append(f"{name} was compared in {_counted(len(similarity))}, too few to place it.")
    return Band(label, key, lower, upper, state, " ".join(filter(None, notes)), tuple(placements))


def _state(bounds: _Bounds, seed: int) -> tuple[BandState, str]:
    """Whether there is a band, and why not."""
    if not bounds.inter:
        return BandState.NO_OTHER_RATER, "No two raters drew the same case, so there is no lower bound."
    if not bounds.intra:
        return BandState.NO_REPEATS, "No rater drew a case twice, so there is no upper bound."
    fewest = min(len(bounds.inter), len(bounds.intra))
    if fewest < FEWEST_FOR_INTERVAL:
        only = "both bounds are" if len(bounds.inter) == len(bounds.intra) else "one bound is"
        return BandState.TOO_FEW_CASES, f"No band is drawn: {only} known from {_counted(fewest)} only."
    confidence = bounds.better(bounds.intra, bounds.inter, seed)
    if _worse(bounds):
        return BandState.CROSSED, (
            "No band is drawn: raters agree less with themselves than with each other "
            f"(confidence {1 - confidence:.0%})."
        )
    if confidence < TOLD_APART:
        return BandState.UNCERTAIN, (
            "No band is drawn: these cases do not tell intra-rater from inter-rater agreement "
            f"(confidence {confidence:.0%}, {TOLD_APART:.1%} needed)."
        )
    return BandState.BAND, ""


def _worse(bounds: _Bounds) -> bool:
    """Whether intra-rater agreement is the worse of the two."""
    lower, upper = bounds.lower.value, bounds.upper.value
    if lower is None or upper is None:
        return False
    return upper > lower if scale_of(bounds.key) is Scale.POSITIVE else upper < lower


def _cautions(inter: Sequence[PairScores], intra: Sequence[PairScores], state: BandState) -> list[str]:
    """What to mind with every band."""
    cautions = [f"{SHARED_ERRORS}; {BLINDED}."]
    repeating = {pair.a.rater for pair in intra}
    raters = {sitting.rater for pair in inter for sitting in (pair.a, pair.b)} | repeating
    if intra and len(repeating) < len(raters):
        cautions.append(f"{len(repeating)} of {len(raters)} raters drew twice.")
    if state is BandState.BAND and {pair.case for pair in inter} != {pair.case for pair in intra}:
        cautions.append("The bounds do not rest on the same cases.")
    counted = [*inter, *intra]
    excluded = 1 - sum(pair.compared_share for pair in counted) / len(counted) if counted else 0.0
    if excluded > 0:
        share = f"{excluded:.0%}" if excluded >= 0.01 else "Less than 1%"
        cautions.append(f"{share} of the voxels were filled by a machine and are left out.")
    return cautions


def _of_candidate(pairs: Sequence[PairScores], name: str, candidates: Collection[str]) -> list[PairScores]:
    """A candidate's comparisons with the reference, or, where there are none, with the raters."""

    def others(pair: PairScores) -> set[str]:
        return {pair.a.rater, pair.b.rater} - {name}

    own = [pair for pair in pairs if name in (pair.a.rater, pair.b.rater) and others(pair)]
    against_reference = [pair for pair in own if pair.kind is PairKind.REFERENCE]
    if against_reference:
        return against_reference
    return first_sessions([pair for pair in own if not others(pair) & set(candidates)])


def _placement(
    name: str, similarity: Mapping[str, float], bounds: _Bounds, level: float, seed: int
) -> Placement:
    below = bounds.better(bounds.inter, similarity, seed)
    beyond = bounds.better(similarity, bounds.intra, seed)
    # The two are tails of two differences; with very few cases they may add up to more than 1.
    total = max(1.0, below + beyond)
    below, beyond = below / total, beyond / total
    return Placement(
        name=name,
        similarity=_estimate(similarity, bounds.key, level, seed, bounds.extent),
        below=below,
        inside=max(0.0, 1.0 - below - beyond),
        beyond=beyond,
    )


def _counted(cases: int) -> str:
    return f"{cases} case" if cases == 1 else f"{cases} cases"
