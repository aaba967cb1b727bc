"""What an agreement study comes to: plain numbers, each with what it takes to read it.

Everything in here is finite: a comparison that has no number by its formula has the one that the metric's
policy states (:mod:`pgt.agreement.metrics`), and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from pgt.agreement.readings import Sitting


class Occupancy(str, Enum):
    """Which of the two compared masks have voxels."""

    BOTH = "both"
    ONE_EMPTY = "one empty"
    BOTH_EMPTY = "both empty"


class PairKind(str, Enum):
    """What a comparison tells."""

    INTER = "inter-rater"
    INTRA = "intra-rater"
    REFERENCE = "against the reference"


@dataclass(frozen=True)
class PairScores:
    """Two readings of one structure in one case.

    Args:
        case: the case.
        label: the structure.
        a: the first reading; the reference where one of the two is.
        b: the second reading.
        kind: what the comparison tells.
        values: number by metric key, every metric that was asked for, always finite.
        occupancy: whether an empty-mask policy gave the numbers.
        volume_a_ml: volume of the structure in ``a`` where it was compared, in ml.
        volume_b_ml: and in ``b``.
        compared_share: share of the two structures' voxels (union) that lie on slices which both raters drew;
            1 where both drew everything. The rest was filled by a machine and is not compared.
    """

    case: str
    label: str
    a: Sitting
    b: Sitting
    kind: PairKind
    values: Mapping[str, float]
    occupancy: Occupancy
    volume_a_ml: float
    volume_b_ml: float
    compared_share: float = 1.0


@dataclass(frozen=True)
class Estimate:
    """A number over cases with its interval.

    Args:
        value: the point estimate; None where it cannot be computed, which ``note`` explains.
        lower: lower end of the interval, None without one.
        upper: upper end of the interval, None without one.
        cases: number of cases that it rests on.
        level: of the interval.
        note: why there is no value or no interval, or what to mind; empty when all is plain.
    """

    value: float | None
    lower: float | None = None
    upper: float | None = None
    cases: int = 0
    level: float = 0.95
    note: str = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None."""
        return None if self.lower is None or self.upper is None else (self.lower, self.upper)


@dataclass(frozen=True)
class Reliability:
    """How alike all raters are on one label, over all cases.

    Args:
        label: the structure.
        raters: how many raters.
        fleiss_kappa: chance-corrected agreement on voxels of the region in ``region``.
        krippendorff_alpha: nominal, on the same voxels; allows for missing readings.
        icc: of the volumes.
        icc_form: which one, for example "ICC(2,1): two-way random, absolute agreement, single rater".
        region: the voxels that kappa and alpha are computed in, in words.
    """

    label: str
    raters: int
    fleiss_kappa: Estimate
    krippendorff_alpha: Estimate
    icc: Estimate
    icc_form: str
    region: str


class BandState(str, Enum):
    """Whether a Peak Ground Truth band can be drawn."""

    BAND = "band"
    NO_REPEATS = "no repeats"
    NO_OTHER_RATER = "no other rater"
    CROSSED = "bounds cross"
    UNCERTAIN = "bounds not told apart"
    TOO_FEW_CASES = "too few cases"


@dataclass(frozen=True)
class Placement:
    """Where a model or candidate stands against the band.

    Args:
        name: the candidate.
        similarity: to the reference, over the cases.
        below: probability that it lies below the band: labels still teach.
        inside: probability that it lies inside: gains may be noise.
        beyond: probability that it lies beyond: it fits the annotators' errors.
    """

    name: str
    similarity: Estimate
    below: float
    inside: float
    beyond: float

    @property
    def verdict(self) -> str:
        """The most probable of "below", "inside" and "beyond"."""
        return max(("below", "inside", "beyond"), key=lambda place: float(getattr(self, place)))


