"""A whole agreement study: from readings to everything that a report shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pgt.agreement import study_checks
from pgt.agreement.bland_altman import bland_altman
from pgt.agreement.disagreement import worst_slices
from pgt.agreement.expert_ratings import ExpertRating, correlations
from pgt.agreement.metric_choice import Answers, recommendations
from pgt.agreement.metrics import DEFAULT_METRICS
from pgt.agreement.outliers import find_outliers
from pgt.agreement.pair_measurement import MeasureOptions, measure_pairs, without_common_slice
from pgt.agreement.peak import Extent, bands, summaries
from pgt.agreement.readings import Reading
from pgt.agreement.reliability import reliability_of
from pgt.agreement.results import Agreement, PairScores
from pgt.agreement.study_messages import ANONYMOUS, messages_of
from pgt.errors import Cancelled, InputError

# What follows the comparisons: reliability, bands, outliers and the rest, as so many steps of a progress bar.
_STEPS_AFTER = 4

Progress = Callable[[int, int, str], None]
Measure = Callable[..., tuple[PairScores, ...]]


@dataclass(frozen=True)
class StudyOptions:
    """What to find out.

    Args:
        tolerance_mm: of NSD.
        metrics: keys of :data:`pgt.agreement.metrics.METRICS`.
        reference: the rater that the others are compared with; None without one.
        candidates: raters that are models: placed against the band, never counted as raters.
        seed: of the bootstrap.
        ratings: what experts think of the reference's readings, or of the raters'.
        axis: of the slices in dispute, 0 to 2; None for the one that was drawn across.
        answers: what a person says of a structure, by label; the rest is measured.
        anonymous: a rater's name means another person from case to case, as where readers are numbered.
    """

    tolerance_mm: float = 2.0
    metrics: tuple[str, ...] = DEFAULT_METRICS
    reference: str | None = None
    candidates: tuple[str, ...] = ()
    seed: int = 0
    ratings: tuple[ExpertRating, ...] = ()
    axis: int | None = None
    answers: Mapping[str, Answers] = field(default_factory=dict)
    anonymous: bool = False


def study(
    readings: Sequence[Reading],
    options: StudyOptions,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    measure: Measure = measure_pairs,
) -> Agreement:
    """Compare all readings.

    Args:
        readings: those of one case on one grid (:func:`pgt.agreement.reading_assembly.assemble`).
        options: what to find out.
        progress: called with steps done, steps in all and what is being done.
        cancelled: asked a few times a second whether to stop.
        measure: who measures the pairs; called as `measure_pairs`.

    Raises:
        InputError: there is nothing to compare: see :mod:`pgt.agreement.study_checks`.
        Cancelled: as asked for.
    """
    sittings = tuple(sorted({reading.sitting for reading in readings}, key=_first_seen(readings)))
    study_checks.check_numbers(options.tolerance_mm, options.metrics)
    study_checks.check_roles(sittings, options.reference, options.candidates)
    study_checks.check_cases(readings)
    drawn = study_checks.without_undrawn(readings)
    labels = study_checks.common_labels(drawn)
    cases = tuple(dict.fromkeys(reading.case for reading in readings))
    undrawn = [
        (one, label)
        for one, kept in zip(readings, drawn, strict=True)
        for label in one.masks
        if label not in kept.masks
    ]
    steps = _Steps(progress, cancelled)

    measuring = MeasureOptions(options.tolerance_mm, options.metrics)
    pairs = measure(drawn, measuring, options.reference, steps.compared, cancelled)
    if not pairs:
        raise InputError("No two raters annotated the same slice of any structure; nothing can be compared.")
    steps.after("Intervals and reliability")
    people = _people(drawn, options)
    shared = [label for label in labels if _is_shared(label, people)]
    extent = Extent.of(reading.geometry for reading in drawn)
    found_bands = bands(pairs, options.candidates, seed=options.seed, extent=extent)
    means = summaries(pairs, options.candidates, seed=options.seed, extent=extent)
    reliabilities = tuple(
        reliability_of(label, people, False if options.anonymous else None, seed=options.seed)
        for label in shared
    )
    steps.after("Who stands apart")
    apart = find_outliers(people, shared, anonymous=options.anonymous, seed=options.seed)
    steps.after("Slices in dispute")
    worst = worst_slices(drawn, labels, options.axis)
    steps.after("Choice of metrics")
    missing = study_checks.missing_readings(drawn, sittings, cases, _all_labels(drawn))
    return Agreement(
        labels=labels,
        sittings=sittings,
        cases=cases,
        tolerance_mm=options.tolerance_mm,
        pairs=pairs,
        summaries=means,
        reliabilities=reliabilities,
        bands=found_bands,
        outliers=apart.outliers,
        bland_altman=() if options.anonymous else bland_altman(pairs, options.candidates),
        correlations=correlations(pairs, options.ratings, options.candidates),
        recommendations=recommendations(drawn, labels, pairs, options.answers),
        worst_slices=worst,
        missing=missing,
        messages=(
            *messages_of(
                readings, undrawn, without_common_slice(drawn, options.reference), pairs, found_bands, missing
            ),
            *((ANONYMOUS,) if options.anonymous else ()),
        ),
        reference=options.reference or "",
        candidates=options.candidates,
        no_outliers=apart.notes,
    )


def _first_seen(readings: Sequence[Reading]) -> Callable[[object], tuple[int, int]]:
    """Orders sittings: raters as they come, each rater's sessions together."""
    sittings = list(dict.fromkeys(reading.sitting for reading in readings))
    raters = list(dict.fromkeys(sitting.rater for sitting in sittings))
    places = {one: (raters.index(one.rater), number) for number, one in enumerate(sittings)}
    return lambda sitting: places[sitting]  # type: ignore[index]


def _people(readings: Sequence[Reading], options: StudyOptions) -> tuple[Reading, ...]:
    """The readings of raters: neither the reference's nor a model's."""
    others = {options.reference, *options.candidates}
    return tuple(reading for reading in readings if reading.sitting.rater not in others)


def _is_shared(label: str, readings: Sequence[Reading]) -> bool:
    """Whether two raters read the label in one case."""
    raters: dict[str, set[str]] = {}
    for reading in readings:
        if label in reading.masks:
            raters.setdefault(reading.case, set()).add(reading.sitting.rater)
    return any(len(names) > 1 for names in raters.values())


def _all_labels(readings: Sequence[Reading]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for reading in readings for label in reading.masks))


class _Steps:
    """Tells how far the study is, and stops it when asked to."""

    def __init__(self, progress: Progress | None, cancelled: Callable[[], bool] | None) -> None:
        self._progress = progress
        self._cancelled = cancelled
        self._pairs = 0
        self._after = 0

    def compared(self, done: int, total: int) -> None:
        self._pairs = total
        if self._progress:
            self._progress(done, total + _STEPS_AFTER, "Comparing")

    def after(self, what: str) -> None:
        if self._cancelled and self._cancelled():
            raise Cancelled
        if self._progress:
            self._progress(self._pairs + self._after, self._pairs + _STEPS_AFTER, what)
        self._after += 1
