"""``pgt``: the core's door outside Slicer, for batch work, servers and checks.

Exit status 0 when the work is done, 2 with one sentence on standard error when something that was given
cannot be used, 130 after Ctrl-C. Commands live in `pgt.commands`, which import what is heavy only when they
run.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn, cast

import typer

from pgt import __version__
from pgt.commands import demo, propagate
from pgt.errors import PGTError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

# What typer raises for a wrong option; which package it comes from depends on typer's version.
_UsageError = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])

app = typer.Typer(
    name="pgt",
    help="Draw a few slices, get the whole volume.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("propagate")(propagate.propagate)
app.command("demo")(demo.demo)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"pgt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", help="Show the version.", is_eager=True, callback=_show_version
    ),
) -> None:
    """Draw a few slices, get the whole volume."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (None: the process's own) and return its exit status."""
    try:
        status = app(args=arguments, prog_name="pgt", standalone_mode=False)
    except PGTError as error:
        return _refuse(str(error))
    except _UsageError as error:
        return _refuse(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("Cancelled; nothing was written.", err=True)
        return EXIT_INTERRUPTED
    return status if isinstance(status, int) else 0


def _refuse(sentence: str) -> int:
    typer.echo(f"pgt: {sentence}", err=True)
    return EXIT_BAD_INPUT


def _terminate(signal_number: int, frame: FrameType | None) -> NoReturn:
    """Leave through every clean-up when asked to end."""
    sys.exit(EXIT_TERMINATED)
