"""Intervals over cases: against closed forms, their promises, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pgt.agreement.bootstrap import (
    Scale,
    confidence_that_greater,
    mean_estimate,
    resampled_counts,
    statistic_estimate,
)

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.beta(45, 5, 12)


def coverage(draw: object, truth: float, scale: Scale, studies: int = 300) -> float:
    held = 0
    for _ in range(studies):
        interval = mean_estimate(draw(), scale=scale).interval  # type: ignore[operator]
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    return held / studies


@pytest.mark.parametrize("cases", [5, 8, 12])
@pytest.mark.parametrize(
    ("draw", "truth", "scale"),
    [
        (lambda random, cases: random.beta(9, 1, cases), 0.9, Scale.UNIT),
        (lambda random, cases: random.lognormal(0, 0.5, cases), np.exp(0.125), Scale.POSITIVE),
        (lambda random, cases: random.normal(0, 1, cases), 0, Scale.UNBOUNDED),
    ],
    ids=["scores near 1", "skewed distances", "normal"],
)
def test_a_few_cases_suffice_for_an_honest_interval(draw, truth, scale, cases) -> None:
    """Of 300 studies, so the share has a standard error of 1.5 %. Percentile intervals hold 78 to 89 %."""
    random = np.random.default_rng(cases)
    assert coverage(lambda: draw(random, cases), truth, scale) >= 0.9


def test_with_few_cases_the_interval_is_students_on_the_logit() -> None:
    scores = [0.8, 0.85, 0.9, 0.7, 0.95]
    mean = np.mean(scores)
    reach = stats.t.ppf(0.975, 4) * stats.sem(scores) / (mean * (1 - mean))
    expected = stats.logistic.cdf(stats.logistic.ppf(mean) + np.array([-reach, reach]))
    np.testing.assert_allclose(mean_estimate(scores, scale=Scale.UNIT).interval, expected, rtol=1e-12)


def test_with_many_normal_cases_all_methods_agree() -> None:
    values = np.random.default_rng(1).normal(3, 1, 400)
    student = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    np.testing.assert_allclose(mean_estimate(values).interval, student, atol=0.02)
    scipys = stats.bootstrap((values,), np.mean, method="BCa", rng=0).confidence_interval
    np.testing.assert_allclose(mean_estimate(values).interval, scipys, atol=0.02)


def test_a_mean_by_the_jackknife_is_the_same_mean() -> None:
    by_jackknife = statistic_estimate(
        len(SCORES), lambda counts: counts @ SCORES / counts.sum(axis=1), scale=Scale.UNIT
    )
    direct = mean_estimate(SCORES, scale=Scale.UNIT)
    assert by_jackknife.value == pytest.approx(direct.value, abs=1e-12)
    assert by_jackknife.interval == pytest.approx(direct.interval, abs=1e-9)


def test_a_ratio_of_sums_has_the_interval_of_the_ratio() -> None:
    """Against SciPy's BCa where there are enough cases for it."""
    random = np.random.default_rng(5)
    size = random.lognormal(0, 0.5, 120)
    part = size * random.beta(20, 5, 120)
    table = np.column_stack([part, size])

    def ratio(counts: np.ndarray) -> np.ndarray:
        sums = counts @ table
        return sums[:, 0] / sums[:, 1]

    def scipys_ratio(rows: np.ndarray, axis: int) -> np.ndarray:
        chosen = table[rows.astype(int)].sum(axis=-2)
        return chosen[..., 0] / chosen[..., 1]

    found = statistic_estimate(120, ratio, scale=Scale.UNIT)
    expected = stats.bootstrap((np.arange(120),), scipys_ratio, method="BCa", rng=0).confidence_interval
    assert found.value == pytest.approx(part.sum() / size.sum())
    assert found.interval == pytest.approx(tuple(expected), abs=0.004)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_scores_have_intervals_within_their_range(scores: list[float]) -> None:
    estimate = mean_estimate(scores, scale=Scale.UNIT)
    assert estimate.value is not None
    assert estimate.cases == len(scores)
    if len(scores) < 3:
        assert estimate.interval is None
        assert "too few" in estimate.note
    else:
        assert estimate.interval is not None
        assert 0 <= estimate.interval[0] <= estimate.value <= estimate.interval[1] <= 1


@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=12))
def test_distances_have_intervals_within_their_range(distances: list[float]) -> None:
    estimate = mean_estimate(distances, scale=Scale.POSITIVE)
    assert estimate.value is not None
    assert estimate.interval is not None
    assert 0 <= estimate.interval[0] <= estimate.value <= estimate.interval[1] < np.inf


def test_an_interval_ends_at_what_no_number_can_exceed() -> None:
    missed = [1.1, 0.9, 1.3, 0.8, 1.0, 1.2, 0.7, 70.0]
    free = mean_estimate(missed, scale=Scale.POSITIVE)
    held = mean_estimate(missed, scale=Scale.POSITIVE, greatest=70.0)
    assert free.upper is not None
    assert free.upper > 70.0
    assert (held.value, held.lower, held.upper) == (free.value, free.lower, 70.0)
    assert mean_estimate(missed[:7], scale=Scale.POSITIVE, greatest=70.0) == mean_estimate(
        missed[:7], scale=Scale.POSITIVE
    )


def test_the_interval_does_not_depend_on_the_unit() -> None:
    distances = np.random.default_rng(2).lognormal(0, 0.6, 10)
    mm, metres = (mean_estimate(distances * unit, scale=Scale.POSITIVE) for unit in (1.0, 1e-3))
    assert metres.interval == pytest.approx(tuple(1e-3 * end for end in mm.interval))  # type: ignore[union-attr]


