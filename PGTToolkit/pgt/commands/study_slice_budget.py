"""``pgt study slice-budget``: how many slices of how many cases to draw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Device, DeviceName
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError

if TYPE_CHECKING:
    from pgt.studies.slice_budget_configuration import SliceBudgetConfiguration


def slice_budget(
    configuration: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.json", help="What to try; see --example.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where results and report go.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    force: Annotated[
        bool, typer.Option("--force", help="Begin anew in a folder that holds another study.")
    ] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a configuration and stop.")] = False,
) -> None:
    """Find out how many slices of how many cases to draw, and how to choose them.

    Trains small 2D and 3D networks on parts of completely annotated cases and tests them on others; writes
    report.html and report.json. Stopped at any moment, the same command goes on with what is missing.
    """
    from pgt.studies.configuration import configuration_text, read_configuration
    from pgt.studies.slice_budget_configuration import EXAMPLE, SliceBudgetConfiguration

    if example:
        typer.echo(configuration_text(EXAMPLE), nl=False)
        return
    if configuration is None or output is None:
        raise InputError(
            "pgt study slice-budget takes CONFIG.json and -o FOLDER; --example prints a CONFIG.json."
        )
    asked = read_configuration(configuration, SliceBudgetConfiguration)
    with ProgressBar("Starting") as bar:
        lead = run_in_child(bar, _study, asked, output, device.word, force)
    for sentence in lead:
        typer.echo(sentence)
    typer.echo(f"The report lies in {output / 'report.html'}.")


def _study(
    report: Report, asked: SliceBudgetConfiguration, folder: Path, device: DeviceName, force: bool
) -> tuple[str, ...]:
    """Do what is missing; runs in the child process."""
    from pgt.studies.slice_budget import run_study
    from pgt.studies.slice_budget_report import write_report

    results = run_study(
        asked, folder, device, force, lambda done, total, message: report(Step(done, total, message))
    )
    report(Step(len(results.cells), len(results.cells), "Writing the report"))
    return write_report(results, folder)
