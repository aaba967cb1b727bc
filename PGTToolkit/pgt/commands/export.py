"""``pgt export``: finished cases for those who train and archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgt.commands.case_lists import (
    DEFAULT_RETRIES,
    EXIT_CASES_FAILED,
    RETRIES,
    SCHEDULER,
    WORKERS,
    check_places,
)
from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.progress import ProgressBar
from pgt.errors import Cancelled, InputError, OutputError, PGTError
from pgt.export.export_settings import CaseFilter, ExportFormat, ExportSettings
from pgt.scale.case_runs import ScaleSettings

if TYPE_CHECKING:
    from pgt.export.exporting import ExportReport
    from pgt.export.exporting_by_workers import FailedCase

_LIST = "list"
_MOST_LEFT_OUT = 10
_WORTH_WORKERS = 8


class Only(str, Enum):
    """Which cases are wanted."""

    REVIEWED = "reviewed"


@dataclass(frozen=True)
class CaseSources:
    """Where the cases are, and what else is known of them."""

    cases: Path
    agreement: Path | None
    suspects: Path | None
    series: Path | None


def export(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[list] CASES.csv|FOLDER",
            help="A table (case, image, label, ...) or a folder of scenes; with list, only show the cases.",
        ),
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--cases", metavar="CASES.csv", help="The same, as other commands take it.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where the export goes.")
    ] = None,
    formats: Annotated[
        list[ExportFormat] | None, typer.Option("--format", help="What to write; may be repeated.")
    ] = None,
    only: Annotated[
        Only | None, typer.Option(help="Only cases whose slices a rater all drew or accepted.")
    ] = None,
    agreement_above: Annotated[
        float | None, typer.Option(metavar="0.8", help="Only cases whose raters agree at least so far.")
    ] = None,
    not_suspicious: Annotated[
        bool,
        typer.Option("--not-suspicious", help="Only cases in which a style model found nothing unusual."),
    ] = False,
    agreement: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A report of pgt agree, for each case's agreement.")
    ] = None,
    suspects: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="What pgt styles suspects --json wrote.")
    ] = None,
    series: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Holds each case's DICOM series, by the case's name."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="Liver,Spleen", help="Segments to export, in the order of values.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(metavar="OLD=NEW", help="Rename a segment; may be repeated.")
    ] = None,
    missing_is_absent: Annotated[
        bool,
        typer.Option("--missing-is-absent", help="A case without a segment does not have the structure."),
    ] = False,
    separate_segments: Annotated[
        bool, typer.Option("--separate-segments", help="nifti: one file a segment, so that they may overlap.")
    ] = False,
    ignore_unannotated: Annotated[
        bool,
        typer.Option(
            "--ignore-unannotated", help="Voxels that no rater drew or accepted get a label ignore."
        ),
    ] = False,
    identifiers: Annotated[
        bool, typer.Option("--identifiers", help="Keep identifiers of patient, study and files.")
    ] = False,
    dataset_number: Annotated[int, typer.Option(metavar="1", help="Of the nnU-Net data set.")] = 1,
    dataset_name: Annotated[str, typer.Option(metavar="NAME", help="Of the data set.")] = "PGT",
    channel: Annotated[
        str, typer.Option(metavar="CT|MR|...", help="What the images are; else as the DICOM series says.")
    ] = "",
    folds: Annotated[int, typer.Option(help="Of the MONAI data list.")] = 5,
    seed: Annotated[int, typer.Option(metavar="S", help="Start of the dealing to folds.")] = 0,
    scheduler: Annotated[str | None, SCHEDULER] = None,
    workers: Annotated[int | None, WORKERS] = None,
    retries: Annotated[int, RETRIES] = DEFAULT_RETRIES,
    force: Annotated[bool, typer.Option("--force", help="Replace another export in the folder.")] = False,
) -> None:
    """Export finished cases: label files, DICOM SEG, nnU-Net and MONAI data sets, with provenance.

    Cut off half-way, the same call goes on where it stopped. SHA256SUMS in the folder lists what was written.
    From eight cases on several processes share them, and one that fails does not stop the others; the exit
    status is 3 where some are missing.
    """
    only_show, cases = _cases([*(words or ()), *([str(table)] if table else ())])
    check_places(scheduler, workers)
    sources = CaseSources(cases, agreement, suspects, series)
    wanted = CaseFilter(only is Only.REVIEWED, agreement_above, not_suspicious)
    if only_show:
        with ProgressBar("Reading") as bar:
            lines = run_in_child(bar, case_table, sources, wanted)
        typer.echo("\n".join(lines))
        return
    if output is None:
        raise InputError("Name the folder for the export with -o, or only show the cases: pgt export list.")
    settings = ExportSettings(
        formats=tuple(formats or ()),
        filter=wanted,
        labels=tuple(part.strip() for part in (labels or "").split(",") if part.strip()),
        renamed=_renamed(rename or ()),
        missing_is_absent=missing_is_absent,
        separate_segments=separate_segments,
        ignore_unannotated=ignore_unannotated,
        identifiers=identifiers,
        dataset_number=dataset_number,
        dataset_name=dataset_name,
        channel=channel,
        folds=folds,
        seed=seed,
        overwrite=force,
    )
    scale = ScaleSettings(output, workers, scheduler, retries, gpu=False)
    try:
        with ProgressBar("Reading") as bar:
            report, failed = run_in_child(bar, export_list, sources, settings, output, scale)
    except KeyboardInterrupt as interrupt:
        raise Cancelled("Stopped; the same call goes on with the export.") from interrupt
    except PGTError as error:
        # Said of a child that was killed; what it had exported by then is there.
        sentence = str(error).replace("nothing was written", "the same call goes on with the export")
        raise type(error)(sentence) from error
    if report is None:
        for one in failed:
            typer.echo(f"{one.case}: {one.reason}", err=True)
        count = f"{len(failed)} case{'s' * (len(failed) != 1)}"
        typer.echo(f"{count} could not be exported; the export in {output} is not whole without.", err=True)
        raise typer.Exit(EXIT_CASES_FAILED)
    _tell(report)


def case_table(report: Report, sources: CaseSources, wanted: CaseFilter) -> tuple[str, ...]:
    """Lines that show the cases; runs in the child process."""
    from pgt.export.case_list import read_cases
    from pgt.export.case_summary import summary_lines

    cases = read_cases(
        sources.cases, sources.agreement, sources.suspects, sources.series, lambda *at: report(Step(*at))
    )
    return summary_lines(cases, wanted)


def export_list(
    report: Report, sources: CaseSources, settings: ExportSettings, output: Path, scale: ScaleSettings
) -> tuple[ExportReport | None, tuple[FailedCase, ...]]:
    """Read and export, in the child process."""
    from pgt.export.case_list import read_cases
    from pgt.export.exporting import export_cases
    from pgt.export.exporting_by_workers import export_by_workers

    def show(done: int, total: int, message: str) -> None:
        report(Step(done, total, message))

    if output.resolve() == sources.cases.resolve():
        raise OutputError(f"{output} holds the cases themselves; name another folder for the export.")
    cases = read_cases(sources.cases, sources.agreement, sources.suspects, sources.series, show)
    if scale.workers is None and scale.scheduler is None and len(cases) < _WORTH_WORKERS:
        return export_cases(cases, settings, output, show), ()
    return export_by_workers(cases, settings, output, scale, show)


def _cases(words: Sequence[str]) -> tuple[bool, Path]:
    """Whether only to show the cases, and where they are."""
    only_show = len(words) > 1 and words[0] == _LIST
    rest = words[1:] if only_show else words
    if len(rest) != 1:
        raise InputError(f"Give one table of cases or folder of scenes, not {len(rest)}.")
    path = Path(rest[0])
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    return only_show, path


def _renamed(entries: Sequence[str]) -> dict[str, str]:
    renamed = {}
    for entry in entries:
        old, separator, new = (part.strip() for part in entry.partition("="))
        if not (old and separator and new):
            raise InputError(f"--rename takes OLD=NEW, not {entry!r}.")
        renamed[old] = new
    return renamed


def _tell(report: ExportReport) -> None:
    for message in report.messages:
        typer.echo(message, err=True)
    for left in report.left_out[:_MOST_LEFT_OUT]:
        typer.echo(f"Left out {left.case}: {left.reason}", err=True)
    if len(report.left_out) > _MOST_LEFT_OUT:
        typer.echo(f"Left out {len(report.left_out) - _MOST_LEFT_OUT} more.", err=True)
    count = len(report.exported)
    before = f" ({len(report.resumed)} of them by an earlier run)" if report.resumed else ""
    typer.echo(
        f"Exported {count} case{'s' * (count != 1)}{before}: {report.files} files, "
        f"{report.bytes / 1e6:.1f} MB, in {report.folder}."
    )
