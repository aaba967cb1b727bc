"""What a study needs before anything is measured, and what a complete one would have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pgt.agreement.metrics import metric
from pgt.agreement.readings import FIRST_SESSION, Reading, Sitting
from pgt.agreement.results import Missing
from pgt.errors import InputError


def check_numbers(tolerance_mm: float, metrics: Sequence[str]) -> None:
    """Refuse a tolerance that is no positive length, and metrics that do not exist.

    Raises:
        InputError: see above.
    """
    if not math.isfinite(tolerance_mm) or tolerance_mm <= 0:
        raise InputError(f"The tolerance must be a positive number of millimetres, not {tolerance_mm:g}.")
    if not metrics:
        raise InputError("No metric was asked for.")
    for key in metrics:
        metric(key)


def check_roles(sittings: Sequence[Sitting], reference: str | None, candidates: Sequence[str]) -> None:
    """Refuse raters from whom no agreement can come.

    Args:
        sittings: everyone who has a reading.
        reference: the rater who is the reference.
        candidates: raters that are models.

    Raises:
        InputError: there is one sitting only; a rater has repeats without a first session; the reference or
            a candidate has no reading, or one is both; or no rater is left.
    """
    raters = {sitting.rater for sitting in sittings}
    if not raters:
        raise InputError("There is no reading to compare.")
    if reference is not None and reference not in raters:
        raise InputError(f"There is no reading of the reference {reference}.")
    for name in candidates:
        if name not in raters:
            raise InputError(f"There is no reading of the candidate {name}.")
        if name == reference:
            raise InputError(f"{name} cannot be both the reference and a candidate.")
    if not raters - set(candidates):
        raise InputError("All readings are of candidates; at least one rater is needed to compare them with.")
    for sitting in sittings:
        if Sitting(sitting.rater) not in sittings:
            raise InputError(
                f"{sitting.rater} has session {sitting.session} but no first session to compare it with; "
                f"the first session is called {FIRST_SESSION}."
            )
    if len(sittings) == 1:
        raise InputError(
            f"There is one rater only ({sittings[0].rater}): agreement needs a second rater, a second "
            "session or a reference."
        )


def check_cases(readings: Sequence[Reading]) -> None:
    """Refuse readings that are there twice or, within a case, lie on different grids.

    Raises:
        InputError: see above.
    """
    seen: set[tuple[str, Sitting]] = set()
    first: dict[str, Reading] = {}
    for reading in readings:
        key = (reading.case, reading.sitting)
        if key in seen:
            raise InputError(f"There are two readings of case {reading.case} by {reading.sitting}.")
        seen.add(key)
        other = first.setdefault(reading.case, reading)
        difference = reading.geometry.difference(other.geometry)
        if difference:
            raise InputError(
                f"The readings of case {reading.case} by {other.sitting} and {reading.sitting} lie on "
                f"different grids ({difference})."
            )


def without_undrawn(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """The readings without the labels of which no slice is annotated: nothing of them can be compared."""
    kept = []
    for reading in readings:
        masks = {
            label: mask
            for label, mask in reading.masks.items()
            if label not in reading.drawn or reading.drawn[label].indices
        }
        kept.append(replace(reading, masks=masks))
    return tuple(kept)


def common_labels(readings: Sequence[Reading]) -> tuple[str, ...]:
    """The labels that two readings of some case have, in order of first appearance.

    Raises:
        InputError: there is none.
    """
    cases: dict[str, dict[str, int]] = {}
    for reading in readings:
        counts = cases.setdefault(reading.case, {})
        for label in reading.labels:
            counts[label] = counts.get(label, 0) + 1
    found = [label for counts in cases.values() for label, count in counts.items() if count > 1]
    if not found:
        raise InputError("No two readings of a case have a label in common.")
    order = dict.fromkeys(label for reading in readings for label in reading.labels)
    return tuple(label for label in order if label in found)


def missing_readings(
    readings: Sequence[Reading], sittings: Sequence[Sitting], cases: Sequence[str], labels: Sequence[str]
) -> tuple[Missing, ...]:
    """What a study would have if every rater had read every label of every case.

    A case that a rater did not draw again is not missing, since repeats of some cases are enough; labels of a
    repeat are, where it lacks them.
    """
    found = {(reading.case, reading.sitting): reading for reading in readings}
    missing = []
    for case in cases:
        for sitting in sittings:
            reading = found.get((case, sitting))
            if reading is None:
                if sitting.session == FIRST_SESSION:
                    missing.append(Missing(case, sitting, ""))
                continue
            missing += [Missing(case, sitting, label) for label in labels if label not in reading.masks]
    return tuple(missing)
