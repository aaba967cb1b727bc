"""What a list of cases has come to, in two files beside the cases' folders, kept up to date while it runs.

``cases.json``: ``schema`` ``pgt-cases``, ``version``; ``command``; ``state`` (``running``, ``ended`` or
``stopped``) and ``stopped``, the sentence why; ``counts`` of cases by state; and ``cases``, each with
``case``, ``state`` (`pgt.scale.case_task.CaseEnd`, or ``waiting``), ``seconds``, ``attempts``, ``reason``,
``worker``, ``folder`` and ``results``.

``CASES.csv``: the cases whose results are there, as other commands take them (`pgt.case_table`).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pgt.case_table import CaseRow, write_case_table
from pgt.errors import InputError, OutputError
from pgt.output_files import write_text
from pgt.scale.case_task import CaseOutcome

SUMMARY = "cases.json"
RESULTS = "CASES.csv"
SCHEMA = "pgt-cases"
VERSION = 1

_WRITE_AGAIN_SECONDS = 1.0


@dataclass
class CaseSummary:
    """Keeps both files.

    Args:
        command: that runs the list, in words.
        folder: of the results.
        staging: where files are written before they are put in their place.
        rows: the cases as they were listed.
        labels: the result of each case that is its label map, by case; empty where cases have none, and then
            no ``CASES.csv`` is written.
        left_out: columns of the list that say nothing of the results.
    """

    command: str
    folder: Path
    staging: Path
    rows: Sequence[CaseRow]
    labels: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    outcomes: dict[str, CaseOutcome] = field(default_factory=dict)
    _written: float = -1e9

    def add(self, outcome: CaseOutcome) -> None:
        """Take note of a case that ended; the files follow within about a second."""
        self.outcomes[outcome.case] = outcome
        if time.monotonic() - self._written > _WRITE_AGAIN_SECONDS:
            self.write("running")

    def write(self, state: str, stopped: str = "") -> None:
        """Write both files. Raises OutputError."""
        ends = Counter(self._end(row.case) for row in self.rows)
        content = {
            "schema": SCHEMA,
            "version": VERSION,
            "command": self.command,
            "state": state,
            "stopped": stopped,
            "counts": dict(sorted(ends.items())),
            "cases": [self._case(row.case) for row in self.rows],
        }
        self._put(SUMMARY, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        good = [self._result(row) for row in self.rows if row.case in self.labels and self._is_good(row.case)]
        if self.labels:
            write_case_table(self.staging / RESULTS, good, overwrite=True)
            self._move(RESULTS)
        self._written = time.monotonic()

    def _end(self, case: str) -> str:
        return self.outcomes[case].end if case in self.outcomes else "waiting"

    def _is_good(self, case: str) -> bool:
        return case in self.outcomes and self.outcomes[case].good

    def _case(self, case: str) -> dict[str, Any]:
        outcome = self.outcomes.get(case)
        if outcome is None:
            return {"case": case, "state": "waiting"}
        return {
            "case": case,
            "state": outcome.end,
            "seconds": outcome.seconds,
            "attempts": outcome.attempts,
            "reason": outcome.reason,
            "worker": outcome.worker,
            "folder": case if outcome.end in ("done", "kept", "outdated") else None,
            "results": outcome.results,
        }

    def _result(self, row: CaseRow) -> CaseRow:
        others = {name: value for name, value in row.others.items() if name not in self.left_out}
        return replace(row, label=self.folder / row.case / self.labels[row.case], others=others)

    def _put(self, name: str, text: str) -> None:
        write_text(self.staging / name, text, overwrite=True)
        self._move(name)

    def _move(self, name: str) -> None:
        try:
            (self.staging / name).replace(self.folder / name)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"{self.folder / name} cannot be written: {reason}.") from error


def check_folder(folder: Path, table: Path, force: bool) -> None:
    """Refuse a folder of results where the summary would replace what no run of cases wrote.

    Raises:
        OutputError: a file of that name is an input, or is there and was not written by an earlier run.
    """
    for name in (SUMMARY, RESULTS):
        path = folder / name
        if path.resolve() == table.resolve():
            raise OutputError(f"{path} is an input of this command and is not replaced; name another folder.")
        if path.exists() and not force and not _is_summary(folder / SUMMARY):
            raise OutputError(f"{path} exists already; give --force to replace it.")


def check_names(cases: Sequence[str]) -> None:
    """Refuse cases that go by the name of a summary file. Raises InputError."""
    taken = {SUMMARY.casefold(), RESULTS.casefold()} & {case.casefold() for case in cases}
    if taken:
        raise InputError(f"A case cannot be called {min(taken)}: the list's summary goes by that name.")


def _is_summary(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("schema") == SCHEMA
