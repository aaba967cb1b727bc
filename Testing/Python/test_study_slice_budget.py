"""The slice budget study: what is drawn, what follows from scores that are known, and the command itself."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import command, refused, run_here, running
from made_study import made_case, made_table

from pgt.errors import InputError, OutputError
from pgt.planning import plan_slices
from pgt.studies.cells import CELLS
from pgt.studies.configuration import read_configuration
from pgt.studies.slice_budget import check_study, run_study
from pgt.studies.slice_budget_configuration import Option, SliceBudgetCell, SliceBudgetConfiguration
from pgt.studies.slice_budget_findings import ScoreTable, Verdict, findings, recommendations, score_table
from pgt.studies.slice_budget_report import write_report
from pgt.studies.sparse_cases import SparseCases
from pgt.studies.study_cases import StudyCase


def study_case(number: int = 0) -> StudyCase:
    volume, truth = made_case(number)
    return StudyCase(f"case{number}", volume.voxels, truth.voxels.astype(np.int16), volume.geometry, truth)


# --- what is drawn


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("strategy", ["fixed", "random", "representative"])
def test_only_planned_slices_are_seen(axis: int, strategy: Any) -> None:
    case = study_case()
    drawn = SparseCases(axis).drawn(case, 0.25, strategy, False, seed=3)
    count = int(0.25 * case.image.shape[axis] + 0.5)
    assert len(drawn.slices) == count
    known = np.moveaxis(drawn.training.known, axis, 0)
    assert known[list(drawn.slices)].all()
    assert known.any(axis=(1, 2)).sum() == count
    assert not drawn.training.label[~drawn.training.known].any()
    assert np.array_equal(drawn.training.label[drawn.training.known], case.label[drawn.training.known])
    if strategy != "random":
        assert drawn.slices == plan_slices(case.volume, axis, density=0.25, strategy=strategy).slices


def test_random_slices_differ_by_seed_and_case_and_stay_for_the_same() -> None:
    sparse = SparseCases(2)
    planned = {
        (number, seed): sparse.drawn(study_case(number), 0.4, "random", False, seed).slices
        for number in range(3)
        for seed in range(3)
    }
    assert len(set(planned.values())) > 5
    assert planned[1, 1] == SparseCases(2).drawn(study_case(1), 0.4, "random", False, 1).slices


def test_propagation_fills_from_the_drawn_slices_alone() -> None:
    sparse = SparseCases(2, "shape")
    case = study_case()
    filled = sparse.drawn(case, 0.25, "fixed", True, seed=0)
    assert filled.training.known.all()
    assert np.array_equal(
        filled.training.label[..., list(filled.slices)], case.label[..., list(filled.slices)]
    )
    assert filled.filled_iou is not None
    hidden = np.setdiff1d(np.arange(12), filled.slices)
    truth, found = case.label[..., hidden], filled.training.label[..., hidden]
    by_hand = [
        ((truth == value) & (found == value)).sum() / ((truth == value) | (found == value)).sum()
        for value in (1, 2)
    ]
    assert filled.filled_iou == pytest.approx(np.mean(by_hand))
    assert filled.filled_iou > 0.5

    # Another truth on the hidden slices changes nothing.
    other = case.label.copy()
    other[..., hidden] = 1
    changed = StudyCase(case.case, case.image, other, case.grid, case.truth)
    again = SparseCases(2, "shape").drawn(changed, 0.25, "fixed", True, seed=0)
    assert np.array_equal(again.training.label, filled.training.label)


def test_where_drawn_slices_show_nothing_they_alone_count() -> None:
    case = study_case()
    label = np.zeros_like(case.label)
    label[..., 0] = 1  # a structure that no drawn slice shows
    bare = StudyCase(case.case, case.image, label, case.grid, case.truth)
    drawn = SparseCases(2, "shape").drawn(bare, 0.25, "fixed", True, seed=0)
    assert 0 not in drawn.slices
    assert drawn.filled_iou is None
    assert drawn.training.known.sum() == len(drawn.slices) * 14 * 16


# --- what follows from scores


def table_of(means: dict[Option, float], seeds: int = 3, noise: float = 0.004, cases: int = 20) -> ScoreTable:
    """A study in which an option's true mean is known."""
    random = np.random.default_rng(1)
    hard = random.normal(0, 0.03, cases)  # cases that are hard are hard for every option
    cells = {}
    for option, mean in means.items():
        for seed in range(seeds):
            values = mean + hard + random.normal(0, noise) + random.normal(0, noise, cases)
            cells[SliceBudgetCell(option, seed).name] = {
                "drawn_slices": round(option.budget * 20),
                "filled_iou": 0.9 if option.propagated else None,
                "scores": [
                    {"case": f"{n:02d}", "value": 1, "dice": v, "iou": v / 2, "nsd": v}
                    for n, v in enumerate(values.tolist())
                ],
            }
    return score_table(tuple(means), seeds, cells, "dice")


