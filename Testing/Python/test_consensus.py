"""Consensus: votes by hand, STAPLE as SimpleITK has it on the same voxels, nothing but the dispute counts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter

from pgt.agreement.consensus import Consensus, consensus, consensus_of_readings, multi_label
from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.agreement.staple import staple
from pgt.errors import InputError
from pgt.geometry import Geometry

METHODS = ("majority", "staple", "any", "all")
SHAPE = (24, 22, 20)

small_masks = st.integers(2, 5).flatmap(
    lambda raters: arrays(bool, (raters, 5, 4, 3), elements=st.booleans())
)


def cropped(masks: NDArray[np.bool_]) -> list[CroppedMask]:
    return [CroppedMask.of(mask) for mask in masks]


def noisy_balls(
    raters: int, seed: int = 0, shape: tuple[int, int, int] = SHAPE, biases: tuple[float, ...] = ()
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A ball, and raters whose outlines of it wander by about a voxel, each grown by its bias."""
    centre = (np.array(shape) - 1) / 2
    grid = np.moveaxis(np.indices(shape), 0, -1)
    inward = min(shape) / 3.2 - np.linalg.norm(grid - centre, axis=-1)
    random = np.random.default_rng(seed)
    masks = []
    for bias in biases or (0.0,) * raters:
        wander = gaussian_filter(random.normal(size=shape), 2)
        masks.append(inward + bias + 1.2 * wander / wander.std() > 0)
    return inward > 0, np.stack(masks)


def full(found: Consensus, shape: tuple[int, ...]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    probability = np.zeros(shape, np.float32)
    probability[found.probability[0]] = found.probability[1]
    return found.mask.full(), probability


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_votes_by_hand() -> None:
    votes = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 0, 0, 1, 0]], bool)
    masks = cropped(votes.reshape(4, 5, 1, 1))
    share = np.array([1, 0.5, 0.5, 0.25, 0], np.float32)
    for method, expected, ties in (
        ("any", [1, 1, 1, 1, 0], 0),
        ("all", [1, 0, 0, 0, 0], 0),
        ("majority", [1, 0, 0, 0, 0], 2),
    ):
        found = consensus(masks, method)
        mask, probability = full(found, (5, 1, 1))
        assert mask.ravel().tolist() == [bool(mark) for mark in expected]
        np.testing.assert_array_equal(probability.ravel(), share)
        assert (found.ties, found.disputed, found.region) == (ties, 3, 5)
    kept = consensus(masks, "majority", ties="foreground")
    assert kept.mask.full().ravel().tolist() == [True, True, True, False, False]
    assert "2 of them were tied and became foreground" in kept.note
    # Against [1 1 1 0 0] the first rater is perfect, the last found 1 of 3 and marked 1 of 2 too many.
    assert (kept.raters[0].sensitivity, kept.raters[0].specificity) == (1, 1)
    assert (kept.raters[3].sensitivity, kept.raters[3].specificity) == (pytest.approx(1 / 3), 0.5)


def test_majority_is_simpleitks_label_voting() -> None:
    _, masks = noisy_balls(4, seed=3)
    voting = sitk.LabelVotingImageFilter()
    voting.SetLabelForUndecidedPixels(9)
    images = [sitk.GetImageFromArray(mask.T.astype(np.uint8)) for mask in masks]
    votes = sitk.GetArrayFromImage(voting.Execute(images)).T
    found = consensus(cropped(masks), "majority")
    np.testing.assert_array_equal(found.mask.full(), votes == 1)
    assert found.ties == np.count_nonzero(votes == 9) > 0


