"""Lesions counted by hand, and panoptic quality against an independent calculation by brute force."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label

from pgt.agreement.lesions import LesionScores, components, lesion_scores
from pgt.agreement.masks import Mask

pairs = array_shapes(min_dims=3, max_dims=3, max_side=6).flatmap(
    lambda shape: st.tuples(*[arrays(bool, shape, elements=st.sampled_from([False] * 4 + [True]))] * 2)
)


def boxes(*corners: tuple[tuple[int, int, int], tuple[int, int, int]]) -> Mask:
    """Boxes from the first voxel to before the last, in a grid of 30×30×10."""
    mask = np.zeros((30, 30, 10), dtype=bool)
    for (i, j, k), (i2, j2, k2) in corners:
        mask[i:i2, j:j2, k:k2] = True
    return mask


def test_lesions_counted_by_hand() -> None:
    a = boxes(
        ((1, 1, 1), (5, 5, 5)),  # 64 voxels, the same in b: IoU 1
        ((10, 1, 1), (14, 5, 5)),  # 64 voxels, half of it in b: IoU 0.5, not above
        ((20, 1, 1), (24, 5, 5)),  # 64 voxels, 48 of it in b: IoU 0.75
        ((1, 20, 1), (3, 22, 3)),  # missed
    )
    b = boxes(
        ((1, 1, 1), (5, 5, 5)),
        ((10, 1, 1), (12, 5, 5)),
        ((20, 1, 1), (23, 5, 5)),
        ((20, 20, 1), (22, 22, 3)),  # found by b alone
        ((25, 25, 5), (26, 26, 6)),  # and so is this
    )
    scores = lesion_scores(a, b)
    assert scores == LesionScores(lesions_a=4, lesions_b=5, detected=3, matched=2, matched_iou=1.75)
    assert scores.f1 == pytest.approx(3 / (3 + 2 / 2 + 1 / 2))
    assert scores.segmentation_quality == pytest.approx(0.875)
    assert scores.recognition_quality == pytest.approx(2 / (2 + 3 / 2 + 2 / 2))
    assert scores.panoptic_quality == pytest.approx(1.75 / (2 + 3 / 2 + 2 / 2))


def test_a_lesion_is_found_once_only() -> None:
    """One large outline over three lesions finds one of them, not three."""
    a = boxes(((1, 1, 1), (4, 4, 4)), ((5, 1, 1), (8, 4, 4)), ((9, 1, 1), (12, 4, 4)))
    b = boxes(((1, 1, 1), (12, 4, 4)))
    scores = lesion_scores(a, b)
    assert (scores.lesions_a, scores.lesions_b, scores.detected, scores.matched) == (3, 1, 1, 0)
    assert scores.f1 == pytest.approx(0.5)


def test_the_best_pairing_is_found_where_the_nearest_would_block_another() -> None:
    """Greedily the long lesion would take its better partner and leave the other lesion of a alone."""
    a = boxes(((1, 1, 1), (11, 3, 3)), ((14, 1, 1), (20, 3, 3)))
    b = boxes(((1, 1, 1), (4, 3, 3)), ((5, 1, 1), (20, 3, 3)))
    assert lesion_scores(a, b).detected == 2


@pytest.mark.parametrize("step", [(1, 0, 0), (1, 1, 0), (1, 1, 1), (-1, 1, 0), (1, -1, 1)])
def test_touching_by_face_edge_or_corner_is_one_lesion(step: tuple[int, int, int]) -> None:
    mask = np.zeros((5, 5, 5), dtype=bool)
    mask[2, 2, 2] = True
    mask[tuple(2 + np.array(step))] = True
    assert components(mask)[1] == 1


def test_a_thousand_lesions_beside_a_thousand() -> None:
    rng = np.random.default_rng(0)
    a = np.zeros((60, 60, 60), dtype=bool)
    a[::3, ::3, ::3] = rng.random((20, 20, 20)) < 0.5
    b = np.zeros_like(a)
    b[::3, ::3, ::3] = rng.random((20, 20, 20)) < 0.5
    scores = lesion_scores(a, b)
    assert scores.lesions_a > 3000
    assert scores.detected == scores.matched == int((a & b).sum())
    assert scores.panoptic_quality == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))


def by_brute_force(a: Mask, b: Mask) -> tuple[float, float, int]:
    """F1, PQ and number of pairs by trying every pairing, with none of the product's code."""
    labels_a, labels_b = label(a, connectivity=3), label(b, connectivity=3)
    lesions_a = [labels_a == n for n in range(1, labels_a.max(initial=0) + 1)]
    lesions_b = [labels_b == n for n in range(1, labels_b.max(initial=0) + 1)]
    if not lesions_a and not lesions_b:
        return 1.0, 1.0, 0
    iou = [[(x & y).sum() / (x | y).sum() for y in lesions_b] for x in lesions_a]
    few, many = sorted((len(lesions_a), len(lesions_b)))
    table = np.array(iou).reshape(len(lesions_a), len(lesions_b))
    table = table if len(lesions_a) == few else table.T
    detected = max(
        sum(table[row, column] > 0.1 for row, column in enumerate(order))
        for order in permutations(range(many), few)
    )
    matched = table[table > 0.5]
    unmatched = few + many - 2 * len(matched)
    quality = matched.sum() / (len(matched) + unmatched / 2)
    return 2 * detected / (few + many), quality, detected


@given(pair=pairs)
def test_against_brute_force(pair: tuple[Mask, Mask]) -> None:
    a, b = pair
    counts = sorted((label(a, connectivity=3).max(initial=0), label(b, connectivity=3).max(initial=0)))
    if counts[1] > 6:
        return
    f1, quality, detected = by_brute_force(a, b)
    scores = lesion_scores(a, b)
    assert scores.detected == detected
    assert scores.f1 == pytest.approx(f1)
    assert scores.panoptic_quality == pytest.approx(quality)
    turned = lesion_scores(b, a)
    assert (turned.f1, turned.panoptic_quality) == pytest.approx((scores.f1, scores.panoptic_quality))


def test_lesions_that_meet_by_the_dozen_against_brute_force() -> None:
    rng = np.random.default_rng(4)
    several = 0
    for _ in range(40):
        a = np.kron(rng.random((4, 4, 2)) < 0.15, np.ones((3, 3, 3))).astype(bool)
        b = np.roll(a, rng.integers(-1, 2, 3), axis=(0, 1, 2)) & (rng.random(a.shape) < 0.8)
        if max(components(a)[1], components(b)[1]) <= 7:
            several += components(a)[1] > 2
            f1, quality, _ = by_brute_force(a, b)
            scores = lesion_scores(a, b)
            assert (scores.f1, scores.panoptic_quality) == pytest.approx((f1, quality))
    assert several > 5


@pytest.mark.parametrize("shape", [(0, 0, 0), (1, 1, 1), (4, 5, 6)])
def test_empty_full_and_single_voxels(shape: tuple[int, int, int]) -> None:
    nothing, everything = np.zeros(shape, dtype=bool), np.ones(shape, dtype=bool)
    neither = lesion_scores(nothing, nothing)
    assert (neither.f1, neither.panoptic_quality, neither.segmentation_quality) == (1, 1, 1)
    if everything.size:
        assert lesion_scores(everything, everything).panoptic_quality == 1
        for missed in (lesion_scores(everything, nothing), lesion_scores(nothing, everything)):
            assert (missed.f1, missed.panoptic_quality, missed.segmentation_quality) == (0, 0, 0)
