"""What a user should know about a study besides its numbers, one sentence each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from pgt.agreement.masks import CroppedMask
from pgt.agreement.pair_measurement import Comparison
from pgt.agreement.readings import FIRST_SESSION, Reading, Sitting
from pgt.agreement.results import Band, BandState, Missing, Occupancy, PairScores

# Lists in sentences end here; the whole of them is in the report.
_LISTED = 5

ANONYMOUS = (
    "The raters are anonymous and change from case to case: one name is not one person, so volumes are not "
    "compared person by person (Bland-Altman), and a matrix by name says nothing of persons."
)


def messages_of(
    readings: Sequence[Reading],
    undrawn: Sequence[tuple[Reading, str]],
    apart: Sequence[Comparison],
    pairs: Sequence[PairScores],
    bands: Sequence[Band],
    missing: Sequence[Missing],
) -> tuple[str, ...]:
    """The messages of a study.

    Args:
        readings: all readings.
        undrawn: readings and labels left out because no slice of them is annotated.
        apart: comparisons that share no annotated slice.
        pairs: all comparisons that have numbers.
        bands: of the study.
        missing: readings that are not there.
    """
    return tuple(
        dict.fromkeys(
            [
                *(reading.note for reading in readings if reading.note),
                *_copies(readings),
                *_undrawn(undrawn),
                *_apart(apart),
                *_machine_filled(pairs),
                *_missed(pairs),
                *_missing(missing),
                *_repeats(readings),
                *_about_bands(bands),
            ]
        )
    )


def _copies(readings: Sequence[Reading]) -> Iterable[str]:
    for one, other in combinations(readings, 2):
        if one.case == other.case and _same_voxels(one, other):
            yield (
                f"{one.sitting} and {other.sitting} are equal voxel for voxel in {case_words([one.case])}: a "
                "segmentation compared with itself says nothing about agreement."
            )


def _same_voxels(one: Reading, other: Reading) -> bool:
    shared = [label for label in one.labels if label in other.masks]
    return any(not one.masks[label].is_empty for label in shared) and all(
        _equal(one.masks[label], other.masks[label]) for label in shared
    )


def _equal(one: CroppedMask, other: CroppedMask) -> bool:
    return one.start == other.start and np.array_equal(one.voxels, other.voxels)


def _undrawn(undrawn: Sequence[tuple[Reading, str]]) -> Iterable[str]:
    for reading, label in undrawn:
        yield (
            f"{reading.sitting} annotated no slice of {label} in {case_words([reading.case])}; what a "
            "machine filled is not compared."
        )


def _apart(comparisons: Sequence[Comparison]) -> Iterable[str]:
    cases: dict[tuple[Sitting, Sitting, str], list[str]] = {}
    for one in comparisons:
        cases.setdefault((one.a.sitting, one.b.sitting, one.label), []).append(one.a.case)
    for (a, b, label), where in cases.items():
        yield f"{a} and {b} annotated no common slice of {label} in {case_words(where)}: not compared."


def _machine_filled(pairs: Sequence[PairScores]) -> Iterable[str]:
    for label in dict.fromkeys(pair.label for pair in pairs):
        shares = [pair.compared_share for pair in pairs if pair.label == label]
        left_out = 1 - sum(shares) / len(shares)
        if min(shares) < 1:
            yield (
                f"{label}: {100 * left_out:.3g} % of the voxels lie on slices that not both raters "
                "annotated; they are not compared."
            )


def _missed(pairs: Sequence[PairScores]) -> Iterable[str]:
    """Structures that one rater has and another has not: easily a forgotten label rather than a finding."""
    cases: dict[tuple[str, Sitting], dict[str, None]] = {}
    for pair in pairs:
        if pair.occupancy is Occupancy.ONE_EMPTY:
            lacking = pair.a if pair.volume_a_ml == 0 else pair.b
            cases.setdefault((pair.label, lacking), {})[pair.case] = None
    for (label, sitting), where in cases.items():
        yield (
            f"{sitting} has no voxel of {label} in {case_words(list(where))}: counted as a structure that "
            "was missed, by each metric's rule for one empty mask."
        )


def _missing(missing: Sequence[Missing]) -> Iterable[str]:
    whole: dict[Sitting, list[str]] = {}
    labels: dict[tuple[Sitting, str], list[str]] = {}
    for one in missing:
        if one.label:
            labels.setdefault((one.sitting, one.label), []).append(one.case)
        else:
            whole.setdefault(one.sitting, []).append(one.case)
    for sitting, cases in whole.items():
        yield f"{sitting} has no reading of {case_words(cases)}: missing, and in no number."
    for (sitting, label), cases in labels.items():
        yield f"{sitting} has no {label} in {case_words(cases)}: missing, and in no number."


def _about_bands(bands: Sequence[Band]) -> Iterable[str]:
    if not bands:
        return
    if all(band.state is BandState.NO_REPEATS for band in bands):
        yield (
            "No rater drew a case twice: without repeated sessions there is no upper bound, and no Peak "
            "Ground Truth band is drawn."
        )
    elif all(band.state is BandState.NO_OTHER_RATER for band in bands):
        yield (
            "No case has two raters: without a second rater there is no lower bound, and no Peak Ground "
            "Truth band is drawn."
        )
    yield (
        "Systematic errors that raters share are seen by none of these numbers: they make agreement, and "
        "with it both bounds, look better than they are."
    )


def _repeats(readings: Sequence[Reading]) -> Iterable[str]:
    """In how many cases raters repeated: a department plans repeats of some cases, so none are missing."""
    cases: dict[str, set[str]] = {}
    repeated: dict[str, set[str]] = {}
    for reading in readings:
        sitting = reading.sitting
        part = cases if sitting.session == FIRST_SESSION else repeated
        part.setdefault(sitting.rater, set()).add(reading.case)
    both = {rater: (len(again & cases[rater]), len(cases[rater])) for rater, again in repeated.items()}
    if any(again < first for again, first in both.values()):
        counts = ", ".join(f"{rater} {again} of {first}" for rater, (again, first) in both.items())
        yield f"Not every case was drawn twice; intra-rater agreement rests on these: {counts}."


def case_words(cases: Sequence[str]) -> str:
    """ "case 12", "cases 3, 7 and 2 more"; names that say that they are cases are not told so again."""
    names = ", ".join(cases[:_LISTED])
    if len(cases) > _LISTED:
        names += f" and {len(cases) - _LISTED} more"
    if all(case.casefold().startswith("case") for case in cases[:_LISTED]):
        return "the case" if len(cases) == 1 and cases[0].casefold() == "case" else names
    return f"case{'s' * (len(cases) > 1)} {names}"