@pytest.mark.parametrize("margin", [1, 2, 4])
def test_staple_is_simpleitks_on_the_region(margin: int) -> None:
    _, masks = noisy_balls(5, seed=1)
    disputed = masks.any(axis=0) & ~masks.all(axis=0)
    region = binary_dilation(disputed, np.ones((3, 3, 3)), iterations=margin)
    marking = sitk.STAPLEImageFilter()
    marking.SetForegroundValue(1)
    row = marking.Execute([sitk.GetImageFromArray(mask[region].astype(np.uint8)[None]) for mask in masks])
    expected = masks.all(axis=0).astype(float)
    expected[disputed] = sitk.GetArrayFromImage(row)[0][disputed[region]]
    found = consensus(cropped(masks), "staple", margin=margin)
    mask, probability = full(found, SHAPE)
    np.testing.assert_allclose(probability, expected, atol=1e-6)
    np.testing.assert_array_equal(mask, expected > 0.5)
    assert [rater.sensitivity for rater in found.raters] == pytest.approx(list(marking.GetSensitivity()))
    assert [rater.specificity for rater in found.raters] == pytest.approx(list(marking.GetSpecificity()))
    assert (found.region, found.disputed) == (np.count_nonzero(region), np.count_nonzero(disputed))


@pytest.mark.parametrize("method", METHODS)
def test_neither_background_nor_a_larger_core_changes_anything(method: str) -> None:
    _, masks = noisy_balls(4, seed=5)
    small = consensus(cropped(masks), method)
    wide = consensus(cropped(np.pad(masks, ((0, 0), (30, 5), (9, 21), (40, 0)))), method)
    np.testing.assert_array_equal(np.pad(small.mask.full(), ((30, 5), (9, 21), (40, 0))), wide.mask.full())
    np.testing.assert_array_equal(small.probability[1], wide.probability[1])
    assert (small.raters, small.note) == (wide.raters, wide.note)
    # Cut the volume in the middle and put 15 slices in between that all raters filled alike.
    inside = masks.all(axis=0)[12]
    slabs = [masks[:, :12], *[np.broadcast_to(inside, (4, 1, *inside.shape))] * 15, masks[:, 12:]]
    assert abs(consensus(cropped(np.concatenate(slabs, axis=1)), method).disputed - small.disputed) == 0


def test_staple_of_the_whole_volume_would_change_with_the_background() -> None:
    """Why the region is restricted: one rater draws too large, and with more background is believed."""
    truth, masks = noisy_balls(5, seed=0, shape=(40, 40, 40), biases=(0, 0, 0, 0, 5))

    def of_the_whole(margin: int) -> NDArray[np.bool_]:
        images = [sitk.GetImageFromArray(np.pad(mask, margin).astype(np.uint8)) for mask in masks]
        inner = (slice(margin, margin + 40),) * 3
        return np.asarray(sitk.GetArrayFromImage(sitk.STAPLE(images, 1))[inner] > 0.5)

    restricted = dice(consensus(cropped(masks)).mask.full(), truth)
    assert restricted >= dice(of_the_whole(0), truth) > dice(of_the_whole(40), truth) + 0.05
    assert restricted > max(dice(mask, truth) for mask in masks) + 0.02


def test_known_raters_are_recovered() -> None:
    """Independent raters of known sensitivity and specificity on every voxel: STAPLE's own model."""
    random = np.random.default_rng(4)
    truth = random.random((60, 50, 40)) < 0.5
    known = [(0.95, 0.90), (0.85, 0.97), (0.70, 0.80), (0.90, 0.75), (0.80, 0.88)]
    masks = np.stack(
        [np.where(truth, random.random(truth.shape) < p, random.random(truth.shape) > q) for p, q in known]
    )
    found = consensus(cropped(masks), "staple")
    for rater, (sensitivity, specificity) in zip(found.raters, known, strict=True):
        assert rater.sensitivity == pytest.approx(sensitivity, abs=0.02)
        assert rater.specificity == pytest.approx(specificity, abs=0.02)
    vote = consensus(cropped(masks), "majority")
    assert dice(found.mask.full(), truth) > dice(vote.mask.full(), truth) > 0.9
    best, worst = found.raters[0], found.raters[2]
    assert best.sensitivity + best.specificity > worst.sensitivity + worst.specificity


def test_consensus_of_wandering_outlines_is_nearer_to_the_ball_than_any_rater() -> None:
    for seed in range(3):
        truth, masks = noisy_balls(5, seed=seed)
        for method in ("majority", "staple"):
            found = consensus(cropped(masks), method).mask.full()
            assert dice(found, truth) > max(dice(mask, truth) for mask in masks)