def test_the_order_of_the_scale_is_kept() -> None:
    """The interval of 1 - Dice mirrors that of Dice."""
    dice, error = (mean_estimate(values, scale=Scale.UNIT) for values in (SCORES, 1 - SCORES))
    assert error.interval == pytest.approx(tuple(1 - end for end in reversed(dice.interval)))  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_interval_and_another_nearly_the_same() -> None:
    first = mean_estimate(SCORES, scale=Scale.UNIT)
    assert mean_estimate(SCORES, scale=Scale.UNIT) == first
    other = mean_estimate(SCORES, scale=Scale.UNIT, seed=1)
    assert other != first
    assert other.interval == pytest.approx(first.interval, abs=0.01)


def test_higher_levels_are_wider() -> None:
    widths = [
        np.ptp(mean_estimate(SCORES, level, scale=Scale.UNIT).interval) for level in (0.5, 0.9, 0.95, 0.99)
    ]  # type: ignore[arg-type]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1] / 2


class TestDegenerate:
    def test_no_case(self) -> None:
        assert mean_estimate([]).value is None
        assert mean_estimate([]).note

    def test_one_case_has_a_value_and_says_why_no_interval(self) -> None:
        estimate = mean_estimate([0.8], scale=Scale.UNIT)
        assert (estimate.value, estimate.interval, estimate.cases) == (0.8, None, 1)
        assert "1 case is too few" in estimate.note

    @pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
    def test_no_spread_has_no_width_and_says_so(self, value: float) -> None:
        estimate = mean_estimate([value] * 7, scale=Scale.UNIT)
        assert (estimate.value, estimate.lower, estimate.upper) == (value, value, value)
        assert "no width" in estimate.note

    def test_perfect_cases_with_one_exception(self) -> None:
        estimate = mean_estimate([1.0] * 9 + [0.6], scale=Scale.UNIT)
        assert estimate.interval is not None
        assert 0.3 < estimate.interval[0] < 0.9
        assert 0.96 < estimate.interval[1] <= 1

    @pytest.mark.parametrize("values", [[0.5, np.nan], [0.5, np.inf], [0.5, 1.2], [-0.1, 0.5]])
    def test_what_is_no_score_is_refused(self, values: list[float]) -> None:
        with pytest.raises(ValueError, match="from 0 to 1"):
            mean_estimate(values, scale=Scale.UNIT)

    def test_a_statistic_that_is_undefined(self) -> None:
        estimate = statistic_estimate(8, lambda counts: np.full(len(counts), np.nan))
        assert estimate.value is None
        assert "not defined" in estimate.note

    def test_a_statistic_that_hangs_on_one_case(self) -> None:
        estimate = statistic_estimate(8, lambda counts: np.where(counts[:, 0] > 0, 1.0, np.nan))
        assert (estimate.value, estimate.interval) == (1.0, None)
        assert "without one of the cases" in estimate.note

    def test_very_many_cases_take_no_time(self) -> None:
        values = np.random.default_rng(0).normal(0, 1, 3000)
        estimate = statistic_estimate(3000, lambda counts: counts @ values / counts.sum(axis=1))
        student = stats.t.interval(0.95, 2999, values.mean(), stats.sem(values))
        assert estimate.interval == pytest.approx(student, rel=1e-6)


def test_resampled_counts_are_of_as_many_cases() -> None:
    counts = resampled_counts(7, seed=3)
    assert counts.shape == (2000, 7)
    assert (counts.sum(axis=1) == 7).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.1)
    np.testing.assert_allclose(counts.var(axis=0), 6 / 7, atol=0.1)


class TestConfidence:
    def test_it_is_where_the_paired_t_test_puts_it(self) -> None:
        random = np.random.default_rng(7)
        b = random.normal(0, 1, 40)
        a = b + random.normal(0.1, 0.3, 40)
        expected = stats.ttest_rel(a, b, alternative="greater").pvalue
        assert confidence_that_greater(a, b) == pytest.approx(1 - expected, abs=0.02)
        assert confidence_that_greater(a[:5], b[:5]) == pytest.approx(
            1 - stats.ttest_rel(a[:5], b[:5], alternative="greater").pvalue, abs=1e-9
        )

    def test_both_directions_add_up(self) -> None:
        a, b = RANDOM.normal(0.2, 1, (2, 10))
        assert confidence_that_greater(a, b) + confidence_that_greater(b, a) == pytest.approx(1, abs=1e-9)

    def test_equals_are_found_different_as_rarely_as_promised(self) -> None:
        random = np.random.default_rng(8)
        outside = 0
        for _ in range(300):
            hard = random.normal(0, 1, 12)
            a, b = hard + random.lognormal(0, 0.5, 12), hard + random.lognormal(0, 0.5, 12)
            outside += not 0.025 <= confidence_that_greater(a, b) <= 0.975
        assert outside / 300 <= 0.08

    def test_cases_that_only_one_has_count_too(self) -> None:
        random = np.random.default_rng(9)
        a = np.concatenate([random.normal(1, 1, 30), np.full(30, np.nan)])
        b = np.concatenate([np.full(30, np.nan), random.normal(0.5, 1, 30)])
        welch = stats.ttest_ind(a[:30], b[30:], equal_var=False, alternative="greater").pvalue
        assert confidence_that_greater(a, b) == pytest.approx(1 - welch, abs=0.02)

    def test_what_never_varies_is_certain(self) -> None:
        assert confidence_that_greater([0.9] * 5, [0.8] * 5) == 1
        assert confidence_that_greater([0.8] * 5, [0.9] * 5) == 0
        assert confidence_that_greater([0.8] * 5, [0.8] * 5) == 0.5

    def test_two_cases_are_refused(self) -> None:
        with pytest.raises(ValueError, match="2 cases are too few"):
            confidence_that_greater([1, 2, np.nan], [1, 2, 3])
