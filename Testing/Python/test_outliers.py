"""Outliers: the rater with a systematic fault is named with its direction, and chance names nobody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geometries import DIRECTIONS
from scipy.ndimage import gaussian_filter
from simulated_raters import SimulatedRater, Study

from pgt.agreement.masks import CroppedMask
from pgt.agreement.outlier_directions import DrawnCase, towards, uncovered
from pgt.agreement.outliers import find_outliers, outliers
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.errors import InputError
from pgt.geometry import Geometry, Matrix

SHAPE = (26, 26, 15)
SPACING = (1.0, 1.0, 2.0)


def readings(
    cases: int,
    raters: str = "abcd",
    *,
    seed: int = 0,
    shift_mm: tuple[float, float, float] = (0, 0, 0),
    grow_mm: float = 0,
    extra_noise_mm: float = 0,
    direction: Matrix = DIRECTIONS["RAS"],
    noise_mm: float = 0.8,
) -> list[Reading]:
    """Ellipsoids drawn by raters whose outlines wander; the last rater has the fault (shift in RAS)."""
    random = np.random.default_rng(seed)
    geometry = Geometry(SHAPE, SPACING, (4, -7, 30), direction)
    places = np.moveaxis(np.indices(SHAPE), 0, -1) * SPACING  # mm along i, j, k
    fault = np.array(direction).T @ shift_mm
    found = []
    for case in range(cases):
        middle = (np.array(SHAPE) - 1) * SPACING / 2 + random.uniform(-1, 1, 3)
        radii = random.uniform(6, 9, 3)
        for rater in raters:
            last = rater == raters[-1]
            away = (places - middle - (fault if last else 0)) / radii
            inward = (1 - np.linalg.norm(away, axis=-1)) * radii.mean() + (grow_mm if last else 0)
            wander = gaussian_filter(random.normal(size=SHAPE), (3, 3, 1.5))
            amount = noise_mm + (extra_noise_mm if last else 0)
            mask = inward + amount * wander / wander.std() > 0
            found.append(Reading(f"case {case}", Sitting(rater), geometry, {"liver": CroppedMask.of(mask)}))
    return found


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize(
    ("shift", "words"),
    [((0, 0, 3), "towards superior"), ((-2.5, 0, 0), "towards the patient's left"), ((0, -2, -2), "and")],
)
def test_a_shifted_rater_is_named_with_the_direction_in_the_patient(
    direction: Matrix, shift: tuple[float, float, float], words: str
) -> None:
    (found,) = outliers(readings(8, shift_mm=shift, direction=direction))
    assert (found.label, found.rater, found.direction) == ("liver", "d", "shifted")
    assert found.size == pytest.approx(np.linalg.norm(shift), abs=0.5)
    assert found.probability >= 0.95
    assert words in found.note
    if words == "and":
        assert "posterior" in found.note
        assert "inferior" in found.note
    else:
        assert " and " not in found.note


@pytest.mark.parametrize(("grow", "kind"), [(1.5, "larger"), (-1.5, "smaller")])
def test_a_rater_who_draws_too_much_or_too_little_is_named(grow: float, kind: str) -> None:
    given = readings(8, "abc", grow_mm=grow)
    (found,) = outliers(given)
    assert (found.rater, found.direction) == ("c", kind)
    volumes: dict[str, list[int]] = {rater: [] for rater in "abc"}
    for one in given:
        volumes[one.sitting.rater].append(one.masks["liver"].count)
    own, others = np.array(volumes["c"]), (np.array(volumes["a"]) + volumes["b"]) / 2
    assert found.size == pytest.approx(abs(np.mean(200 * (own - others) / (own + others))))
    assert f"draws it {found.size:.0f} % {kind}" in found.note


def test_a_careless_rater_merely_differs() -> None:
    (found,) = outliers(readings(10, extra_noise_mm=1.5))
    assert (found.rater, found.direction) == ("d", "differs")
    assert "neither larger, smaller nor shifted" in found.note


def test_size_and_shift_together_are_both_told() -> None:
    (found,) = outliers(readings(8, grow_mm=1.5, shift_mm=(0, 3, 0)))
    assert found.direction in ("larger", "shifted")
    assert "larger" in found.note
    assert "anterior" in found.note


def test_chance_names_nobody() -> None:
    """Alike raters: named at most as often as 5 in 100 by design."""
    named = 0
    for seed in range(40):
        search = find_outliers(readings(5, "abc", seed=seed))
        named += len(search.outliers)
        assert len(search.outliers) + len(search.notes) == 1
    assert named <= 3


def test_many_labels_are_not_many_chances() -> None:
    """Eight structures of alike raters in every case: in 5 of 100 studies at most somebody is named."""
    studies = 0
    for seed in range(10):
        by_label = [readings(6, "abc", seed=100 * seed + label) for label in range(8)]
        joined = [
            replace(parts[0], masks={f"organ {n}": part.masks["liver"] for n, part in enumerate(parts)})
            for parts in zip(*by_label, strict=True)
        ]
        studies += bool(outliers(joined))
    assert studies <= 2


def test_the_fault_must_be_a_habit() -> None:
    given = readings(9, "abc")
    spoilt = given[-1]
    nothing = replace(spoilt, masks={"liver": CroppedMask.empty(SHAPE)})
    assert outliers([*given[:-1], nothing]) == ()
    always = [one if one.sitting.rater != "c" else replace(one, masks=nothing.masks) for one in given]
    (found,) = outliers(always)
    assert (found.rater, found.direction, found.size) == ("c", "smaller", 200)
    assert np.isfinite(found.size)


def test_a_difference_too_small_to_matter_is_not_named() -> None:
    search = find_outliers(readings(60, "abc", extra_noise_mm=0.04))
    assert search.outliers == ()
    assert "nobody is named" in search.notes[0]


def test_when_nobody_can_be_named_it_says_why() -> None:
    given = readings(8, "abc", shift_mm=(0, 0, 4))
    two = [one for one in given if one.sitting.rater != "a"]
    assert find_outliers(two).notes == ("Of two raters neither can be called the outlier; it takes a third.",)
    assert "anonymous" in find_outliers(given, anonymous=True).notes[0]
    assert outliers(given, anonymous=True) == ()
    few = [one for one in given if one.case in ("case 0", "case 1", "case 2")]
    assert find_outliers(few).notes == (
        "liver: nobody is named as outlier, as 3 cases are too few to tell habit from chance.",
    )
    assert "no case has three raters" in find_outliers(given, ["spleen"]).notes[0]


def test_missing_readings_leave_a_case_out_and_do_not_count_against_anybody() -> None:
    given = readings(12, shift_mm=(3, 0, 0))
    there = [one for one in given if (one.case, one.sitting.rater) not in {("case 1", "d"), ("case 2", "a")}]
    lonely = [one for one in there if one.case != "case 3" or one.sitting.rater in "ab"]
    (found,) = outliers(lonely)
    assert (found.rater, found.direction) == ("d", "shifted")
    assert "over 10 cases" in found.note


def test_a_second_session_is_no_second_voice() -> None:
    given = readings(6, "abc", shift_mm=(0, 0, 3))
    again = [replace(one, sitting=Sitting("a", "2")) for one in given if one.sitting.rater == "c"]
    assert outliers([*again, *given]) == outliers(given) != ()


def test_only_slices_that_all_drew_count() -> None:
    given = readings(6, "abc", grow_mm=1.5)
    drawn = [
        replace(one, drawn={"liver": DrawnSlices(2, (5, 7, 9) if one.sitting.rater == "a" else (3, 5, 7, 9))})
        for one in given
    ]

    def filled(one: Reading) -> Reading:
        mask = one.masks["liver"].full()
        mask[..., [3, 6, 8]] = one.sitting.rater == "b"
        return replace(one, masks={"liver": CroppedMask.of(mask)})

    assert outliers([filled(one) for one in drawn]) == outliers(drawn) != ()


def test_raters_who_all_agree_or_find_nothing() -> None:
    nothing = [replace(one, masks={"liver": CroppedMask.empty(SHAPE)}) for one in readings(6, "abc")]
    assert outliers(nothing) == ()
    alone = [
        one if one.sitting.rater == "c" else two for one, two in zip(readings(6, "abc"), nothing, strict=True)
    ]
    (found,) = outliers(alone)
    assert (found.rater, found.direction, found.size) == ("c", "larger", 200)
    assert "the others agree fully" in found.note


def test_different_grids_are_refused() -> None:
    given = readings(5, "abc")
    moved = replace(given[0], geometry=replace(given[0].geometry, origin=(0, 0, 0)))
    with pytest.raises(InputError, match="different grids in case case 0"):
        outliers([moved, *given[1:]])


def named(faulty: SimulatedRater, studies: int) -> list[str]:
    """Who is named in studies of ten cases, of tubes and ellipsoids, easy and hard, and how."""
    study = Study((SimulatedRater("a"), SimulatedRater("b"), faulty), sessions=1)
    found = [outliers(study.readings(cases=10, seed=seed)) for seed in range(studies)]
    return [f"{one.rater} {one.direction}" for of_study in found for one in of_study]


def test_simulated_raters_with_a_systematic_fault_are_named_and_others_are_not() -> None:
    assert named(SimulatedRater("c", shift_mm=(0, 0, 2.5)), 10) == ["c shifted"] * 10
    larger = named(SimulatedRater("c", grow_mm=1.5), 20)
    assert set(larger) == {"c larger"}
    assert len(larger) >= 15
    assert len(named(SimulatedRater("c"), 60)) <= 5


def box_case(direction: Matrix, spacing: tuple[float, float, float] = SPACING) -> DrawnCase:
    mask = np.zeros((12, 12, 12), bool)
    mask[3:9, 4:8, 5:7] = True
    geometry = Geometry(mask.shape, spacing, direction=direction)
    own = Reading("a", Sitting("x"), geometry, {"box": CroppedMask.of(mask)})
    moved = replace(own, sitting=Sitting("y"), masks={"box": CroppedMask.of(np.roll(mask, 2, axis=0))})
    return DrawnCase.of(own, [moved], "box")


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_what_a_shift_uncovers_is_that_of_a_box(direction: Matrix) -> None:
    case = box_case(direction)
    assert case.shift is not None
    along_i = np.array(direction)[:, 0]
    np.testing.assert_allclose(case.shift, -2 * SPACING[0] * along_i, atol=1e-9)
    assert case.dispute == 2 * 2 * 4 * 2
    # A box of 6x4x2 voxels moved by t voxels along i uncovers and covers t * 4 * 2 each.
    for voxels in (2.0, 0.5, -0.25):
        assert uncovered(case, voxels * SPACING[0] * along_i) == pytest.approx(2 * abs(voxels) * 8, abs=1e-3)
    assert uncovered(case, 100 * along_i) == pytest.approx(2 * 48, abs=1e-3)


def test_directions_in_words() -> None:
    def words(*shift: float) -> str:
        return towards(np.array(shift))

    assert words(2, 0.3, 0) == "the patient's right"
    assert words(-1, 0, 3) == "superior"
    assert words(-2, 0, -3) == "inferior and the patient's left"
    assert words(0, 1, 0.5) == "anterior and superior"