MANY, SOME, FEW = (Option("3D", d, v, "fixed", False) for d, v in ((0.1, 40), (0.2, 20), (0.4, 10)))


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((0.80, 0.77, 0.74), Verdict.AGREES),
        ((0.74, 0.77, 0.80), Verdict.DISAGREES),
        ((0.77, 0.77, 0.77), Verdict.OPEN),
    ],
)
def test_more_volumes_or_more_slices(means: tuple[float, ...], verdict: Verdict) -> None:
    table = table_of(dict(zip((MANY, SOME, FEW), means, strict=True)))
    (one,) = findings(table, 0.01)[0].comparisons
    assert one.verdict is verdict
    assert one.pairs == 3
    assert one.difference.low < one.difference.mean < one.difference.high
    expected = np.mean([means[0] - means[1], means[0] - means[2], means[1] - means[2]])
    assert one.difference.low - 0.005 < expected < one.difference.high + 0.005
    assert findings(table, 0.01)[1].comparisons == ()


@pytest.mark.parametrize(
    ("gain", "noise", "verdict"),
    [
        (0.0, 0.001, Verdict.AGREES),
        (-0.05, 0.004, Verdict.AGREES),
        (0.03, 0.001, Verdict.DISAGREES),
        (0.0, 0.05, Verdict.OPEN),
    ],
)
def test_choice_and_propagation_are_no_gain(gain: float, noise: float, verdict: Verdict) -> None:
    fixed, chance, chosen = (
        Option("2D", 0.2, 20, name, False) for name in ("fixed", "random", "representative")
    )
    filled = Option("2D", 0.2, 20, "fixed", True)
    table = table_of({fixed: 0.7, chance: 0.7, chosen: 0.7 + gain, filled: 0.7 + gain}, noise=noise)
    _, choice, propagation = findings(table, 0.01)
    assert [one.which for one in choice.comparisons] == [
        "against evenly spaced slices",
        "against random slices",
    ]
    assert choice.comparisons[0].verdict is verdict
    assert propagation.comparisons[0].verdict is verdict
    assert table.filled_iou == {filled: pytest.approx(0.9)}


def test_one_seed_tells_nothing() -> None:
    table = table_of({MANY: 0.9, SOME: 0.6, FEW: 0.3}, seeds=1)
    assert findings(table, 0.01)[0].comparisons[0].verdict is Verdict.OPEN


def test_advice_names_the_best_and_how_sure_that_is() -> None:
    sure = recommendations(table_of({MANY: 0.80, SOME: 0.75, FEW: 0.70}), 0.01)
    assert [choice.option for choice in sure[0].choices] == [MANY, SOME, FEW]
    assert [choice.best for choice in sure[0].choices] == pytest.approx([1, 0, 0], abs=0.02)
    assert sure[0].choices[0].slices == 80

    open_one = recommendations(table_of({MANY: 0.80, SOME: 0.80, FEW: 0.70}, noise=0.003), 0.01)[0]
    assert sum(choice.best for choice in open_one.choices) == pytest.approx(1, abs=0.01)
    assert all(choice.near_best > 0.9 for choice in open_one.choices[:2])
    assert open_one.choices[2].near_best == 0
    elsewhere = Option("3D", 0.8, 40, "fixed", False)
    assert len(recommendations(table_of({MANY: 0.8, SOME: 0.7, elsewhere: 0.9}), 0.01)) == 1


# --- the command


TINY: dict[str, Any] = {
    "cases": "CASES.csv",
    "test_cases": 3,
    "seeds": 2,
    "propagation_method": "shape",
    "networks": [
        {"name": "2D", "dimensions": 2, "channels": [4, 8], "residual_units": 0, "steps": 8, "batch": 4,
         "learning_rate": 0.02},
        {"name": "3D", "dimensions": 3, "channels": [4, 8], "residual_units": 0, "steps": 8, "batch": 1,
         "learning_rate": 0.02},
    ],
    "grids": [
        {"densities": [0.25], "volumes": [4], "strategies": ["fixed", "representative"]},
        {"densities": [0.5], "volumes": [2, 4]},
        {"densities": [0.25], "volumes": [4], "propagated": [True], "networks": ["2D"]},
    ],
}  # fmt: skip


