"""Lists of cases on this machine: each done once, whatever happens to whom; a second run does the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scale_cases import OUTPUT, counted, made_tasks, work

from pgt.errors import InputError, OutputError
from pgt.scale import case_runs, machine
from pgt.scale.case_record import RECORD, read_record
from pgt.scale.case_runs import CaseRunReport, ScaleSettings, disk_is_full, run_cases, staging_folder
from pgt.scale.case_task import CaseTask, check_case_name, check_tasks
from pgt.scale.case_work import CaseOrder, do_case
from pgt.scale.machine import available_cores, plan_workers

CASES = ("a", "b", "c")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def run(tasks: Sequence[CaseTask], folder: Path, **options: Any) -> CaseRunReport:
    """Run on one worker; nothing hidden may stay behind."""
    report = run_cases(tasks, ScaleSettings(folder, workers=1, gpu=False, **options))
    assert not list(folder.glob(".*"))
    return report


def ends(report: CaseRunReport) -> dict[str, str]:
    return {outcome.case: outcome.end for outcome in report.outcomes}


def test_a_failed_case_never_stops_the_rest_and_is_told_with_its_reason(
    tmp_path: Path, results: Path
) -> None:
    troubles = {"bad": "input", "wrong": "fault", "deadly": "killed", "unlucky": "killed once"}
    tasks = made_tasks(tmp_path, [*CASES, *troubles], troubles=troubles)
    heard = []
    report = run_cases(tasks, ScaleSettings(results, workers=2, retries=1, gpu=False), heard.append)
    assert ends(report) == {
        **dict.fromkeys(CASES, "done"), "bad": "failed", "wrong": "failed", "deadly": "failed",
        "unlucky": "done",
    }  # fmt: skip
    assert sorted(outcome.case for outcome in heard) == sorted(ends(report))
    of = {outcome.case: outcome for outcome in report.outcomes}
    assert of["bad"].reason == f"{tmp_path / 'bad.image'} is damaged."
    assert "ValueError in scale_cases.py" in of["wrong"].reason
    assert "SIGKILL" in of["deadly"].reason
    assert all("Doe" not in outcome.reason for outcome in report.outcomes)
    # What another attempt cannot mend gets none; the killed worker's case went to another.
    assert {case: outcome.attempts for case, outcome in of.items()} == {
        "a": 1, "b": 1, "c": 1, "bad": 1, "wrong": 2, "deadly": 2, "unlucky": 2,
    }  # fmt: skip
    times = counted(tmp_path / "log.txt")
    assert all(times["ended", case] == 1 for case in (*CASES, "unlucky"))
    assert sorted(path.name for path in results.iterdir()) == [*CASES, "unlucky"]
    assert (results / "unlucky" / OUTPUT).read_text() == "IMAGE OF UNLUCKY"

    # A second run does what is missing, and only that.
    again = run(made_tasks(tmp_path, [*CASES, *troubles]), results)
    assert ends(again) == {
        **dict.fromkeys([*CASES, "unlucky"], "kept"), **dict.fromkeys(["bad", "wrong", "deadly"], "done")
    }  # fmt: skip
    assert counted(tmp_path / "log.txt")["begun", "a"] == 1
    assert again.whole


def test_the_record_names_no_file_and_knows_inputs_by_what_they_hold(tmp_path: Path, results: Path) -> None:
    tasks = made_tasks(tmp_path, ["a"])
    run(tasks, results)
    text = (results / "a" / RECORD).read_text()
    assert str(tmp_path) not in text
    assert "a.image" not in text
    record = read_record(results / "a")
    assert record.outputs == {OUTPUT: len("image of a")}
    assert record.results == {"characters": len("image of a")}
    (tmp_path / "a.image").touch()  # younger, but the same
    assert ends(run(tasks, results)) == {"a": "kept"}
    moved = tmp_path / "elsewhere.image"
    (tmp_path / "a.image").rename(moved)
    assert ends(run([replace(tasks[0], inputs={"image": moved})], results)) == {"a": "kept"}


def edit_input(task: CaseTask, folder: Path) -> CaseTask:
    task.inputs["image"].write_text("another one")
    return task


def other_input(task: CaseTask, folder: Path) -> CaseTask:
    """Another file of the same size and age."""
    path = task.inputs["image"].with_name("twin.image")
    path.write_text("IMAGE OF A")
    stamp = task.inputs["image"].stat()
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    return replace(task, inputs={"image": path}, arguments=replace(task.arguments, image=path))


def other_setting(task: CaseTask, folder: Path) -> CaseTask:
    return replace(task, settings={"way": "louder"})


def corrected_by_hand(task: CaseTask, folder: Path) -> CaseTask:
    (folder / "a" / OUTPUT).write_text("corrected by hand")
    return task


def lost_output(task: CaseTask, folder: Path) -> CaseTask:
    (folder / "a" / OUTPUT).unlink()
    return task


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edit_input, "another image"),
        (other_input, "another image"),
        (other_setting, "another way"),
        (corrected_by_hand, "its label.txt was changed after it was made"),
        (lost_output, "its label.txt is missing"),
    ],
)
def test_what_has_changed_is_left_as_it_is_and_told_until_forced(
    tmp_path: Path, results: Path, change: Any, said: str
) -> None:
    run(made_tasks(tmp_path, ["a", "b"]), results)
    first, second = made_tasks(tmp_path, ["a", "b"])
    first = change(first, results)
    before = {path.name: path.read_bytes() for path in (results / "a").iterdir()}
    report = run([first, second], results)
    assert ends(report) == {"a": "outdated", "b": "kept"}
    assert not report.whole
    assert said in report.outcomes[0].reason
    assert "--force" in report.outcomes[0].reason
    assert {path.name: path.read_bytes() for path in (results / "a").iterdir()} == before
    forced = run([first, second], results, force=True)
    assert ends(forced) == {"a": "done", "b": "kept"}
    assert (results / "a" / OUTPUT).read_text() == first.inputs["image"].read_text().upper()


def test_what_no_run_of_cases_made_is_never_replaced(tmp_path: Path, results: Path) -> None:
    """A folder of results may be the folder of the data."""
    (results / "a").mkdir()
    (results / "a" / "scan.nii.gz").write_text("precious")
    run(made_tasks(tmp_path, ["b"]), results)
    (results / "b" / "notes.txt").write_text("mine")
    report = run(made_tasks(tmp_path, CASES), results, force=True)
    assert ends(report) == {"a": "failed", "b": "failed", "c": "done"}
    assert "not made by a run of cases" in report.outcomes[0].reason
    assert "notes.txt" in report.outcomes[1].reason
    assert (results / "a" / "scan.nii.gz").read_text() == "precious"
    assert (results / "b" / "notes.txt").read_text() == "mine"


def test_two_workers_on_one_case_leave_one_result(tmp_path: Path, results: Path) -> None:
    """As where a worker was thought lost, and a second was given its case."""
    (task,) = made_tasks(tmp_path, ["a"], seconds=0.5)
    with staging_folder(results) as staging:
        order = CaseOrder(task, results, staging, force=False)
        plan = plan_workers(2, 2, gpu=False)
        from pgt.scale.local_workers import LocalWorkers

        workers = LocalWorkers(plan)
        try:
            workers.submit(order)
            workers.submit(order)
            found = []
            while len(found) < 2:
                found += filter(None, [workers.next_outcome(1.0)])
        finally:
            workers.close()
    assert [outcome.end for outcome in found] == ["done", "done"]
    assert counted(tmp_path / "log.txt")["ended", "a"] == 2  # both worked
    assert found[0].worker == found[1].worker == read_record(results / "a").worker  # one of them counts
    assert [path.name for path in results.iterdir()] == ["a"]


def test_a_worker_lost_after_its_case_was_there_costs_nothing(tmp_path: Path, results: Path) -> None:
    (task,) = made_tasks(tmp_path, ["a"])
    with staging_folder(results) as staging:
        order = CaseOrder(task, results, staging, force=False)
        first, second = do_case(order), do_case(order)
    assert first == second
    assert counted(tmp_path / "log.txt")["begun", "a"] == 1


def test_who_comes_after_the_end_of_a_run_leaves_nothing(tmp_path: Path, results: Path) -> None:
    """As a worker of a cluster that goes on when the run was cancelled."""
    (task,) = made_tasks(tmp_path, ["a"], seconds=0.5)
    ended = []
    with staging_folder(results) as staging:
        order = CaseOrder(task, results, staging, force=False)
        thread = threading.Thread(target=lambda: ended.append(do_case(order)))
        thread.start()
        while not counted(tmp_path / "log.txt"):
            pass
    thread.join()
    assert ended[0].end == "failed"
    assert do_case(order).end == "failed"
    assert not list(results.iterdir())


def test_a_worker_of_another_version_does_nothing(tmp_path: Path, results: Path) -> None:
    (task,) = made_tasks(tmp_path, ["a"])
    with staging_folder(results) as staging:
        outcome = do_case(CaseOrder(task, results, staging, force=False, software="0.0.0"))
    assert outcome.end == "failed"
    assert "0.0.0" in outcome.reason
    assert not list(results.iterdir())


def test_an_input_that_changes_under_the_work(tmp_path: Path, results: Path) -> None:
    (task,) = made_tasks(tmp_path, ["a"])
    with staging_folder(results) as staging:
        outcome = do_case(CaseOrder(replace(task, function=work_that_edits), results, staging, force=False))
    assert "was changed while it was worked on" in outcome.reason
    assert not list(results.iterdir())


def work_that_edits(made: Any, folder: Path) -> dict[str, Any]:
    work(made, folder)
    made.image.write_text("longer than it was before")
    return {}


def test_what_dead_runs_left_is_removed_and_what_living_ones_need_stays(results: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True)
    node = case_runs.platform.node()
    for name in (f".pgt-run-{node}-{int(dead.stdout)}-x", f".pgt-run-{node}-{os.getpid()}-x",
                 f".pgt-run-other{node}-{int(dead.stdout)}-x"):  # fmt: skip
        (results / name / "a.attempt-1").mkdir(parents=True)
    with staging_folder(results):
        pass
    assert {path.name for path in results.iterdir()} == {
        f".pgt-run-{node}-{os.getpid()}-x", f".pgt-run-other{node}-{int(dead.stdout)}-x"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a:b", "CON", "a ", "a.", "x" * 300, "a\nb"])
def test_names_that_no_folder_can_have(name: str) -> None:
    with pytest.raises(InputError, match="folder"):
        check_case_name(name)


def test_names_that_one_file_system_takes_for_one(tmp_path: Path) -> None:
    check_tasks(made_tasks(tmp_path, ["ä case, No. 7", "b"]))
    with pytest.raises(InputError, match="share one folder"):
        check_tasks(made_tasks(tmp_path, ["Case", "case"]))


def test_no_core_gets_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "usable_cores", lambda: 8)
    monkeypatch.setattr(machine, "available_cores", lambda: 8)
    monkeypatch.setattr(machine, "memory_bound", lambda: 100)
    for cases, workers, expected, threads in (
        (100, None, 8, "1"), (2, None, 2, "4"), (100, 3, 3, "2"), (100, 20, 20, "1")
    ):  # fmt: skip
        plan = plan_workers(cases, workers, gpu=False)
        assert plan.workers == expected
        assert {one["OMP_NUM_THREADS"] for one in plan.environments} == {threads}
        assert {one["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] for one in plan.environments} == {threads}
    monkeypatch.setattr(machine, "memory_bound", lambda: 3)
    assert plan_workers(100, None, gpu=False).workers == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert plan_workers(2, None, gpu=False).environments[0]["OMP_NUM_THREADS"] == "1"
    with pytest.raises(InputError, match="--workers"):
        plan_workers(2, 0, gpu=False)


def test_one_worker_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "visible_gpus", lambda: ("2", "GPU-1a"))
    plan = plan_workers(100, None, gpu=True)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in plan.environments] == ["2", "GPU-1a"]
    with pytest.raises(InputError, match="2 GPUs"):
        plan_workers(100, 3, gpu=True)
    assert "CUDA_VISIBLE_DEVICES" not in plan_workers(100, None, gpu=False).environments[0]


def test_this_machine_has_cores() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
    assert machine.memory_bound() >= 1


def test_a_folder_that_is_no_place_to_write(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), staging_folder(tmp_path / "absent"):
        pass


def test_a_full_disk_stops_the_run_and_the_rest_is_told(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not disk_is_full(results)
    monkeypatch.setattr(case_runs, "disk_is_full", lambda folder: True)
    tasks = made_tasks(tmp_path, ["a", "b", "c", "d"], troubles=dict.fromkeys("ab", "input"))
    report = run_cases(tasks, ScaleSettings(results, workers=1, gpu=False))
    assert ends(report) == {"a": "failed", "b": "not run", "c": "not run", "d": "not run"}
    assert report.stopped == f"The disk of {results} is full."
    monkeypatch.undo()
    assert ends(run(made_tasks(tmp_path, ["a", "b", "c", "d"]), results)) == dict.fromkeys("abcd", "done")


def test_a_disk_of_one_page(tmp_path: Path) -> None:
    place = tmp_path / "tiny"
    place.mkdir()
    mount = shutil.which("mount")
    if not mount or subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=4k", "tmpfs", place], capture_output=True, check=False
    ).returncode:  # fmt: skip
        pytest.skip("mounting a small disk takes root")
    try:
        assert disk_is_full(place)
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_damaged_record_is_no_record(tmp_path: Path, results: Path) -> None:
    run(made_tasks(tmp_path, ["a"]), results)
    path = results / "a" / RECORD
    content = json.loads(path.read_text())
    for damaged in ("{", "[]", json.dumps({**content, "version": 2}), json.dumps({**content, "outputs": 3})):
        path.write_text(damaged)
        assert ends(run(made_tasks(tmp_path, ["a"]), results, force=True)) == {"a": "failed"}