@pytest.mark.parametrize("method", METHODS)
@given(masks=small_masks)
def test_order_of_raters_mirrors_and_unanimity(method: str, masks: NDArray[np.bool_]) -> None:
    found = consensus(cropped(masks), method)
    mask, probability = full(found, masks.shape[1:])
    assert np.all(np.isfinite(probability))
    assert probability.min() >= 0
    assert probability.max() <= 1
    np.testing.assert_array_equal(mask & masks.all(axis=0), masks.all(axis=0))
    assert not (mask & ~masks.any(axis=0)).any()
    for rater in found.raters:
        assert 0 <= rater.sensitivity <= 1
        assert 0 <= rater.specificity <= 1
    turned = consensus(cropped(masks[::-1, ::-1, :, ::-1].transpose(0, 3, 1, 2)), method)
    again, as_probable = full(turned, turned.mask.shape)
    np.testing.assert_allclose(as_probable, probability[::-1, :, ::-1].transpose(2, 0, 1), atol=1e-5)
    clear = np.abs(probability - 0.5) > 1e-5
    np.testing.assert_array_equal(
        again[clear[::-1, :, ::-1].transpose(2, 0, 1)],
        mask[::-1, :, ::-1].transpose(2, 0, 1)[clear[::-1, :, ::-1].transpose(2, 0, 1)],
    )


@pytest.mark.parametrize("method", METHODS)
@given(mask=arrays(bool, (4, 3, 5)), raters=st.integers(2, 6))
def test_raters_who_agree_are_the_consensus(method: str, mask: NDArray[np.bool_], raters: int) -> None:
    found = consensus(cropped(np.stack([mask] * raters)), method)
    np.testing.assert_array_equal(found.mask.full(), mask)
    assert (found.disputed, found.region, found.ties) == (0, 0, 0)
    assert all((rater.sensitivity, rater.specificity) == (1, 1) for rater in found.raters)


@given(masks=small_masks, extra=arrays(bool, (5, 4, 3)))
def test_more_marks_never_shrink_the_majority(masks: NDArray[np.bool_], extra: NDArray[np.bool_]) -> None:
    before = consensus(cropped(masks), "majority").mask.full()
    more = np.concatenate([masks[:1] | extra, masks[1:]])
    assert not (before & ~consensus(cropped(more), "majority").mask.full()).any()
    nested = [consensus(cropped(masks), method).mask.full() for method in ("all", "majority", "any")]
    assert all(not (smaller & ~larger).any() for smaller, larger in pairwise(nested))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "marks",
    [(0, 0, 0), (1, 1, 0), (1, 0, 0), (1, 0), (0, 0), (1, 1, 1, 0)],
    ids=["nobody", "two of three", "one of three", "one of two", "nobody of two", "three of four"],
)
@pytest.mark.parametrize("whole", ["voxel", "volume", "corner", "one-voxel volume"])
def test_empty_full_and_single_voxels(method: str, marks: tuple[int, ...], whole: str) -> None:
    mask = np.zeros((1, 1, 1) if whole == "one-voxel volume" else (4, 4, 4), bool)
    mask[{"voxel": (2, 2, 2), "corner": (0, 0, 3)}.get(whole, ...)] = True
    found = consensus(cropped(np.stack([mask & bool(mark) for mark in marks])), method)
    result, probability = full(found, mask.shape)
    votes = {
        "majority": sum(marks) > len(marks) / 2,
        "any": sum(marks) > 0,
        "all": sum(marks) == len(marks),
    }
    if method in votes:
        np.testing.assert_array_equal(result, mask if votes[method] else np.zeros_like(mask))
    assert np.all(np.isfinite(probability))
    assert np.all(np.isfinite([(rater.sensitivity, rater.specificity) for rater in found.raters]))


def test_two_raters_and_staple_say_what_they_cannot() -> None:
    mask = np.zeros((5, 5, 5), bool)
    mask[1:4, 1:4, 1:4] = True
    smaller = mask.copy()
    smaller[3] = False
    note = consensus(cropped(np.stack([mask, smaller])), "staple").note
    assert "Two raters do not tell which of them is right" in note
    everything = np.ones((3, 3, 3), bool)
    lost = consensus(cropped(np.stack([everything, everything, ~everything])), "staple")
    assert "raters 1, 2, 3 no better than chance" in lost.note
    assert staple(np.ones((3, 7), bool)) is None  # there is no background: specificity would be 0/0


