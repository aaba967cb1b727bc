"""Bland-Altman: the paper's example, exact intervals by simulation, and which comparisons count."""

from __future__ import annotations

import numpy as np
import pytest

from pgt.agreement.bland_altman import bland_altman, limits_of_agreement
from pgt.agreement.readings import Sitting
from pgt.agreement.results import Occupancy, PairKind, PairScores

# Bland and Altman (1986): peak expiratory flow in l/min of 17 subjects by two meters, first measurements.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def pair(case: str, a: Sitting, b: Sitting, volumes: tuple[float, float], kind=PairKind.INTER) -> PairScores:
    return PairScores(case, "liver", a, b, kind, {}, Occupancy.BOTH, *volumes)


def test_bland_and_altman_1986() -> None:
    """Mean difference -2.1, standard deviation 38.8, and with 1.96 of them limits of -78.1 and 73.9."""
    bias, lower, upper = limits_of_agreement(np.subtract(WRIGHT, MINI).tolist())
    assert bias.value == pytest.approx(-2.1, abs=0.05)
    assert lower.value == pytest.approx(-78.1, abs=0.1)
    assert upper.value == pytest.approx(73.9, abs=0.1)
    # The paper: t(16) = 2.12, so the bias lies from -22.0 to 17.8; its limits' intervals are approximate.
    assert bias.interval == pytest.approx((-22.0, 17.8), abs=0.1)
    assert lower.interval is not None
    assert upper.interval is not None
    assert (
        lower.interval[0]
        < -114.3
        < lower.interval[1]
        < -45
        < 40
        < upper.interval[0]
        < 110
        < upper.interval[1]
    )


@pytest.mark.parametrize("cases", [3, 5, 12])
def test_limits_hold_the_truth_as_often_as_they_say(cases: int) -> None:
    random = np.random.default_rng(cases)
    held = np.zeros(3)
    for _ in range(600):
        found = limits_of_agreement(random.normal(5, 2, cases).tolist())
        for which, truth in enumerate((5, 5 - 1.959964 * 2, 5 + 1.959964 * 2)):
            interval = found[which].interval
            assert interval is not None
            held[which] += interval[0] <= truth <= interval[1]
    np.testing.assert_allclose(held / 600, 0.95, atol=0.028)


def test_every_two_raters_by_their_first_sessions() -> None:
    a, again, b, c = Sitting("a"), Sitting("a", "2"), Sitting("b"), Sitting("c")
    pairs = []
    for case in range(4):
        name = str(case)
        pairs += [
            pair(name, a, b, (10.0 + case, 12.0 + case)),
            pair(name, c, a, (11.0, 10.0 + case)),
            pair(name, b, c, (12.0 + case, 11.0)),
            pair(name, again, b, (99.0, 12.0)),
            pair(name, a, again, (10.0, 99.0), PairKind.INTRA),
        ]
    found = bland_altman(pairs)
    assert [(one.a, one.b) for one in found] == [(a, b), (a, c), (b, c)]
    assert found[0].differences_ml == (2, 2, 2, 2)
    assert found[0].means_ml == (11, 12, 13, 14)
    assert found[0].cases == ("0", "1", "2", "3")
    assert "no width" in found[0].bias_ml.note
    assert found[1].differences_ml == (1, 0, -1, -2)
    assert found[1].bias_ml.value == -0.5


def test_the_reference_is_subtracted() -> None:
    reference, model = Sitting("reference"), Sitting("model")
    pairs = [pair(str(n), reference, model, (10, 13.0 + n), PairKind.REFERENCE) for n in range(3)]
    (found,) = bland_altman(pairs)
    assert (found.a, found.b) == (reference, model)
    assert found.differences_ml == (3, 4, 5)


def test_models_are_not_raters() -> None:
    pairs = [pair(str(n), Sitting("a"), Sitting("model"), (10, 13.0 + n)) for n in range(3)]
    assert bland_altman(pairs, candidates=["model"]) == ()
    assert len(bland_altman(pairs)) == 1


@pytest.mark.parametrize("cases", [1, 2])
def test_too_few_cases_say_so(cases: int) -> None:
    bias, lower, upper = limits_of_agreement([1.0, 3.0][:cases])
    assert bias.value == cases
    for estimate in (bias, lower, upper):
        assert estimate.interval is None
        assert estimate.note
    assert (lower.value is None) == (cases == 1)
    assert (upper.value is None) == (cases == 1)
