"""``pgt``: the core's door outside Slicer, for batch work, servers and checks.

Exit status 0 when the work is done, 2 with one sentence on standard error when something that was given
cannot be used, 3 when some cases of a list are not done, 130 after Ctrl-C and 143 when told to end. The
commands are in `pgt.commands`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class _Terminated(BaseException):
    """The process was told to end."""


def main() -> NoReturn:
    """Run the process's own command line and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        status = run()
    except _Terminated:
        status = EXIT_TERMINATED
    if status in (EXIT_INTERRUPTED, EXIT_TERMINATED):
        # At once: Python would take its time, and end by signal where it remembers an unhandled interrupt.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (None: the process's own) and return its exit status."""
    from pgt.errors import Cancelled

    said = "Cancelled; nothing was written."
    try:
        status = _run(arguments)
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    except Cancelled as cancelled:  # what was done before stays
        status, said = EXIT_INTERRUPTED, str(cancelled)
    if status == EXIT_INTERRUPTED:
        print(f"pgt: {said}", file=sys.stderr)
    return status


def _run(arguments: Sequence[str] | None) -> int:
    from pgt.commands.application import UsageError, app
    from pgt.errors import Cancelled, PGTError

    try:
        status = app(args=arguments, prog_name="pgt", standalone_mode=False)
    except Cancelled:
        raise
    except PGTError as error:
        return _refuse(str(error))
    except UsageError as error:
        return _refuse(error.format_message())
    return status if isinstance(status, int) else 0


def _refuse(sentence: str) -> int:
    if sentence:  # empty where no command was given and the help has been shown
        print(f"pgt: {sentence}", file=sys.stderr)
    return EXIT_BAD_INPUT


def _terminate(signal_number: int, frame: FrameType | None) -> NoReturn:
    """Leave through every clean-up when told to end."""
    raise _Terminated
