"""Versions of labels: perturbed against analytic shapes, propagated, and divided so that nothing leaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geometries import DIRECTIONS

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.studies.label_perturbation import perturbed
from pgt.studies.label_quality_configuration import LabelQualityConfiguration
from pgt.studies.label_versions import (
    ColumnVersion,
    PerturbedVersion,
    PredictedVersion,
    PropagatedVersion,
    column_file,
    folds_of,
    generator_cases,
    perturbed_labels,
    propagated_labels,
    slug,
    split_cases,
)
from pgt.volume import LabelMap, Volume


def _ball(geometry: Geometry, radius_mm: float = 9.0) -> LabelMap:
    """A ball in the middle of the volume, its upper half (along k) another structure."""
    places = (np.indices(geometry.shape).reshape(3, -1).T - (np.array(geometry.shape) - 1) / 2) * np.array(
        geometry.spacing
    )
    inside = (np.linalg.norm(places, axis=1) <= radius_mm).reshape(geometry.shape)
    upper = (places[:, 2] > 0).reshape(geometry.shape)
    return LabelMap.from_voxels(np.where(inside, 1 + upper, 0).astype(np.uint8), geometry)


def _random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("direction", ["RAS", "flipped", "oblique"])
@pytest.mark.parametrize(("kind", "radius"), [("eroded", 7.0), ("dilated", 11.0)])
def test_borders_move_by_mm(kind, radius, direction):
    geometry = Geometry((27, 27, 18), (1.0, 1.0, 1.5), direction=DIRECTIONS[direction])
    ball = _ball(geometry)
    moved = perturbed(ball, kind, 2.0, _random())
    volume = np.count_nonzero(moved.voxels) * geometry.voxel_volume
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.12)
    both = (ball.voxels != 0) & (moved.voxels != 0)
    # The border between the structures stays where it was.
    assert (moved.voxels[both] == ball.voxels[both]).all()
    assert set(np.unique(moved.voxels)) == {0, 1, 2}


def test_one_mm_takes_one_layer_and_nothing_across_thick_slices():
    voxels = np.zeros((12, 12, 6), np.uint8)
    voxels[2:9, 3:9, 1:5] = 4
    label_map = LabelMap.from_voxels(voxels, Geometry(voxels.shape, (1.0, 1.0, 3.0)))
    eroded = perturbed(label_map, "eroded", 1.0, _random())
    assert np.count_nonzero(eroded.voxels) == 5 * 4 * 4
    assert eroded.voxels[3:8, 4:8, 1:5].all()
    # What goes on beyond the volume is not eroded from there.
    voxels[:, 3:9, 1:5] = 4
    label_map = LabelMap.from_voxels(voxels, label_map.geometry)
    assert perturbed(label_map, "eroded", 1.0, _random()).voxels[0, 4:8, 1:5].all()
    empty = LabelMap.from_voxels(np.zeros_like(voxels), label_map.geometry)
    assert not perturbed(empty, "dilated", 2.0, _random()).voxels.any()


def test_smoothing_rounds_corners_and_keeps_values():
    voxels = np.zeros((20, 20, 20), np.uint8)
    voxels[5:15, 5:15, 5:15] = 7
    box = LabelMap.from_voxels(voxels, Geometry(voxels.shape))
    smoothed = perturbed(box, "smoothed", 2.0, _random()).voxels
    assert smoothed[10, 10, 10] == 7
    assert smoothed[10, 10, 5] == 7  # the middle of a face stays
    assert smoothed[5, 5, 5] == 0  # a corner goes
    assert set(np.unique(smoothed)) == {0, 7}


@pytest.mark.parametrize("direction", list(DIRECTIONS))
def test_shift_moves_by_mm_in_the_patient(direction):
    """The same draw shifts every twin of a volume to the same place in the patient."""
    geometry = Geometry((30, 30, 30), (1.0, 1.0, 1.0), direction=DIRECTIONS[direction])
    ball = _ball(geometry)
    shifted = perturbed(ball, "shifted", 4.0, _random())
    centres = [np.argwhere(labels.voxels != 0).mean(axis=0) for labels in (ball, shifted)]
    wanted = _random().normal(size=3)
    wanted *= 4 / np.linalg.norm(wanted)
    # By whole voxels along each axis, the nearest to what was wanted.
    assert centres[1] - centres[0] == pytest.approx(geometry.ras_to_ijk[:3, :3] @ wanted, abs=0.51)


def test_uneven_borders_move_both_ways_and_anew_for_every_case():
    ball = _ball(Geometry((27, 27, 27)))
    version = PerturbedVersion("sloppy", "uneven", 2.0)
    sizes = [np.count_nonzero(perturbed_labels(ball, version, 0, case).voxels) for case in range(12)]
    assert min(sizes) < np.count_nonzero(ball.voxels) < max(sizes)
    again = [np.count_nonzero(perturbed_labels(ball, version, 0, case).voxels) for case in range(12)]
    assert sizes == again


@pytest.mark.parametrize("direction", ["RAS", "oblique and mirrored"])
def test_propagated_versions_keep_drawn_slices_and_fill_the_rest(direction):
    geometry = Geometry((24, 22, 20), (1.0, 1.0, 1.5), direction=DIRECTIONS[direction])
    ball = _ball(geometry)
    image = Volume((100.0 * (ball.voxels > 0)).astype(np.float32), geometry)
    found = propagated_labels(image, ball, PropagatedVersion("few", 3, axis=2), "cpu")
    shown = np.flatnonzero((ball.voxels != 0).any(axis=(0, 1)))
    for drawn in (shown[0], shown[-1], (shown[0] + shown[-1] + 1) // 2):
        assert (found.voxels[..., drawn] == ball.voxels[..., drawn]).all()
    assert not found.voxels[..., : shown[0]].any()
    overlap = (
        2
        * ((found.voxels != 0) & (ball.voxels != 0)).sum()
        / ((found.voxels != 0).sum() + (ball.voxels != 0).sum())
    )
    assert 0.6 < overlap < 1
    more = propagated_labels(image, ball, PropagatedVersion("more", 9, axis=2), "cpu")
    assert (more.voxels == ball.voxels).mean() > (found.voxels == ball.voxels).mean()
    nothing = replace(ball, voxels=np.zeros_like(ball.voxels))
    assert not propagated_labels(image, nothing, PropagatedVersion("few", 3), "cpu").voxels.any()


def test_no_generator_learns_from_what_it_predicts_or_from_kept_out_cases():
    training, kept = split_cases(37, 0.2, seed=4)
    assert len(kept) == 7
    assert sorted([*training, *kept]) == list(range(37))
    folds = folds_of(37, 5, seed=4)
    assert {int(n) for n in np.bincount(folds)} == {7, 8}
    for fold in range(5):
        learnt = set(generator_cases(fold, folds, training, None, 4))
        assert not learnt & set(np.flatnonzero(folds == fold).tolist())
        assert not learnt & set(kept.tolist())
        few = generator_cases(fold, folds, training, 6, 4)
        assert len(few) == 6
        assert set(few) < learnt
    with pytest.raises(InputError, match="4 cases cannot be divided into 5 folds"):
        folds_of(4, 5, 0)
    with pytest.raises(InputError, match="3 cases cannot be divided"):
        split_cases(3, 0.2, 0)


def test_versions_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(InputError, match="name 'Base' is taken"):
        PerturbedVersion("Base", "eroded", 1.0)
    with pytest.raises(InputError, match="needs a name"):
        ColumnVersion("--", "label_b")
    with pytest.raises(InputError, match="mm above 0"):
        PerturbedVersion("thin", "eroded", 0.0)
    with pytest.raises(InputError, match="two drawn slices"):
        PropagatedVersion("few", 1)
    with pytest.raises(InputError, match="three levels"):
        PredictedVersion("net", channels=(8, 16))
    versions = (PerturbedVersion("A b", "eroded", 1.0), PerturbedVersion("a-B", "eroded", 2.0))
    with pytest.raises(InputError, match="Two label versions are called a-b"):
        LabelQualityConfiguration(tmp_path, perturbed=versions)
    with pytest.raises(InputError, match="no label version beside the base"):
        LabelQualityConfiguration(tmp_path)
    row = CaseRow("7", tmp_path / "image.nrrd", None, {"label_b": "gone.nrrd"})
    with pytest.raises(InputError, match=r"names no file in the column label_c for the case 7"):
        column_file(row, ColumnVersion("second", "label_c"), tmp_path / "CASES.csv")
    with pytest.raises(InputError, match=r"gone\.nrrd .* does not exist"):
        column_file(row, ColumnVersion("second", "label_b"), tmp_path / "CASES.csv")
    assert slug("Ärzte 2 / weak") == "rzte-2-weak"
