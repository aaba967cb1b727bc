"""From a table to prepared cases and a plan: what is wrong is said at once, and nothing is computed twice."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from geometries import DIRECTIONS
from style_cases import LOOSE, SHAPE, TIGHT, made_case, made_rows

from pgt.case_table import CaseRow, read_case_table
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.styles import cases as cases_module
from pgt.styles.cases import prepare_cases
from pgt.styles.model_planning import choose_patch, choose_spacing, plan_epochs, plan_model
from pgt.styles.survey import SurveyedCase, survey
from pgt.styles.training_settings import StyleTrainingSettings
from pgt.volume import LabelMap, Segment
from pgt.volume_io import write_label_map, write_volume

NUMBERS = count()


@pytest.fixture
def rows(tmp_path):
    return made_rows(tmp_path, [TIGHT, LOOSE, TIGHT])


def relabelled(row: CaseRow, voxels=None, segments=None, geometry=None) -> CaseRow:
    """The case with another label map."""
    label_map = made_case(0, 1.0)[1]
    voxels = label_map.voxels if voxels is None else voxels
    geometry = geometry or label_map.geometry
    path = row.label.with_name(f"other{next(NUMBERS)}.seg.nrrd")
    if segments is None:
        write_label_map(LabelMap.from_voxels(voxels, geometry), path)
    else:
        write_label_map(LabelMap(voxels, geometry, segments), path)
    return replace(row, label=path)


def test_the_table_comes_back_from_the_folder_of_the_model(tmp_path, rows):
    assert list(read_case_table(tmp_path / "cases.csv")) == rows


def test_what_no_style_can_be_learnt_from(tmp_path, rows):
    for wrong, words in (
        (rows[:1], "one case alone"),
        ([*rows[:2], replace(rows[2], label=None)], "no label map for case2"),
        ([*rows[:2], replace(rows[2], label=tmp_path / "gone.nrrd")], "gone.nrrd (case case2) does not"),
    ):
        for refuse in (survey, lambda these: prepare_cases(these, plan_model(rows).preparation)):
            with pytest.raises(InputError) as caught:
                refuse(wrong)
            assert words in str(caught.value)


def test_labels_that_do_not_fit_are_refused(rows):
    shifted = Geometry(SHAPE, origin=(0, 0, 4))
    empty, full = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.uint8)
    other = made_case(0, 1.0)[1].voxels * 7
    for wrong, words in (
        (relabelled(rows[2], geometry=shifted), ("does not lie on the grid", "origin", "case2")),
        (relabelled(rows[2], voxels=empty), ("background everywhere", "case2")),
        (relabelled(rows[2], voxels=full), ("1 everywhere", "case2")),
        (relabelled(rows[2], voxels=other), ("Only", "case2", "label 7")),
    ):
        with pytest.raises(InputError) as caught:
            survey([*rows[:2], wrong])
        assert all(word in str(caught.value) for word in words), caught.value


def test_one_label_value_means_one_structure(rows):
    def named(row, name):
        return relabelled(row, segments=(Segment(1, name, (1.0, 0.0, 0.0)),))

    liver = named(rows[0], "Liver")
    assert survey([liver, *rows[1:]]).names == {1: "Liver"}
    with pytest.raises(InputError, match=r"calls label 1 'Liver', .* calls it 'Spleen'"):
        survey([liver, rows[1], named(rows[2], "Spleen")])


def test_chosen_labels_leave_others_to_the_background(rows):
    voxels = made_case(0, 1.0)[1].voxels.copy()
    voxels[:2] = 5
    two = [relabelled(row, voxels=voxels) for row in rows]
    assert list(survey(two).names) == [1, 5]
    model = plan_model(two, values=[5])
    assert model.preparation.values == (5,)
    case = prepare_cases(two, model.preparation)[0]
    assert case.labels.shape[0] == 2
    volume = float(case.labels[1].sum()) * np.prod(model.preparation.spacing)
    assert volume == pytest.approx(2 * SHAPE[1] * SHAPE[2], rel=0.05)
    with pytest.raises(InputError, match="No case has label 9"):
        survey(two, values=[5, 9])
    with pytest.raises(InputError, match=r"case0\) has none of the labels to learn \(5\)"):
        survey([rows[0], *two], values=[5])


def test_prepared_cases_are_kept_and_made_anew_when_something_changed(tmp_path, rows, monkeypatch):
    model, cache = plan_model(rows), tmp_path / "kept"
    prepared = []
    original = cases_module.prepare_case
    monkeypatch.setattr(
        cases_module, "prepare_case", lambda row, how: prepared.append(row.case) or original(row, how)
    )

    def made_anew(how=model.preparation):
        prepared.clear()
        found = prepare_cases(rows, how, cache)
        return list(prepared), found

    names = [row.case for row in rows]
    fresh = prepare_cases(rows, model.preparation)
    assert made_anew()[0] == names
    again, kept = made_anew()
    assert again == []
    for one, other in zip(fresh, kept, strict=True):
        assert one.name == other.name
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.labels, other.labels)
    assert not [path for path in cache.iterdir() if "case" in path.name]  # names may be patients'
    os.utime(rows[1].label, ns=(1, 1))
    assert made_anew()[0] == ["case1"]
    assert made_anew(replace(model.preparation, spacing=(3.0, 3.0, 3.0)))[0] == names
    damaged = sorted(cache.glob("*-labels.npy"), key=lambda path: path.stat().st_mtime_ns)
    for path in damaged:
        path.write_bytes(path.read_bytes()[:200])
    assert made_anew()[0] == names


def test_twins_are_prepared_alike(tmp_path, rows):
    """The same case, stored with its axes turned round in the patient."""
    preparation = plan_model(rows).preparation
    volume, label_map = made_case(0, TIGHT)
    turned = []
    for number, array in enumerate((volume.voxels, label_map.voxels)):
        geometry = volume.geometry.permuted((2, 0, 1)).flipped(0)
        voxels = np.flip(array.transpose(2, 0, 1), 0)
        path = tmp_path / f"turned{number}.nrrd"
        if number:
            write_label_map(LabelMap.from_voxels(voxels, geometry), path)
        else:
            write_volume(replace(volume, voxels=voxels, geometry=geometry), path)
        turned.append(path)
    twin = CaseRow("twin", turned[0], turned[1])
    first, second = prepare_cases([rows[0], twin], preparation)
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.labels, second.labels)


def surveyed(shape, spacing, box, direction="RAS") -> SurveyedCase:
    geometry = Geometry(shape, spacing, direction=DIRECTIONS[direction])
    return SurveyedCase(CaseRow("a", Path("a.nrrd")), geometry, {}, box)


def test_the_spacing_follows_the_labelled_region():
    case = surveyed((100, 120, 90), (1.0, 1.0, 1.0), ((10, 41), (20, 51), (5, 36)))
    assert choose_spacing([case], 16) == (2.0, 2.0, 2.0)
    thick = surveyed((100, 120, 30), (0.5, 0.5, 5.0), ((10, 73), (20, 83), (5, 10)))
    assert choose_spacing([thick], 16) == (2.0, 2.0, 5.0)
    sideways = surveyed((120, 30, 100), (0.5, 5.0, 0.5), ((20, 83), (5, 10), (10, 73)), "permuted")
    assert sorted(choose_spacing([sideways], 16)) == [2.0, 2.0, 5.0]
    assert choose_spacing([case], 64) == (1.0, 1.0, 1.0)


def test_the_window_holds_small_volumes_whole():
    assert choose_patch([(19, 28, 17), (20, 25, 19)], 4, 40**3) == (20, 28, 20)
    assert choose_patch([(3, 5, 2)], 4, 40**3) == (8, 8, 8)
    i, j, k = choose_patch([(200, 200, 30)], 8, 64**3)
    assert i * j * k <= 64**3
    assert (i % 8, j % 8, k) == (0, 0, 32)
    # One case that is much larger than the others is cut, not the others padded.
    assert choose_patch([(20, 20, 20)] * 9 + [(90, 20, 20)], 4, 40**3) == (32, 20, 20)


def test_plans(rows):
    model = plan_model(rows, spacing=(1.0, 1.0, 2.0), latent=3, seed=4)
    assert model.preparation.spacing == (1.0, 1.0, 2.0)
    assert model.patch == (16, 16, 8)
    assert model.hypernetwork.shape.latent == 3
    assert model.class_names == ("Segment_1",)
    again = plan_model(rows, spacing=(1.0, 1.0, 2.0), latent=3, seed=4)
    assert torch.equal(model.hypernetwork.heads, again.hypernetwork.heads)
    factored = plan_model(rows, "factored")
    assert (factored.unet.shape.channels, factored.unet.shape.levels) == (16, 3)
    for wrong in ({"size": "huge"}, {"spacing": (1.0, 0.0, 1.0)}, {"latent": 0}):
        with pytest.raises(InputError):
            plan_model(rows, **wrong)
    settings = StyleTrainingSettings(cases_per_step=8)
    assert [plan_epochs(cases, settings) for cases in (4, 40, 150, 1000)] == [400, 300, 80, 80]
