"""Commands over a list of cases (``--cases``): the run itself in a child process, its files and its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import typer

from pgt.case_table import CaseRow
from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.outputs import made_folder
from pgt.commands.progress import ProgressBar
from pgt.errors import Cancelled, InputError, PGTError
from pgt.scale.case_record import RECORD
from pgt.scale.case_runs import CaseRunReport, ScaleSettings, run_cases, staging_folder
from pgt.scale.case_summary import SUMMARY, CaseSummary, check_folder, check_names
from pgt.scale.case_task import CaseOutcome, CaseTask

EXIT_CASES_FAILED = 3

CASES_HELP = "A table of cases instead: columns case, image, label; also slices, axis and any others."
SCHEDULER: Any = typer.Option(
    "--scheduler", metavar="ADDRESS", help="With --cases: a Dask cluster's, such as tcp://node01:8786."
)
WORKERS: Any = typer.Option(
    "--workers", metavar="N", help="With --cases: processes on this machine; else by cores, memory and GPUs."
)
RETRIES: Any = typer.Option(
    "--retries", metavar="N", help="With --cases: further attempts where a failure may pass."
)
DEFAULT_RETRIES = 2

_SHOWN = 20

Prepare = Callable[[Any, Sequence[CaseRow]], Sequence[CaseTask]]


@dataclass(frozen=True)
class ListOrder:
    """A list of cases and what to do with each.

    Args:
        command: in words, for the summary.
        table: the file that lists them.
        rows: what it lists.
        prepare: a function at the top of a module that makes the tasks out of ``options`` and ``rows``; it
            runs in the child process, so it may import what is heavy.
        options: a frozen dataclass.
        settings: where and how; its folder need not be there.
        labels: the result that is the case's label map, in the order of the rows; empty where there is none.
        left_out: columns that say nothing of the results.
    """

    command: str
    table: Path
    rows: tuple[CaseRow, ...]
    prepare: Prepare
    options: Any
    settings: ScaleSettings
    labels: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def run_list(order: ListOrder) -> None:
    """Run a list and say what came of it.

    Raises:
        InputError: the list, the folder or the scheduler cannot be used; nothing was begun.
        PGTError: the run ended before the list did.
        Cancelled: the user pressed Ctrl-C; what was done is there.
        typer.Exit: with `EXIT_CASES_FAILED` where some cases are not done.
    """
    folder = order.settings.folder
    check_names([row.case for row in order.rows])
    check_folder(folder, order.table, order.settings.force)
    with made_folder(folder), staging_folder(folder) as staging:
        order = replace(order, settings=replace(order.settings, staging=staging))
        try:
            with ProgressBar("Looking at the cases") as bar:
                report = run_in_child(bar, _run, order)
        except KeyboardInterrupt:
            raise Cancelled(_cancelled(order)) from None
    for outcome in _not_done(report)[:_SHOWN]:
        typer.echo(f"{outcome.case}: {outcome.reason}", err=True)
    if len(_not_done(report)) > _SHOWN:
        typer.echo(f"and {len(_not_done(report)) - _SHOWN} more, see {folder / SUMMARY}.", err=True)
    if report.stopped:
        raise PGTError(f"{report.stopped} {_sentence(report)} The same command does the rest.")
    typer.echo(f"{_sentence(report)} Wrote {folder / SUMMARY}.")
    if not report.whole:
        _exit()


def check_alone(cases: Path | None, scheduler: str | None, workers: int | None) -> None:
    """Refuse options of lists where no list is given. Raises InputError."""
    if cases is None and (scheduler is not None or workers is not None):
        raise InputError("--scheduler and --workers go with a list of cases: give --cases CASES.csv.")
    check_places(scheduler, workers)


def check_places(scheduler: str | None, workers: int | None) -> None:
    """Refuse to work here and elsewhere at once. Raises InputError."""
    if scheduler is not None and workers is not None:
        raise InputError("--workers are processes of this machine; with --scheduler the cluster has its own.")


def _run(report: Report, order: ListOrder) -> CaseRunReport:
    """The child's side."""
    settings = order.settings
    assert settings.staging is not None
    tasks = order.prepare(order.options, order.rows)
    labels = dict(zip((row.case for row in order.rows), order.labels, strict=False))
    summary = CaseSummary(
        order.command, settings.folder, settings.staging, order.rows, labels, order.left_out
    )

    def note(outcome: CaseOutcome) -> None:
        summary.add(outcome)
        bad = sum(1 for one in summary.outcomes.values() if not one.good)
        said = f"Cases ({bad} not done)" if bad else "Cases"
        report(Step(len(summary.outcomes), len(tasks), said))

    ended = run_cases(tasks, settings, note)
    try:
        summary.write("stopped" if ended.stopped else "ended", ended.stopped)
    except PGTError as error:
        if not ended.stopped:
            return replace(ended, stopped=str(error))
    return ended


def _not_done(report: CaseRunReport) -> list[CaseOutcome]:
    return [outcome for outcome in report.outcomes if outcome.end in ("failed", "outdated")]


def _sentence(report: CaseRunReport) -> str:
    counts = (
        (report.count("done"), "done"),
        (report.count("kept"), "done before"),
        (report.count("outdated"), "made from other inputs or settings and left as they are"),
        (report.count("failed"), "failed"),
        (report.count("not run"), "not run"),
    )
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    total = len(report.outcomes)
    return f"{total} case{'s' * (total != 1)} in {report.seconds:.0f} s: {said}."


def _cancelled(order: ListOrder) -> str:
    done = sum(1 for row in order.rows if (order.settings.folder / row.case / RECORD).exists())
    return f"Cancelled with {done} of {len(order.rows)} cases done; the same command does the rest."


def _exit() -> NoReturn:
    raise typer.Exit(EXIT_CASES_FAILED)
