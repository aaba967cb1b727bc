"""``pgt plan``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import listing, refused, run_here

from pgt.case_planning import read_plan
from pgt.planning import SlicePlan, plan_slices
from pgt.sample_volume import make_sample
from pgt.volume_io import write_volume

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in (1, 2, 3):
        volume, _ = make_sample((32, 26, 10 * number), seed=number)
        write_volume(volume, folder / f"{number}.nrrd")
    return folder


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (["--slices", "5"], {"count": 5}),
        (["--density", "0.2"], {"density": 0.2}),
        (["--slices", "4", "--axis", "j"], {"count": 4, "axis": 1}),
        (
            ["--slices", "6", "--strategy", "random", "--seed", "9"],
            {"count": 6, "strategy": "random", "seed": 9},
        ),
        (["--slices", "3", "--extent", "4,20"], {"count": 3, "extent": (4, 20)}),
        (["--slices", "3", "--strategy", "representative"], {"count": 3, "strategy": "representative"}),
    ],
)
def test_it_prints_what_propagate_takes(
    images: Path, tmp_path: Path, capfd: Capture, options: list[str], settings: dict[str, object]
) -> None:
    ended = run_here(capfd, "plan", images / "3.nrrd", *options, "--json", tmp_path / "plan.json")
    assert ended.status == 0, ended.err
    volume, _ = make_sample((32, 26, 30), seed=3)
    expected = plan_slices(volume, **settings)  # type: ignore[arg-type]
    assert ended.out.strip() == ",".join(map(str, expected.slices))
    assert SlicePlan.from_json((tmp_path / "plan.json").read_text()) == expected


def test_a_budget_over_a_table(images: Path, tmp_path: Path, capfd: Capture) -> None:
    table = images / "CASES.csv"
    table.write_text("case,image,label\nx,1.nrrd,\ny,2.nrrd,\nz,3.nrrd,\n")
    plan_file = tmp_path / "plan.json"
    ended = run_here(capfd, "plan", table, "--budget", "9", "--json", plan_file)
    assert ended.status == 0, ended.err
    plan = read_plan(plan_file)
    assert plan.slice_count == 9
    assert [planned.image for planned in plan.cases] == [images / "1.nrrd", images / "2.nrrd"]
    assert ended.out.splitlines() == [
        f"{planned.case}: {','.join(map(str, planned.plan.slices))}" for planned in plan.cases
    ]
    assert "z" in ended.err


def test_a_plan_is_not_replaced_without_force(images: Path, tmp_path: Path, capfd: Capture) -> None:
    plan_file = tmp_path / "plan.json"
    plan_file.write_text("older")
    table = images / "CASES.csv"
    table.write_text("case,image\nx,1.nrrd\n")
    for arguments in ((images / "1.nrrd", "--slices", "3"), (table, "--budget", "9")):
        refused(run_here(capfd, "plan", *arguments, "--json", plan_file), plan_file, "exists already")
        assert listing(tmp_path) == {"plan.json": b"older"}
        assert run_here(capfd, "plan", *arguments, "--json", plan_file, "--force").status == 0
        assert json.loads(plan_file.read_text())["schema"].startswith("pgt-")
        plan_file.write_text("older")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--slices or --density"),
        (["--slices", "3", "--density", "0.1"], "--slices or --density"),
        (["--slices", "31"], "31"),
        (["--slices", "0"], "0"),
        (["--density", "1.5"], "1.5"),
        (["--budget", "9"], "--budget"),
        (["--slices", "3", "--extent", "5"], "--extent"),
        (["--slices", "3", "--extent", "5,99"], "5 to 99"),
        (["--slices", "3", "--strategy", "magic"], "magic"),
    ],
)
def test_what_makes_no_sense_is_refused(images: Path, capfd: Capture, options: list[str], said: str) -> None:
    refused(run_here(capfd, "plan", images / "3.nrrd", *options), said)


def test_bad_tables_and_budgets_are_refused(images: Path, capfd: Capture) -> None:
    table = images / "CASES.csv"
    table.write_text("case,image\nx,1.nrrd\n")
    refused(run_here(capfd, "plan", table, "--slices", "3"), table, "--budget")
    refused(run_here(capfd, "plan", table, "--budget", "1"), "budget")
    table.write_text("case,image\nx,missing.nrrd\n")
    refused(run_here(capfd, "plan", table, "--budget", "9"), "missing.nrrd")
