"""The Peak Ground Truth band holds the truth, and raters who err systematically are seen for what they are.

``python -m Benchmarks.band_coverage`` does the same with a thousand studies of 5, 8, 12 and 20 cases.
"""

from __future__ import annotations

import numpy as np
import pytest
from simulated_raters import LABEL, RATERS, SimulatedRater, Study

from pgt.agreement.bland_altman import bland_altman
from pgt.agreement.pair_measurement import MeasureOptions, measure_pairs
from pgt.agreement.peak import bands, by_case, pairs_of_kind
from pgt.agreement.reliability import reliability_of
from pgt.agreement.results import BandState, PairKind

METRICS = ("dice", "assd_mm")
STUDIES = 200
CASES = 15
TRUTH_CASES = 4000


@pytest.fixture(scope="module")
def truth() -> dict[tuple[str, PairKind], float]:
    """Mean agreement over so many cases that its own error is a sixteenth of a study's."""
    pairs = Study().pairs(TRUTH_CASES, seed=99_999)
    return {
        (key, kind): float(np.mean(list(by_case(pairs_of_kind(pairs, kind), key).values())))
        for key in METRICS
        for kind in (PairKind.INTER, PairKind.INTRA)
    }


def test_the_bounds_hold_the_truth(truth: dict[tuple[str, PairKind], float]) -> None:
    """At least 93 of 100 studies at 95 %, for both bounds and for a score as for a distance."""
    held: dict[tuple[str, PairKind], int] = dict.fromkeys(truth, 0)
    drawn = 0
    for seed in range(STUDIES):
        for band in bands(Study().pairs(CASES, seed), metrics=METRICS):
            drawn += band.state is BandState.BAND
            for kind, bound in ((PairKind.INTER, band.lower), (PairKind.INTRA, band.upper)):
                assert bound.interval is not None
                held[band.metric, kind] += bound.interval[0] <= truth[band.metric, kind] <= bound.interval[1]
    assert {place: count for place, count in held.items() if count < 0.93 * STUDIES} == {}
    assert drawn == 2 * STUDIES


def test_no_band_is_drawn_where_raters_repeat_no_better_than_others_do() -> None:
    """Raters without an error of their own: a session differs from any other session alike."""
    alike = Study(tuple(SimulatedRater(name, between_mm=0, within_mm=0.6) for name in "abc"))
    found = [band.state for seed in range(60) for band in bands(alike.pairs(12, seed), metrics=("dice",))]
    assert found.count(BandState.BAND) <= 6
    assert {BandState.CROSSED, BandState.UNCERTAIN} <= set(found)


def test_shared_errors_are_not_seen_as_the_notes_say() -> None:
    """Everybody draws 1 mm too much: the bounds look as good as those of raters who do not."""
    fair = bands(Study().pairs(30, 0), metrics=("assd_mm",))[0]
    generous = Study(tuple(SimulatedRater(r.name, r.between_mm, r.within_mm, grow_mm=1) for r in RATERS))
    shared = bands(generous.pairs(30, 0), metrics=("assd_mm",))[0]
    assert shared.lower.value == pytest.approx(fair.lower.value, rel=0.05)
    assert "Errors that the raters share" in shared.note


def test_readings_are_the_same_drawings() -> None:
    """What the product measures on the masks is what the quick scores say."""
    study = Study()
    quick = {(one.case, one.a, one.b): one for one in study.pairs(2, seed=3)}
    measured = measure_pairs(study.readings(2, seed=3), MeasureOptions(metrics=("dice",)))
    assert len(measured) == len(quick) == 2 * 15
    for one in measured:
        same = quick[one.case, one.a, one.b]
        assert one.kind is same.kind
        assert one.values["dice"] == pytest.approx(same.values["dice"], abs=1e-6)
        assert (one.volume_a_ml, one.volume_b_ml) == pytest.approx((same.volume_a_ml, same.volume_b_ml))


def test_errors_are_as_large_as_they_were_asked_to_be() -> None:
    study = Study(tuple(SimulatedRater(name, between_mm=0.6, within_mm=0.3) for name in "ab"))
    between, within = [], []
    for drawn in study.drawings(400, seed=1):
        moved = drawn.distances - drawn.truth
        between.append(np.square(moved[0, 0] - moved[1, 0]).mean())
        within.append(np.square(moved[0, 0] - moved[0, 1]).mean())
    hardness = np.exp(2 * 0.3**2)
    assert np.mean(between) == pytest.approx(2 * (0.6**2 + 0.3**2) * hardness, rel=0.1)
    assert np.mean(within) == pytest.approx(2 * 0.3**2 * hardness, rel=0.1)


def test_a_rater_who_draws_larger_shows_in_the_volumes() -> None:
    study = Study((SimulatedRater("a"), SimulatedRater("b"), SimulatedRater("c", grow_mm=0.8)), sessions=1)
    limits = {(one.a.rater, one.b.rater): one.bias_ml for one in bland_altman(study.pairs(12, seed=2))}
    assert limits["a", "c"].lower > 0  # type: ignore[operator]
    assert limits["b", "c"].lower > 0  # type: ignore[operator]
    assert limits["a", "b"].lower < 0 < limits["a", "b"].upper  # type: ignore[operator]


def test_less_error_is_more_reliability() -> None:
    found = [
        reliability_of(
            LABEL, Study([SimulatedRater(name, size, 0.1) for name in "abc"], 1).readings(8, seed=4)
        )
        for size in (0.2, 0.5, 1.0)
    ]
    for name in ("fleiss_kappa", "krippendorff_alpha", "icc"):
        values = [getattr(one, name).value for one in found]
        assert values == sorted(values, reverse=True)
        assert values[0] > 0.8
