"""``pgt plan``: which slices to draw, of one volume or of many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgt.commands.child import Report, run_in_child
from pgt.commands.choices import Axis, Strategy
from pgt.commands.outputs import Outputs, check_free
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError

if TYPE_CHECKING:
    from pgt.case_planning import CasesPlan
    from pgt.planning import SlicePlan


def plan(
    source: Annotated[
        Path, typer.Argument(metavar="IMAGE|CASES.csv", help="One volume, or a table of many (see --budget).")
    ],
    slices: Annotated[int | None, typer.Option(metavar="N", help="How many slices to draw.")] = None,
    density: Annotated[
        float | None, typer.Option(metavar="0.1", help="Or which part of the slices, up to 1.")
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(metavar="N", help="For a table: how many slices to draw in all cases together."),
    ] = None,
    strategy: Annotated[
        Strategy | None,
        typer.Option(
            help="How slices are chosen; else evenly spaced, in a table each case from a start of its own "
            "(staggered)."
        ),
    ] = None,
    axis: Annotated[
        Axis | None, typer.Option(help="The axis that slices count along; else the scan's own.")
    ] = None,
    extent: Annotated[
        str | None, typer.Option(metavar="FIRST,LAST", help="Choose from these slices, both included.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Start of random choices.")] = 0,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the plan to this file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
) -> None:
    """Choose the slices to draw.

    Prints their indices in the form that propagate --slices takes; for a table, one line a case.
    """
    if source.name.lower().endswith(".csv"):
        if budget is None or slices is not None or density is not None or axis or extent:
            raise InputError(
                f"{source} is a table of cases: give --budget, and no other amount, axis or extent."
            )
        _plan_table(source, budget, strategy or Strategy.STAGGERED, seed, json, force)
    elif budget is not None:
        raise InputError(
            "--budget is for a table of cases (CASES.csv); for one volume give --slices or --density."
        )
    elif (slices is None) == (density is None):
        raise InputError("Give either --slices or --density.")
    else:
        place = axis.number if axis else None
        chosen_by = strategy or Strategy.FIXED
        with Outputs([json], overwrite=force, inputs=[source]) as outputs:
            with ProgressBar("Reading") as bar:
                chosen = run_in_child(
                    bar, plan_image, source, place, slices, density, chosen_by.value, seed, _extent(extent)
                )
            if json:
                outputs.place(json).write_text(chosen.to_json() + "\n", encoding="utf-8")
            outputs.publish()
        typer.echo(_listed(chosen))


def plan_image(
    report: Report,
    image: Path,
    axis: int | None,
    count: int | None,
    density: float | None,
    strategy: str,
    seed: int,
    extent: tuple[int, int] | None,
) -> SlicePlan:
    """Plan one volume; runs in the child process."""
    from pgt.planning import Strategy as PlanStrategy
    from pgt.planning import plan_slices
    from pgt.volume_io import read_geometry, read_volume

    representative = strategy == PlanStrategy.REPRESENTATIVE.value
    volume = read_volume(image) if representative else read_geometry(image)
    try:
        return plan_slices(volume, axis, count, density, strategy, seed, extent)
    except InputError as error:
        raise InputError(f"{image}: {error}") from error


def plan_table(report: Report, table: Path, budget: int, strategy: str, seed: int) -> CasesPlan:
    """Plan many volumes; runs in the child process."""
    from pgt.case_planning import CaseImage, plan_cases
    from pgt.case_table import read_case_table

    cases = [CaseImage(row.case, row.image) for row in read_case_table(table)]
    return plan_cases(cases, budget, strategy=strategy, seed=seed)


def _plan_table(
    table: Path, budget: int, strategy: Strategy, seed: int, json: Path | None, force: bool
) -> None:
    if json:
        check_free(json, overwrite=force, inputs=[table])
    with ProgressBar("Reading") as bar:
        chosen = run_in_child(bar, plan_table, table, budget, strategy.value, seed)
    if json:
        from pgt.case_planning import write_plan

        write_plan(chosen, json, overwrite=force)
    for planned in chosen.cases:
        typer.echo(f"{planned.case}: {_listed(planned.plan)}")
    if chosen.left_out:
        typer.echo(f"The budget does not reach {', '.join(chosen.left_out)}.", err=True)


def _listed(plan: SlicePlan) -> str:
    return ",".join(str(index) for index in plan.slices)


def _extent(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        first, last = (int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--extent takes two whole numbers such as 10,90, not {text!r}.") from error
    return first, last
