"""Cases of a study: the same working grid whichever way a file is turned, and nothing that cannot be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geometries import DIRECTIONS, rotation
from made_study import made_case, made_table

from pgt.case_table import CaseRow, read_case_table, write_case_table
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.studies.evaluation import scores_of
from pgt.studies.study_cases import CaseReader, read_cases, study_rows, working_grid
from pgt.volume import LabelMap, Volume
from pgt.volume_io import write_label_map, write_volume


def stored(folder: Path, volume: Volume, truth: LabelMap, name: str = "case") -> CaseRow:
    row = CaseRow(name, folder / f"{name}.nii.gz", folder / f"{name}-label.nii.gz")
    write_volume(volume, row.image)
    assert row.label is not None
    write_label_map(truth, row.label)
    return row


def turned(volume: Volume, truth: LabelMap) -> tuple[Volume, LabelMap]:
    """The same voxels in the same places, axes in another order and counted from the other end."""
    geometry = volume.geometry.permuted((2, 0, 1)).flipped(0).flipped(2)
    voxels = [np.flip(one.voxels.transpose(2, 0, 1), (0, 2)) for one in (volume, truth)]
    return Volume(voxels[0], geometry), LabelMap(voxels[1], geometry, truth.segments)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (3.0, 2.0, 4.5), (1.5, 2.5, 2.0)])
def test_turned_twins_are_one_case_to_learn_from(tmp_path: Path, spacing: tuple[float, float, float]) -> None:
    pair = made_case(0)
    reader = CaseReader(spacing, (1, 2))
    one = reader.read(stored(tmp_path, *pair, "one"))
    other = reader.read(stored(tmp_path, *turned(*pair), "other"))
    assert np.allclose(one.image, other.image, atol=1e-5)
    assert np.array_equal(one.label, other.label)
    assert one.grid.difference(other.grid) is None

    probabilities = np.eye(3, dtype=np.float32)[one.label].transpose(3, 0, 1, 2)
    found = reader.labelled(probabilities, one.truth)
    back = reader.labelled(probabilities, other.truth)
    assert found.shape == one.truth.voxels.shape
    assert np.array_equal(np.flip(found.transpose(2, 0, 1), (0, 2)), back)


def test_on_its_own_spacing_a_case_comes_back_as_it_was(tmp_path: Path) -> None:
    volume, truth = made_case(1, direction=DIRECTIONS["oblique"])
    case = CaseReader((2.0, 2.0, 2.0), (1, 2)).read(stored(tmp_path, volume, truth))
    probabilities = np.eye(3, dtype=np.float32)[case.label].transpose(3, 0, 1, 2)
    assert np.array_equal(
        CaseReader((2.0, 2.0, 2.0), (1, 2)).labelled(probabilities, case.truth), truth.voxels
    )
    assert case.image.mean() == pytest.approx(0, abs=1e-4)
    assert case.image.std() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("direction", sorted(DIRECTIONS))
def test_working_grid_covers_the_same_field_of_view(direction: str) -> None:
    geometry = Geometry((10, 21, 33), (1.0, 2.5, 0.7), (4.0, -30.0, 12.0), DIRECTIONS[direction])
    grid = working_grid(geometry, CaseReader((2.0, 2.0, 2.0), (1,)).preparation)
    sizes = [np.array(one.shape) * one.spacing for one in (geometry, grid)]
    order = list(geometry.turn_to("RAS")[0])
    assert np.allclose(sizes[0][order], sizes[1])
    middles = [one.ijk_to_ras @ np.append((np.array(one.shape) - 1) / 2, 1) for one in (geometry, grid)]
    assert np.allclose(middles[0], middles[1])
    assert grid.orientation == "RAS"


def test_spacing_and_labels_are_found_where_nobody_names_them(tmp_path: Path) -> None:
    rows = read_case_table(made_table(tmp_path, 3))
    steps: list[tuple[int, int]] = []
    reader, cases = read_cases(rows, progress=lambda done, total: steps.append((done, total)))
    assert (reader.spacing, reader.values, reader.classes) == ((2.0, 2.0, 2.0), (1, 2), 3)
    assert steps == [(1, 3), (2, 3), (3, 3)]
    only, cases = read_cases(rows, values=(2,))
    assert only.values == (2,)
    assert np.array_equal(cases[0].label > 0, made_case(0)[1].voxels == 2)


def test_cases_that_cannot_be_used(tmp_path: Path) -> None:
    table = made_table(tmp_path, 3)
    rows = list(study_rows(table))
    with pytest.raises(InputError, match="No case has the label 7; there are 1, 2"):
        read_cases(rows, values=(1, 7))

    volume, truth = made_case(0)
    moved = replace(truth.geometry, origin=(9.0, 9.0, 9.0))
    beside = stored(tmp_path, volume, replace(truth, geometry=moved), "beside")
    with pytest.raises(InputError, match=r"beside-label.*does not lie on its image"):
        read_cases([beside])
    angle = tuple(tuple(row) for row in rotation(0, 0, 4).tolist())
    tilted = replace(truth, geometry=replace(truth.geometry, direction=angle))
    with pytest.raises(InputError, match="does not lie on its image"):
        read_cases([stored(tmp_path, volume, tilted, "tilted")])
    empty = replace(truth, voxels=np.zeros_like(truth.voxels))
    with pytest.raises(InputError, match="No case has any label"):
        read_cases([stored(tmp_path, volume, empty, "empty")])

    missing = replace(rows[1], image=tmp_path / "gone.nii")
    write_case_table(table, [rows[0], missing], overwrite=True)
    with pytest.raises(InputError, match=r"gone\.nii \(case Jane_Doe_01 of .*\) does not exist"):
        study_rows(table)
    write_case_table(table, [rows[0], rows[0]], overwrite=True)
    with pytest.raises(InputError, match="more than once"):
        study_rows(table)


def test_scores_against_counting_by_hand() -> None:
    truth = np.zeros((6, 6, 6), np.uint8)
    truth[1:5, 1:5, 1:5] = 1
    found = np.zeros_like(truth)
    found[2:5, 1:5, 1:5] = 1  # one of four layers is missing
    geometry = Geometry(truth.shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), DIRECTIONS["RAS"])
    one, absent = scores_of("c", found, truth, geometry, (1, 2), 1.0)
    assert one.dice == pytest.approx(2 * 48 / (64 + 48))
    assert one.iou == pytest.approx(48 / 64)
    assert one.nsd == pytest.approx(1.0)
    assert (absent.dice, absent.iou, absent.nsd) == (1, 1, 1)
    narrow = scores_of("c", found, truth, geometry, (1,), 0.5)[0]
    assert narrow.nsd < 0.9
