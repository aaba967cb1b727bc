"""A budget over cases: as many cases as it pays for, none below its minimum, nothing wasted."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgt.case_planning import CaseImage, CasesPlan, plan_cases, read_plan, write_plan
from pgt.errors import InputError, OutputError
from pgt.geometry import Geometry
from pgt.volume import Volume
from pgt.volume_io import write_volume

LARGEST = 60


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image for each number of slices along k."""
    folder = tmp_path_factory.mktemp("images")
    for size in range(1, LARGEST + 1):
        voxels = np.random.default_rng(size).normal(size=(6, 5, size)).astype(np.float32)
        write_volume(Volume(voxels, Geometry((6, 5, size), (1, 1, 3))), folder / f"{size}.nrrd")
    return folder


def cases_of(images: Path, sizes: list[int]) -> list[CaseImage]:
    return [CaseImage(f"case {n}", images / f"{size}.nrrd") for n, size in enumerate(sizes)]


def counts_of(plan: CasesPlan) -> dict[str, int]:
    return {planned.case: len(planned.plan.slices) for planned in plan.cases}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(
    sizes=st.lists(st.integers(1, LARGEST), min_size=1, max_size=8),
    budget=st.integers(0, 200),
    seed=st.integers(0, 5),
    minimum_slices=st.integers(1, 6),
    minimum_density=st.floats(0, 1),
)
def test_the_budget_is_kept_and_spent(
    images: Path, sizes: list[int], budget: int, seed: int, minimum_slices: int, minimum_density: float
) -> None:
    cases = cases_of(images, sizes)
    minima = [min(size, max(minimum_slices, math.ceil(round(minimum_density * size, 9)))) for size in sizes]
    options = {"seed": seed, "minimum_slices": minimum_slices, "minimum_density": minimum_density}
    if budget < min(minima):
        with pytest.raises(InputError, match=f"budget of {budget} slices is less than the {min(minima)}"):
            plan_cases(cases, budget, **options)  # type: ignore[arg-type]
        return
    plan = plan_cases(cases, budget, **options)  # type: ignore[arg-type]
    counts = counts_of(plan)
    drawn = [counts.get(case.case, 0) for case in cases]
    assert all(
        minimum <= count <= size for minimum, count, size in zip(minima, drawn, sizes, strict=True) if count
    )
    affordable = np.count_nonzero(np.cumsum(sorted(minima)) <= budget)
    assert np.count_nonzero(drawn) == affordable
    reachable = sum(size for size, count in zip(sizes, drawn, strict=True) if count)
    assert plan.slice_count == min(budget, reachable)
    assert plan.left_out == tuple(case.case for case in cases if case.case not in counts)
    assert plan == plan_cases(cases, budget, **options)  # type: ignore[arg-type]


def test_more_cases_with_fewer_slices_each_by_default(images: Path) -> None:
    plan = plan_cases(cases_of(images, [50] * 10), 100)
    assert set(counts_of(plan).values()) == {10}
    assert len(plan.cases) == 10


def test_no_case_below_a_fifth_by_default(images: Path) -> None:
    plan = plan_cases(cases_of(images, [50] * 10), 45)
    assert sorted(counts_of(plan).values()) == [11, 11, 11, 12]
    assert len(plan.left_out) == 6


def test_two_dimensional_training_may_go_lower(images: Path) -> None:
    plan = plan_cases(cases_of(images, [50] * 10), 45, minimum_density=0.05)
    assert sorted(counts_of(plan).values()) == [4] * 5 + [5] * 5


def test_densities_are_evened_out(images: Path) -> None:
    plan = plan_cases(cases_of(images, [20, 40, 60]), 60)
    assert counts_of(plan) == {"case 0": 10, "case 1": 20, "case 2": 30}


def test_which_of_equal_cases_are_drawn_depends_on_the_seed(images: Path) -> None:
    chosen = {tuple(counts_of(plan_cases(cases_of(images, [50] * 8), 20, seed=seed))) for seed in range(20)}
    assert len(chosen) > 5


@pytest.mark.parametrize("options", [{}, {"strategy": "random"}])
def test_plans_of_equal_cases_differ(images: Path, options: dict[str, str]) -> None:
    """By default, too: a network that sees the same few places of all cases learns nothing of the rest."""
    plan = plan_cases(cases_of(images, [50] * 3), 15, minimum_density=0.1, **options)  # type: ignore[arg-type]
    assert len({planned.plan.slices for planned in plan.cases}) == 3


