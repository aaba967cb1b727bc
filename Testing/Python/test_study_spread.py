"""Intervals over a few seeds and some cases: Student's where one varies, and as often right as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pgt.studies.seed_case_spread import draw_means


def test_where_cases_alone_vary_it_is_students_interval() -> None:
    values = np.random.default_rng(1).normal(0.8, 0.05, 12)
    found = draw_means(np.broadcast_to(values, (1, 3, 12)).copy(), draws=100_000).of(0)
    low, high = stats.t.interval(0.95, 11, values.mean(), values.std(ddof=1) / np.sqrt(12))
    assert (found.low, found.high) == (pytest.approx(low, abs=4e-4), pytest.approx(high, abs=4e-4))


def test_where_seeds_alone_vary_it_is_students_interval() -> None:
    values = np.array([0.70, 0.74, 0.81])
    scores = np.broadcast_to(values[:, None], (1, 3, 20)).copy()
    found = draw_means(scores, draws=200_000).of(0)
    low, high = stats.t.interval(0.95, 2, values.mean(), values.std(ddof=1) / np.sqrt(3))
    assert found.low == pytest.approx(low, abs=0.004)
    assert found.high == pytest.approx(high, abs=0.004)


def test_what_seeds_and_cases_do_to_all_cancels_in_differences() -> None:
    random = np.random.default_rng(2)
    both = random.normal(0, 0.1, (3, 1)) + random.normal(0, 0.1, (1, 20))
    found = draw_means(np.stack([both + 0.75, both + 0.70]))
    difference = found.interval(np.array([1.0, -1.0]))
    assert difference.low == pytest.approx(0.05)
    assert difference.high == pytest.approx(0.05)
    assert found.of(0).high - found.of(0).low > 0.1
    assert found.share_best([0, 1]).tolist() == [1.0, 0.0]
    assert found.share_best([0, 1], margin=0.06).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("of_seed", "of_case", "of_both"), [(3, 1, 1), (0, 1, 2), (1, 3, 1), (0, 0, 1)])
def test_intervals_hold_the_truth_as_often_as_they_say(
    of_seed: float, of_case: float, of_both: float
) -> None:
    """400 made studies of 3 seeds and 15 cases whose true difference is 0."""
    random = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        scores = (
            of_seed * random.normal(size=(2, 3, 1))
            + of_case * random.normal(size=(2, 1, 15))
            + of_both * random.normal(size=(2, 3, 15))
        )
        found = draw_means(scores, draws=1000).interval(np.array([1.0, -1.0]))
        held += found.low <= 0 <= found.high
    assert held / 400 > 0.93
