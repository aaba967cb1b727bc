"""An export as a job of the worker; the folder's rules stand in `pgt.job_files`.

``job.json``: ``asked``, an `AskedExport`; files of handed cases lie in the folder as well. ``result.json``:
``outcome``, an `ExportOutcome`.

The export is written into its own folder, not into the job folder, so that one that was stopped, or whose
process was ended, can go on (`pgt.export.exporting`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pgt.case_table import CaseRow, write_case_table
from pgt.errors import InputError, OutputError
from pgt.export.case_list_job import AskedCases, told
from pgt.export.case_state import CaseAgreement, CaseState
from pgt.export.export_settings import ExportSettings
from pgt.export.exporting import ExportReport
from pgt.export.exporting import Report as Told
from pgt.export.selection import LeftOut
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


@dataclass(frozen=True)
class ExportOutcome:
    """What came of it.

    Args:
        report: of the cases that are written.
        failed: cases that could not be exported, and why; with any, the export is not whole.
    """

    report: ExportReport
    failed: tuple[LeftOut, ...] = ()


def write_job(folder: Path, asked: AskedExport) -> None:
    """Write what is asked for into a folder that holds nothing but files of handed cases."""
    write_job_file(folder, {"asked": to_plain(asked)})


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Read all cases as they are now, and export those that pass the filter."""
    try:
        asked = from_plain(AskedExport, read_job_file(folder)["asked"])
    except (KeyError, TypeError) as error:
        raise not_this_job(folder, "export", error) from error
    tell = told(report, cancelled)
    cases = asked.listed.read(tell) if asked.listed is not None else ()
    cases = joined(cases, read_handed(asked.handed, folder, tell))
    outcome = export_each(cases, asked.settings, asked.folder, tell, cancelled)
    write_result_file(folder, {"outcome": to_plain(outcome)})


def read_result(folder: Path) -> ExportOutcome:
    """Read what `run` added."""
    return from_plain(ExportOutcome, read_result_file(folder)["outcome"])


def export_each(
    cases: Sequence[CaseState],
    settings: ExportSettings,
    folder: Path,
    tell: Told,
    cancelled: IsCancelled,
) -> ExportOutcome:
    """As `pgt.export.exporting.export_cases`, but a case that cannot be exported does not stop the others.

    Raises:
        InputError: it shows before anything is written that a case cannot be exported as asked.
        OutputError: the folder holds something else, or cannot be written.
        Cancelled: the user stopped it.
    """
    from pgt.export.exporting import export_one, finish_export, place_of, report_of
    from pgt.export.planning import plan_export

    plan, chosen = plan_export(cases, settings, tell, cancelled)
    failed: list[LeftOut] = []
    with place_of(plan, folder).claimed(settings.overwrite) as claimed:
        if not claimed.complete:
            for number, case in enumerate(chosen):
                tell(number, len(chosen), f"Exporting {case.case}")
                if case.case not in claimed.done:
                    try:
                        export_one(case, plan, folder)
                    except OutputError:
                        # A full disk is no fault of the case, and the next one would meet it too.
                        raise
                    except InputError as error:
                        failed.append(LeftOut(case.case, str(error)))
            if not failed:
                finish_export(plan, chosen, folder)
        report = report_of(plan, folder, claimed.done)
    missing = {one.case for one in failed}
    written = tuple(case for case in report.exported if case not in missing)
    return ExportOutcome(replace(report, exported=written), tuple(failed))


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
