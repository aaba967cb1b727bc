"""Selection of slices and the two stages of prediction, on volumes whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geometries import DIRECTIONS
from oracle_reference import CARD, Oracle, made_volume

from pgt.errors import Cancelled, InputError
from pgt.geometry import Geometry
from pgt.reference.prediction import PredictionSettings, predict_volume, report_of
from pgt.reference.selection import SelectionSettings, select_slices, uniform_candidates
from pgt.reference.slice_opinions import SliceOpinions
from pgt.resampling import reoriented
from pgt.volume import LabelMap, Volume


def dice(found: LabelMap, truth: LabelMap) -> float:
    """Mean over the two structures."""
    pairs = [(found.voxels == value, truth.voxels == value) for value in (1, 3)]
    return float(np.mean([2 * np.sum(a & b) / (a.sum() + b.sum()) for a, b in pairs]))


def stage(name: str, **selection: int | None) -> PredictionSettings:
    return PredictionSettings(stage=name, selection=SelectionSettings(**selection))  # type: ignore[arg-type]


def test_candidates_are_evenly_spread_and_leave_half_an_interval_at_either_end() -> None:
    assert uniform_candidates(12, 3) == (2, 6, 10)
    assert uniform_candidates(5, 1) == (2,)
    assert uniform_candidates(4, None) == uniform_candidates(4, 9) == (0, 1, 2, 3)


def test_the_largest_slice_of_each_part_is_selected() -> None:
    areas = [0, 0, 3, 9, 4, 20, 30, 25, 8, 7, 0, 0]
    chosen = select_slices({1: areas}, range(12), 4)
    # The structure lies on 2..9, in parts 2-3, 4-5, 6-7 and 8-9.
    assert chosen.slices == {1: (3, 5, 6, 8)}
    assert chosen.ends == {1: (1, 10)}
    assert chosen.annotated() == {1: (1, 3, 5, 6, 8, 10)}


def test_the_largest_of_an_ellipsoid_is_its_middle() -> None:
    places = np.arange(21)
    areas = np.maximum(0, 100 - (places - 12) ** 2)
    assert select_slices({2: areas}, range(21), 1).slices == {2: (12,)}


def test_specks_are_not_selected_but_bound_the_structure() -> None:
    areas = [1, 0, 0, 0, 40, 60, 50, 45, 0, 1]
    chosen = select_slices({1: areas}, range(10), 3)
    assert chosen.slices == {1: (5, 6, 7)}
    assert chosen.ends == {1: ()}


def test_ends_are_candidates_and_masks_of_other_structures_count() -> None:
    areas = {1: [0, 5, 6, 0, 0], 3: [0, 0, 0, 8, 0], 4: [0] * 5}
    chosen = select_slices(areas, (10, 20, 30, 40, 50), None)
    assert chosen.slices == {1: (20, 30), 3: (40,), 4: ()}
    assert chosen.ends == {1: (10, 40), 3: (30, 50), 4: ()}
    assert chosen.drawn == (20, 30, 40)
    assert chosen.annotated() == {1: (10, 20, 30, 40), 3: (20, 30, 40, 50)}


@pytest.mark.parametrize("wrong", [{"candidates": 0}, {"per_structure": 0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="At least one"):
        SelectionSettings(**wrong)


def test_a_stage_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="no stage 'both'"):
        PredictionSettings(stage="both")  # type: ignore[arg-type]


def test_the_reference_stage_is_what_the_networks_say() -> None:
    volume, truth = made_volume()
    found, report = predict_volume(Oracle(), volume, stage("reference"))
    assert np.array_equal(found.voxels, truth.voxels)
    assert found.geometry == volume.geometry
    assert [(s.value, s.name) for s in found.segments] == [(1, "Pale"), (3, "Bright")]
    assert report.stage == "reference"
    assert report.selected == {}
    assert report.candidates == tuple(range(16))
    assert report.voxels == {value: int((truth.voxels == value).sum()) for value in (1, 3)}
    assert report.uncertainty == pytest.approx(0.1)


def test_few_candidates_are_propagated_through_the_volume() -> None:
    volume, truth = made_volume()
    model = Oracle()
    found, report = predict_volume(model, volume, stage("propagation", candidates=6))
    assert sum(model.asked) == len(report.candidates) == 6
    assert dice(found, truth) > 0.85
    assert set(report.selected) == {1, 3}
    assert all(set(slices) <= set(report.candidates) for slices in report.selected.values())
    # Masks that were propagated stay as they are, and nothing runs past an empty candidate.
    drawn = sorted({index for slices in report.selected.values() for index in slices})
    assert np.array_equal(found.voxels[..., drawn], truth.voxels[..., drawn])
    assert np.all(report.uncertainty >= 0)
    assert np.all(report.uncertainty <= 1)


def test_propagation_finds_what_the_networks_missed() -> None:
    volume, truth = made_volume()
    unsure = Oracle(blind=((0.44, 0.5),), unsure=0.4)  # the eighth slice of sixteen, within both structures
    alone, _ = predict_volume(unsure, volume, stage("reference"))
    found, report = predict_volume(unsure, volume, stage("propagation"))
    assert not alone.voxels[..., 7].any()
    assert report.stage == "propagation"
    assert dice(found, truth) > dice(alone, truth) + 0.02


def test_a_structure_on_one_slice_alone_is_kept() -> None:
    """Left out, it would be unknown to its neighbours."""
    volume, _ = made_volume()
    voxels = volume.voxels.copy()
    voxels[voxels > 150] = 0
    voxels[10:24, 4:18, 9] = 200
    found, _ = predict_volume(Oracle(), Volume(voxels, volume.geometry), stage("propagation"))
    assert np.array_equal(found.voxels == 3, voxels > 150)
    assert np.array_equal(found.voxels == 1, (voxels > 50) & (voxels < 150))


def test_a_single_slice_is_propagated_as_it_is() -> None:
    volume, _ = made_volume()
    alone = Oracle(blind=((0, 0.45), (0.5, 1)))
    found, report = predict_volume(alone, volume, stage("propagation"))
    assert report.selected == {1: (7,), 3: (7,)}
    assert found.voxels[..., 7].any()


def test_nothing_found_is_no_error() -> None:
    volume, _ = made_volume()
    found, report = predict_volume(Oracle(blind=((0, 1),)), volume, stage("propagation"))
    assert not found.voxels.any()
    assert report.stage == "reference"
    assert report.messages == ("No structure was found on the 16 slices that were looked at.",)


def test_next_slices_are_the_doubtful_ones_and_lie_apart() -> None:
    volume, _ = made_volume()
    _, report = predict_volume(Oracle(sure=0.5), volume, stage("propagation", candidates=6))
    doubt = report.uncertainty.sum(axis=(0, 1))
    assert report.next_slices[0] == int(np.argmax(doubt))
    assert all(abs(a - b) >= 3 for a in report.next_slices for b in report.next_slices if a != b)


def test_the_report_is_plain() -> None:
    import json

    volume, _ = made_volume()
    _, report = predict_volume(Oracle(), volume, stage("propagation", candidates=6))
    content = json.loads(json.dumps(report_of(report)))
    assert content["axis"] == "k"
    assert content["stage"] == "propagation"
    assert set(content["labels"]) == {"1", "3"}
    assert content["candidates"] == list(report.candidates)


@pytest.mark.parametrize("name", ["reference", "propagation"])
def test_stored_otherwise_it_is_the_same(name: str) -> None:
    """Flipped, with other axes first, and turned by less than 45 degrees in space."""
    volume, _ = made_volume()
    settings = stage(name, candidates=6 if name == "propagation" else None)
    expected, told = predict_volume(Oracle(), volume, settings)
    for orientation in ("LPS", "SAR", "PIL"):
        twin = reoriented(volume, orientation)
        twin = Volume(np.ascontiguousarray(twin.voxels), twin.geometry)
        found, report = predict_volume(Oracle(), twin, settings)
        assert report.axis == twin.geometry.orientation.index("S" if "S" in orientation else "I")
        back = reoriented(found, "RAS")
        assert np.array_equal(back.voxels, expected.voxels), orientation
        assert back.geometry.difference(volume.geometry) is None
        doubt = reoriented(Volume(report.uncertainty, found.geometry), "RAS").voxels
        np.testing.assert_allclose(doubt, told.uncertainty, atol=1e-5)
        size = volume.geometry.shape[2]
        turned = report.candidates if "S" in orientation else [size - 1 - i for i in report.candidates]
        assert sorted(turned) == list(told.candidates)
    oblique = replace(volume.geometry, direction=DIRECTIONS["oblique"])
    found, _ = predict_volume(Oracle(), Volume(volume.voxels, oblique), settings)
    assert np.array_equal(found.voxels, expected.voxels)
    assert found.geometry == oblique


@pytest.mark.parametrize("plane", ["sagittal", "coronal"])
def test_other_planes_cut_along_their_axis(plane: str) -> None:
    volume, truth = made_volume()
    card = replace(CARD, plane=plane)  # type: ignore[arg-type]
    found, report = predict_volume(Oracle(card=card), volume, stage("propagation", candidates=9))
    assert report.axis == ("sagittal", "coronal", "axial").index(plane)
    assert dice(found, truth) > 0.8


def test_cancelling_is_heard() -> None:
    volume, _ = made_volume()
    with pytest.raises(Cancelled):
        predict_volume(Oracle(), volume, cancelled=lambda: True)


def test_numbers_that_are_none_are_refused() -> None:
    voxels = np.full((8, 8, 8), np.nan, np.float32)
    with pytest.raises(InputError, match="not finite"):
        predict_volume(Oracle(), Volume(voxels, Geometry((8, 8, 8))))


def test_the_probability_of_any_label_is_known_or_bounded() -> None:
    def pixel(value: float) -> np.ndarray:
        return np.full((1, 1, 1), value)

    said = SliceOpinions((0,), pixel(1), pixel(0.5), pixel(2), pixel(0.3))
    assert said.probability_of(pixel(1)) == 0.5
    assert said.probability_of(pixel(2)) == 0.3
    assert said.probability_of(pixel(3)) == pytest.approx(0.2)
