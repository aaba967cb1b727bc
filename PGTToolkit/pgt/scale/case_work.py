"""Doing one case in a worker, wherever that runs: written beside, then put in its place by one renaming."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import shutil
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pgt import __version__
from pgt.errors import DeviceError, OutputError, PGTError
from pgt.scale.case_record import (
    CaseRecord,
    InputMark,
    Standing,
    files_in,
    mark_of,
    standing_of,
    untouched,
    write_record,
)
from pgt.scale.case_task import CaseEnd, CaseOutcome, CaseTask

# A worker of a cluster may have several threads; a case takes all that its process has.
_ONE_AT_A_TIME = threading.Lock()

_HERE = Path(__file__).resolve().parent
_PACKAGE = _HERE.parent


@dataclass(frozen=True)
class CaseOrder:
    """A task as it travels to a worker.

    Args:
        task: what to do.
        folder: where the case's folder goes.
        staging: of the run, on the same disk; once it is gone, nothing begun can be put in its place.
        force: replace results of other inputs or settings.
        software: version of this project that sent it.
    """

    task: CaseTask
    folder: Path
    staging: Path
    force: bool
    software: str = __version__

    @property
    def place(self) -> Path:
        """The case's folder."""
        return self.folder / self.task.case


def do_case(order: CaseOrder) -> CaseOutcome:
    """Do a case, whatever becomes of it: a failure is an outcome with its reason, never an exception."""
    with _ONE_AT_A_TIME:
        started = time.perf_counter()
        attempt = 0
        try:
            attempt, workspace = _begin(order)
            return _do(order, workspace, attempt, started)
        except PGTError as error:
            reason, again = str(error), isinstance(error, DeviceError)
        except MemoryError:
            reason, again = "There is not enough memory for this case.", True
        except OSError as error:
            reason, again = f"A file could not be used: {(error.strerror or str(error)).lower()}.", True
        except Exception as error:
            reason, again = _fault(error), True
        return CaseOutcome(
            case=order.task.case,
            end="failed",
            seconds=round(time.perf_counter() - started, 3),
            attempts=attempt,
            reason=reason,
            worker=this_worker(),
            again=again,
        )


def outcome_of(record: CaseRecord, end: CaseEnd) -> CaseOutcome:
    """What a record tells."""
    return CaseOutcome(
        record.case, end, record.seconds, record.attempts, results=record.results, worker=record.worker
    )


def attempts_at(case: str, staging: Path) -> int:
    """How often a case was begun in this run in vain: each attempt leaves its empty folder as a mark."""
    return sum(1 for _ in staging.glob(f"{glob_escaped(case)}.attempt-*"))


def glob_escaped(name: str) -> str:
    """A name in which a pattern's special characters stand for themselves."""
    return name.replace("[", "[[]")


def this_worker() -> str:
    """Where this runs."""
    return f"{platform.node()}:{os.getpid()}"


def _begin(order: CaseOrder) -> tuple[int, Path]:
    """The attempt's number and its own folder."""
    if order.software != __version__:
        raise PGTError(
            f"The worker {this_worker()} has version {__version__} of PGT Toolkit, not {order.software}."
        )
    for attempt in itertools.count(1):
        workspace = order.staging / f"{order.task.case}.attempt-{attempt}"
        try:
            workspace.mkdir()
        except FileExistsError:
            continue
        except FileNotFoundError as error:
            raise PGTError(
                f"The worker {this_worker()} does not see {order.staging}: the run has ended, or the folder "
                "is not shared."
            ) from error
        return attempt, workspace
    raise AssertionError("there is always a next number")


def _do(order: CaseOrder, workspace: Path, attempt: int, started: float) -> CaseOutcome:
    task = order.task
    try:
        found = standing_of(task, order.place)
        if found.kind == "done" and found.record:
            # An attempt before this one got as far as the renaming, but not to say so.
            return outcome_of(found.record, "done")
        _check_replaceable(found, order.force)
        marks = {what: mark_of(path) for what, path in task.inputs.items()}
        results = task.function(task.arguments, workspace)
        _check_unchanged(order, marks)
        _check_outputs(order, workspace)
        seconds = time.perf_counter() - started
        record = write_record(task, workspace, marks, results, seconds, attempt, this_worker())
        return outcome_of(_published(order, workspace, record), "done")
    except PGTError as error:
        raise type(error)(str(error).replace(str(workspace), str(order.place))) from error
    finally:
        _empty(workspace)


def _check_replaceable(found: Standing, force: bool) -> None:
    if found.kind == "foreign" or (found.kind == "outdated" and not force):
        raise OutputError(found.reason)


def _check_unchanged(order: CaseOrder, marks: Mapping[str, InputMark]) -> None:
    for what, path in order.task.inputs.items():
        if not untouched(marks[what], path):
            raise PGTError(f"{path} was changed while it was worked on; the case is to be done again.")


def _check_outputs(order: CaseOrder, workspace: Path) -> None:
    wanted = order.task.outputs
    if wanted is not None and set(files_in(workspace)) != set(wanted):
        raise RuntimeError(f"left {files_in(workspace)} for {wanted}")


def _published(order: CaseOrder, workspace: Path, record: CaseRecord) -> CaseRecord:
    """Put a finished folder in its place, unless another worker was first: the record of what is there."""
    former = order.staging / f"{workspace.name}.former"
    try:
        if order.force and order.place.exists() and standing_of(order.task, order.place).kind == "outdated":
            order.place.rename(former)
        workspace.rename(order.place)
    except OSError as error:
        first = standing_of(order.task, order.place)
        if first.kind == "done" and first.record:
            return first.record
        raise OutputError(
            f"{order.place} cannot be written: {(error.strerror or str(error)).lower()}."
        ) from error
    return record


def _empty(workspace: Path) -> None:
    """Leave an attempt that came to nothing as an empty folder."""
    if workspace.exists():
        shutil.rmtree(workspace, ignore_errors=True)
        with contextlib.suppress(OSError):
            workspace.mkdir(exist_ok=True)


def _fault(error: Exception) -> str:
    """A fault of the program without its message, which might quote a file: what it was and where."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(Path(frame.filename), frame.lineno) for frame in frames]
    own = [(path, line) for path, line in places if _PACKAGE in path.parents and path.parent != _HERE]
    path, line = (own or places)[-1]
    return f"A fault of the program ({type(error).__name__} in {path.name}, line {line})."