def configured(folder: Path, cases: int = 7, **changes: Any) -> Path:
    made_table(folder, cases)
    path = folder / "study.json"
    path.write_text(json.dumps({**TINY, **changes}))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole study, ended by Ctrl-C on the way, gone on with, and grown by a grid."""
    folder = tmp_path_factory.mktemp("study")
    path = configured(folder)
    cells = folder / "out" / CELLS
    with running(command("study", "slice-budget", path, "-o", folder / "out")) as process:
        until = time.monotonic() + 300
        while len(list(cells.glob("2D*.json"))) < 1 and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.wait(timeout=60)
        assert time.monotonic() - began < 5  # at once, but for a busy machine
    kept = {one.name: one.stat().st_mtime_ns for one in cells.glob("[23]D*.json")}
    assert kept
    assert not (folder / "out" / "report.html").exists()
    with running(command("study", "slice-budget", path, "-o", folder / "out")) as process:
        said, complaints = process.communicate(timeout=600)  # machines that test are busy
    assert process.returncode == 0, complaints
    assert "within 1 point of the best" in said
    assert {name: (cells / name).stat().st_mtime_ns for name in kept} == kept
    return folder


def test_a_whole_study_reports(finished: Path) -> None:
    numbers = json.loads((finished / "out" / "report.json").read_text())
    assert numbers["test_cases"] == 3
    assert numbers["training_cases"] == 4
    assert len(numbers["options"]) == 9
    assert len(list((finished / "out" / CELLS).iterdir())) == 18
    for option in numbers["options"]:
        expected = option["volumes"] * round(option["density"] * 12)
        assert option["slices"] == expected
        assert option["interval"]["low"] <= option["dice"] <= option["interval"]["high"]
        assert (option["filled_iou"] is not None) == option["propagated"]
    compared = [[one["network"] for one in finding["comparisons"]] for finding in numbers["findings"]]
    assert compared == [["2D", "3D"], ["2D", "3D"], ["2D"]]
    assert [len(one["choices"]) for one in numbers["recommendations"]] == [4, 3]


def test_the_page_stands_alone_and_names_nobody(finished: Path) -> None:
    for name in ("report.html", "report.json"):
        text = (finished / "out" / name).read_text()
        assert "Jane" not in text
        assert str(finished) not in text
    page = (finished / "out" / "report.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "src=" not in page
    assert "Does it agree with the paper?" in page
    assert "cannot tell" in page or "agrees" in page
    assert "estimated from 2 seeds" in page
    for path in (finished / "out" / CELLS).iterdir():
        assert "Jane" not in path.read_text()


def test_scores_follow_from_configuration_alone(finished: Path, tmp_path: Path) -> None:
    """The same study elsewhere comes to the same numbers, cell by cell, in whichever order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        path = finished / "study.json"
        read = read_configuration(path, SliceBudgetConfiguration)
        few = read_configuration(
            configured_again(finished, tmp_path, grids=[{"densities": [0.5], "volumes": [2]}], seeds=1),
            SliceBudgetConfiguration,
        )
        assert read.cases == few.cases
        results = run_study(few, tmp_path / "out", "cpu")
    finally:
        torch.set_num_threads(threads)
    for name, result in results.cells.items():
        kept = json.loads((finished / "out" / CELLS / f"{name}.json").read_text())["result"]
        assert kept["cases"] == result["cases"]
        mine, theirs = ([s["dice"] for s in one["scores"]] for one in (kept, result))
        assert np.allclose(mine, theirs, atol=1e-3)


def configured_again(finished: Path, folder: Path, **changes: Any) -> Path:
    path = folder / "again.json"
    path.write_text(json.dumps({**TINY, "cases": str(finished / "CASES.csv"), **changes}))
    return path


def test_a_study_may_grow_but_not_change(finished: Path) -> None:
    out = finished / "out"
    asked = configured_again(finished, finished, metric="nsd", margin=0.02)
    grown = read_configuration(asked, SliceBudgetConfiguration)
    before = {path: path.stat().st_mtime_ns for path in (out / CELLS).iterdir()}
    lead = write_report(run_study(grown, out, "cpu"), out)
    assert "NSD" in lead[0]
    assert "within 2 points of the best" in lead[0]
    assert {path: path.stat().st_mtime_ns for path in (out / CELLS).iterdir()} == before
    changed = configured_again(finished, finished, tolerance_mm=2.0)
    with pytest.raises(OutputError, match=r"another configuration or other cases .* give --force"):
        run_study(read_configuration(changed, SliceBudgetConfiguration), out, "cpu")


def test_refusals_of_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = configured(tmp_path, cases=6)
    out = tmp_path / "out"
    refused(run_here(capfd, "study", "slice-budget", path, "-o", out), "lists 6 cases; the study needs 7")
    refused(run_here(capfd, "study", "slice-budget", path), "--example")
    refused(run_here(capfd, "study", "slice-budget", tmp_path / "no.json", "-o", out), "no.json")
    os.remove(tmp_path / "0.nii")
    with pytest.raises(InputError, match=r"0\.nii .* does not exist"):
        check_study(read_configuration(path, SliceBudgetConfiguration))
    path.write_text(json.dumps({**TINY, "seeds": "three"}))
    refused(run_here(capfd, "study", "slice-budget", path, "-o", out), "study.json", "seeds must be")
    assert not out.exists()


def test_the_example_can_be_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capfd, "study", "slice-budget", "--example")
    assert ended.status == 0
    (tmp_path / "example.json").write_text(ended.out)
    read = read_configuration(tmp_path / "example.json", SliceBudgetConfiguration)
    assert read.networks[0].name == "2D"
