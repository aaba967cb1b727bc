"""Lists of cases on a Dask cluster of this machine: done exactly once, and faster with two workers.

Two runs over small made volumes:

- 200 cases over two workers, one of which is killed when half of them are done (shape interpolation, which
  takes a fraction of a second). Executions are counted by the cases themselves, results by looking into the
  folder.
- the network's propagation with one worker and with two, in turns, and how many cases an hour come out. A
  machine that is busy with something else shows in the load by others and in CPU seconds against seconds of a
  case.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pgt.scale.case_record import RECORD, read_record
from pgt.scale.case_runs import CaseRunReport, ScaleSettings, run_cases

from .dask_cluster import DaskCluster, dask_cluster
from .scale_work import counted_tasks, make_rows, times_noted

CASES = 200
TIMES_ASKED = 1.6
_SHAPE = (48, 40, 32)
_CASES_A_TURN = 12
_TURNS = 2


@dataclass(frozen=True)
class KilledWorker:
    """A list during which one of two workers is killed.

    Args:
        cases: in the list.
        done: cases that the run calls done.
        results: cases whose folder holds a record with everything that it lists.
        ended_once: cases whose work came to its end exactly once.
        begun_again: cases that were begun more than once.
        strange: files and folders beside the cases' own.
        killed_after: cases done when the worker was killed.
        second_run: cases that a second run did again.
    """

    cases: int
    done: int
    results: int
    ended_once: int
    begun_again: int
    strange: int
    killed_after: int
    second_run: int


@dataclass(frozen=True)
class Turn:
    """One list by so many workers.

    Args:
        workers: how many.
        cases: in the list.
        seconds: from the first order to the last result.
        busy: share of the workers' time that went into cases.
        work_seconds: a case, in the middle.
        cpu_seconds: a case, in the middle.
        others: cores that other processes of the machine kept busy meanwhile.
    """

    workers: int
    cases: int
    seconds: float
    busy: float
    work_seconds: float
    cpu_seconds: float
    others: float


@dataclass(frozen=True)
class Scale:
    """Both runs, and the machine they ran on."""

    killed: KilledWorker
    turns: tuple[Turn, ...]
    cores: int

    @property
    def times(self) -> float:
        """Throughput of two workers against one, in the middle of the turns."""
        return _rate(self.turns, 2) / _rate(self.turns, 1)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale-cases", type=int, default=CASES, help="of scale, with a worker killed")


def run(options: argparse.Namespace) -> Scale:
    """Make the cases, start the cluster, and do both."""
    with tempfile.TemporaryDirectory(prefix="pgt-scale-") as text:
        folder = Path(text)
        (folder / "cluster").mkdir()
        with dask_cluster(folder / "cluster", workers=2) as cluster:
            killed = with_a_worker_killed(cluster, folder, options.scale_cases)
        turns = []
        with dask_cluster(folder / "cluster", workers=1) as cluster:
            _turn(cluster, folder, "warm-up", 1, 1)
            turns.append(_turn(cluster, folder, "one-0", 1, _CASES_A_TURN))
        for number in range(_TURNS):
            with dask_cluster(folder / "cluster", workers=2) as cluster:
                _turn(cluster, folder, f"warm-up-two-{number}", 2, 2)
                turns.append(_turn(cluster, folder, f"two-{number}", 2, _CASES_A_TURN))
            with dask_cluster(folder / "cluster", workers=1) as cluster:
                _turn(cluster, folder, f"warm-up-one-{number}", 1, 1)
                turns.append(_turn(cluster, folder, f"one-{number + 1}", 1, _CASES_A_TURN))
    return Scale(killed, tuple(turns), os.cpu_count() or 1)


def with_a_worker_killed(cluster: DaskCluster, folder: Path, count: int) -> KilledWorker:
    """Run a list; kill the first worker, without warning, when half of the cases are done."""
    data, results, log = folder / "killed", folder / "killed-results", folder / "killed.log"
    for path in (data, results):
        path.mkdir()
    tasks = counted_tasks(make_rows(data, count, _SHAPE), log, "shape")
    settings = ScaleSettings(results, scheduler=cluster.address)
    done: list[int] = []

    def kill_half_way() -> None:
        while sum(1 for _ in results.glob(f"*/{RECORD}")) < count // 2:
            time.sleep(0.02)
        done.append(sum(1 for _ in results.glob(f"*/{RECORD}")))
        cluster.workers[0].kill()

    killer = threading.Thread(target=kill_half_way)
    killer.start()
    report = run_cases(tasks, settings)
    killer.join()
    times = times_noted(log)
    names = [task.case for task in tasks]
    again = run_cases(tasks, settings)
    return KilledWorker(
        cases=count,
        done=report.count("done"),
        results=sum(_is_whole(results / name) for name in names),
        ended_once=sum(times["ended", name] == 1 for name in names),
        begun_again=sum(times["begun", name] > 1 for name in names),
        strange=len({path.name for path in results.iterdir()} - set(names)),
        killed_after=done[0],
        second_run=again.count("done"),
    )


def print_tables(scale: Scale) -> None:
    """Tables on a terminal, and whether what is asked for is met."""
    killed = scale.killed
    print(f"\n{killed.cases} cases over 2 Dask workers, one killed after {killed.killed_after}")
    print(
        f"done {killed.done}, whole results {killed.results}, ended exactly once {killed.ended_once}, "
        f"begun again {killed.begun_again}, strange files {killed.strange}, done again by a second run "
        f"{killed.second_run}"
    )
    once = killed.done == killed.results == killed.ended_once == killed.cases
    print("every case exactly once: " + ("yes" if once and not killed.second_run else "NO"))
    print(f"\nThroughput on {scale.cores} cores, lists of {scale.turns[0].cases} cases in turns")
    print(f"{'workers':<9}{'s':>8}{'cases/h':>9}{'busy':>7}{'s/case':>8}{'CPU s/case':>12}{'others':>8}")
    for turn in scale.turns:
        print(
            f"{turn.workers:<9}{turn.seconds:>8.1f}{3600 * turn.cases / turn.seconds:>9.0f}"
            f"{100 * turn.busy:>6.0f}%{turn.work_seconds:>8.2f}{turn.cpu_seconds:>12.2f}{turn.others:>8.2f}"
        )
    met = "yes" if scale.times >= TIMES_ASKED else "NO"
    print(f"2 workers against 1: {scale.times:.2f} times (asked for: {TIMES_ASKED}; {met})")
    if max(turn.others for turn in scale.turns) > 0.2:
        print("The machine was busy with something else: two workers had no two free cores.")


def _turn(cluster: DaskCluster, folder: Path, name: str, workers: int, count: int) -> Turn:
    data, results = folder / f"{name}-data", folder / f"{name}-results"
    for path in (data, results):
        path.mkdir()
    tasks = counted_tasks(make_rows(data, count, _SHAPE), folder / f"{name}.log", "auto")
    busy, started = _busy_seconds(), time.perf_counter()
    report = run_cases(tasks, ScaleSettings(results, scheduler=cluster.address))
    passed = time.perf_counter() - started
    busy = _busy_seconds() - busy
    if not report.whole:
        raise RuntimeError(next(outcome.reason for outcome in report.outcomes if outcome.reason))
    # The client connects and parts as well; what counts is the time in which cases could be done.
    seconds = _from_first_to_last(report, results)
    own = sum(outcome.results["cpu_seconds"] for outcome in report.outcomes)
    return Turn(
        workers=workers,
        cases=count,
        seconds=seconds,
        busy=sum(outcome.seconds for outcome in report.outcomes) / (workers * seconds),
        work_seconds=median(outcome.results["work_seconds"] for outcome in report.outcomes),
        cpu_seconds=median(outcome.results["cpu_seconds"] for outcome in report.outcomes),
        others=max(0.0, busy - own) / passed,
    )


def _from_first_to_last(report: CaseRunReport, results: Path) -> float:
    """Seconds from the beginning of the first case to the end of the last."""
    ends = {outcome.case: (results / outcome.case / RECORD).stat().st_mtime for outcome in report.outcomes}
    return max(ends.values()) - min(ends[outcome.case] - outcome.seconds for outcome in report.outcomes)


def _busy_seconds() -> float:
    """Seconds that all cores together were not idle since the machine was started; 0 where nobody tells."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, *rest = map(int, fields[:8])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def _is_whole(folder: Path) -> bool:
    record = read_record(folder)
    return all((folder / name).stat().st_size == size for name, size in record.outputs.items())


def _rate(turns: Sequence[Turn], workers: int) -> float:
    return median(turn.cases / turn.seconds for turn in turns if turn.workers == workers)
