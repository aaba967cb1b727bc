"""Counts of voxels and what follows from them, against SimpleITK and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from mask_cases import blob, two_masks
from sklearn.metrics import cohen_kappa_score, jaccard_score, precision_score, recall_score

from pgt.agreement.masks import CroppedMask
from pgt.agreement.overlap import OVERLAP_METRICS, VoxelCounts, count_voxels, on_slices, overlap_values
from pgt.agreement.readings import DrawnSlices
from pgt.agreement.results import Occupancy


def _values(a: np.ndarray, b: np.ndarray, voxel_ml: float = 0.001) -> dict[str, float]:
    return overlap_values(count_voxels(CroppedMask.of(a), CroppedMask.of(b)), voxel_ml)


@given(two_masks())
def test_counts_of_crops_are_those_of_the_whole_masks(masks):
    a, b = masks
    counts = count_voxels(CroppedMask.of(a), CroppedMask.of(b))
    assert counts == VoxelCounts(a.sum(), b.sum(), (a & b).sum(), a.size)
    assert counts.either == (a | b).sum()


@pytest.mark.parametrize("seed", range(4))
def test_the_same_numbers_as_simpleitk(seed):
    a, b = blob((20, 17, 9), seed), blob((20, 17, 9), seed + 100, share=0.2)
    peer = sitk.LabelOverlapMeasuresImageFilter()
    peer.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (a, b)))
    values = _values(a, b)
    assert values["dice"] == pytest.approx(peer.GetDiceCoefficient(1), abs=1e-12)
    assert values["iou"] == pytest.approx(peer.GetJaccardCoefficient(1), abs=1e-12)
    # Its source is our A; its volume similarity is 2 (source - target) / (source + target).
    assert values["volume_difference_percent"] == pytest.approx(-100 * peer.GetVolumeSimilarity(1), abs=1e-9)
    assert 1 - values["sensitivity"] == pytest.approx((a & ~b).sum() / a.sum())


@pytest.mark.parametrize("seed", range(4))
def test_the_same_numbers_as_scikit_learn(seed):
    a, b = blob((12, 11, 10), seed, share=0.1 + 0.2 * seed), blob((12, 11, 10), seed + 100)
    values = _values(a, b)
    rows = a.ravel(), b.ravel()
    assert values["kappa"] == pytest.approx(cohen_kappa_score(*rows), abs=1e-12)
    assert values["sensitivity"] == pytest.approx(recall_score(*rows), abs=1e-12)
    assert values["precision"] == pytest.approx(precision_score(*rows), abs=1e-12)
    assert values["iou"] == pytest.approx(jaccard_score(*rows), abs=1e-12)


def test_kappa_counts_the_whole_volume_and_keeps_its_digits_on_large_ones():
    voxels = 512 * 512 * 1000
    small = overlap_values(VoxelCounts(10, 10, 5, voxels), 1.0)
    p_e = (10 * 10 + (voxels - 10) ** 2) / voxels**2
    assert small["kappa"] == pytest.approx(0.5, abs=1e-6)
    assert small["kappa"] == pytest.approx((1 - 10 / voxels - p_e) / (1 - p_e), rel=1e-6)
    assert overlap_values(VoxelCounts(10, 10, 5, 40), 1.0)["kappa"] < 0.4


@pytest.mark.parametrize(
    ("counts", "occupancy", "expected"),
    [
        (VoxelCounts(0, 0, 0, 8), Occupancy.BOTH_EMPTY, (1, 1, 0, 0, 1, 1, 1)),
        (VoxelCounts(4, 0, 0, 8), Occupancy.ONE_EMPTY, (0, 0, -4, -200, 0, 0, 0)),
        (VoxelCounts(0, 4, 0, 8), Occupancy.ONE_EMPTY, (0, 0, 4, 200, 0, 0, 0)),
        (VoxelCounts(8, 8, 8, 8), Occupancy.BOTH, (1, 1, 0, 0, 1, 1, 1)),
        (VoxelCounts(8, 4, 4, 8), Occupancy.BOTH, (2 / 3, 1 / 2, -4, -200 / 3, 1 / 2, 1, 0)),
        (VoxelCounts(8, 0, 0, 8), Occupancy.ONE_EMPTY, (0, 0, -8, -200, 0, 0, 0)),
        (VoxelCounts(4, 4, 0, 8), Occupancy.BOTH, (0, 0, 0, 0, 0, 0, -1)),
    ],
)
def test_what_is_said_of_empty_and_full_masks(counts, occupancy, expected):
    values = overlap_values(counts, voxel_volume_ml=1.0)
    assert counts.occupancy is occupancy
    assert [values[key] for key in OVERLAP_METRICS] == pytest.approx(expected)


@given(two_masks())
def test_only_drawn_slices_are_kept(masks):
    mask = masks[0]
    for axis in range(3):
        drawn = DrawnSlices(axis, tuple(range(0, mask.shape[axis], 2)))
        expected = np.zeros_like(mask)
        every_other = [slice(None)] * 3
        every_other[axis] = slice(0, None, 2)
        expected[tuple(every_other)] = mask[tuple(every_other)]
        kept = on_slices(CroppedMask.of(mask), drawn)
        assert np.array_equal(kept.full(), expected)
        assert kept.is_empty == (not expected.any())
