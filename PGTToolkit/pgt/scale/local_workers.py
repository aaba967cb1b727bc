"""Worker processes on this machine, each doing one case after another.

They keep their libraries and models between cases. One that dies or stumbles over a fault of the program
costs that attempt alone: another takes its place.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from pgt.scale.case_task import CaseOutcome
from pgt.scale.case_work import CaseOrder, do_case
from pgt.scale.machine import WorkerPlan


@dataclass
class _Worker:
    """One process and what it is doing."""

    process: BaseProcess
    connection: Connection
    order: CaseOrder | None = None
    since: float = 0.0


class LocalWorkers:
    """The workers of one run (`pgt.scale.workers.Workers`)."""

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._workers: dict[int, _Worker] = {}
        self._waiting: deque[CaseOrder] = deque()

    def submit(self, order: CaseOrder) -> None:
        """Have a case done by the next worker that is free."""
        self._waiting.append(order)

    def next_outcome(self, seconds: float) -> CaseOutcome | None:
        """Wait for the next end of a case."""
        self._hand_out()
        busy = {number: worker for number, worker in self._workers.items() if worker.order}
        heard = wait([worker.connection for worker in busy.values()], seconds)
        for number, worker in busy.items():
            if worker.connection in heard:
                return self._heard(number, worker)
        return None

    def drop_waiting(self) -> tuple[str, ...]:
        """Take back what was not begun."""
        dropped = tuple(order.task.case for order in self._waiting)
        self._waiting.clear()
        return dropped

    def close(self) -> None:
        """End the workers at once."""
        for worker in self._workers.values():
            worker.process.kill()
        for worker in self._workers.values():
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def _hand_out(self) -> None:
        for number in range(self._plan.workers):
            if not self._waiting:
                return
            if number not in self._workers:
                self._workers[number] = _start(self._plan.environments[number])
            worker = self._workers[number]
            if worker.order is None:
                worker.order, worker.since = self._waiting.popleft(), time.perf_counter()
                with contextlib.suppress(
                    OSError
                ):  # dead in its idleness: noticed, and told, when listened to
                    worker.connection.send(worker.order)

    def _heard(self, number: int, worker: _Worker) -> CaseOutcome:
        assert worker.order is not None
        try:
            outcome: CaseOutcome = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            outcome = CaseOutcome(
                case=worker.order.task.case,
                end="failed",
                seconds=round(time.perf_counter() - worker.since, 3),
                reason=_obituary(worker.process.exitcode),
                again=True,
            )
        worker.order = None
        if outcome.again:  # a GPU that has failed once fails its process ever after
            del self._workers[number]
            worker.process.kill()
            worker.process.join()
            worker.connection.close()
        return outcome


def _start(environment: dict[str, str]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, environment, tempfile.gettempdir()), daemon=True)
    process.start()
    theirs.close()  # its end is then the worker's alone, and closes with it
    return _Worker(process, ours)


def _serve(connection: Connection, environment: dict[str, str], temporary: str) -> None:
    """The worker's side: do what is ordered until nobody orders any more."""
    os.environ.update(environment)  # before the first library that looks at it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to everyone; the first one decides
    tempfile.tempdir = temporary
    threading.Thread(target=_follow_parent, name="parent", daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(do_case(connection.recv()))


def _follow_parent() -> None:
    """End together with the parent, in the middle of a case, too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _obituary(exit_status: int | None) -> str:
    if exit_status is not None and exit_status < 0:
        name = signal.Signals(-exit_status).name
        cause = " (perhaps for lack of memory)" if name == "SIGKILL" else ""
        return f"The process that worked on it was killed by {name}{cause}."
    return f"The process that worked on it ended unexpectedly with status {exit_status}."