def test_evenly_spaced_plans_of_equal_cases_are_equal(images: Path) -> None:
    plan = plan_cases(cases_of(images, [50] * 3), 15, strategy="fixed", minimum_density=0.1)
    assert {planned.plan.slices for planned in plan.cases} == {(5, 15, 25, 35, 45)}


def test_representative_plans_read_the_images(images: Path) -> None:
    plan = plan_cases(cases_of(images, [20, 30]), 12, strategy="representative")
    assert sum(counts_of(plan).values()) == 12


def test_axis_and_extent_of_a_case_count(images: Path) -> None:
    cases = [CaseImage("a", images / "50.nrrd", axis=1), CaseImage("b", images / "50.nrrd", extent=(10, 19))]
    plan = plan_cases(cases, 99)
    assert counts_of(plan) == {"a": 5, "b": 10}
    assert plan.cases[0].plan.axis == 1
    assert plan.cases[1].plan.slices == tuple(range(10, 20))


class TestFile:
    def test_a_plan_comes_back_as_it_was(self, images: Path, tmp_path: Path) -> None:
        plan = plan_cases(cases_of(images, [20, 30, 50]), 25, strategy="random", seed=3)
        write_plan(plan, tmp_path / "plan.json")
        assert read_plan(tmp_path / "plan.json") == plan

    def test_a_folder_can_be_moved_whole(self, images: Path, tmp_path: Path) -> None:
        (tmp_path / "here" / "images").mkdir(parents=True)
        shutil.copy(images / "20.nrrd", tmp_path / "here" / "images")
        plan = plan_cases([CaseImage("a", tmp_path / "here" / "images" / "20.nrrd")], 5)
        write_plan(plan, tmp_path / "here" / "plan.json")
        assert (
            json.loads((tmp_path / "here" / "plan.json").read_text())["cases"][0]["image"] == "images/20.nrrd"
        )
        (tmp_path / "here").rename(tmp_path / "there")
        moved = read_plan(tmp_path / "there" / "plan.json")
        assert moved.cases[0].image == tmp_path / "there" / "images" / "20.nrrd"
        assert moved.cases[0].image.exists()

    def test_an_existing_plan_is_kept(self, images: Path, tmp_path: Path) -> None:
        plan = plan_cases(cases_of(images, [20]), 5)
        write_plan(plan, tmp_path / "plan.json")
        with pytest.raises(OutputError, match="exists already"):
            write_plan(plan, tmp_path / "plan.json")
        write_plan(plan, tmp_path / "plan.json", overwrite=True)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: content | {"schema": "pgt-slice-plan"},
            lambda content: content | {"version": 2},
            lambda content: content | {"cases": 3},
            lambda content: content | {"cases": [{"case": "a"}]},
            lambda content: {key: value for key, value in content.items() if key != "budget"},
        ],
    )
    def test_anything_else_is_refused_by_name(self, images: Path, tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
        path = tmp_path / "plan.json"
        write_plan(plan_cases(cases_of(images, [20]), 5), path)
        path.write_text(json.dumps(damage(json.loads(path.read_text()))))
        with pytest.raises(InputError, match=r"plan\.json"):
            read_plan(path)

    def test_missing_and_binary_files_are_refused_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"none\.json cannot be read"):
            read_plan(tmp_path / "none.json")
        (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match=r"binary\.json cannot be read"):
            read_plan(tmp_path / "binary.json")


def test_cases_that_make_no_sense_are_refused(images: Path, tmp_path: Path) -> None:
    one = CaseImage("a", images / "20.nrrd")
    with pytest.raises(InputError, match="no case"):
        plan_cases([], 10)
    with pytest.raises(InputError, match="a is used twice"):
        plan_cases([one, one], 10)
    with pytest.raises(InputError, match="does not exist"):
        plan_cases([CaseImage("a", tmp_path / "none.nrrd")], 10)
    with pytest.raises(InputError, match="Slices 5 to 20 lie outside"):
        plan_cases([CaseImage("a", images / "20.nrrd", extent=(5, 20))], 10)
    with pytest.raises(InputError, match="can be the minimum"):
        plan_cases([one], 10, minimum_slices=0)
    with pytest.raises(InputError, match="can be the minimum"):
        plan_cases([one], 10, minimum_density=1.2)
    with pytest.raises(InputError, match="A seed is"):
        plan_cases([one], 10, seed=-1)
