"""Plans have as many slices as asked, within the extent, the same for the same seed."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from geometries import DIRECTIONS
from hypothesis import given
from hypothesis import strategies as st

from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.planning import SlicePlan, Strategy, plan_slices, usual_axis
from pgt.slice_features import k_centre, slice_features
from pgt.volume import Volume


def volume(shape: tuple[int, int, int] = (20, 18, 40), seed: int = 0) -> Volume:
    """Noise whose mean drifts along every axis."""
    drift = sum(np.arange(size).reshape([-1 if n == axis else 1 for n in range(3)])
                for axis, size in enumerate(shape))  # fmt: skip
    noise = np.random.default_rng(seed).normal(size=shape)
    return Volume((noise + 0.3 * drift).astype(np.float32), Geometry(shape, (1, 1, 3)))


VOLUME = volume()

budgets = st.integers(0, 2).flatmap(
    lambda axis: st.tuples(
        st.just(axis),
        st.tuples(*[st.integers(0, VOLUME.geometry.shape[axis] - 1)] * 2).map(sorted),
        st.floats(0, 1),
    )
)


@pytest.mark.parametrize("strategy", Strategy)
@given(budget=budgets, seed=st.integers(0, 2**40))
def test_a_plan_keeps_count_extent_and_order(
    strategy: Strategy, budget: tuple[int, list[int], float], seed: int
) -> None:
    axis, (first, last), part = budget
    count = 1 + round(part * (last - first))
    plan = plan_slices(VOLUME, axis, count=count, strategy=strategy, seed=seed, extent=(first, last))
    assert len(plan.slices) == count
    assert list(plan.slices) == sorted(set(plan.slices))
    assert first <= plan.slices[0] <= plan.slices[-1] <= last
    assert (plan.axis, plan.extent, plan.strategy, plan.seed) == (axis, (first, last), strategy, seed)
    assert plan == plan_slices(
        VOLUME, axis, count=count, strategy=strategy.value, seed=seed, extent=(first, last)
    )
    assert SlicePlan.from_json(plan.to_json()) == plan


@given(st.integers(1, 300), st.data())
def test_fixed_intervals_are_as_even_as_whole_slices_allow(size: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, size))
    geometry = Geometry((3, 3, size))
    within = plan_slices(geometry, 2, count=count)
    ends = [within.slices[0] + 0.5, size - within.slices[-1] - 0.5]
    gaps = np.diff(within.slices)
    assert np.ptp(gaps) <= 1 if count > 1 else True
    assert max(ends) <= size / count / 2 + 1
    reached = plan_slices(geometry, 2, count=count, extent=(0, size - 1))
    if count > 1:
        assert (reached.slices[0], reached.slices[-1]) == (0, size - 1)
        assert np.ptp(np.diff(reached.slices)) <= 1


def test_fixed_intervals_by_hand() -> None:
    geometry = Geometry((3, 3, 100))
    assert plan_slices(geometry, 2, count=5).slices == (10, 30, 50, 70, 90)
    assert plan_slices(geometry, 2, count=5, extent=(20, 60)).slices == (20, 30, 40, 50, 60)
    assert plan_slices(geometry, 2, count=1, extent=(20, 60)).slices == (40,)


@given(st.integers(1, 300), st.integers(0, 2**40), st.data())
def test_staggered_slices_are_even_and_leave_no_more_than_an_interval_at_the_ends(
    size: int, seed: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, size))
    slices = plan_slices(Geometry((3, 3, size)), 2, count=count, strategy="staggered", seed=seed).slices
    assert np.ptp(np.diff(slices)) <= 1 if count > 1 else True
    assert slices[0] <= size / count
    assert size - 1 - slices[-1] <= size / count


def test_staggered_slices_of_many_cases_fall_everywhere() -> None:
    geometry = Geometry((3, 3, 30))
    chosen = [
        plan_slices(geometry, 2, count=3, strategy="staggered", seed=seed).slices for seed in range(3000)
    ]
    frequency = np.bincount(np.concatenate(chosen), minlength=30) / 3000
    np.testing.assert_allclose(frequency, 0.1, atol=0.025)


@pytest.mark.parametrize(
    ("density", "count"), [(0.1, 10), (0.05, 5), (1, 100), (0.001, 1), (0.124, 12), (0.126, 13)]
)
def test_a_density_is_the_nearest_number_of_slices(density: float, count: int) -> None:
    plan = plan_slices(Geometry((3, 3, 100)), 2, density=density)
    assert len(plan.slices) == count
    assert plan.density == count / 100


def test_random_choice_is_uniform() -> None:
    geometry = Geometry((3, 3, 10))
    chosen = [plan_slices(geometry, 2, count=3, strategy="random", seed=seed).slices for seed in range(3000)]
    frequency = np.bincount(np.concatenate(chosen), minlength=10) / 3000
    np.testing.assert_allclose(frequency, 0.3, atol=0.04)


class TestRepresentative:
    def test_each_kind_of_slice_is_chosen_once(self) -> None:
        """Five blocks of like slices and a budget of five."""
        patterns = np.random.default_rng(3).normal(size=(30, 30, 5)) * 100
        block = np.repeat(np.arange(5), [12, 3, 9, 1, 7])
        noisy = patterns[:, :, block] + np.random.default_rng(4).normal(size=(30, 30, 32))
        plan = plan_slices(Volume(noisy, Geometry(noisy.shape)), 2, count=5, strategy="representative")
        assert sorted(block[list(plan.slices)]) == [0, 1, 2, 3, 4]

    def test_the_choice_does_not_depend_on_brightness_or_axis(self) -> None:
        plan = plan_slices(VOLUME, 2, count=6, strategy="representative")
        brighter = replace(VOLUME, voxels=VOLUME.voxels * 7 + 1000)
        assert plan_slices(brighter, 2, count=6, strategy="representative").slices == plan.slices
        turned = Volume(VOLUME.voxels.transpose(2, 0, 1), VOLUME.geometry.permuted([2, 0, 1]))
        assert plan_slices(turned, 0, count=6, strategy="representative").slices == plan.slices

    def test_slices_that_all_look_alike_are_spread(self) -> None:
        constant = Volume(np.zeros((8, 8, 17), np.int16), Geometry((8, 8, 17)))
        assert plan_slices(constant, 2, count=5, strategy="representative").slices == (0, 4, 8, 12, 16)

    def test_cover_is_within_twice_the_best(self) -> None:
        """The promise of greedy k-centre, against every possible choice."""
        from itertools import combinations

        for seed in range(8):
            points = np.random.default_rng(seed).normal(size=(9, 2))
            distances = np.linalg.norm(points[:, None] - points[None], axis=-1)

            def radius(rows: tuple[int, ...], distances: np.ndarray = distances) -> float:
                return float(distances[list(rows)].min(axis=0).max())

            best = min(radius(rows) for rows in combinations(range(9), 3))
            assert radius(k_centre(points, 3)) <= 2 * best + 1e-9

    def test_features_are_few_and_ordered_by_variance(self) -> None:
        features = slice_features(VOLUME, 2, 5, 34)
        assert features.shape == (30, 16)
        np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-9)
        assert np.all(np.diff(features.var(axis=0)) <= 1e-12)

    def test_thin_volumes_have_features_too(self) -> None:
        thin = volume((3, 1, 5))
        assert len(plan_slices(thin, 2, count=5, strategy="representative").slices) == 5
        assert plan_slices(thin, 1, count=1, strategy="representative").slices == (0,)

    def test_a_large_scan_takes_seconds(self) -> None:
        large = Volume(np.zeros((256, 256, 150), np.int16), Geometry((256, 256, 150)))
        start = time.process_time()
        plan_slices(large, 2, count=10, strategy="representative")
        assert time.process_time() - start < 5

    def test_a_geometry_is_not_enough(self) -> None:
        with pytest.raises(InputError, match="only be chosen from an image"):
            plan_slices(VOLUME.geometry, 2, count=3, strategy="representative")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Give either"),
        ({"count": 3, "density": 0.1}, "Give either"),
        ({"count": 0}, "0 slices cannot be chosen from 40"),
        ({"count": 41}, "41 slices cannot be chosen from 40"),
        ({"count": 5, "extent": (10, 13)}, "5 slices cannot be chosen from 4"),
        ({"density": 0}, "A density lies above 0"),
        ({"density": 1.5}, "A density lies above 0"),
        ({"density": float("nan")}, "A density lies above 0"),
        ({"count": 3, "strategy": "clever"}, "no strategy 'clever'; there are fixed, staggered, random"),
        ({"count": 3, "extent": (10, 40)}, "Slices 10 to 40 lie outside the volume: axis k has 0 to 39"),
        ({"count": 3, "extent": (12, 10)}, "Slices 12 to 10"),
        ({"count": 3, "axis": 3}, "The axis must be"),
        ({"count": 3, "strategy": "random", "seed": -1}, "A seed is a whole number from 0"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        plan_slices(VOLUME.geometry, **{"axis": 2, **options})  # type: ignore[arg-type]


class TestUsualAxis:
    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_thick_slices_tell(self, axis: int) -> None:
        spacing = [1.0, 1.0, 1.0]
        spacing[axis] = 3
        assert usual_axis(Geometry((5, 5, 5), (spacing[0], spacing[1], spacing[2]))) == axis

    @pytest.mark.parametrize("name", DIRECTIONS)
    def test_even_voxels_are_drawn_axially(self, name: str) -> None:
        geometry = Geometry((5, 5, 5), (1, 1, 1.01), direction=DIRECTIONS[name])
        assert np.argmax(np.abs(geometry.direction[2])) == usual_axis(geometry)

    def test_it_is_what_a_plan_takes(self) -> None:
        assert plan_slices(Geometry((5, 50, 5), (1, 4, 1)), count=2).axis == 1


class TestJson:
    PLAN = plan_slices(VOLUME, 1, count=3)

    def test_the_entries_are_what_people_expect(self) -> None:
        content = json.loads(self.PLAN.to_json())
        assert content["axis"] == "j"
        assert content["slices"] == [3, 9, 15]
        assert content["extent"] == [0, 17]

    @pytest.mark.parametrize(
        "change",
        [
            {"schema": "x"}, {"version": 2}, {"axis": "x"}, {"slices": [3, 3]}, {"slices": [9, 3]},
            {"slices": []}, {"slices": [3, 99]}, {"slices": "3"}, {"extent": [4, 17]}, {"strategy": "clever"},
            {"seed": None},
        ],
    )  # fmt: skip
    def test_anything_else_is_refused(self, change: dict[str, object]) -> None:
        content = json.loads(self.PLAN.to_json()) | change
        with pytest.raises(InputError):
            SlicePlan.from_json(json.dumps(content))

    @pytest.mark.parametrize("text", ["", "[]", "3"])
    def test_text_that_is_no_plan_is_refused(self, text: str) -> None:
        with pytest.raises(InputError):
            SlicePlan.from_json(text)