def test_only_slices_that_all_drew_count() -> None:
    _, masks = noisy_balls(3, seed=8)
    drawn = [DrawnSlices(2, (4, 8, 10, 12)), None, DrawnSlices(2, (8, 10, 12, 15))]
    for method in METHODS:
        found = consensus(cropped(masks), method, drawn=drawn)
        assert found.slices == DrawnSlices(2, (8, 10, 12))
        assert "3 slices that all raters drew" in found.note
        filled = masks.copy()
        filled[..., 9] = True  # what a machine filled in between
        again = consensus(cropped(filled), method, drawn=drawn)
        np.testing.assert_array_equal(again.mask.full(), found.mask.full())
        assert again.raters == found.raters
        assert set(np.flatnonzero(found.mask.full().any(axis=(0, 1)))) <= {8, 10, 12}
    with pytest.raises(InputError, match="no slice in common"):
        consensus(cropped(masks), drawn=[DrawnSlices(2, (1,)), DrawnSlices(2, (2,)), None])
    with pytest.raises(InputError, match="another axis"):
        consensus(cropped(masks), drawn=[DrawnSlices(2, (1,)), DrawnSlices(1, (1,)), None])


def test_bad_input() -> None:
    mask = CroppedMask.of(np.ones((3, 3, 3), bool))
    with pytest.raises(InputError, match="two raters or more; there is one"):
        consensus([mask])
    with pytest.raises(InputError, match="3x3x3 and 3x3x4"):
        consensus([mask, CroppedMask.empty((3, 3, 4))])
    with pytest.raises(InputError, match="'best' is none of majority, staple, any, all"):
        consensus([mask, mask], "best")
    with pytest.raises(InputError, match="-1 voxels"):
        consensus([mask, mask], margin=-1)


def reading(rater: str, mask: NDArray[np.bool_], case: str = "a", session: str = "1") -> Reading:
    return Reading(case, Sitting(rater, session), Geometry(mask.shape), {"liver": CroppedMask.of(mask)})


def test_a_rater_who_drew_twice_has_one_voice() -> None:
    _, masks = noisy_balls(4, seed=6)
    once = [reading(name, mask) for name, mask in zip("abc", masks, strict=False)]
    twice = [reading("a", masks[3], session="2"), *once, reading("b", masks[3], session="10")]
    found = consensus_of_readings(twice, "liver", "staple")
    assert [rater.rater for rater in found.raters] == ["a", "b", "c"]
    np.testing.assert_array_equal(found.mask.full(), consensus(cropped(masks[:3])).mask.full())
    with pytest.raises(InputError, match="drew spleen in case a; there is none"):
        consensus_of_readings(once, "spleen")
    with pytest.raises(InputError, match="there is one"):
        consensus_of_readings([once[0], reading("a", masks[3], session="2")], "liver")
    with pytest.raises(InputError, match="these readings are of a, b"):
        consensus_of_readings([*once, reading("c", masks[0], case="b")], "liver")


def label_map(seed: int, truth: NDArray[np.int64], wrong: float) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    return np.where(random.random(truth.shape) < wrong, random.integers(0, 4, truth.shape), truth)


def as_masks(numbers: NDArray[np.int64]) -> dict[str, CroppedMask]:
    return {name: CroppedMask.of(numbers == value) for value, name in enumerate("xyz", start=1)}


