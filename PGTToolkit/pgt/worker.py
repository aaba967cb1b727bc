"""The child process that does the heavy work: ``python -m pgt.worker``.

A host (Slicer, or anything else that can start a process) keeps one worker alive, so that torch is
imported and the model is loaded once. A crash in here costs the host a message and a restart, never the
annotation.

Protocol, version 1
-------------------
One JSON object a line, UTF-8: requests on standard input, events on standard output. Standard output
carries nothing else: whatever a library prints goes to standard error, which the host must drain or send
to a file. Arrays travel in files in a *job folder* that the host creates, owns and removes (see
`pgt.job_files`).

Requests, each with an ``id`` (a string, chosen by the host, not used before in this process)::

    {"id": "7", "command": "propagate", "job": "/path/of/job_folder", "previous": "5"}
    {"id": "8", "command": "agree", "job": "/path/of/another_folder"}
    {"id": "9", "command": "cancel", "target": "7"}
    {"id": "10", "command": "ping"}
    {"id": "11", "command": "shutdown"}

Each kind of job is a command of its own. `pgt.job_kinds.KINDS` names them and the module of each, which both
sides import: its ``write_job`` puts into the folder what is asked for, its ``run`` does it in here, its
``read_result`` reads what came of it. A kind that is not in that table is a request that is not understood.

``previous`` is optional: the id of the job of the same kind that this one refines. Where the worker still
holds what it needs of that one, only what changed is computed again; where it does not, everything is. Same
result.

Events::

    {"id": null, "event": "ready", "protocol": 1, "version": "0.1.0", "pid": 4242}      once, at start
    {"id": "7", "event": "progress", "done": 12, "total": 80, "seconds": 3.1, "message": "Slice 40"}
    {"id": "7", "event": "result", "job": "/path/of/job_folder"}        then read_result(job) of its kind
    {"id": "7", "event": "error", "kind": "input", "message": "One sentence.", "details": "traceback"}
    {"id": "7", "event": "cancelled", "exiting": false}
    {"id": "10", "event": "pong", "running": "7"}                        at any time; null when idle

Every job ends with exactly one of result, error and cancelled. Jobs run one at a time, in the order asked.
``done`` and ``total`` count what the kind counts: slices, comparisons. An error's ``kind`` is one of input
(the user can mend it), checkpoint, device, memory, internal (a defect; ``details`` says where) and protocol
(the request itself; its id where it had one, else null).

Cancelling takes less than a second. A computation that does not stop by itself within
`CANCEL_GRACE_SECONDS` is ended together with the process: the cancelled event then says ``"exiting":
true``, the exit status is `EXIT_CANCELLED`, and the host starts a new worker for its next job. A host
that hears nothing at all one second after its cancel kills the process.

The process ends with status 0 after ``shutdown`` and when standard input closes, which is how it notices
that its host has died. Any other end without an event is a crash.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from pgt import __version__
from pgt.errors import Cancelled, CheckpointError, DeviceError, InputError, PGTError
from pgt.job_kinds import KINDS, JobState
from pgt.progress import Progress

PROTOCOL_VERSION = 1
CANCEL_GRACE_SECONDS = 0.5
EXIT_CANCELLED = 75

Request = dict[str, Any]


class EventWriter:
    """Standard output, owned by the protocol alone. Any thread may send."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    @classmethod
    def owning_standard_output(cls) -> EventWriter:
        """Take standard output away from everyone else, C libraries included, who write to standard error."""
        stream = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return cls(stream)

    def send(self, identifier: str | None, event: str, **fields: Any) -> None:
        """Send one event, whole and at once; to a host that is gone it is not sent."""
        line = json.dumps({"id": identifier, "event": event, **fields})
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                os._exit(0)


@dataclass(eq=False)
class Job:
    """Work that was asked for; ``kind`` is a key of `KINDS`."""

    identifier: str
    kind: str
    folder: Path
    previous: str | None
    cancelled: threading.Event = field(default_factory=threading.Event)


