"""Reading a case list as a job of the worker; the folder's rules stand in `pgt.job_files`.

``job.json``: ``asked``, an `AskedCases`. ``result.json``: ``cases``, a list of `CaseState`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pgt.errors import Cancelled
from pgt.export.case_state import CaseState
from pgt.export.exporting import Report as Told
from pgt.job_files import (
    not_this_job,
    read_job_file,
    read_result_file,
    write_job_file,
    write_result_file,
)
from pgt.job_kinds import IsCancelled, JobState, Report
from pgt.plain_data import from_plain, to_plain
from pgt.progress import Progress


@dataclass(frozen=True)
class AskedCases:
    """A case list, and what else is known of its cases: see `pgt.export.case_list.read_cases`.

    Args:
        path: a table, or a folder of scenes.
        agreement: folder of an agreement report.
        suspects: list of suspicious cases.
        series: folder with a DICOM series in a folder for each case.
    """

    path: Path
    agreement: Path | None = None
    suspects: Path | None = None
    series: Path | None = None

    def read(self, progress: Told | None = None) -> tuple[CaseState, ...]:
        """The cases.

        Raises:
            InputError: see `pgt.export.case_list.read_cases`.
        """
        from pgt.export.case_list import read_cases

        return read_cases(self.path, self.agreement, self.suspects, self.series, progress)


def write_job(folder: Path, asked: AskedCases) -> None:
    """Write what is asked for into an existing, empty folder."""
    write_job_file(folder, {"asked": to_plain(asked)})


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Read every label of the list."""
    try:
        asked = from_plain(AskedCases, read_job_file(folder)["asked"])
    except (KeyError, TypeError) as error:
        raise not_this_job(folder, "case list", error) from error
    cases = asked.read(told(report, cancelled))
    write_result_file(folder, {"cases": to_plain(cases)})


def read_result(folder: Path) -> tuple[CaseState, ...]:
    """Read what `run` added."""
    return from_plain(tuple[CaseState, ...], read_result_file(folder)["cases"])


def told(report: Report, cancelled: IsCancelled) -> Told:
    """What to call after every case: tells the host, and raises Cancelled where the user wants it to stop."""
    started = time.monotonic()

    def tell(done: int, total: int, message: str) -> None:
        if cancelled():
            raise Cancelled()
        report(Progress(done, total, time.monotonic() - started, message))

    return tell
