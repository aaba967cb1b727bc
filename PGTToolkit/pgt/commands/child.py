"""Heavy work of a command, in a child process.

The command itself stays free to draw a progress bar, and to answer Ctrl-C at once whatever library happens to
be busy: it ends the child. A child that crashes or is killed costs one sentence.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Concatenate, ParamSpec, TypeVar

from pgt.errors import PGTError

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


@dataclass(frozen=True)
class Step:
    """How far the work has come."""

    done: int
    total: int
    message: str


@dataclass(frozen=True)
class _Returned:
    value: Any


@dataclass(frozen=True)
class _Failed:
    error: PGTError


@dataclass(frozen=True)
class _Faulted:
    traceback: str


_HELD_BACK = {signal.SIGINT, signal.SIGTERM}

Report = Callable[[Step], None]


def run_in_child(
    on_step: Report,
    task: Callable[Concatenate[Report, Parameters], Result],
    *arguments: Parameters.args,
    **keywords: Parameters.kwargs,
) -> Result:
    """Call ``task(report, *arguments, **keywords)`` in a child process and return what it returns.

    Args:
        on_step: called here with every `Step` that the task reports.
        task: a function at the top of a module; what it takes and returns is pickled.

    Raises:
        PGTError: the one that the task raised, or one that says how the child came to its end.
        KeyboardInterrupt: the user pressed Ctrl-C; the child and its own children are gone.
        RuntimeError: a fault of the program; its text is the child's traceback.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="pgt-", ignore_cleanup_errors=True) as scratch:
        process = context.Process(target=_serve, args=(sender, scratch, task, arguments, keywords))
        try:
            with _interrupts_held_back():
                process.start()
            sender.close()
            ending = _ending(process, receiver, on_step)
        finally:
            _end(process)
            receiver.close()
    if isinstance(ending, _Failed):
        raise ending.error
    if isinstance(ending, _Faulted):
        raise RuntimeError(f"The command failed in its child process:\n{ending.traceback}")
    result: Result = ending.value
    return result


def _ending(process: BaseProcess, receiver: Connection, on_step: Report) -> _Returned | _Failed | _Faulted:
    while True:
        wait([receiver, process.sentinel])
        try:
            message = receiver.recv() if receiver.poll() else None
        except EOFError:
            message = None
        if isinstance(message, Step):
            on_step(message)
        elif isinstance(message, (_Returned, _Failed, _Faulted)):
            return message
        else:
            process.join()
            raise PGTError(_obituary(process.exitcode))


def _obituary(exit_status: int | None) -> str:
    if exit_status is not None and exit_status < 0:
        name = signal.Signals(-exit_status).name
        cause = " (perhaps for lack of memory)" if name == "SIGKILL" else ""
        return f"The computing process was killed by {name}{cause}; nothing was written."
    return f"The computing process ended unexpectedly with status {exit_status}; nothing was written."


def _end(process: BaseProcess) -> None:
    """End the child, and on POSIX whatever it has started."""
    if process.pid is None:
        return
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C and an order to end do not fall into the start of a child; they come after the block."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it later would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(sender: Connection, scratch: str, task: Callable[..., Any], arguments: Any, keywords: Any) -> None:
    """The child's side. Its temporary files lie where the parent removes them, whatever happens here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to everyone; the parent decides
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)
    os.dup2(2, 1)  # standard output is for the command's own result, not for what libraries print
    tempfile.tempdir = scratch
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    threading.Thread(target=_follow_parent, name="parent", daemon=True).start()
    try:
        sender.send(_Returned(task(sender.send, *arguments, **keywords)))
    except PGTError as error:
        sender.send(_Failed(error))
    except MemoryError:
        sender.send(_Failed(PGTError("There is not enough memory for this volume; nothing was written.")))
    except Exception:
        sender.send(_Faulted(traceback.format_exc()))


def _follow_parent() -> None:
    """End together with the parent, however that ended, and with whatever was started here."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)