@dataclass(frozen=True)
class Band:
    """Peak Ground Truth of one label and metric (Kofler et al., section 2.3).

    Args:
        label: the structure.
        metric: key of the metric.
        lower: inter-rater reliability.
        upper: intra-rater reliability; without value where no rater drew twice.
        state: whether there is a band.
        note: why there is none, and what to mind; one or two sentences for a reader.
        placements: candidates against it; empty without a band.
    """

    label: str
    metric: str
    lower: Estimate
    upper: Estimate
    state: BandState
    note: str
    placements: tuple[Placement, ...] = ()


@dataclass(frozen=True)
class Outlier:
    """The rater who stands apart on one label, and how.

    Args:
        label: the structure.
        rater: who.
        direction: "larger", "smaller", "shifted" or "differs" (none of the three).
        size: how far, in the unit of the direction: per cent of the volume, or mm.
        probability: share of bootstrap samples over cases in which the same rater stands furthest apart.
        note: one sentence.
    """

    label: str
    rater: str
    direction: str
    size: float
    probability: float
    note: str


@dataclass(frozen=True)
class BlandAltman:
    """Volumes of two raters against each other, for one label.

    Args:
        label: the structure.
        a: one sitting.
        b: the other.
        cases: names of the cases.
        means_ml: mean of the two volumes, by case.
        differences_ml: volume of ``b`` minus volume of ``a``, by case.
        bias_ml: mean difference with its interval.
        lower_limit_ml: lower 95 % limit of agreement with its interval.
        upper_limit_ml: upper limit with its interval.
    """

    label: str
    a: Sitting
    b: Sitting
    cases: tuple[str, ...]
    means_ml: tuple[float, ...]
    differences_ml: tuple[float, ...]
    bias_ml: Estimate
    lower_limit_ml: Estimate
    upper_limit_ml: Estimate


@dataclass(frozen=True)
class Missing:
    """A reading that a complete study would have: never silently zero, never silently left out."""

    case: str
    sitting: Sitting
    label: str
    """Empty where the whole case is missing."""


@dataclass(frozen=True)
class RatingCorrelation:
    """How well a metric follows the experts' ratings (1 to 6)."""

    metric: str
    label: str
    """Empty for all labels together."""
    spearman: Estimate


@dataclass(frozen=True)
class Recommendation:
    """A metric to look at for this structure, and why."""

    label: str
    metric: str
    reason: str


@dataclass(frozen=True)
class WorstSlice:
    """The slice of a case where the raters differ most on a label."""

    case: str
    label: str
    axis: int
    index: int
    disagreeing_mm2: float
    """Area on which not all raters agree."""


@dataclass(frozen=True)
class Agreement:
    """All that a study found.

    Args:
        labels: the labels compared, in order.
        sittings: every rater and session.
        cases: every case.
        tolerance_mm: of NSD.
        pairs: every comparison made.
        summaries: per label, metric key and kind of pair the mean over cases (each case the mean of its
            pairs).
        reliabilities: per label.
        bands: per label and metric, where there are two readings of anything.
        outliers: per label with three raters or more.
        no_outliers: why nobody is named as outlier, one sentence each, for every label where nobody is.
        bland_altman: per label and pair of raters.
        correlations: where experts rated.
        recommendations: per label.
        worst_slices: most in dispute first.
        missing: readings that are not there.
        messages: what the user should know, one sentence each.
        reference: the rater that the others are compared with; empty without one.
        candidates: raters that are models; they count neither as different raters nor as repeats.
    """

    labels: tuple[str, ...]
    sittings: tuple[Sitting, ...]
    cases: tuple[str, ...]
    tolerance_mm: float
    pairs: tuple[PairScores, ...]
    summaries: Mapping[tuple[str, str, PairKind], Estimate]
    reliabilities: tuple[Reliability, ...] = ()
    bands: tuple[Band, ...] = ()
    outliers: tuple[Outlier, ...] = ()
    bland_altman: tuple[BlandAltman, ...] = ()
    correlations: tuple[RatingCorrelation, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    worst_slices: tuple[WorstSlice, ...] = ()
    missing: tuple[Missing, ...] = ()
    messages: tuple[str, ...] = field(default_factory=tuple)
    reference: str = ""
    candidates: tuple[str, ...] = ()
    no_outliers: tuple[str, ...] = ()
