"""Run lint, types and the test suites, each in a process of its own: `run_suites.py [SUITE ...]`.

Own processes, because VTK, Qt and ITK do not always bear one another. A suite whose engine this machine
lacks is left out with the reason, and the others still run; where CI=true is set that is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from system_libraries import missing_for_offscreen_qt

PROJECT = Path(__file__).resolve().parent.parent
PYTEST = (sys.executable, "-m", "pytest")
SLOWEST = ("--durations=5", "--durations-min=5")


@dataclass(frozen=True)
class Suite:
    """One command of the test run; `lacking` answers with why this machine cannot run it, or None."""

    name: str
    title: str
    command: tuple[str, ...]
    lacking: Callable[[], str | None] = lambda: None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    suite: Suite
    verdict: str
    seconds: float = 0.0
    failed: bool = False


def engine_lacking() -> str | None:
    if imports("slicer"):
        return None
    return (
        "slicer-core does not load; it has wheels for CPython 3.10 to 3.13 on x86-64 Linux, Windows and macOS"
    )


def qt_lacking() -> str | None:
    if reason := engine_lacking():
        return reason
    if packages := missing_for_offscreen_qt():
        return f"Qt needs system libraries; on Debian and Ubuntu: apt-get install {' '.join(packages)}"
    return None if imports("PySide6.QtWidgets") else "PySide6 has no wheel for this Python or platform"


def imports(module: str) -> bool:
    """Whether the module imports, asked of a fresh process: a broken library may take its process down."""
    return (
        subprocess.run(
            [sys.executable, "-c", f"import {module}"], capture_output=True, check=False
        ).returncode
        == 0
    )


SUITES = (
    Suite("lint", "Lint (ruff)", (sys.executable, "-m", "ruff", "check", ".")),
    Suite(
        "format", "Layout (ruff format)", (sys.executable, "-m", "ruff", "format", "--check", "--quiet", ".")
    ),
    Suite("types", "Types of the core (mypy)", (sys.executable, "-m", "mypy")),
    Suite("core", "Core, layers and repository (Testing/Python)", (*PYTEST, "Testing/Python", *SLOWEST)),
    Suite(
        "slicer", "On Slicer's engine (Testing/Slicer)", (*PYTEST, "Testing/Slicer", *SLOWEST), engine_lacking
    ),
    Suite(
        "gui",
        "Panels off screen (Testing/Gui)",
        (*PYTEST, "Testing/Gui", *SLOWEST),
        qt_lacking,
        {"QT_QPA_PLATFORM": "offscreen"},
    ),
)


def run(suite: Suite) -> Outcome:
    print(f"\n=== {suite.title} ===", flush=True)
    if reason := suite.lacking():
        print(f"*** LEFT OUT: {reason} ***", flush=True)
        return Outcome(suite, f"LEFT OUT: {reason}", failed=os.environ.get("CI", "").lower() in ("1", "true"))
    start = time.monotonic()
    code = subprocess.run(
        suite.command, cwd=PROJECT, env=os.environ | suite.environment, check=False
    ).returncode
    return Outcome(suite, f"FAILED (exit {code})" if code else "passed", time.monotonic() - start, bool(code))


def main(names: list[str]) -> int:
    unknown = set(names) - {suite.name for suite in SUITES}
    if unknown:
        print(f"No suite named {', '.join(sorted(unknown))}; there are: {', '.join(s.name for s in SUITES)}")
        return 2
    outcomes = [run(suite) for suite in SUITES if not names or suite.name in names]
    print("\n=== Summary ===")
    for outcome in outcomes:
        print(f"{outcome.seconds:7.1f} s  {outcome.suite.title}: {outcome.verdict}")
    return int(any(outcome.failed for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