class Worker:
    """Runs jobs one at a time on the calling thread while another thread listens."""

    def __init__(self, requests: TextIO, events: EventWriter) -> None:
        self._requests = requests
        self._events = events
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._unfinished: dict[str, Job] = {}
        self._running: Job | None = None
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, Any]] = {}

    def run(self) -> None:
        """Work until shutdown or the end of the requests."""
        self._events.send(None, "ready", protocol=PROTOCOL_VERSION, version=__version__, pid=os.getpid())
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        while (job := self._queue.get()) is not None:
            with self._lock:
                self._running = job
            ending = self._end_of(job)
            with self._lock:
                self._running = None
                still_open = self._unfinished.pop(job.identifier, None) is not None
            if still_open:
                ending()

    # --- the listening thread

    def _listen(self) -> None:
        for line in self._requests:
            if line.strip():
                self._receive(line)
        self._leave(exit_status=0)

    def _receive(self, line: str) -> None:
        identifier = None
        try:
            request = json.loads(line)
            identifier = request.get("id")
            commands = {"ping": self._ping, "cancel": self._cancel, "shutdown": self._shutdown}
            commands.update(dict.fromkeys(KINDS, self._accept))
            commands[request["command"]](request)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            sentence = f"The worker does not understand the request {line.strip()[:200]!r}."
            self._events.send(identifier, "error", kind="protocol", message=sentence, details=repr(error))

    def _ping(self, request: Request) -> None:
        running = self._running
        self._events.send(request["id"], "pong", running=running.identifier if running else None)

    def _accept(self, request: Request) -> None:
        job = Job(request["id"], request["command"], Path(request["job"]), request.get("previous"))
        with self._lock:
            if job.identifier in self._unfinished:
                raise ValueError(f"the id {job.identifier!r} is taken")
            self._unfinished[job.identifier] = job
        self._queue.put(job)

    def _cancel(self, request: Request) -> None:
        with self._lock:
            job = self._unfinished.get(request["target"])
            if job is None:
                return
            job.cancelled.set()
            waiting = job is not self._running
            if waiting:
                del self._unfinished[job.identifier]
        if waiting:
            self._events.send(job.identifier, "cancelled", exiting=False)
        else:
            timer = threading.Timer(CANCEL_GRACE_SECONDS, self._abandon, [job])
            timer.daemon = True
            timer.start()

    def _abandon(self, job: Job) -> None:
        """End a cancelled job that did not stop by itself, and the process with it."""
        with self._lock:
            if self._unfinished.pop(job.identifier, None) is None:
                return
        self._events.send(job.identifier, "cancelled", exiting=True)
        self._leave(EXIT_CANCELLED)

    def _shutdown(self, request: Request) -> None:
        self._leave(exit_status=0)

    def _leave(self, exit_status: int) -> None:
        """End the process at once: nothing in here outlives it, and a computation cannot be waited for."""
        os._exit(exit_status)

    # --- the computing thread

    def _end_of(self, job: Job) -> Callable[[], None]:
        """Run a job and return what reports its end."""
        identifier, send = job.identifier, self._events.send

        def failed(kind: str, message: str) -> Callable[[], None]:
            details = traceback.format_exc()
            return lambda: send(identifier, "error", kind=kind, message=message, details=details)

        noun = KINDS[job.kind].noun
        try:
            self._compute(job)
        except Cancelled:
            return lambda: send(identifier, "cancelled", exiting=False)
        except PGTError as error:
            return failed(_kind(error), str(error))
        except MemoryError:
            return failed("memory", f"There is not enough memory for this {noun}.")
        except Exception as error:
            return failed("internal", f"The {noun} failed: {type(error).__name__}: {error}")
        return lambda: send(identifier, "result", job=str(job.folder))

    def _compute(self, job: Job) -> None:
        if job.cancelled.is_set():
            raise Cancelled

        def report(progress: Progress) -> None:
            self._events.send(
                job.identifier,
                "progress",
                done=progress.done,
                total=progress.total,
                seconds=progress.seconds,
                message=progress.message,
            )

        # The host removes this folder, also after a crash.
        tempfile.tempdir = str(job.folder)
        kept: list[Any] = []
        state = JobState(self._kept_of(job), kept.append)
        KINDS[job.kind].load().run(job.folder, report, job.cancelled.is_set, state)
        if kept:
            self._kept[job.kind] = (job.identifier, kept[-1])

    def _kept_of(self, job: Job) -> Any:
        """What the job that this one refines has kept; only the newest of its kind is held."""
        identifier, kept = self._kept.get(job.kind, (None, None))
        return kept if identifier is not None and identifier == job.previous else None


def _kind(error: PGTError) -> str:
    kinds = {InputError: "input", CheckpointError: "checkpoint", DeviceError: "device"}
    return next((kind for type_, kind in kinds.items() if isinstance(error, type_)), "internal")


def main() -> None:
    """Serve one host until it has had enough."""
    events = EventWriter.owning_standard_output()
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    Worker(requests, events).run()


if __name__ == "__main__":
    main()
