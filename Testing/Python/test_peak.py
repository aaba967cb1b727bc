"""Peak Ground Truth bands: which comparisons count, when there is a band, and where candidates stand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgt.agreement.peak import bands, first_sessions, summaries
from pgt.agreement.readings import Sitting
from pgt.agreement.results import Band, BandState, Occupancy, PairKind, PairScores
from pgt.errors import InputError


def pair(
    case: object, a: str, b: str, dice: float, kind: PairKind | None = None, **others: float
) -> PairScores:
    """Sittings as "rater/session"; the kind follows from the names."""
    first, second = (Sitting(*name.split("/")) for name in (a, b))
    kind = kind or (PairKind.INTRA if first.rater == second.rater else PairKind.INTER)
    share = others.pop("share", 1.0)
    values = {"dice": dice, **others}
    return PairScores(str(case), "liver", first, second, kind, values, Occupancy.BOTH, 1.0, 1.0, share)


def study(
    cases: int = 10, inter: float = 0.8, intra: float = 0.9, noise: float = 0.02, **models: float
) -> list[PairScores]:
    """Raters a and b, a twice; models against the reference. HD95 mirrors Dice."""
    random = np.random.default_rng(0)
    found = []
    for case in range(cases):

        def drawn(mean: float) -> tuple[float, float]:
            dice = float(np.clip(mean + noise * random.standard_normal(), 0, 1))
            return dice, 40 * (1 - dice)

        for first, second, mean in [("a", "b", inter), ("a", "a/2", intra)]:
            dice, distance = drawn(mean)
            found.append(pair(case, first, second, dice, hd95_mm=distance))
        for name, mean in models.items():
            dice, distance = drawn(mean)
            found.append(pair(case, "reference", name, dice, PairKind.REFERENCE, hd95_mm=distance))
    return found


def only(found: tuple[Band, ...], key: str = "dice") -> Band:
    (band,) = [band for band in found if band.metric == key]
    return band


class TestWhatCounts:
    def test_a_case_is_one_unit(self) -> None:
        """A case with three comparisons weighs as much as one with a single one."""
        pairs = [
            pair(0, "a", "b", 0.9),
            pair(0, "a", "c", 0.8),
            pair(0, "b", "c", 0.7),
            pair(1, "a", "b", 0.6),
        ]
        found = summaries(pairs)["liver", "dice", PairKind.INTER]
        assert found.value == pytest.approx((0.8 + 0.6) / 2)
        assert found.cases == 2

    def test_repeats_do_not_enter_the_lower_bound(self) -> None:
        pairs = [pair(0, "a", "b", 0.8), pair(0, "a/2", "b", 0.1), pair(0, "a", "a/2", 0.9)]
        found = summaries(pairs)
        assert found["liver", "dice", PairKind.INTER].value == 0.8
        assert found["liver", "dice", PairKind.INTRA].value == 0.9

    def test_the_first_session_is_the_first_that_the_case_has(self) -> None:
        pairs = [pair(0, "a/2", "b", 0.8), pair(0, "a/10", "b", 0.1), pair(1, "a/baseline", "b/2", 0.7)]
        assert [one.values["dice"] for one in first_sessions(pairs)] == [0.8, 0.7]

    def test_models_and_references_never_enter_the_bounds(self) -> None:
        humans = study(model=0.99)
        more = [
            *humans,
            pair(0, "model", "a", 0.1),
            pair(0, "model", "model/2", 0.1),
            pair(0, "reference", "a", 0.1, PairKind.REFERENCE),
        ]
        for key in ("dice",):
            expected = only(bands(humans, ["model"], [key]), key)
            found = only(bands(more, ["model"], [key]), key)
            assert (found.lower, found.upper) == (expected.lower, expected.upper)

    def test_volume_differences_count_by_their_size(self) -> None:
        pairs = [pair(case, "a", "b", 0.9, volume_difference_ml=(-1) ** case * 2.0) for case in range(4)]
        found = summaries(pairs)["liver", "volume_difference_ml", PairKind.INTER]
        assert found.value == 2
        assert "without its sign" in found.note

    def test_metrics_that_call_one_rater_the_reference_have_no_band(self) -> None:
        pairs = [
            pair(case, a, b, 0.9, sensitivity=0.8, volume_difference_ml=1.0)
            for case in range(4)
            for a, b in [("a", "b"), ("a", "a/2")]
        ]
        assert [band.metric for band in bands(pairs)] == ["dice", "volume_difference_ml"]

    def test_unknown_metrics_are_refused(self) -> None:
        with pytest.raises(InputError, match="no metric 'beauty'"):
            bands(study(), metrics=["beauty"])


class TestState:
    def test_a_band(self) -> None:
        band = only(bands(study()))
        assert band.state is BandState.BAND
        assert band.lower.value == pytest.approx(0.8, abs=0.02)
        assert band.upper.value == pytest.approx(0.9, abs=0.02)
        assert "Errors that the raters share" in band.note
        assert "did not see the first session" in band.note
        assert "1 of 2 raters drew twice" in band.note

    def test_a_band_of_distances_has_the_larger_one_below(self) -> None:
        band = only(bands(study()), "hd95_mm")
        assert band.state is BandState.BAND
        assert band.lower.value is not None
        assert band.upper.value is not None
        assert band.lower.value > band.upper.value

    @pytest.mark.parametrize("key", ["dice", "hd95_mm"])
    @pytest.mark.parametrize(
        ("change", "state", "words"),
        [
            ({"inter": 0.9, "intra": 0.8}, BandState.CROSSED, "less with themselves"),
            ({"inter": 0.85, "intra": 0.853}, BandState.UNCERTAIN, "do not tell"),
            ({"cases": 2}, BandState.TOO_FEW_CASES, "2 cases only"),
            ({"cases": 1}, BandState.TOO_FEW_CASES, "1 case only"),
        ],
    )
    def test_no_band_says_why(self, change: dict, state: BandState, words: str, key: str) -> None:
        band = only(bands(study(**change, model=0.99), ["model"]), key)
        assert band.state is state
        assert words in band.note
        assert band.placements == ()
        assert band.lower.value is not None
        assert band.upper.value is not None

    def test_without_repeats(self) -> None:
        band = only(bands([one for one in study() if one.kind is PairKind.INTER]))
        assert band.state is BandState.NO_REPEATS
        assert band.lower.interval is not None
        assert band.upper.value is None
        assert band.upper.note

    def test_without_another_rater(self) -> None:
        band = only(bands([one for one in study() if one.kind is PairKind.INTRA]))
        assert band.state is BandState.NO_OTHER_RATER
        assert band.lower.value is None

    def test_what_a_machine_filled_is_told(self) -> None:
        pairs = [pair(c, a, b, d + c / 99, share=0.6) for c in range(5) for a, b, d in
                 [("a", "b", 0.7), ("a", "a/2", 0.8)]]  # fmt: skip
        assert "40% of the voxels were filled by a machine" in only(bands(pairs)).note
        assert "machine" not in only(bands(study())).note

    def test_bounds_from_different_cases_are_told(self) -> None:
        pairs = [one for one in study() if one.kind is PairKind.INTER or int(one.case) < 6]
        band = only(bands(pairs))
        assert band.state is BandState.BAND
        assert "not rest on the same cases" in band.note
        assert (band.lower.cases, band.upper.cases) == (10, 6)

    @given(st.integers(1, 6), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
    def test_anything_gives_finite_numbers_or_reasons(
        self, seed: int, scores: list[tuple[float, float]]
    ) -> None:
        pairs = [pair(case, "a", "b", one) for case, (one, _) in enumerate(scores)]
        pairs += [pair(case, "a", "a/2", two) for case, (_, two) in enumerate(scores)]
        pairs += [pair(case, "m", "reference", 0.5, PairKind.REFERENCE) for case in range(len(scores))]
        band = only(bands(pairs, ["m"], seed=seed))
        assert np.isfinite([band.lower.value, band.upper.value]).all()  # type: ignore[list-item]
        assert (band.state is BandState.BAND) == bool(band.placements)
        for placed in band.placements:
            assert min(placed.below, placed.inside, placed.beyond) >= 0
            assert placed.below + placed.inside + placed.beyond == pytest.approx(1)


class TestPlacement:
    @pytest.mark.parametrize("key", ["dice", "hd95_mm"])
    def test_below_inside_and_beyond(self, key: str) -> None:
        pairs = study(poor=0.7, good=0.85, fitted=0.97)
        band = only(bands(pairs, ["poor", "good", "fitted"]), key)
        assert [placed.verdict for placed in band.placements] == ["below", "inside", "beyond"]
        assert [placed.name for placed in band.placements] == ["poor", "good", "fitted"]
        for placed, likely in zip(band.placements, ("below", "inside", "beyond"), strict=True):
            assert getattr(placed, likely) > 0.97

    def test_at_a_bound_it_may_be_either(self) -> None:
        (placed,) = only(bands(study(cases=12, model=0.8), ["model"])).placements
        assert 0.02 < placed.below < 0.98
        assert placed.beyond < 0.01

    def test_without_reference_it_is_compared_with_the_raters(self) -> None:
        pairs = study()
        pairs += [pair(c, "a", "model", 0.84 + c / 1000) for c in range(10)]
        pairs += [pair(c, "a/2", "model", 0.0) for c in range(10)]
        pairs += [pair(c, "model", "other", 0.0) for c in range(10)]
        (placed,) = only(bands(pairs, ["model", "other"])).placements
        assert placed.name == "model"
        assert placed.similarity.value == pytest.approx(0.8445)
        assert placed.verdict == "inside"

    def test_the_reference_counts_where_there_is_one(self) -> None:
        pairs = [*study(model=0.85), *(pair(c, "a", "model", 0.1) for c in range(10))]
        (placed,) = only(bands(pairs, ["model"])).placements
        assert placed.similarity.value == pytest.approx(0.85, abs=0.02)

    def test_a_model_compared_in_two_cases_is_not_placed(self) -> None:
        pairs = [one for one in study(model=0.85) if one.kind is not PairKind.REFERENCE or int(one.case) < 2]
        band = only(bands(pairs, ["model"]))
        assert band.state is BandState.BAND
        assert band.placements == ()
        assert "model was compared in 2 cases" in band.note

    def test_the_same_seed_gives_the_same_answer(self) -> None:
        pairs = study(model=0.81)
        assert bands(pairs, ["model"], seed=4) == bands(pairs, ["model"], seed=4)
