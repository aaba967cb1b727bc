"""What the engine promises of every result: what was drawn stays, the rest is filled, errors are clear."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from propagation_cases import (
    SHAPE,
    across,
    assert_annotated_unchanged,
    dice,
    drawn,
    drawn_together,
    made_case,
)

from pgt.annotation import SliceState, SparseAnnotation
from pgt.errors import Cancelled, CheckpointError, DeviceError, InputError
from pgt.geometry import Geometry
from pgt.progress import Progress
from pgt.propagation.engine import Method, PropagationSettings, propagate
from pgt.volume import LabelMap, Segment, Volume

METHODS: tuple[Method, ...] = ("auto", "network", "shape", "contour")
SHAPE_ONLY = PropagationSettings(method="shape")


@pytest.fixture(scope="module")
def case() -> tuple[Volume, LabelMap]:
    torch.set_num_threads(1)
    return made_case()


@pytest.mark.parametrize("method", METHODS)
def test_what_was_drawn_comes_back_voxel_for_voxel(case: tuple[Volume, LabelMap], method: Method) -> None:
    volume, truth = case
    annotation = drawn(
        truth,
        {1: {2: (3, 14, 27), 0: (25,)}, 2: {2: (3, 14, 27)}, 3: {2: (3, 14, 27), 1: (29, 33)}},
    )
    result = propagate(volume, annotation, PropagationSettings(axis=2, method=method))
    assert_annotated_unchanged(result, annotation)
    assert result.annotated == (3, 14, 27)
    assert result.method == method
    states = {entry.index: entry.state for entry in result.slices}
    assert [index for index, state in states.items() if state is SliceState.ANNOTATED] == [3, 14, 27]
    assert np.all(result.uncertainty[..., [3, 14, 27]] == 0)
    assert all(0 <= entry.confidence <= 1 for entry in result.slices)
    assert result.uncertainty.min() >= 0
    assert result.uncertainty.max() <= 1
    assert dice(result.label_map.voxels, truth.voxels, 1) > 0.85


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_may_lie_across_any_axis(case: tuple[Volume, LabelMap], axis: int) -> None:
    volume, truth = case
    annotation = drawn_together(truth, axis, range(2, SHAPE[axis], 5))
    result = propagate(volume, annotation, replace(SHAPE_ONLY, axis=axis))
    assert_annotated_unchanged(result, annotation)
    assert propagate(volume, annotation, SHAPE_ONLY).axis == axis
    for value in (1, 2, 3):
        assert dice(result.label_map.voxels, truth.voxels, value) > 0.8


def test_slices_of_the_other_axes_are_kept_and_certain(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    by_axis = {2: (4, 25), 0: (20, 24), 1: (15,)}
    annotation = drawn(truth, dict.fromkeys(truth.values, by_axis))
    result = propagate(volume, annotation, replace(SHAPE_ONLY, axis=2))
    assert_annotated_unchanged(result, annotation)
    for axis, indices in by_axis.items():
        for index in indices:
            assert np.all(result.uncertainty[across(axis, index)] == 0)


def test_what_the_label_map_holds_elsewhere_does_not_matter(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    clean = drawn(truth, {1: {2: (3, 14, 27)}, 2: {2: (3, 20)}, 3: {2: (3, 14)}})
    littered = clean.label_map.voxels.copy()
    anywhere = np.ones(SHAPE, bool)
    anywhere[..., [3, 14, 20, 27]] = False
    littered[anywhere] = np.random.default_rng(1).integers(0, 4, np.count_nonzero(anywhere))
    dirty = SparseAnnotation(replace(clean.label_map, voxels=littered), clean.slices)
    results = [propagate(volume, annotation, SHAPE_ONLY) for annotation in (clean, dirty)]
    np.testing.assert_array_equal(results[0].label_map.voxels, results[1].label_map.voxels)


def test_one_annotated_slice_is_followed_both_ways(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    for method in ("shape", "auto"):
        annotation = drawn_together(truth, 2, [12])
        result = propagate(volume, annotation, PropagationSettings(method=method))
        assert_annotated_unchanged(result, annotation)
        filled = [entry.index for entry in result.slices if entry.state is SliceState.PROPAGATED]
        assert min(filled) < 12 < max(filled)
        assert dice(result.label_map.voxels[..., 11:14], truth.voxels[..., 11:14], 1) > 0.9


def test_a_slice_annotated_as_empty_is_never_crossed(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    without = truth.voxels.copy()
    without[..., 20:] = 0
    without[..., :6] = 0
    annotation = drawn_together(replace(truth, voxels=without), 2, [5, 8, 14, 20])
    for method in ("shape", "auto", "contour"):
        result = propagate(volume, annotation, PropagationSettings(method=method))
        assert not result.label_map.voxels[..., :6].any()
        assert not result.label_map.voxels[..., 20:].any()
        assert result.label_map.voxels[..., 9:14].any(axis=(0, 1)).all()


def test_beyond_the_ends_only_what_may_be_trusted_is_filled(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    annotation = drawn(truth, {3: {2: (5, 9)}})
    result = propagate(volume, annotation, SHAPE_ONLY)
    filled = result.label_map.voxels.any(axis=(0, 1))
    assert filled[5:10].all()
    assert not filled[14:].any()
    reported = {entry.index for entry in result.slices}
    assert set(np.flatnonzero(filled)) <= reported
    assert all(entry.confidence >= 0.6 for entry in result.slices if not 5 < entry.index < 9)


def test_a_volume_of_one_slice() -> None:
    labels = np.zeros((20, 16, 1), np.uint8)
    labels[5:12, 4:9] = 1
    geometry = Geometry(labels.shape)
    annotation = SparseAnnotation.from_label_map(LabelMap.from_voxels(labels, geometry), 2)
    seen: list[Progress] = []
    volume = Volume(labels.astype(np.int16), geometry)
    result = propagate(volume, annotation, SHAPE_ONLY, progress=seen.append)
    np.testing.assert_array_equal(result.label_map.voxels, labels)
    assert [entry.state for entry in result.slices] == [SliceState.ANNOTATED]
    assert result.next_slice is None


@pytest.mark.parametrize("values", [(1, 2, 3), (7, 300, 65535), (5, 70_000, 2_000_000)])
def test_label_values_and_their_type_are_kept(
    case: tuple[Volume, LabelMap], values: tuple[int, int, int]
) -> None:
    volume, truth = case
    dtype = np.min_scalar_type(max(values)) if max(values) < 65536 else np.dtype(np.int32)
    renamed = np.array((0, *values), dtype)[truth.voxels]
    segments = tuple(Segment(value, f"organ {value}", (0.1, 0.2, 0.3)) for value in values)
    label_map = LabelMap(renamed, truth.geometry, segments)
    result = propagate(volume, drawn_together(label_map, 2, [4, 11, 18, 26]), SHAPE_ONLY)
    assert result.label_map.voxels.dtype == dtype
    assert result.label_map.segments == segments
    assert set(np.unique(result.label_map.voxels)) == {0, *values}
    small = propagate(volume, drawn_together(truth, 2, [4, 11, 18, 26]), SHAPE_ONLY)
    expected = np.array((0, *values), dtype)[small.label_map.voxels]
    np.testing.assert_array_equal(result.label_map.voxels, expected)


def test_the_type_of_the_image_does_not_matter(case: tuple[Volume, LabelMap]) -> None:
    whole = np.clip(np.round(case[0].voxels), 0, 255)
    annotation = drawn(case[1], {1: {2: (0, 10, 15, 29)}})
    settings = PropagationSettings(method="network")
    expected = propagate(Volume(whole.astype(np.float32), case[0].geometry), annotation, settings)
    for dtype in (np.uint8, np.int16, np.uint16, np.int32, np.float64, np.dtype(">i2")):
        result = propagate(Volume(whole.astype(dtype), case[0].geometry), annotation, settings)
        np.testing.assert_array_equal(result.label_map.voxels, expected.label_map.voxels)


def test_an_image_without_any_contrast_gives_the_shape(case: tuple[Volume, LabelMap]) -> None:
    flat = Volume(np.full(SHAPE, 7, np.int16), case[0].geometry)
    annotation = drawn_together(case[1], 2, [3, 9, 15, 21, 27])
    result = propagate(flat, annotation, PropagationSettings(method="auto"))
    assert np.isfinite(result.uncertainty).all()
    assert dice(result.label_map.voxels, case[1].voxels, 1) > 0.9


def test_progress_rises_to_its_total(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    annotation = drawn(truth, {1: {2: (3, 14, 27)}, 2: {2: (8, 20)}, 3: {2: (3, 14)}})
    for method in ("shape", "auto"):
        seen: list[Progress] = []
        propagate(volume, annotation, PropagationSettings(method=method), progress=seen.append)
        done = [step.done for step in seen]
        assert done == sorted(done)
        assert {step.total for step in seen} == {seen[-1].done}
        assert all(earlier.seconds <= later.seconds for earlier, later in pairwise(seen))


@pytest.mark.parametrize("asked", [1, 2, 4])
def test_cancelling_stops_the_work_at_once(case: tuple[Volume, LabelMap], asked: int) -> None:
    volume, truth = case
    questions: list[int] = []

    def cancelled() -> bool:
        questions.append(1)
        return len(questions) >= asked

    annotation = drawn_together(truth, 2, [3, 9, 15, 21, 27])
    with pytest.raises(Cancelled):
        propagate(volume, annotation, SHAPE_ONLY, cancelled=cancelled)
    assert len(questions) == asked


def test_an_annotation_beside_the_image_is_refused(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    moved = Volume(volume.voxels, replace(volume.geometry, spacing=(0.9, 1.1, 3.0)))
    with pytest.raises(InputError, match="does not lie on the image: spacing"):
        propagate(moved, drawn_together(truth, 2, [4, 20]), SHAPE_ONLY)


def test_an_axis_without_annotated_slices_is_refused(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    with pytest.raises(InputError, match="across axis i"):
        propagate(volume, drawn_together(truth, 2, [4, 20]), replace(SHAPE_ONLY, axis=0))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_gpu_is_said_so(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    for method in ("auto", "network"):
        with pytest.raises(DeviceError, match="CUDA"):
            propagate(
                volume, drawn_together(truth, 2, [4, 20]), PropagationSettings(method=method, device="cuda")
            )


def test_an_unknown_model_is_said_so(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    with pytest.raises(CheckpointError, match="no-such-model"):
        propagate(volume, drawn_together(truth, 2, [4, 20]), PropagationSettings(model="no-such-model"))


def test_neither_image_nor_annotation_is_changed(case: tuple[Volume, LabelMap]) -> None:
    volume, truth = case
    annotation = drawn_together(truth, 2, [4, 20])
    before = volume.voxels.copy(), annotation.label_map.voxels.copy()
    volume.voxels.flags.writeable = annotation.label_map.voxels.flags.writeable = False
    try:
        propagate(volume, annotation, PropagationSettings(method="auto"))
    finally:
        volume.voxels.flags.writeable = annotation.label_map.voxels.flags.writeable = True
    np.testing.assert_array_equal(volume.voxels, before[0])
    np.testing.assert_array_equal(annotation.label_map.voxels, before[1])
