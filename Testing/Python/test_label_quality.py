"""Quality of label versions (equations 2 to 4) and what follows from it, against calculations by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pgt.agreement.results import Estimate
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.studies.label_quality import aggregated, common_structures, scores_against
from pgt.studies.label_quality_answer import Use, Worth, answers_of
from pgt.studies.label_quality_results import LabelQualityResults, TaskResults
from pgt.studies.label_quality_statistics import Gain, gains, kendall, pay_off, relation, slope, spearman
from pgt.studies.label_quality_words import comparison, lead, points, raters_sentence, sentences
from pgt.studies.structure_scheme import StructureScheme, scheme_of
from pgt.volume import LabelMap, Segment


def test_equations_2_and_4_by_hand():
    # Structure a: 0.8, 0.6, 1.0, so mean 0.8 and variance (0 + 0.04 + 0.04) / 3; b: 0.5, 0.5, 0.2, so mean
    # 0.4 and variance (0.01 + 0.01 + 0.04) / 3.
    found = aggregated(np.array([[0.8, 0.5], [0.6, 0.5], [1.0, 0.2]]), ("a", "b"))
    assert found.mean == pytest.approx(0.6)
    assert found.deviation == pytest.approx(np.sqrt((0.08 / 3 + 0.06 / 3) / 2))
    assert [one.mean for one in found.structures] == pytest.approx([0.8, 0.4])
    assert [one.deviation for one in found.structures] == pytest.approx([(0.08 / 3) ** 0.5, 0.02**0.5])
    # Neither the deviation of all numbers pooled nor that of one less than the cases.
    assert found.deviation != pytest.approx(np.std([0.8, 0.6, 1.0, 0.5, 0.5, 0.2]), abs=0.01)


def test_equation_3_keeps_what_all_versions_can_hold():
    base = ("liver", "spleen", "prostate")
    assert common_structures(base, {}) == base
    held = {"a": ("prostate", "liver", "bladder"), "b": ("spleen", "liver")}
    assert common_structures(base, held) == ("liver",)
    with pytest.raises(InputError, match=r"No structure is left.*c holds bladder of liver, spleen, prostate"):
        common_structures(base, {**held, "c": ("bladder",)})


def test_scores_of_boxes_and_of_absent_structures():
    geometry = Geometry((12, 12, 12), (1.0, 1.0, 2.0))
    base, other = np.zeros((2, 12, 12, 12), np.uint8)
    base[2:8, 2:8, 2:8] = 1
    other[4:10, 2:8, 2:8] = 1  # two of six voxels further along i
    other[0, 0, 0] = 3
    scores = scores_against(base, other, geometry, (1, 2, 3), 2.0)
    assert scores[0, 0] == pytest.approx(2 * 4 / 12)
    assert scores[0, 1] == 1.0  # no surface lies further than 2 mm off
    assert scores[1].tolist() == [1.0, 1.0]  # absent from both
    assert scores[2].tolist() == [0.0, 0.0]  # absent from one
    assert scores_against(base, other, geometry, (1,), 1.0)[0, 1] < 0.9


def test_schemes_merge_values_and_refuse_shared_ones():
    scheme = StructureScheme({"whole": (1, 2), "other": (5,)})
    voxels = np.array([[[0, 1, 2, 5, 7]]])
    assert scheme.classes_of(voxels).ravel().tolist() == [0, 1, 1, 2, 0]
    assert scheme.labelled(scheme.classes_of(voxels)).ravel().tolist() == [0, 1, 1, 5, 0]
    assert scheme.only(("other",)).classes_of(voxels).ravel().tolist() == [0, 0, 0, 1, 0]
    with pytest.raises(InputError, match="each of one structure, not a: 1, 2; b: 2"):
        StructureScheme({"a": (1, 2), "b": (2,)})
    with pytest.raises(InputError, match="needs a label value"):
        StructureScheme({"a": ()})
    geometry = Geometry((1, 1, 2))
    maps = [
        LabelMap(np.array([[[1, 4]]]), geometry, (Segment(1, "x", (0, 0, 0)), Segment(4, "y", (0, 0, 0)))),
        LabelMap(np.array([[[9, 4]]]), geometry, (Segment(9, "x", (0, 0, 0)), Segment(4, "z", (0, 0, 0)))),
    ]
    assert scheme_of(maps).structures == {"x (1)": (1,), "y (4)": (4,), "x (9)": (9,)}


def test_correlations_and_slope_against_scipy():
    draw = np.random.default_rng(3)
    x = np.round(draw.uniform(0.5, 1, (20, 7)), 1)  # with ties
    y = np.round(0.6 * x + draw.normal(0, 0.1, x.shape), 2)
    for row in range(len(x)):
        assert spearman(x, y)[row] == pytest.approx(stats.spearmanr(x[row], y[row]).statistic)
        assert kendall(x, y)[row] == pytest.approx(stats.kendalltau(x[row], y[row]).statistic)
        assert slope(x, y)[row] == pytest.approx(stats.linregress(x[row], y[row]).slope)


def _made(slope_of_result: float, noise: float = 0.02, seeds: int = 2, versions: int = 6):
    """Label quality [version, case] and results [version, seed, kept-out case] that follow it."""
    draw = np.random.default_rng(8)
    means = np.append(np.linspace(0.6, 0.95, versions - 1), 1.0)
    quality = np.clip(means[:, None] + draw.normal(0, 0.01, (versions, 30)), 0, 1)
    quality[-1] = 1.0
    case = draw.normal(0, 0.05, 14)
    results = 0.2 + slope_of_result * means[:, None, None] + case
    return quality, results + draw.normal(0, noise, (versions, seeds, 14))


def test_relation_finds_what_was_made():
    found = relation(*_made(0.7, noise=0.005))
    assert found.spearman.value == pytest.approx(1)
    assert found.slope.value == pytest.approx(0.7, abs=0.05)
    assert found.slope.lower < 0.7 < found.slope.upper
    flat = relation(*_made(0.0))
    assert flat.slope.lower < 0 < flat.slope.upper
    assert flat.spearman.lower < flat.spearman.value < flat.spearman.upper or abs(flat.spearman.value) == 1
    few = relation(*(part[:2] for part in _made(0.7)))
    assert few.spearman.value is None
    assert "2 label versions are too few" in few.spearman.note


def test_gains_are_paired_by_case_and_widened_for_their_number():
    quality, results = _made(0.7, noise=0.005, versions=4)
    found = gains("abcd", quality.mean(axis=1).tolist(), results)
    assert len(found) == 6
    assert [gain.improvement for gain in found] == sorted(gain.improvement for gain in found)
    whole = next(gain for gain in found if (gain.worse, gain.better) == ("a", "d"))
    assert whole.gain.value == pytest.approx(float((results[3] - results[0]).mean()))
    assert whole.gain.level == pytest.approx(1 - 0.05 / 6)
    assert whole.paid_off
    # The same difference, but one seed says the opposite.
    results[3, 1] = results[0, 1] - 0.01
    again = gains("abcd", quality.mean(axis=1).tolist(), results)
    again_whole = next(gain for gain in again if (gain.worse, gain.better) == ("a", "d"))
    assert not again_whole.every_seed
    assert not again_whole.paid_off
    turned = gains("abcd", (-quality.mean(axis=1)).tolist(), _made(0.7, noise=0.005, versions=4)[1])
    assert next(gain for gain in turned if (gain.worse, gain.better) == ("d", "a")).lost


def test_pay_off_sums_pairs_up():
    def gain(improvement: float, paid: bool) -> Gain:
        return Gain("a", "b", improvement, Estimate(0.1, 0.05 if paid else -0.05, 0.2, 9), True)

    loss = Gain("a", "b", 0.2, Estimate(-0.1, -0.2, -0.05, 9), True)
    assert (pay_off([loss]).lost, pay_off([loss]).paid) == (1, 0)

    found = pay_off(
        [gain(0.3, True), gain(0.01, True), gain(0.05, False), gain(0.1, True), gain(0.02, False)]
    )
    assert (found.paid, found.pairs) == (3, 5)
    assert found.smallest is not None
    assert found.smallest.improvement == 0.01
    assert found.largest_without is not None
    assert found.largest_without.improvement == 0.05
    assert found.sure_from == 0.1
    nothing = pay_off([gain(0.1, False)])
    assert (nothing.smallest, nothing.sure_from, nothing.paid) == (None, None, 0)


def _results(slope_in_domain: float, slope_tuned: float, level: float = 0.2, noise: float = 0.004):
    quality, in_domain = _made(slope_in_domain, noise)
    _, tuned = _made(slope_tuned, noise)
    names = ("one", "two", "three", "four", "five", "base")
    order = [5, 0, 1, 2, 3, 4]

    def twice(scores):
        """As [..., structure, metric] with both structures and metrics the same."""
        return np.repeat(np.repeat(scores[..., None, None], 2, axis=-1), 2, axis=-2)

    none = np.full_like(tuned[:1], tuned.min() - 0.2)
    versions = tuple(names[row] for row in order)
    tuned = np.concatenate([none, tuned[order]]) + level
    return LabelQualityResults(
        structures=("a", "b"),
        left_out=(),
        versions=versions,
        described=dict.fromkeys(versions, "made"),
        labels=twice(quality[order]),
        in_domain=TaskResults(("a", "b"), versions, twice(in_domain[order] + level)),
        fine_tuned=TaskResults(("a", "b"), ("no pre-training", *versions), twice(tuned)),
        training_cases=30,
    )


def test_the_answer_follows_the_data():
    """In-domain label quality decides, after fine-tuning it does nothing: what the paper found."""
    results = _results(0.7, 0.0, level=0.5)
    answers = answers_of(results)
    assert [(answer.use, answer.metric) for answer in answers] == [
        (Use.IN_DOMAIN, "dice"), (Use.IN_DOMAIN, "nsd"), (Use.FINE_TUNING, "dice"), (Use.FINE_TUNING, "nsd"),
    ]  # fmt: skip
    assert answers[0].worth in (Worth.YES, Worth.LARGE_ONLY)
    assert answers[0].pay_off.paid >= 12
    assert answers[2].worth is Worth.NO
    assert all(one.helped for one in answers[2].over_none)
    assert [gain.better for gain in answers[0].to_base] == ["base"] * 5
    said = lead(answers)
    assert "improving these labels is worth it" in said[0]
    assert "improving these labels is not worth it" in said[1]
    assert any("6 of 6 versions helped beyond doubt" in sentence for sentence in sentences(answers[2]))
    assert "in-domain, and by" in comparison(answers)


def test_versions_that_differ_without_regard_to_quality_are_not_worth_it():
    """Where one version is bad for another reason, pairs with it pay off or lose; the slope stays flat."""
    results = _results(0.0, 0.0, level=0.5)
    odd = results.in_domain.scores.copy()
    odd[results.versions.index("three")] -= 0.02
    odd_results = replace(results, in_domain=replace(results.in_domain, scores=odd), fine_tuned=None)
    answer = answers_of(odd_results)[0]
    assert answer.pay_off.paid >= 2
    assert answer.pay_off.lost >= 2
    assert answer.worth is Worth.NO
    assert "better labels gave a worse result" in lead((answer,))[0]
    assert any("what kind of error" in sentence for sentence in sentences(answer))


def test_seeds_whose_training_did_not_converge_are_left_out():
    task = _results(0.7, 0.7).in_domain
    scores = task.scores.copy()
    scores[task.row("one"), 0, :, 1] = 0.0  # poor labels may well lead to nothing
    assert replace(task, scores=scores).without_unlearnt((4, 9)).unlearnt == ()
    scores[task.row("base"), 0, :, 1] = 0.01
    left = replace(task, scores=scores).without_unlearnt((4, 9))
    assert left.unlearnt == (4,)
    assert left.scores.shape[1] == 1
    assert (left.scores[:, 0] == scores[:, 1]).all()
    scores[task.row("base"), 1, :, 0] = 0.01
    nothing = replace(task, scores=scores)
    assert nothing.without_unlearnt((4, 9)) is nothing
    assert not nothing.converged
    results = replace(_results(0.7, 0.7), in_domain=nothing)
    assert answers_of(results)[0].worth is Worth.OPEN
    assert "not learnt the task" in lead(answers_of(results))[0]


def test_networks_that_learnt_nothing_leave_the_question_open():
    answers = answers_of(_results(0.0, 0.0, level=-0.1, noise=0.0005))
    assert {answer.worth for answer in answers} == {Worth.OPEN}
    assert "have not learnt the task" in lead(answers)[0]


def test_points_and_raters_in_words():
    assert points(0.0123) == "+1.2"
    assert points(-0.0123) == "−1.2"
    assert points(0.0001) == "0.0"
    results = _results(0.7, 0.0)
    assert "one, two" not in raters_sentence(results, 0.9, None)
    assert "five" in raters_sentence(results, 0.9, None)
    assert "Every version lies below" in raters_sentence(results, 0.999, 0.9995)
