"""Traits of shapes that are known and of real organs, and every branch from there to the metrics."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pgt.agreement.masks import CroppedMask, Mask
from pgt.agreement.metric_choice import (
    QUESTIONS,
    Answers,
    answered,
    rater_distance_mm,
    recommend,
    recommendations,
    recommended_tolerance_mm,
)
from pgt.agreement.readings import Reading, Sitting
from pgt.agreement.results import Occupancy, PairKind, PairScores
from pgt.agreement.structure_traits import StructureTraits, measure_traits, typical_traits
from pgt.geometry import Geometry

DATA = Path(os.environ.get("PGT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
READERS = DATA / "headneck_two_readers"
LESIONS = DATA / "ms_lesions_mr" / "patient07_lesions_consensus.nii.gz"

LARGE = StructureTraits(
    voxels=20000,
    equivalent_radius_voxels=17,
    thickness_voxels=20,
    thickness_mm=20,
    dice_one_voxel_in=0.9,
    components=1,
    largest_share=1,
    elongation=1.5,
    flatness=1.2,
    size_ratio=1.3,
    finest_spacing_mm=1,
)
SMALL = replace(LARGE, voxels=60, thickness_voxels=2, dice_one_voxel_in=0.1)
TUBE = replace(LARGE, elongation=25, flatness=1.3)
MANY = replace(SMALL, components=37, largest_share=0.16)


def ball(radius: float, spacing: tuple[float, float, float] = (1, 1, 1)) -> Mask:
    half = [int(radius / step) + 1 for step in spacing]
    apart = [np.arange(-n, n + 1) * step for n, step in zip(half, spacing, strict=True)]
    return np.sum(np.square(np.meshgrid(*apart, indexing="ij")), axis=0) <= radius**2


def traits_of(mask: NDArray[np.bool_], spacing: tuple[float, float, float] = (1, 1, 1)) -> StructureTraits:
    return measure_traits([CroppedMask.of(mask)], Geometry(mask.shape, spacing))


def keys(traits: StructureTraits, **given: bool | float) -> list[str]:
    return [one.metric for one in recommend("organ", traits, Answers(**given))]  # type: ignore[arg-type]


@pytest.mark.parametrize("radius", [4, 8, 16, 32])
def test_a_ball(radius: int) -> None:
    traits = traits_of(ball(radius))
    assert traits.equivalent_radius_voxels == pytest.approx(radius, rel=0.03)
    assert traits.thickness_mm == pytest.approx(2 * radius, rel=0.2)
    assert traits.dice_one_voxel_in == pytest.approx(2 / (1 + (radius / (radius - 1)) ** 3), abs=0.06)
    assert (traits.components, traits.largest_share) == (1, 1)
    assert traits.elongation == pytest.approx(1.22, abs=0.25)
    assert 0.7 < traits.flatness < 1.6


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_beam_is_as_thick_as_it_is_wide(width: int, axis: int) -> None:
    spacing = (0.7, 0.7, 2.0)
    shape = [width, width, width]
    shape[axis] = 60
    traits = traits_of(np.ones(shape, dtype=bool), spacing)
    assert traits.thickness_voxels == pytest.approx(width, abs=0.01)
    others = [step for n, step in enumerate(spacing) if n != axis]
    assert traits.thickness_mm == pytest.approx(width * min(others), abs=0.01)
    length, width_mm = 60 * spacing[axis], width * np.sqrt(np.prod(others) * 4 / np.pi)
    # The middle of a thick beam ends a little before the beam does.
    assert traits.elongation == pytest.approx(length / width_mm, rel=0.2)


def test_tubes_are_told_from_sheets() -> None:
    bent = np.zeros((90, 90, 20), dtype=bool)
    for angle in np.linspace(0, np.pi, 400):
        i, j = int(45 + 36 * np.cos(angle)), int(10 + 60 * np.sin(angle))
        bent[i - 3 : i + 4, j - 3 : j + 4, 6:13] |= ball(3)[1:-1, 1:-1, 1:-1]
    assert answered(traits_of(bent), Answers()).tubular
    assert not answered(traits_of(np.ones((60, 50, 6), dtype=bool)), Answers()).tubular
    assert not answered(traits_of(ball(9)), Answers()).tubular


def test_a_large_structure_is_coarsened_and_says_the_same() -> None:
    traits = traits_of(np.ones((60, 60, 400), dtype=bool))
    assert traits.thickness_voxels == pytest.approx(60, rel=0.1)
    assert traits.elongation == pytest.approx(400 / (60 * np.sqrt(4 / np.pi)), rel=0.15)


def test_pieces_are_counted_and_weighed() -> None:
    mask = np.zeros((30, 30, 30), dtype=bool)
    mask[2:6, 2:6, 2:6] = mask[10:12, 10:12, 10:12] = mask[20:22, 20:22, 20:22] = True
    traits = traits_of(mask)
    assert (traits.components, traits.voxels) == (3, 80)
    assert traits.largest_share == pytest.approx(0.8)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 2), (1, 7, 7), (5, 1, 1)])
def test_the_smallest_shapes_have_finite_traits(shape: tuple[int, int, int]) -> None:
    traits = traits_of(np.ones(shape, dtype=bool), (0.5, 0.5, 3))
    assert np.all(np.isfinite(list(vars(traits).values())))
    assert traits.thickness_voxels == min(shape)
    assert keys(traits)


def test_several_masks_give_the_middle_and_the_spread() -> None:
    masks = [CroppedMask.of(np.pad(ball(radius), 20 - radius)) for radius in (5, 8, 10)]
    geometry = Geometry(masks[0].shape)
    traits = measure_traits([*masks, CroppedMask.empty(geometry.shape)], geometry)
    each = [measure_traits([mask], geometry) for mask in masks]
    assert traits.voxels == each[1].voxels
    assert traits.size_ratio == pytest.approx(each[2].voxels / each[0].voxels)
    assert typical_traits(each) == traits
    assert typical_traits([*each, measure_traits([], geometry)]) == traits


def test_nobody_found_it() -> None:
    nothing = measure_traits([CroppedMask.empty((4, 4, 4))], Geometry((4, 4, 4)))
    assert nothing.voxels == 0
    found = recommend("organ", nothing)
    assert [one.metric for one in found] == ["dice"]
    assert "absent" in found[0].reason


def test_every_question_has_an_answer_and_the_other_way_round() -> None:
    assert {question.key for question in QUESTIONS} == set(vars(Answers())) - {"rater_distance_mm"}
    assert all(question.text.endswith("?") and question.unanswered.endswith(".") for question in QUESTIONS)
    settled = answered(LARGE, Answers())
    assert all(getattr(settled, question.key) is not None for question in QUESTIONS)


BRANCHES: list[tuple[StructureTraits, dict[str, bool | float], list[str]]] = [
    (LARGE, {}, ["dice", "nsd"]),
    (LARGE, {"boundary_critical": True}, ["dice", "nsd", "assd_mm"]),
    (LARGE, {"boundary_uncertain": False}, ["dice", "assd_mm"]),
    (LARGE, {"outliers_matter": True}, ["dice", "nsd", "hd95_mm"]),
    (LARGE, {"outliers_matter": True, "boundary_uncertain": False}, ["dice", "hd_mm"]),
    (LARGE, {"volume_used": True}, ["dice", "nsd", "volume_difference_ml"]),
    (LARGE, {"volume_used": True, "sizes_differ": True}, ["dice", "nsd", "volume_difference_percent"]),
    (LARGE, {"errors_differ": True}, ["dice", "sensitivity", "precision", "nsd"]),
    (LARGE, {"tubular": True}, ["cldice", "nsd"]),
    (LARGE, {"small": True}, ["nsd"]),
    (LARGE, {"scattered": True}, ["lesion_f1", "panoptic_quality", "dice", "nsd"]),
    (SMALL, {}, ["nsd"]),
    (SMALL, {"boundary_uncertain": False}, ["assd_mm", "dice"]),
    (SMALL, {"small": False}, ["dice", "nsd"]),
    (TUBE, {}, ["cldice", "nsd"]),
    (TUBE, {"tubular": False}, ["dice", "nsd"]),
    (TUBE, {"small": True}, ["nsd", "cldice"]),
    (MANY, {}, ["lesion_f1", "panoptic_quality", "nsd"]),
    (MANY, {"scattered": False}, ["nsd"]),
]


@pytest.mark.parametrize(("traits", "given", "expected"), BRANCHES)
def test_every_branch(traits: StructureTraits, given: dict[str, bool | float], expected: list[str]) -> None:
    assert keys(traits, **given) == expected


def test_reasons_warn_of_dice_and_name_the_tolerance() -> None:
    (nsd,) = recommend("cochlea", SMALL, Answers(rater_distance_mm=1.26))
    assert nsd.label == "cochlea"
    assert "Set its tolerance to 1.3 mm" in nsd.reason
    assert "Do not judge it by Dice or IoU: it is about 2 voxels thick" in nsd.reason
    assert "Dice to 0.10" in nsd.reason
    pieces = recommend("lesions", replace(MANY, size_ratio=9))
    assert "about 37 pieces" in pieces[0].reason
    assert "ruled by the largest" in pieces[0].reason


def test_the_tolerance_is_the_raters_distance_but_not_below_the_grid() -> None:
    assert recommended_tolerance_mm(LARGE, 1.7) == 1.7
    assert recommended_tolerance_mm(LARGE, 0.2) == LARGE.finest_spacing_mm
    assert recommended_tolerance_mm(LARGE, None) is None


def scores(case: str, assd: float, **changes: object) -> PairScores:
    pair = PairScores(
        case, "organ", Sitting("a"), Sitting("b"), PairKind.INTER, {"assd_mm": assd}, Occupancy.BOTH, 1, 1
    )
    return replace(pair, **changes)  # type: ignore[arg-type]


def test_the_raters_distance_counts_each_case_once_and_only_different_raters() -> None:
    pairs = [
        *(scores("1", assd) for assd in (1.0, 2.0, 3.0)),
        scores("2", 4.0),
        scores("3", 9.0),
        scores("3", 300.0, occupancy=Occupancy.ONE_EMPTY),
        scores("2", 0.1, kind=PairKind.INTRA),
        scores("2", 0.1, kind=PairKind.REFERENCE),
        scores("2", 0.1, label="other"),
        scores("4", 0.1, values={"dice": 0.9}),
    ]
    assert rater_distance_mm(pairs, "organ") == 4.0
    assert rater_distance_mm(pairs, "nothing") is None


def test_a_study_gets_recommendations_for_every_label() -> None:
    large = CroppedMask.of(np.pad(ball(9), 4))
    tiny = np.zeros(large.shape, dtype=bool)
    tiny[3:5, 3:5, 3:5] = True
    geometry = Geometry(large.shape)
    readings = [
        Reading(case, Sitting(rater), geometry, {"organ": large, "spot": spot})
        for case in ("1", "2")
        for rater, spot in (("a", CroppedMask.empty(large.shape)), ("b", CroppedMask.of(tiny)))
    ]
    found = recommendations(
        readings, ("organ", "spot"), [scores("1", 1.5)], {"spot": Answers(volume_used=True)}
    )
    assert [(one.label, one.metric) for one in found] == [
        ("organ", "dice"),
        ("organ", "nsd"),
        ("spot", "nsd"),
        ("spot", "volume_difference_ml"),
    ]
    assert "tolerance to 1.5 mm" in found[1].reason


def organ(name: str, case: str = "0522c0161") -> StructureTraits:
    import SimpleITK as sitk

    bit = json.loads((READERS / "index.json").read_text())["bits"].index(name)
    image = sitk.ReadImage(str(READERS / f"{case}_oncologist.nii.gz"))
    bits = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    return traits_of((bits >> bit & 1).astype(bool), image.GetSpacing())


@pytest.mark.data
@pytest.mark.skipif(not READERS.exists(), reason=f"no real readers in {READERS}")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Cochlea-Lt", ["nsd"]),
        ("Lens-Rt", ["nsd"]),
        ("Optic-Nerve-Lt", ["nsd", "cldice"]),
        ("Spinal-Cord", ["cldice", "nsd"]),
        ("Spinal-Canal", ["cldice", "nsd"]),
        ("Mandible", ["dice", "nsd"]),
        ("Parotid-Lt", ["dice", "nsd"]),
        ("Brainstem", ["dice", "nsd"]),
        ("Lung-Lt", ["dice", "nsd"]),
    ],
)
def test_real_organs(name: str, expected: list[str]) -> None:
    assert keys(organ(name)) == expected


@pytest.mark.data
@pytest.mark.skipif(not LESIONS.exists(), reason=f"no lesions in {LESIONS.parent}")
def test_real_lesions_are_scattered() -> None:
    import SimpleITK as sitk

    image = sitk.ReadImage(str(LESIONS))
    mask = sitk.GetArrayFromImage(image).transpose(2, 1, 0) > 0
    traits = traits_of(mask, image.GetSpacing())
    assert traits.components == 37
    assert keys(traits) == ["lesion_f1", "panoptic_quality", "nsd"]
