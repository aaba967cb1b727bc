"""A study as a whole: what is compared, what is left out, and what is said of it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from reading_cases import GRID, box

from pgt.agreement.agreement_files import pairs_csv, report_json
from pgt.agreement.expert_ratings import ExpertRating
from pgt.agreement.masks import CroppedMask
from pgt.agreement.metrics import DEFAULT_METRICS, METRICS
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.agreement.results import Agreement, BandState, Missing, Occupancy, PairKind
from pgt.agreement.study import StudyOptions, study
from pgt.agreement.study_messages import case_words
from pgt.errors import Cancelled, InputError
from pgt.geometry import Geometry

Masks = Mapping[str, np.ndarray]

BLOCK = box((4, 4, 4), (12, 12, 12))
SHIFTED = box((6, 4, 4), (14, 12, 12))  # Dice with BLOCK: 6/8
NOTHING = np.zeros_like(BLOCK)


def reading(
    case: str,
    rater: str,
    masks: Masks,
    session: str = "1",
    drawn: Mapping[str, DrawnSlices] | None = None,
    note: str = "",
    geometry: Geometry = GRID,
) -> Reading:
    cropped = {label: CroppedMask.of(mask) for label, mask in masks.items()}
    return Reading(case, Sitting(rater, session), geometry, cropped, drawn or {}, note)


def jittered(seed: int, spread: int) -> np.ndarray:
    """The block with every face moved by up to ``spread`` voxels."""
    random = np.random.default_rng(seed)
    first = np.array([5, 5, 4]) + random.integers(-spread, spread + 1, 3)
    last = np.array([14, 13, 11]) + random.integers(-spread, spread + 1, 3)
    return box(tuple(first), tuple(last))  # type: ignore[arg-type]


def many_cases(cases: int = 8, repeats: bool = True) -> list[Reading]:
    """Two raters far apart, each near to his own second session."""
    found = []
    for case in range(cases):
        for number, rater in enumerate(("ann", "ben")):
            first = jittered(10 * case + number, 2)
            found.append(reading(f"c{case}", rater, {"liver": first}))
            if repeats:
                again = first.copy()
                again[7, 7, 7 + case % 2] = False
                found.append(reading(f"c{case}", rater, {"liver": again}, "2"))
    return found


def written(agreement: Agreement) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report_json(agreement))
    return found


def numbers(content: Any) -> Iterator[float]:
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from numbers(part)
    elif isinstance(content, float):
        yield content


def test_every_pair_of_every_case_is_compared_and_written() -> None:
    readings = [
        reading(case, rater, {"liver": mask, "cyst": NOTHING})
        for case in ("x", "y")
        for rater, mask in (("ann", BLOCK), ("ben", SHIFTED), ("cem", BLOCK))
    ]
    report = written(study(readings, StudyOptions()))
    assert len(report["pairs"]) == 2 * 2 * 3
    pair = next(p for p in report["pairs"] if (p["case"], p["label"], p["b"]) == ("y", "liver", "ben"))
    assert (pair["a"], pair["kind"], pair["occupancy"]) == ("ann", "inter-rater", "both")
    assert pair["dice"] == pytest.approx(6 / 8)
    assert pair["iou"] == pytest.approx(6 / 10)
    assert pair["volume_difference_ml"] == 0
    assert pair["volume_a_ml"] == pytest.approx(8 * 8 * 8 * 2 / 1000)
    assert set(DEFAULT_METRICS) <= set(pair)
    empty = next(p for p in report["pairs"] if p["label"] == "cyst")
    assert (empty["occupancy"], empty["dice"], empty["hd95_mm"]) == ("both empty", 1, 0)
    assert set(report["metrics"]) == set(DEFAULT_METRICS)
    assert all(math.isfinite(number) for number in numbers(report))


def test_the_table_has_what_the_report_has() -> None:
    agreement = study(many_cases(3), StudyOptions(metrics=tuple(metric.key for metric in METRICS)))
    lines = list(csv.DictReader(io.StringIO(pairs_csv(agreement))))
    pairs = written(agreement)["pairs"]
    assert len(lines) == len(pairs) == 3 * 6
    for line, pair in zip(lines, pairs, strict=True):
        assert list(line) == list(pair)
        for name, value in pair.items():
            assert (float(line[name]) if isinstance(value, float) else line[name]) == value


def test_a_band_where_raters_drew_twice() -> None:
    agreement = study(many_cases(), StudyOptions())
    band = next(found for found in agreement.bands if found.metric == "dice")
    assert band.state is BandState.BAND
    peak = next(found for found in written(agreement)["peak"] if found["metric"] == "dice")
    assert peak["lower"]["value"] < peak["upper"]["value"]
    assert peak["lower"]["ci95"][0] < peak["lower"]["value"] < peak["lower"]["ci95"][1]
    assert peak["state"] == "band"
    inter = [p.values["dice"] for p in agreement.pairs
             if p.kind is PairKind.INTER and {p.a.session, p.b.session} == {"1"}]  # fmt: skip
    assert peak["lower"]["value"] == pytest.approx(float(np.mean(inter)))


def test_no_band_without_repeats_and_it_says_so() -> None:
    agreement = study(many_cases(repeats=False), StudyOptions())
    assert written(agreement)["peak"] == []
    assert any("No rater drew a case twice" in message for message in agreement.messages)


def test_a_model_is_placed_and_is_no_rater() -> None:
    readings = many_cases()
    people = study(readings, StudyOptions())
    models = [
        reading(one.case, "net", {"liver": one.masks["liver"].full()})
        for one in readings
        if one.sitting == Sitting("ann", "2")
    ]
    truth = [reading(f"c{case}", "truth", {"liver": jittered(10 * case, 2)}) for case in range(8)]
    agreement = study([*readings, *models, *truth], StudyOptions(reference="truth", candidates=("net",)))
    band = next(found for found in agreement.bands if found.metric == "dice")
    alone = next(found for found in people.bands if found.metric == "dice")
    assert (band.lower.value, band.upper.value) == (alone.lower.value, alone.upper.value)
    (placement,) = band.placements
    assert placement.name == "net"
    assert placement.verdict != "below"
    assert agreement.reliabilities[0].raters == 2
    assert agreement.reliabilities[0].fleiss_kappa == people.reliabilities[0].fleiss_kappa
    report = written(agreement)
    assert {one["rater"]: one["role"] for one in report["raters"]} == {
        "ann": "rater", "ben": "rater", "net": "candidate", "truth": "reference",
    }  # fmt: skip
    assert all(pair["a"] == "truth" for pair in report["pairs"] if pair["kind"] == "against the reference")


def test_what_is_missing_is_said_and_in_no_number() -> None:
    readings = [
        reading("x", "ann", {"liver": BLOCK, "cyst": BLOCK}),
        reading("x", "ben", {"liver": SHIFTED}),
        reading("y", "ann", {"liver": BLOCK}),
        reading("z", "ann", {"liver": BLOCK}),
        reading("z", "ben", {"liver": BLOCK}),
    ]
    agreement = study(readings, StudyOptions())
    assert agreement.labels == ("liver",)
    assert set(agreement.missing) == {
        Missing("x", Sitting("ben"), "cyst"),
        Missing("y", Sitting("ben"), ""),
        Missing("y", Sitting("ann"), "cyst"),
        Missing("z", Sitting("ann"), "cyst"),
        Missing("z", Sitting("ben"), "cyst"),
    }
    assert [(pair.case, pair.label) for pair in agreement.pairs] == [("x", "liver"), ("z", "liver")]
    estimate = agreement.summaries["liver", "dice", PairKind.INTER]
    assert (estimate.value, estimate.cases) == (pytest.approx((6 / 8 + 1) / 2), 2)
    assert "ben has no reading of case y: missing, and in no number." in agreement.messages
    assert "ben has no cyst in cases x, z: missing, and in no number." in agreement.messages
    report = written(agreement)
    assert {"case": "y", "rater": "ben", "session": "1", "label": None} in report["missing"]


def test_a_missed_structure_stays_in_the_mean_and_is_named() -> None:
    readings = [
        reading("x", "ann", {"liver": BLOCK}),
        reading("x", "ben", {"liver": NOTHING}),
        reading("y", "ann", {"liver": BLOCK}),
        reading("y", "ben", {"liver": BLOCK}),
    ]
    agreement = study(readings, StudyOptions())
    assert agreement.summaries["liver", "dice", PairKind.INTER].value == pytest.approx(0.5)
    (pair,) = (pair for pair in agreement.pairs if pair.case == "x")
    assert pair.occupancy is Occupancy.ONE_EMPTY
    assert any(message.startswith("ben has no voxel of liver in case x") for message in agreement.messages)


def test_no_interval_is_longer_than_the_volume() -> None:
    nothing = {"liver": CroppedMask.empty(GRID.shape)}
    readings = [
        replace(one, masks=nothing) if (one.case, one.sitting) == ("c0", Sitting("ben")) else one
        for one in many_cases()
    ]
    agreement = study(readings, StudyOptions())
    diagonal = float(np.linalg.norm(np.multiply(GRID.shape, GRID.spacing)))
    content = math.prod(GRID.shape) * GRID.voxel_volume / 1000
    greatest = {"hd_mm": diagonal, "hd95_mm": diagonal, "assd_mm": diagonal,
                "volume_difference_ml": content, "volume_difference_percent": 200}  # fmt: skip
    assert max(pair.values["assd_mm"] for pair in agreement.pairs) == pytest.approx(diagonal)
    for (_, key, _), estimate in agreement.summaries.items():
        assert estimate.upper is not None
        assert estimate.upper <= greatest.get(key, 1) + 1e-9
    for band in agreement.bands:
        assert max(band.lower.upper or 0, band.upper.upper or 0) <= greatest.get(band.metric, 1) + 1e-9


def test_repeats_of_some_cases_are_planned_so_and_nothing_is_missing() -> None:
    readings = [one for one in many_cases() if one.sitting.session == "1" or one.case in ("c0", "c1", "c2")]
    agreement = study(readings, StudyOptions())
    assert agreement.missing == ()
    said = "Not every case was drawn twice; intra-rater agreement rests on these: ann 3 of 8, ben 3 of 8."
    assert said in agreement.messages
    assert not any("drawn twice" in one for one in study(many_cases(), StudyOptions()).messages)
    # A case that was never drawn is missing whoever repeated it, and so is a label that a repeat lacks.
    lacking = [
        replace(one, masks={}) if (one.case, one.sitting) == ("c2", Sitting("ben", "2")) else one
        for one in readings
        if (one.case, one.sitting) != ("c0", Sitting("ann"))
    ]
    assert study(lacking, StudyOptions()).missing == (
        Missing("c0", Sitting("ann"), ""),
        Missing("c2", Sitting("ben", "2"), "liver"),
    )


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        (("7",), "case 7"),
        (("case 7",), "case 7"),
        (("Case7", "case 8"), "Case7, case 8"),
        (("case",), "the case"),
        (("case 1", "b"), "cases case 1, b"),
        (("a", "b", "c", "d", "e", "f", "g"), "cases a, b, c, d, e and 2 more"),
    ],
)
def test_how_sentences_name_cases(cases: tuple[str, ...], words: str) -> None:
    assert case_words(cases) == words


def test_why_nobody_stands_apart_is_said() -> None:
    two = study(many_cases(), StudyOptions())
    assert two.outliers == ()
    assert two.no_outliers == ("Of two raters neither can be called the outlier; it takes a third.",)
    assert written(two)["no_outliers"] == list(two.no_outliers)
    alone = study([one for one in many_cases() if one.sitting.rater == "ann"], StudyOptions())
    assert alone.no_outliers == ("One rater alone cannot stand apart from others.",)


def test_anonymous_raters_are_not_compared_person_by_person() -> None:
    readings = many_cases(repeats=False)
    named, nameless = (study(readings, StudyOptions(anonymous=flag)) for flag in (False, True))
    assert named.bland_altman
    assert nameless.bland_altman == nameless.outliers == ()
    assert any("Bland-Altman" in message for message in nameless.messages)
    assert nameless.pairs == named.pairs


def test_only_slices_that_both_drew_count_and_the_share_is_said() -> None:
    ann, ben = BLOCK.copy(), BLOCK.copy()
    ben[:, :, 8:] = False  # what a machine made of it, on slices nobody drew
    drawn = DrawnSlices(2, (4, 6)), DrawnSlices(2, (4, 6, 9))
    readings = [
        reading("x", "ann", {"liver": ann}, drawn={"liver": drawn[0]}),
        reading("x", "ben", {"liver": ben}, drawn={"liver": drawn[1]}),
    ]
    agreement = study(readings, StudyOptions())
    (pair,) = agreement.pairs
    assert (pair.values["dice"], pair.values["hd95_mm"], pair.values["nsd"]) == (1, 0, 1)
    assert pair.compared_share == pytest.approx(2 / 8)
    assert any(
        message.startswith("liver: 75 % of the voxels lie on slices") for message in agreement.messages
    )


def test_slices_that_nobody_annotated_are_no_agreement() -> None:
    readings = [
        reading("x", "ann", {"liver": BLOCK, "cyst": BLOCK}, drawn={"liver": DrawnSlices(2, (4,))}),
        reading("x", "ben", {"liver": BLOCK, "cyst": BLOCK}, drawn={"liver": DrawnSlices(2, (5,))}),
        reading("x", "cem", {"liver": BLOCK, "cyst": BLOCK}, drawn={"liver": DrawnSlices(2, ())}),
    ]
    agreement = study(readings, StudyOptions())
    assert {pair.label for pair in agreement.pairs} == {"cyst"}
    said = " ".join(agreement.messages)
    assert "ann and ben annotated no common slice of liver in case x" in said
    assert "cem annotated no slice of liver in case x" in said
    assert Missing("x", Sitting("cem"), "liver") in agreement.missing
    with pytest.raises(InputError, match="annotated the same slice"):
        study([reading(r.case, r.sitting.rater, {"liver": BLOCK}, drawn=r.drawn) for r in readings[:2]],
              StudyOptions())  # fmt: skip


def test_a_copy_is_noticed() -> None:
    readings = [reading("x", "ann", {"liver": BLOCK}), reading("x", "ben", {"liver": BLOCK.copy()})]
    messages = study(readings, StudyOptions()).messages
    assert any("ann and ben are equal voxel for voxel in case x" in message for message in messages)
    readings[1] = reading("x", "ben", {"liver": SHIFTED}, note="ben.nrrd was resampled.")
    messages = study(readings, StudyOptions()).messages
    assert not any("voxel for voxel" in message for message in messages)
    assert "ben.nrrd was resampled." in messages


def test_ratings_are_correlated() -> None:
    readings = many_cases(6, repeats=False)
    dice = {pair.case: pair.values["dice"] for pair in study(readings, StudyOptions()).pairs}
    order = sorted(dice, key=lambda case: dice[case])
    ratings = tuple(ExpertRating(case, "liver", rank + 1, "eva") for rank, case in enumerate(order))
    agreement = study(readings, StudyOptions(ratings=ratings))
    found = next(one for one in agreement.correlations if one.metric == "dice")
    assert found.spearman.value == pytest.approx(1)
    assert any(one["metric"] == "dice" for one in written(agreement)["correlations"])


def test_headline_numbers_are_numbers() -> None:
    one_case = [
        reading("x", rater, {"liver": mask, "cyst": mask[::-1] & BLOCK})
        for rater, mask in (("ann", BLOCK), ("ben", SHIFTED))
    ]
    for readings in (one_case, many_cases()):
        overall = written(study(readings, StudyOptions()))["overall"]
        for name in ("fleiss_kappa", "krippendorff_alpha", "icc"):
            assert isinstance(overall[name], float)
        assert set(overall["labels"]) == set(readings[0].labels)
    overall = written(study(many_cases(), StudyOptions()))["overall"]
    assert overall["fleiss_kappa"] == overall["labels"]["liver"]["fleiss_kappa"]["value"]


def test_it_says_how_far_it_is_and_stops_when_told() -> None:
    steps: list[tuple[int, int, str]] = []
    readings = many_cases(3)
    study(readings, StudyOptions(), lambda *step: steps.append(step))
    done = [step[0] for step in steps]
    assert done == sorted(done)
    assert done[-1] < steps[-1][1]
    assert len({step[1] for step in steps}) == 1
    with pytest.raises(Cancelled):
        study(readings, StudyOptions(), cancelled=lambda: len(steps) > 0)


def test_the_same_seed_gives_the_same_report() -> None:
    first, second = (report_json(study(many_cases(9), StudyOptions(seed=3))) for _ in range(2))
    assert first == second
    assert first != report_json(study(many_cases(9), StudyOptions(seed=4)))


ANN, BEN = reading("x", "ann", {"liver": BLOCK}), reading("x", "ben", {"liver": SHIFTED})
OTHER_GRID = Geometry((20, 18, 16), (1.0, 1.0, 3.0), GRID.origin)


@pytest.mark.parametrize(
    ("readings", "options", "said"),
    [
        ([], {}, "no reading"),
        ([ANN], {}, "one rater only \\(ann\\)"),
        ([ANN, reading("y", "ann", {"liver": BLOCK})], {}, "one rater only"),
        ([ANN, reading("x", "ben", {"liver": BLOCK}, "2")], {}, "ben has session 2 but no first session"),
        ([ANN, BEN, ANN], {}, "two readings of case x by ann"),
        ([ANN, reading("x", "ben", {"spleen": BLOCK})], {}, "no.* label in common"),
        ([ANN, reading("y", "ben", {"liver": BLOCK})], {}, "label in common"),
        ([ANN, reading("x", "ben", {"liver": BLOCK}, geometry=OTHER_GRID)], {}, "different grids"),
        ([ANN, BEN], {"tolerance_mm": 0.0}, "positive number of millimetres, not 0"),
        ([ANN, BEN], {"tolerance_mm": math.nan}, "not nan"),
        ([ANN, BEN], {"metrics": ("dice", "beauty")}, "no metric 'beauty'"),
        ([ANN, BEN], {"metrics": ()}, "No metric"),
        ([ANN, BEN], {"reference": "truth"}, "no reading of the reference truth"),
        ([ANN, BEN], {"candidates": ("net",)}, "no reading of the candidate net"),
        ([ANN, BEN], {"candidates": ("ann",), "reference": "ann"}, "both the reference and a candidate"),
        ([ANN, BEN], {"candidates": ("ann", "ben")}, "All readings are of candidates"),
    ],
)
def test_what_makes_no_study_is_refused(readings: list[Reading], options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"(?i){said}"):
        study(readings, StudyOptions(**options))
