"""The child process that does the heavy work: ``python -m pgt.worker``.

A host (Slicer, or anything else that can start a process) keeps one worker alive, so that torch is imported and the
model is loaded once. A crash in here costs the host a message and a restart, never the annotation.

Protocol, version 1
-------------------
One JSON object a line, UTF-8: requests on standard input, events on standard output. Standard output carries nothing
else: whatever a library prints goes to standard error, which the host must drain or send to a file. Arrays travel as
``.npy`` files in a *job folder* that the host creates, owns and removes (see `pgt.jobs`, which both sides may import).

Requests, each with an ``id`` (a string, chosen by the host, not used before in this process)::

    {"id": "7", "command": "propagate", "job": "/path/of/job_folder", "previous": "5"}
    {"id": "8", "command": "cancel", "target": "7"}
    {"id": "9", "command": "ping"}
    {"id": "10", "command": "shutdown"}

``previous`` is optional: the id of the propagation that this one refines. Where the worker still holds its result, only
what changed is computed again; where it does not, everything is. The result is the same.

Events::

    {"id": null, "event": "ready", "protocol": 1, "version": "0.1.0", "pid": 4242}        once, at start
    {"id": "7", "event": "progress", "done": 12, "total": 80, "seconds": 3.1, "message": "Slice 40"}
    {"id": "7", "event": "result", "job": "/path/of/job_folder"}                    then pgt.jobs.read_result(job)
    {"id": "7", "event": "error", "kind": "input", "message": "One sentence for the user.", "details": "traceback"}
    {"id": "7", "event": "cancelled", "exiting": false}
    {"id": "9", "event": "pong", "running": "7"}                                          at any time; null when idle

Every ``propagate`` ends with exactly one of result, error and cancelled. Jobs run one at a time, in the order asked.
``kind`` is one of input (the user can mend it), checkpoint, device, memory, internal (a defect; ``details`` says where)
and protocol (the request itself; its id where it had one, else null).

Cancelling takes less than a second. A computation that does not stop by itself within `CANCEL_GRACE_SECONDS` is ended
together with the process: the cancelled event then says ``"exiting": true``, the exit status is `EXIT_CANCELLED`, and
the host starts a new worker for its next job. A host that hears nothing at all one second after its cancel kills the
process.

The process ends with status 0 after ``shutdown`` and when standard input closes, which is how it notices that its host
has died. Any other end without an event is a crash.
"""
