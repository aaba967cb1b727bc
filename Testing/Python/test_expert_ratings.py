"""Expert ratings: files that say what is wrong with them, and correlations that hold their promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pgt.agreement.expert_ratings import (
    ExpertRating,
    correlations,
    ratings_from_json,
    ratings_to_json,
    read_ratings,
    write_ratings,
)
from pgt.agreement.readings import Sitting
from pgt.agreement.results import Occupancy, PairKind, PairScores, RatingCorrelation
from pgt.errors import InputError, OutputError

names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
ratings = st.lists(
    st.builds(ExpertRating, names, names, st.integers(1, 6), names),
    unique_by=lambda rating: (rating.case, rating.label, rating.expert),
    min_size=1,
    max_size=6,
)


def pair(case: str, kind: PairKind = PairKind.INTER, label: str = "liver", **values: float) -> PairScores:
    return PairScores(case, label, Sitting("a"), Sitting("b"), kind, values, Occupancy.BOTH, 1, 1)


def rated(scores: dict[str, float], label: str = "liver", expert: str = "x") -> list[ExpertRating]:
    return [ExpertRating(case, label, int(score), expert) for case, score in scores.items()]


def only(
    found: tuple[RatingCorrelation, ...], metric: str = "dice", label: str = "liver"
) -> RatingCorrelation:
    (one,) = [one for one in found if (one.metric, one.label) == (metric, label)]
    return one


@given(ratings)
def test_files_and_scenes_keep_every_rating(tmp_path_factory, given_ratings: list[ExpertRating]) -> None:
    path = tmp_path_factory.mktemp("ratings") / "ratings.csv"
    write_ratings(given_ratings, path)
    assert read_ratings(path) == tuple(given_ratings)
    assert ratings_from_json(ratings_to_json(given_ratings)) == tuple(given_ratings)


def test_columns_come_in_any_order_and_from_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(
        b"\xef\xbb\xbfexpert, rating,label,case,remark\r\nx,5,liver,1,fine\r\ny,5.0,liver,1,\r\n"
    )
    assert read_ratings(path) == (ExpertRating("1", "liver", 5, "x"), ExpertRating("1", "liver", 5, "y"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("case,label,rating\n1,liver,3\n", "lacks the column expert"),
        ("", "lacks the column case, label, rating, expert"),
        ("case,label,rating,expert\n", "holds no rating"),
        ("case,label,rating,expert\n1,liver,7,x\n", "line 2: x rated liver in 1 with 7"),
        ("case,label,rating,expert\n1,liver,0,x\n", "from 1 .useless. to 6"),
        ("case,label,rating,expert\n1,liver,3.5,x\n", "line 2: '3.5' is no rating"),
        ("case,label,rating,expert\n1,liver,good,x\n", "line 2: 'good' is no rating"),
        ("case,label,rating,expert\n1,liver,nan,x\n", "line 2: 'nan' is no rating"),
        ("case,label,rating,expert\n1,liver,inf,x\n", "line 2: 'inf' is no rating"),
        ("case,label,rating,expert\n1,,3,x\n", "line 2: the entry for label is missing"),
        ("case,label,rating,expert\n1,liver\n", "line 2: the entry for rating, expert is missing"),
        ("case,label,rating,expert\n1,liver,3,x\n1,liver,4,x\n", "x rated liver in 1 more than once"),
    ],
)
def test_tables_that_are_none_are_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as raised:
        read_ratings(path)
    assert str(path) in str(raised.value)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_ratings(tmp_path / "absent.csv")
    path = tmp_path / "binary.csv"
    path.write_bytes(b"\xff\xfe\x00case")
    with pytest.raises(InputError, match="cannot be read"):
        read_ratings(path)
    with pytest.raises(OutputError, match="exists already"):
        write_ratings([], path)
    assert path.read_bytes() == b"\xff\xfe\x00case"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "3", '{"schema": "x", "version": 1, "ratings": []}',
        '{"schema": "pgt-expert-ratings", "version": 2, "ratings": []}',
        '{"schema": "pgt-expert-ratings", "version": 1, "ratings": [{"case": "1"}]}',
        ratings_to_json(rated({"1": 3})).replace("3", "9"), ratings_to_json(rated({"1": 3}) * 2),
        ratings_to_json(rated({"1": 3})).replace('"x"', "4"),
        ratings_to_json(rated({"1": 3})).replace("3", "true"),
    ],
)  # fmt: skip
def test_scenes_that_hold_something_else_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="stored expert ratings"):
        ratings_from_json(text)


def test_the_correlation_is_spearmans_with_ties() -> None:
    random = np.random.default_rng(0)
    dice = {str(case): float(random.random()) for case in range(15)}
    first = {case: 1 + round(5 * value * random.uniform(0.6, 1)) for case, value in dice.items()}
    second = {case: int(random.integers(1, 7)) for case in dice}
    found = only(
        correlations(
            [pair(case, dice=value) for case, value in dice.items()],
            [*rated(first, expert="x"), *rated(second, expert="y")],
        )
    )
    means = [(first[case] + second[case]) / 2 for case in dice]
    expected = stats.spearmanr(list(dice.values()), means).statistic
    assert found.spearman.value == pytest.approx(expected, abs=1e-12)
    assert found.spearman.cases == 15
    assert found.spearman.interval is not None
    assert found.spearman.interval[0] < expected < found.spearman.interval[1]


@pytest.mark.parametrize("strength", [0.0, 0.6, 0.9])
def test_intervals_hold_the_truth_as_often_as_they_say(strength: float) -> None:
    """Ratings in six ranks, 12 cases; the true rank correlation from very many cases."""

    def draw(random: np.random.Generator, cases: int) -> tuple[np.ndarray, np.ndarray]:
        quality = random.normal(size=cases)
        opinion = strength * quality + np.sqrt(1 - strength**2) * random.normal(size=cases)
        return stats.norm.cdf(quality), np.clip(np.round(3.5 + 1.2 * opinion), 1, 6)

    random = np.random.default_rng(1)
    truth = stats.spearmanr(*draw(random, 200_000)).statistic
    held = 0
    for _ in range(200):
        dice, opinions = draw(random, 12)
        names = [str(case) for case in range(12)]
        found = only(
            correlations(
                [pair(name, dice=float(value)) for name, value in zip(names, dice, strict=True)],
                rated(dict(zip(names, opinions, strict=True))),
            )
        )
        interval = found.spearman.interval
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert held / 200 >= 0.92


def test_distances_that_follow_the_experts_are_negative_and_say_so() -> None:
    cases = {str(case): case + 1 for case in range(6)}
    pairs = [pair(case, dice=score / 10, hd95_mm=30.0 - score) for case, score in cases.items()]
    found = correlations(pairs, rated(cases))
    dice, distance = only(found).spearman, only(found, "hd95_mm").spearman
    assert (dice.value, distance.value) == (pytest.approx(1), pytest.approx(-1))
    assert dice.note == ""
    assert "near -1 follows" in distance.note
    for estimate in (dice, distance):
        assert estimate.interval is not None
        low, high = sorted(abs(end) for end in estimate.interval)
        assert 0.5 < low < 0.999 < high <= 1


def test_labels_alone_and_together() -> None:
    scores = {str(case): case % 6 + 1 for case in range(8)}
    pairs = [
        pair(case, label=label, dice=score / 10 + (label == "spleen") * 0.01)
        for label in ("liver", "spleen", "unrated")
        for case, score in scores.items()
    ]
    found = correlations(pairs, [*rated(scores), *rated(scores, "spleen")])
    assert [one.label for one in found] == ["liver", "spleen", ""]
    together = only(found, label="").spearman
    assert together.cases == 8
    assert together.value == pytest.approx(stats.spearmanr(
        [score / 10 for score in scores.values()] + [score / 10 + 0.01 for score in scores.values()],
        [*scores.values()] * 2,
    ).statistic)  # fmt: skip


def test_the_reference_counts_before_the_raters() -> None:
    scores = {str(case): case + 1 for case in range(6)}
    against_raters = [pair(case, dice=1 - score / 10) for case, score in scores.items()]
    against_reference = [pair(case, PairKind.REFERENCE, dice=score / 10) for case, score in scores.items()]
    found = correlations([*against_raters, *against_reference], rated(scores))
    assert only(found).spearman.value == pytest.approx(1)
    assert only(correlations(against_raters, rated(scores))).spearman.value == pytest.approx(-1)
    intra = [replace(one, b=Sitting("a", "2"), kind=PairKind.INTRA) for one in against_raters]
    assert only(correlations(intra, rated(scores))).spearman.value == pytest.approx(-1)


@pytest.mark.parametrize(
    ("scores", "values", "words"),
    [
        ([1, 2, 3], [0.1, 0.2, 0.3], "3 rated cases, 4 are needed"),
        ([4, 4, 4, 4], [0.1, 0.2, 0.3, 0.4], "all ratings are the same"),
        ([1, 2, 3, 4], [0.5, 0.5, 0.5, 0.5], "all values of the metric are the same"),
    ],
)
def test_what_has_no_correlation_says_why(scores: list[int], values: list[float], words: str) -> None:
    opinions = rated({str(case): score for case, score in enumerate(scores)})
    found = only(correlations([pair(str(case), dice=v) for case, v in enumerate(values)], opinions))
    assert found.spearman.value is None
    assert words in found.spearman.note


def test_ratings_of_cases_that_nobody_compared_are_left_out() -> None:
    scores = {str(case): case + 1 for case in range(6)}
    pairs = [pair(case, dice=score / 10) for case, score in scores.items() if int(case) < 4]
    assert only(correlations(pairs, rated(scores))).spearman.cases == 4
    assert correlations(pairs, rated(scores, "heart")) == ()
