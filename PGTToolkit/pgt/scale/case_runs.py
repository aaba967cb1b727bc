"""Running a list of cases: on this machine by default, on a Dask cluster where its scheduler is named.

Every case has a folder of its own among the results. A worker writes it beside and puts it in its place by a
single renaming, record included (`pgt.scale.case_record`), so that a case is there whole or not at all,
whoever is killed when; two workers that come to do the same case leave one result. A second run finds the
records and does only what is missing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pgt.errors import InputError, OutputError
from pgt.scale.case_record import standing_of
from pgt.scale.case_task import CaseEnd, CaseOutcome, CaseTask, check_tasks
from pgt.scale.case_work import CaseOrder, attempts_at, outcome_of
from pgt.scale.workers import Workers, WorkersLostError

_STAGING = ".pgt-run-"
_LISTEN_SECONDS = 0.5
_PROBE_BYTES = 1 << 20

OnOutcome = Callable[[CaseOutcome], None]


@dataclass(frozen=True)
class ScaleSettings:
    """How a list is run.

    Args:
        folder: an existing folder, where each case gets a folder of its own.
        workers: processes on this machine; None to choose by cores, memory and GPUs.
        scheduler: address of a Dask scheduler, such as ``tcp://node01:8786``; None for this machine.
        retries: further attempts at a case that failed for a reason that may pass.
        force: do cases again whose inputs or settings have changed since; else they are left and listed.
        gpu: whether the work uses a GPU where there is one; then each GPU has one worker.
        staging: an empty folder in ``folder`` to write beside in (`staging_folder`); None to make one.
    """

    folder: Path
    workers: int | None = None
    scheduler: str | None = None
    retries: int = 2
    force: bool = False
    gpu: bool = True
    staging: Path | None = None


@dataclass(frozen=True)
class CaseRunReport:
    """What came of a list.

    Args:
        outcomes: one a case, in the order of the list.
        seconds: that the run took.
        stopped: one sentence on why the run ended before the list did; empty where it did not.
    """

    outcomes: tuple[CaseOutcome, ...]
    seconds: float
    stopped: str = ""

    def count(self, *ends: CaseEnd) -> int:
        """How many cases ended so."""
        return sum(1 for outcome in self.outcomes if outcome.end in ends)

    @property
    def whole(self) -> bool:
        """Whether every case's results are there."""
        return all(outcome.good for outcome in self.outcomes)


def run_cases(
    tasks: Sequence[CaseTask], settings: ScaleSettings, on_outcome: OnOutcome | None = None
) -> CaseRunReport:
    """Run a list of cases. A case that fails never stops the others.

    Args:
        tasks: the cases.
        settings: where and how.
        on_outcome: told of every case as it ends, those that were done before first.

    Raises:
        InputError: two cases share a name, an input cannot be read at the start, or the scheduler cannot be
            reached or used.
    """
    started = time.perf_counter()
    tell = on_outcome or (lambda outcome: None)
    check_tasks(tasks)
    if settings.retries < 0:
        raise InputError(f"--retries takes a number from 0, not {settings.retries}.")
    ended: dict[str, CaseOutcome] = {}
    for task in tasks:
        found = _found(task, settings)
        if found:
            ended[task.case] = found
    with contextlib.ExitStack() as stack:
        staging = settings.staging or stack.enter_context(staging_folder(settings.folder))
        # Absolute, as workers elsewhere have other working folders; links stay, as these may lead elsewhere.
        orders = [
            CaseOrder(task, settings.folder.absolute(), staging.absolute(), settings.force)
            for task in tasks
            if task.case not in ended
        ]
        workers = stack.enter_context(contextlib.closing(_workers(settings, orders))) if orders else None
        for outcome in ended.values():
            tell(outcome)
        stopped = _run(orders, workers, settings.retries, ended, tell) if workers else ""
    return CaseRunReport(
        tuple(ended[task.case] for task in tasks), round(time.perf_counter() - started, 3), stopped
    )


@contextlib.contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """A folder for what is being written, which vanishes after the block; those of dead runs go, too.

    Raises:
        OutputError: it cannot be made.
    """
    for path in folder.glob(f"{_STAGING}*"):
        if _owner_is_gone(path):
            shutil.rmtree(path, ignore_errors=True)
    try:
        staging = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{platform.node()}-{os.getpid()}-", dir=folder))
    except OSError as error:
        raise OutputError(f"{folder} cannot be written to: {(error.strerror or '').lower()}.") from error
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _found(task: CaseTask, settings: ScaleSettings) -> CaseOutcome | None:
    """How a case ends without any work: done before, or in the way of it."""
    standing = standing_of(task, settings.folder / task.case)
    if standing.kind == "done" and standing.record:
        return outcome_of(standing.record, "kept")
    if standing.kind == "foreign":
        return CaseOutcome(task.case, "failed", reason=standing.reason)
    if standing.kind == "outdated" and not settings.force:
        return CaseOutcome(task.case, "outdated", reason=standing.reason)
    return None


def _workers(settings: ScaleSettings, orders: Sequence[CaseOrder]) -> Workers:
    if settings.scheduler is not None:
        from pgt.scale.dask_workers import DaskWorkers

        return DaskWorkers(settings.scheduler, orders[0].staging)
    from pgt.scale.local_workers import LocalWorkers
    from pgt.scale.machine import plan_workers

    return LocalWorkers(plan_workers(len(orders), settings.workers, settings.gpu))


def _run(
    orders: Sequence[CaseOrder],
    workers: Workers,
    retries: int,
    ended: dict[str, CaseOutcome],
    tell: OnOutcome,
) -> str:
    """Have the orders done; fills ``ended`` and returns why the run was stopped, if it was."""
    open_orders = {order.task.case: order for order in orders}
    tries: Counter[str] = Counter()
    stopped = ""

    def end(outcome: CaseOutcome) -> None:
        del open_orders[outcome.case]
        ended[outcome.case] = outcome
        tell(outcome)

    try:
        for order in orders:
            workers.submit(order)
        while open_orders:
            outcome = workers.next_outcome(_LISTEN_SECONDS)
            if outcome is None or outcome.case not in open_orders:
                continue
            order = open_orders[outcome.case]
            tries[outcome.case] += 1
            if outcome.again and tries[outcome.case] <= retries and not stopped:
                workers.submit(order)
                continue
            if not outcome.good:
                attempts = max(tries[outcome.case], attempts_at(outcome.case, order.staging))
                outcome = replace(outcome, attempts=attempts)
            end(outcome)
            if not outcome.good and not stopped and disk_is_full(order.staging):
                stopped = f"The disk of {order.folder} is full."
                for case in workers.drop_waiting():
                    end(CaseOutcome(case, "not run", reason=stopped))
    except WorkersLostError as error:
        stopped = str(error)
        for order in tuple(open_orders.values()):
            # Whoever was not heard may have come to the end all the same.
            found = standing_of(order.task, order.place)
            if found.kind == "done" and found.record:
                end(outcome_of(found.record, "done"))
            else:
                end(CaseOutcome(order.task.case, "not run", reason=stopped))
    return stopped


def disk_is_full(folder: Path) -> bool:
    """Whether a folder has no room for even a small file."""
    probe = folder / "probe"
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return False


def _owner_is_gone(staging: Path) -> bool:
    """Whether the run that made a folder was on this machine and is no more."""
    node, _, process = staging.name.removeprefix(_STAGING).rpartition("-")[0].rpartition("-")
    if node != platform.node() or not process.isdigit() or os.name != "posix":
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
