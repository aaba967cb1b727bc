"""One case of a list: what to do, what it is made from, what it leaves, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

from pgt.errors import InputError

CaseEnd = Literal["done", "kept", "outdated", "failed", "not run"]
"""How a case ended: done in this run; kept, as an earlier run did it; outdated, as an earlier run did it from
other inputs or settings; failed; or not run, because the run was stopped before."""

Work = Callable[[Any, Path], Mapping[str, Any]]

_LONGEST_NAME = 200


@dataclass(frozen=True)
class CaseTask:
    """One case.

    Args:
        case: its name, which becomes the name of its folder among the results.
        function: called as ``function(arguments, folder)`` in a worker. It writes ``outputs`` into the
            folder, which is new and empty, and returns a few numbers and words for the summary (as JSON has
            them). It stands at the top of a module, since it travels to the worker by name.
        arguments: a frozen dataclass that can be pickled.
        inputs: files or folders that the result is made from, by what they are to a user (``image``).
        settings: whatever else the result depends on, as JSON has it.
        outputs: names of the files that the function leaves in the folder; None where it decides by itself.
    """

    case: str
    function: Work
    arguments: Any
    inputs: Mapping[str, Path]
    settings: Mapping[str, Any]
    outputs: tuple[str, ...] | None


@dataclass(frozen=True)
class CaseOutcome:
    """How a case ended.

    Args:
        case: its name.
        end: see `CaseEnd`.
        seconds: that the last attempt took; of a case that is kept, those of then.
        attempts: how often it was begun, in all.
        reason: one sentence on why it is not done; empty where it is.
        results: what the function returned.
        worker: where it was done.
        again: whether another attempt might end better.
    """

    case: str
    end: CaseEnd
    seconds: float = 0.0
    attempts: int = 0
    reason: str = ""
    results: Mapping[str, Any] = field(default_factory=dict)
    worker: str = ""
    again: bool = False

    @property
    def good(self) -> bool:
        """Whether the case's results are there and belong to its inputs and settings."""
        return self.end in ("done", "kept")


def check_tasks(tasks: Sequence[CaseTask]) -> None:
    """Refuse a list whose cases would get into each other's way.

    Raises:
        InputError: a name cannot be that of a folder, two names are the same to some file system, or a
            function cannot be found by its name.
    """
    seen: dict[str, str] = {}
    for number, task in enumerate(tasks):
        check_case_name(task.case)
        other = seen.setdefault(task.case.casefold(), f"{number} {task.case}")
        if other != f"{number} {task.case}":
            raise InputError(
                f"The cases {other.split(' ', 1)[1]!r} and {task.case!r} would share one folder of results."
            )
        if "<" in task.function.__qualname__ or task.function.__module__ == "__main__":
            raise TypeError(f"{task.function.__qualname__} does not stand at the top of a module")


def check_case_name(name: str) -> None:
    """Refuse a name that cannot be that of a folder on every system. Raises InputError."""
    if (
        not name
        or set('<>:"/\\|?*') & set(name)
        or not name.isprintable()
        or PureWindowsPath(name).is_reserved()
        or name != name.strip()
        or name.startswith(".")
        or name.endswith(".")
        or len(name.encode()) > _LONGEST_NAME
    ):
        raise InputError(f"The case name {name!r} cannot be the name of a folder; give it another one.")
