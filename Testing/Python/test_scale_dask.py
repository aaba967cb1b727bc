"""Lists of cases on a Dask cluster: killed workers, a lost scheduler, workers that cannot be used."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scale_cases import OUTPUT, counted, made_tasks

from pgt.errors import InputError
from pgt.scale import dask_workers
from pgt.scale.case_record import read_record
from pgt.scale.case_runs import CaseRunReport, ScaleSettings, run_cases
from pgt.scale.dask_workers import DaskWorkers
from pgt.scale.workers import WorkersLostError

pytest.importorskip("distributed")

from Benchmarks.dask_cluster import DaskCluster, dask_cluster

CASES = [f"case{number:02d}" for number in range(12)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    (tmp_path / "dask").mkdir()
    with dask_cluster(tmp_path / "dask", workers=2) as running:
        yield running


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def wait_until_ended(log: Path, cases: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if sum(times for (what, _), times in counted(log).items() if what == "ended") >= cases:
            return
        time.sleep(0.01)
    raise AssertionError(log.read_text())


def test_a_worker_killed_half_way_and_then_the_scheduler(
    cluster: DaskCluster, tmp_path: Path, results: Path
) -> None:
    log = tmp_path / "log.txt"
    tasks = made_tasks(tmp_path, CASES, seconds=0.25)
    reports: list[CaseRunReport] = []
    settings = ScaleSettings(results, scheduler=cluster.address)

    def start() -> threading.Thread:
        thread = threading.Thread(target=lambda: reports.append(run_cases(tasks, settings)))
        thread.start()
        return thread

    thread = start()
    wait_until_ended(log, 5)
    time.sleep(0.1)  # into the next case
    cluster.workers[0].kill()
    thread.join(60)
    assert [outcome.end for outcome in reports[0].outcomes] == ["done"] * len(CASES)
    assert reports[0].stopped == ""
    times = counted(log)
    # Exactly once: only the case that the killed worker had in hand was begun, and may have ended, twice.
    begun = [times["begun", case] for case in CASES]
    assert sorted(begun)[:-1] == [1] * (len(CASES) - 1)
    assert max(begun) <= 2
    assert all(1 <= times["ended", case] <= times["begun", case] for case in CASES)
    assert sorted(path.name for path in results.iterdir()) == CASES
    for case, times_begun in zip(CASES, begun, strict=True):
        assert (results / case / OUTPUT).read_text() == f"IMAGE OF {case.upper()}"
        assert read_record(results / case).attempts == times_begun
    finished = {outcome.worker.split(":")[1] for outcome in reports[0].outcomes}
    assert finished == {str(worker.pid) for worker in cluster.workers}

    # All is there: no worker is asked again. Six of them gone: these are done, until the scheduler dies.
    assert {outcome.end for outcome in run_cases(tasks, settings).outcomes} == {"kept"}
    assert counted(log) == times
    for case in CASES[:6]:
        for path in (results / case).iterdir():
            path.unlink()
        (results / case).rmdir()
    thread = start()
    wait_until_ended(log, len(CASES) + 2)
    cluster.scheduler.kill()
    asked = time.monotonic()
    thread.join(60)
    assert time.monotonic() - asked < 10
    ends = [outcome.end for outcome in reports[1].outcomes]
    assert ends.count("kept") == 6
    assert ends.count("done") >= 2
    assert ends.count("not run") >= 1
    assert ends.count("done") + ends.count("not run") == 6
    assert reports[1].stopped == f"The Dask scheduler at {cluster.address} was lost."
    assert not list(results.glob(".*"))

    # What is missing can be done here.
    rest = run_cases(tasks, ScaleSettings(results, workers=1, gpu=False))
    assert rest.whole
    assert rest.count("done") == ends.count("not run")


def test_workers_that_cannot_be_used(
    cluster: DaskCluster, tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = made_tasks(tmp_path, ["a", "b"], troubles={"a": "input"})
    settings = ScaleSettings(results, scheduler=cluster.address, retries=0)
    monkeypatch.setattr(dask_workers, "__version__", "9.9.9")
    with pytest.raises(InputError, match=r"has version 0.*this machine 9\.9\.9"):
        run_cases(tasks, settings)
    monkeypatch.undo()
    monkeypatch.setattr(dask_workers, "readiness", sees_nothing)
    with pytest.raises(InputError, match=f"does not see {results}"):
        run_cases(tasks, settings)
    monkeypatch.undo()
    assert not list(results.iterdir())
    monkeypatch.chdir(tmp_path)  # the workers are somewhere else
    report = run_cases(tasks, replace(settings, folder=Path("results")))
    assert [outcome.end for outcome in report.outcomes] == ["failed", "done"]
    assert report.outcomes[0].reason == f"{tmp_path / 'a.image'} is damaged."


def sees_nothing(staging: str) -> tuple[str, bool]:
    """What a worker on another disk would answer."""
    from pgt import __version__

    return __version__, os.path.exists("/nowhere")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "no address", "ftp://127.0.0.1:1"])
def test_a_scheduler_that_does_not_answer(
    address: str, tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_workers, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match=f"No Dask scheduler answers at {address}"):
        run_cases(made_tasks(tmp_path, ["a"]), ScaleSettings(results, scheduler=address))
    assert not list(results.iterdir())
    assert logging.getLogger("distributed.client").level == logging.CRITICAL


def test_without_the_package(tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(InputError, match="pip install 'distributed"):
        run_cases(made_tasks(tmp_path, ["a"]), ScaleSettings(results, scheduler="tcp://127.0.0.1:9"))


def test_a_scheduler_that_is_lost_with_the_answer_on_its_way() -> None:
    """Its message that a case has ended came through; the outcome itself did not."""

    class Answer:
        status = "finished"

        def result(self) -> None:
            raise ConnectionError("closed")

    workers = DaskWorkers.__new__(DaskWorkers)
    answer = Answer()
    workers._address, workers._futures, workers._ended = "tcp://there:1", {"a": answer}, queue.SimpleQueue()
    workers._ended.put(answer)
    with pytest.raises(WorkersLostError, match="tcp://there:1 was lost"):
        workers.next_outcome(1.0)
