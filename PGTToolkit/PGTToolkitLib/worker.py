"""The host's end of the worker: one child process, kept warm, that computes.

Nothing here waits. :meth:`WorkerClient.poll` is called from a timer on the main thread and returns what has
happened since; a thread only moves lines from the child's output into a queue. The protocol is described in
:mod:`pgt.worker`, the kinds of job in :mod:`pgt.job_kinds`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pgt.job_kinds import KINDS

# The worker stops a computation by itself within a second; one that has not is beyond listening.
CANCEL_SECONDS = 0.8

_MODULE_FOLDER = Path(__file__).resolve().parent.parent
_LOG_TAIL_CHARACTERS = 2000


@dataclass(frozen=True)
class Progressed:
    """The job has come this far: steps done of total, after so many seconds."""

    done: int
    total: int
    seconds: float
    message: str


@dataclass(frozen=True)
class Finished:
    """The job is done. ``job`` is the id that a later job can refine; ``result`` is what its kind reads."""

    job: str
    result: Any


@dataclass(frozen=True)
class Failed:
    """The job ended with one sentence for the user; ``details`` is for the log."""

    message: str
    details: str = ""


@dataclass(frozen=True)
class Stopped:
    """The job was cancelled."""


Event = Progressed | Finished | Failed | Stopped


def worker_command() -> list[str]:
    """How to start the worker with the interpreter of this application."""
    return [shutil.which("PythonSlicer") or sys.executable, "-m", "pgt.worker"]


class WorkerClient:
    """Owns the child process. One job at a time; after a crash the next job starts a new process."""

    def __init__(self, command: Callable[[], Sequence[str]] = worker_command) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None
        self._log: IO[bytes] | None = None
        self._ids = itertools.count(1)
        self._job: str | None = None
        self._kind = ""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._kill_at: float | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self._job is not None

    @property
    def alive(self) -> bool:
        """Whether the child process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def process_id(self) -> int | None:
        """The child's process id, None while there is no child."""
        return self._process.pid if self._process else None

    def submit(self, kind: str, write: Callable[[Path], None], previous: str | None = None) -> str:
        """Start a job.

        Args:
            kind: a key of `pgt.job_kinds.KINDS`.
            write: prepares the job in the empty folder that it is given: the ``write_job`` of that kind, with
                its arguments. The folder is removed when the job has ended, however it ends.
            previous: id of the finished job of this kind that this one refines.

        Returns:
            The id of the job.

        Raises:
            RuntimeError: a job is under way.
            OSError: the job's arrays cannot be written, or the process cannot be started.
        """
        if self.busy:
            raise RuntimeError("The worker is still busy with another job.")
        self._folder = tempfile.TemporaryDirectory(prefix="pgt-job-", ignore_cleanup_errors=True)
        try:
            write(Path(self._folder.name))
            if not self.alive:
                self._start()
            job = str(next(self._ids))
            self._send({"id": job, "command": kind, "job": self._folder.name, "previous": previous})
        except BaseException:
            self._folder.cleanup()
            raise
        self._job, self._kind = job, kind
        return job

    def cancel(self) -> None:
        """Ask the job to stop; :meth:`poll` ends the process if it does not within a second."""
        if self._job is None or self._kill_at is not None:
            return
        self._kill_at = time.monotonic() + CANCEL_SECONDS
        with contextlib.suppress(OSError):
            self._send({"id": str(next(self._ids)), "command": "cancel", "target": self._job})

    def poll(self) -> list[Event]:
        """What has happened since the last call, oldest first. Never waits."""
        events: list[Event] = []
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            event = self._crashed() if line is None else self._understand(line)
            if event is not None:
                events.append(event)
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            self._kill()
            self._forget_job()
            events.append(Stopped())
        return events

    def close(self) -> None:
        """End the process and remove what it left."""
        self._kill()
        self._forget_job()

    def _start(self) -> None:
        self._kill()
        # A queue of its own: the end of an earlier process must not be taken for the end of this one.
        self._lines = queue.SimpleQueue()
        self._log = tempfile.TemporaryFile(prefix="pgt-worker-")  # noqa: SIM115 - lives as long as the process
        hidden_console = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}
        self._process = subprocess.Popen(
            list(self._command()),
            cwd=_MODULE_FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
            **hidden_console,
        )
        self._reader = threading.Thread(
            target=_move_lines,
            args=(self._process.stdout, self._lines),
            name="pgt-worker-output",
            daemon=True,
        )
        self._reader.start()

    def _send(self, request: Mapping[str, Any]) -> None:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _understand(self, line: str) -> Event | None:
        try:
            event = json.loads(line)
        except ValueError:
            return None
        if not isinstance(event, dict) or self._job is None or event.get("id") != self._job:
            return None
        kind = event.get("event")
        if kind == "progress":
            return Progressed(event["done"], event["total"], event["seconds"], event["message"])
        if kind == "result":
            return self._finished(event)
        if kind == "cancelled":
            self._forget_job()
            return Stopped()
        if kind == "error":
            self._forget_job()
            return Failed(event["message"], event.get("details", ""))
        return None

    def _finished(self, event: Mapping[str, Any]) -> Event:
        from pgt.errors import PGTError

        job = str(event["id"])
        cancelled = self._kill_at is not None
        try:
            if cancelled:
                return Stopped()
            return Finished(job, KINDS[self._kind].load().read_result(Path(event["job"])))
        except PGTError as error:
            return Failed(str(error))
        finally:
            self._forget_job()

    def _crashed(self) -> Event | None:
        """The child's output ended."""
        cancelled, busy = self._kill_at is not None, self.busy
        status = self._process.wait() if self._process else None
        details = self._log_tail()
        self._kill()
        self._forget_job()
        if not busy:
            return None
        if cancelled:
            return Stopped()
        return Failed(
            f"The worker stopped by itself (exit status {status}). Your annotation is untouched; try again.",
            details,
        )

    def _log_tail(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LOG_TAIL_CHARACTERS))
        return self._log.read().decode("utf-8", errors="replace")

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    stream.close()
        if self._log is not None:
            self._log.close()
        self._process = self._log = None

    def _forget_job(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
        self._job = self._folder = self._kill_at = None


def _move_lines(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Every line, then None at the end of the output."""
    with contextlib.suppress(ValueError, OSError):
        for line in stream:
            lines.put(line)
    lines.put(None)
