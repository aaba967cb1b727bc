"""An export as a job of the worker; the folder's rules stand in `pgt.job_files`.

``job.json``: ``asked``, an `AskedExport`; files of handed cases lie in the folder as well. ``result.json``:
``report``, an `ExportReport`.

The export is written into its own folder, not into the job folder, so that one that was stopped, or whose
process was ended, can go on (`pgt.export.exporting`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pgt.case_table import CaseRow, write_case_table
from pgt.errors import InputError
from pgt.export.case_list_job import AskedCases, told
from pgt.export.case_state import CaseAgreement, CaseState
from pgt.export.export_settings import ExportSettings
from pgt.export.exporting import ExportReport
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

_TABLE = "handed.csv"


@dataclass(frozen=True)
class HandedCase:
    """A case that is in no list, such as one of a host's scene.

    Args:
        case: its name.
        image: file that the host wrote.
        label: likewise, with slice states.
        series: folder of the DICOM series that was drawn on; None without one.
        rater: who answers for the label; empty if unknown.
        session: the sitting; empty if unknown.
        agreement: of raters; None if unknown.
    """

    case: str
    image: Path
    label: Path
    series: Path | None = None
    rater: str = ""
    session: str = ""
    agreement: CaseAgreement | None = None


@dataclass(frozen=True)
class AskedExport:
    """What to export.

    Args:
        listed: a case list; None without one.
        handed: cases that the host has beside it.
        settings: formats, filters and options.
        folder: where.
    """

    listed: AskedCases | None
    handed: tuple[HandedCase, ...]
    settings: ExportSettings
    folder: Path


def write_job(folder: Path, asked: AskedExport) -> None:
    """Write what is asked for into a folder that holds nothing but files of handed cases."""
    write_job_file(folder, {"asked": to_plain(asked)})


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Read all cases as they are now, and export those that pass the filter."""
    from pgt.export.exporting import export_cases

    try:
        asked = from_plain(AskedExport, read_job_file(folder)["asked"])
    except (KeyError, TypeError) as error:
        raise not_this_job(folder, "export", error) from error
    tell = told(report, cancelled)
    cases = asked.listed.read(tell) if asked.listed is not None else ()
    cases = joined(cases, read_handed(asked.handed, folder, tell))
    found = export_cases(cases, asked.settings, asked.folder, tell, cancelled)
    write_result_file(folder, {"report": to_plain(found)})


def read_result(folder: Path) -> ExportReport:
    """Read what `run` added."""
    return from_plain(ExportReport, read_result_file(folder)["report"])


def read_handed(handed: Sequence[HandedCase], folder: Path, tell: Told) -> tuple[CaseState, ...]:
    """The states of handed cases, from their files.

    Args:
        handed: the cases.
        folder: where a table of them can be written.
        tell: is told cases read, cases in all, and what is being done.

    Raises:
        InputError: a file is missing or damaged, or a name is no file name.
    """
    if not handed:
        return ()
    from pgt.export.case_list import read_cases

    rows = [
        CaseRow(one.case, one.image, one.label, {"rater": one.rater, "session": one.session})
        for one in handed
    ]
    write_case_table(folder / _TABLE, rows)
    states = read_cases(folder / _TABLE, progress=tell)
    return tuple(
        replace(state, series=one.series, agreement=one.agreement)
        for state, one in zip(states, handed, strict=True)
    )


def joined(listed: Sequence[CaseState], handed: Sequence[CaseState]) -> tuple[CaseState, ...]:
    """All cases.

    Raises:
        InputError: two have one name.
    """
    names = {one.case.casefold() for one in listed}
    twice = [one.case for one in handed if one.case.casefold() in names]
    if twice:
        raise InputError(f"The case {twice[0]} is in the list and in the scene; take one of them out.")
    return (*listed, *handed)