def test_several_labels_are_simpleitks_on_the_region() -> None:
    truth = np.random.default_rng(0).integers(0, 4, (20, 18, 16))
    maps = np.stack(
        [label_map(seed, truth, wrong) for seed, wrong in ((1, 0.1), (2, 0.25), (3, 0.4), (4, 0.3))]
    )
    found = multi_label([as_masks(numbers) for numbers in maps])
    disputed = (maps != maps[0]).any(axis=0)
    region = binary_dilation(disputed, np.ones((3, 3, 3)), iterations=2)
    labelling = sitk.MultiLabelSTAPLEImageFilter()
    labelling.SetLabelForUndecidedPixels(9)
    row = labelling.Execute(
        [sitk.GetImageFromArray(numbers[region].astype(np.uint8)[None]) for numbers in maps]
    )
    expected = maps[0].copy()
    expected[disputed] = sitk.GetArrayFromImage(row)[0][disputed[region]]
    result = sum(value * found[name].mask.full() for value, name in enumerate("xyz", start=1))
    np.testing.assert_array_equal(result, np.where(expected == 9, 0, expected))
    assert np.mean(result == truth) > max(np.mean(numbers == truth) for numbers in maps)
    # Its confusion matrix has the same on its diagonal.
    matrix = np.array(labelling.GetConfusionMatrix(0)).reshape(5, 4)
    assert found["y"].raters[0].sensitivity == pytest.approx(matrix[2, 2], abs=1e-4)
    # The most probable label is the one that was chosen, and the probabilities of all labels leave the rest
    # to the background.
    probability = np.stack([full(found[name], truth.shape)[1] for name in "xyz"])
    assert probability.sum(axis=0).max() <= 1 + 1e-5
    together = np.concatenate([1 - probability.sum(axis=0, keepdims=True), probability])
    clear = np.sort(together, axis=0)[-1] - np.sort(together, axis=0)[-2] > 1e-4
    np.testing.assert_array_equal(together.argmax(axis=0)[clear], result[clear])


def test_one_label_alone_is_binary_staple_in_all_but_the_last_digits() -> None:
    _, masks = noisy_balls(5, seed=9)
    alone = consensus(cropped(masks))
    together = multi_label([{"x": mask} for mask in cropped(masks)])["x"]
    np.testing.assert_array_equal(alone.mask.full(), together.mask.full())
    for one, other in zip(alone.raters, together.raters, strict=True):
        assert one.sensitivity == pytest.approx(other.sensitivity, abs=1e-3)
        assert one.specificity == pytest.approx(other.specificity, abs=1e-3)


def test_labels_voted_together_by_hand() -> None:
    votes = np.array([[1, 1, 2, 0, 3], [1, 2, 2, 3, 2], [1, 3, 0, 3, 2], [1, 1, 0, 0, 3]])
    found = multi_label([as_masks(row.reshape(5, 1, 1)) for row in votes], "majority")
    result = sum(value * found[name].mask.full() for value, name in enumerate("xyz", start=1)).ravel()
    # 1 by two of four; 2 against 0, 0 against 3 and 2 against 3 are tied.
    assert result.tolist() == [1, 1, 0, 0, 0]
    assert {name: found[name].ties for name in "xyz"} == {"x": 0, "y": 2, "z": 2}
    assert full(found["x"], (5, 1, 1))[1].ravel().tolist() == [1, 0.5, 0, 0, 0]


@pytest.mark.parametrize("method", ["majority", "staple"])
@given(numbers=arrays(np.int64, (3, 4, 3, 2), elements=st.integers(0, 3)))
def test_exclusive_labels_stay_exclusive_and_finite(method: str, numbers: NDArray[np.int64]) -> None:
    found = multi_label([as_masks(of_rater) for of_rater in numbers], method)
    masks = np.stack([found[name].mask.full() for name in "xyz"])
    assert masks.sum(axis=0).max() <= 1
    for value, name in enumerate("xyz", start=1):
        unanimous = (numbers == value).all(axis=0)
        assert masks[value - 1][unanimous].all()
        assert np.isfinite(found[name].probability[1]).all()
        assert np.isfinite([(rater.sensitivity, rater.specificity) for rater in found[name].raters]).all()


def test_labels_that_overlap_or_lack_are_named() -> None:
    one, two = CroppedMask.of(np.eye(3, dtype=bool)[None]), CroppedMask.of(np.ones((1, 3, 3), bool))
    empty = CroppedMask.empty((1, 3, 3))
    with pytest.raises(InputError, match="x and y overlap in rater 2's segmentation"):
        multi_label([{"x": one, "y": empty}, {"x": one, "y": two}])
    with pytest.raises(InputError, match="Rater 1 lacks y"):
        multi_label([{"x": one}, {"x": one, "y": two}])
    with pytest.raises(InputError, match="cannot be joined by 'any'"):
        multi_label([{"x": one}, {"x": one}], "any")
    with pytest.raises(InputError, match="there is one"):
        multi_label([{"x": one}])
