"""Images and label maps in memory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.volume import LabelMap, Segment, Volume, color_of_value, values_present

GRID = Geometry((4, 3, 2))


def test_voxels_must_fill_the_grid() -> None:
    with pytest.raises(ValueError, match="do not fill"):
        Volume(np.zeros((4, 3, 3)), GRID)


def test_labels_are_whole_numbers() -> None:
    with pytest.raises(InputError, match="integers, not float"):
        LabelMap(np.zeros((4, 3, 2)), GRID, ())


@pytest.mark.parametrize("values", [(1, 1), (0, 1), (-1,)])
def test_label_values_are_positive_and_unlike(values: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="must be positive and differ"):
        LabelMap(np.zeros((4, 3, 2), np.uint8), GRID, tuple(Segment.numbered(value) for value in values))


def test_segments_of_an_array_are_those_that_occur() -> None:
    voxels = np.zeros((4, 3, 2), np.int32)
    voxels[0, 0, 0], voxels[1, 1, 1] = 7, 70_000
    label_map = LabelMap.from_voxels(voxels, GRID)
    assert label_map.values == (7, 70_000)
    assert label_map.segment(7).name == "Segment_7"
    assert np.argwhere(label_map.mask(7)).tolist() == [[0, 0, 0]]
    with pytest.raises(InputError, match="no label 3; it has 7, 70000"):
        label_map.segment(3)


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=50),
    st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.int64]),
)
def test_values_present_are_the_unique_ones(values: list[int], number_type: type) -> None:
    voxels = np.array(values).astype(number_type).reshape(-1, 1, 1)
    assert values_present(voxels) == tuple(int(value) for value in np.unique(voxels) if value > 0)


def test_values_are_counted_whatever_the_memory_order() -> None:
    voxels = np.arange(2_400_000, dtype=np.int32).reshape(300, 200, 40) % 613
    for view in (voxels, voxels.T, voxels[::2, ::-1], np.asfortranarray(voxels)):
        assert values_present(view) == tuple(int(value) for value in np.unique(view) if value > 0)


def test_neighbouring_labels_differ_in_colour() -> None:
    colors = [color_of_value(value) for value in range(1, 40)]
    assert len(set(colors)) == len(colors)
    assert all(0 <= part <= 1 for color in colors for part in color)
    for one, next_one in itertools.pairwise(colors):
        assert np.abs(np.subtract(one, next_one)).max() > 0.2
