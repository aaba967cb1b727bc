"""Running ``pgt`` in tests, as a process of its own or, where that is enough, within this one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pgt
from pgt.cli import run

Argument = str | Path

# Commands run here start children, which inherit this; test machines are small and busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@contextlib.contextmanager
def running(arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A command under way, which heeds Ctrl-C wherever the tests were started, and is ended in any case.

    What a shell starts in the background ignores Ctrl-C, and so would whatever it starts in turn.
    """
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def environment(**variables: str) -> dict[str, str]:
    """An environment in which ``python -m pgt`` is the code under test, and threads are few."""
    return {
        **os.environ, "PYTHONPATH": str(Path(pgt.__file__).parents[1]), "OMP_NUM_THREADS": "1", **variables
    }  # fmt: skip


def command(*arguments: Argument) -> list[str]:
    return [sys.executable, "-m", "pgt", *map(str, arguments)]


def run_process(*arguments: Argument, **options: Any) -> Ended:
    """Run ``pgt`` as a user does."""
    ended = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=120, check=False,
        env=environment(), **options,
    )  # fmt: skip
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def run_here(capfd: pytest.CaptureFixture[str], *arguments: Argument) -> Ended:
    """Run ``pgt`` in this process, which saves starting one."""
    capfd.readouterr()
    status = run([str(argument) for argument in arguments])
    captured = capfd.readouterr()
    return Ended(status, captured.out, captured.err)


def refused(ended: Ended, *said: Argument) -> None:
    """The command ended with one clear sentence that says all of ``said``."""
    assert ended.status == 2, ended
    assert "Traceback" not in ended.err
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("pgt: ")
    for words in said:
        assert str(words) in lines[0]


def listing(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with what it holds, hidden ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def folders(folder: Path) -> Sequence[Path]:
    return [path for path in folder.rglob("*") if path.is_dir()]
