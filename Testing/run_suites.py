"""Run lint, types and the test suites, each in a process of its own: `run_suites.py [SUITE ...]`.

Own processes, because VTK, Qt and ITK do not always bear one another. A suite whose engine this machine
lacks is left out with the reason, and the others still run; with CI=true, what could be installed must be.
"""

from __future__ import annotations

import importlib.metadata
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
TWO_FILES_AT_ONCE = ("--numprocesses=2", "--dist=loadfile")
"""Most tests of the core are short; much of the time goes into starting the command line and into waiting."""


@dataclass(frozen=True)
class Lack:
    """Why this machine cannot run a suite, and whether installing something would help."""

    reason: str
    mendable: bool = False


@dataclass(frozen=True)
class Suite:
    """One command of the test run; `lacking` answers with what this machine lacks for it, or None."""

    name: str
    title: str
    command: tuple[str, ...]
    lacking: Callable[[], Lack | None] = lambda: None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    suite: Suite
    verdict: str
    seconds: float = 0.0
    failed: bool = False


def types_lacking() -> Lack | None:
    if sys.version_info >= (3, 11):
        return None
    return Lack("the types of NumPy that the core is checked against need Python 3.11")


def engine_lacking() -> Lack | None:
    if installed("slicer-core"):
        return None
    return Lack(
        "slicer-core has wheels for CPython 3.10 to 3.13 on x86-64 Linux, Windows and macOS, not for this"
    )


def qt_lacking() -> Lack | None:
    if lack := engine_lacking():
        return lack
    if not installed("PySide6-Essentials"):
        return Lack("PySide6 has no wheel for this Python or platform")
    if packages := missing_for_offscreen_qt():
        wanted = " ".join(packages)
        return Lack(
            f"Qt needs system libraries; on Debian and Ubuntu: apt-get install {wanted}", mendable=True
        )
    return None


def installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


SUITES = (
    Suite("lint", "Lint (ruff)", (sys.executable, "-m", "ruff", "check", "--output-format=concise", ".")),
    Suite("types", "Types of the core (mypy)", (sys.executable, "-m", "mypy"), types_lacking),
    Suite(
        "core",
        "Core, layers and repository (Testing/Python)",
        (*PYTEST, "Testing/Python", *TWO_FILES_AT_ONCE, *SLOWEST),
        environment={"OMP_NUM_THREADS": "1"},
    ),
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
    if lack := suite.lacking():
        print(f"*** LEFT OUT: {lack.reason} ***", flush=True)
        in_ci = os.environ.get("CI", "").lower() in ("1", "true")
        return Outcome(suite, f"LEFT OUT: {lack.reason}", failed=in_ci and lack.mendable)
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
