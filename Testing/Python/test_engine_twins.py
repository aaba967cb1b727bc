"""However the same volume is stored - flipped, with other axes first, turned in the patient - one answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
import torch
from geometries import DIRECTIONS
from numpy.typing import NDArray
from propagation_cases import SHAPE, assert_same, drawn, made_case

from pgt.annotation import SparseAnnotation
from pgt.geometry import Geometry
from pgt.propagation.engine import Method, PropagationResult, PropagationSettings, propagate
from pgt.propagation.turning import Turn
from pgt.volume import LabelMap, Volume

SLICES = {1: {2: (3, 12, 21), 0: (26,)}, 2: {2: (3, 12, 21)}, 3: {2: (4, 15)}}
TURNS = [
    Turn((a, b, c), flips) for a, b, c in permutations(range(3)) for flips in product((False, True), repeat=3)
]
SOME_TURNS = [
    Turn((0, 1, 2), (True, False, True)),
    Turn((2, 0, 1), (False, True, False)),
    Turn((1, 0, 2), (True, True, True)),
    Turn((2, 1, 0), (True, False, False)),
]
CASE = made_case()
Answers = dict[Method, PropagationResult]


@pytest.fixture(scope="module")
def answers() -> Answers:
    torch.set_num_threads(1)
    methods: tuple[Method, ...] = ("shape", "auto")
    return {method: propagated(*CASE, SLICES, 2, method) for method in methods}


def propagated(
    volume: Volume, truth: LabelMap, slices: dict[int, dict[int, tuple[int, ...]]], axis: int, method: Method
) -> PropagationResult:
    return propagate(volume, drawn(truth, slices), PropagationSettings(axis=axis, method=method))


def twin(turn: Turn) -> tuple[Volume, LabelMap, dict[int, dict[int, tuple[int, ...]]], int]:
    """The volume, its truth, the annotated slices and the propagation axis, stored by ``turn``."""

    def stored(array: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.ascontiguousarray(turn.apply(array))

    volume, truth = CASE
    spacing = tuple(volume.geometry.spacing[axis] for axis in turn.axes)
    voxels = stored(volume.voxels)
    geometry = Geometry(voxels.shape, spacing)
    slices = {
        value: {
            turn.axes.index(axis): tuple(
                turn.index(index, SHAPE[axis], turn.axes.index(axis)) for index in indices
            )
            for axis, indices in by_axis.items()
        }
        for value, by_axis in SLICES.items()
    }
    return (
        Volume(voxels, geometry),
        replace(truth, voxels=stored(truth.voxels), geometry=geometry),
        slices,
        turn.axes.index(2),
    )


@pytest.mark.parametrize(
    ("method", "turn"),
    [("shape", turn) for turn in TURNS] + [("auto", turn) for turn in SOME_TURNS],
)
def test_flipped_and_permuted_twins_have_the_same_labels_and_doubt(
    answers: Answers, method: Method, turn: Turn
) -> None:
    volume, truth, slices, axis = twin(turn)
    result = propagated(volume, truth, slices, axis, method)
    expected = answers[method]
    np.testing.assert_array_equal(turn.undo(result.label_map.voxels), expected.label_map.voxels)
    np.testing.assert_allclose(turn.undo(result.uncertainty), expected.uncertainty, atol=1e-5)

    def back(index: int) -> int:
        return turn.index(index, SHAPE[2], axis)

    confidence = {back(entry.index): (entry.state, round(entry.confidence, 4)) for entry in result.slices}
    assert confidence == {e.index: (e.state, round(e.confidence, 4)) for e in expected.slices}
    assert result.next_slice is not None
    assert back(result.next_slice) == expected.next_slice


@pytest.mark.parametrize("name", DIRECTIONS)
def test_how_the_grid_lies_in_the_patient_plays_no_part(answers: Answers, name: str) -> None:
    volume, truth = CASE
    geometry = replace(volume.geometry, direction=DIRECTIONS[name], origin=(-120.0, 33.3, 801.0))
    turned = Volume(volume.voxels, geometry), replace(truth, geometry=geometry)
    result = propagated(*turned, SLICES, 2, "shape")
    assert_same(result, answers["shape"])
    assert result.label_map.geometry == geometry


def test_memory_layout_plays_no_part(answers: Answers) -> None:
    volume, truth = CASE
    other = Volume(np.asfortranarray(volume.voxels), volume.geometry)
    result = propagated(other, replace(truth, voxels=np.asfortranarray(truth.voxels)), SLICES, 2, "auto")
    np.testing.assert_array_equal(result.label_map.voxels, answers["auto"].label_map.voxels)
    np.testing.assert_allclose(result.uncertainty, answers["auto"].uncertainty, atol=1e-5)


def test_large_volumes_are_sampled_alike_however_they_are_stored() -> None:
    random = np.random.default_rng(4)
    voxels = random.gamma(2.0, 60.0, (91, 94, 97)).astype(np.float32)
    labels = np.zeros(voxels.shape, np.uint8)
    labels[30:50, 30:50, 34:42] = 1
    voxels[labels == 1] += 60
    results = []
    for backwards in (False, True):
        step = -1 if backwards else 1
        geometry = Geometry(voxels.shape)
        stored = np.ascontiguousarray(labels[:, ::step])
        annotation = SparseAnnotation.from_label_map(LabelMap.from_voxels(stored, geometry), 2, [33, 38, 42])
        volume = Volume(np.ascontiguousarray(voxels[:, ::step]), geometry)
        result = propagate(volume, annotation, PropagationSettings(method="network"))
        results.append(result.uncertainty[:, ::step])
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)


@pytest.mark.parametrize("thickness", [1.0, 1.5, 3.0])
def test_how_far_a_structure_is_followed_is_measured_in_millimetres(thickness: float) -> None:
    """A disc of 12 mm ends half its radius on or a little later, however many slices that takes."""
    i, j = np.meshgrid(np.arange(80) * 0.5 - 20, np.arange(20) * 2.0 - 19, indexing="ij")
    labels = np.zeros((80, 20, 41), np.uint8)
    labels[..., 20] = np.hypot(i, j) < 12
    geometry = Geometry(labels.shape, (0.5, 2.0, thickness))
    annotation = SparseAnnotation.from_label_map(LabelMap.from_voxels(labels, geometry), 2)
    volume = Volume(labels.astype(np.float32), geometry)
    result = propagate(volume, annotation, PropagationSettings(method="shape"))
    filled = np.flatnonzero(result.label_map.voxels.any(axis=(0, 1))) - 20
    assert filled[0] == -filled[-1]
    assert 5 <= filled[-1] * thickness <= 9
