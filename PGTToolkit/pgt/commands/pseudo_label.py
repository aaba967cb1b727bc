"""``pgt pseudo-label``: from a few labelled cases to labels of the others, as far as several models agree."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgt.commands.case_lists import DEFAULT_RETRIES, RETRIES, SCHEDULER, WORKERS, check_places
from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Device
from pgt.commands.outputs import made_folder
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError
from pgt.scale.case_runs import ScaleSettings

if TYPE_CHECKING:
    from pgt.progress import Progress
    from pgt.reference.pseudo_label_manifest import RoundManifest
    from pgt.reference.pseudo_label_plan import RoundsOrder


class Size(str, Enum):
    """How large the networks are."""

    SMALL = "small"
    PUBLISHED = "published"


def pseudo_label(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where rounds go, or go on.")
    ],
    cases: Annotated[
        Path | None,
        typer.Argument(
            metavar="CASES.csv", help="Columns case, image, label; cases without a label are to be labelled."
        ),
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--cases", metavar="CASES.csv", help="The same, as other commands take it.")
    ] = None,
    models: Annotated[int | None, typer.Option(metavar="N", help="Models trained in every round.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="T", help="Accept from this score on, 0 to 1; else round 1's middle score."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(metavar="N", help="Rounds at most.")] = None,
    size: Annotated[Size, typer.Option(help="small suits a CPU; published is the paper's.")] = Size.SMALL,
    iterations: Annotated[int | None, typer.Option(metavar="N", help="Training steps of each model.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="S", help="Start of random choices.")] = None,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.AUTO,
    scheduler: Annotated[str | None, SCHEDULER] = None,
    workers: Annotated[int | None, WORKERS] = None,
    retries: Annotated[int, RETRIES] = DEFAULT_RETRIES,
    force: Annotated[
        bool, typer.Option("--force", help="Begin anew where FOLDER holds rounds of other cases or settings.")
    ] = False,
) -> None:
    """Label cases in rounds: train several models, accept labels they agree on, and train again with them.

    FOLDER/round-N/labels holds the accepted label maps, CASES.csv beside it all labelled cases so far and
    manifest.json every score. A run that was stopped goes on where it was. This process trains the models;
    with --workers or --scheduler several others label the cases.
    """
    if (cases is None) == (table is None):
        raise InputError("Give one table of cases, as CASES.csv or --cases CASES.csv.")
    check_places(scheduler, workers)
    from pgt.case_table import read_case_table
    from pgt.reference.pseudo_label_plan import RoundSettings, RoundsOrder, check_order

    given: dict[str, Any] = {"models": models, "threshold": threshold, "rounds": rounds}
    order = RoundsOrder(
        rows=read_case_table(cases or table or Path()),
        folder=output,
        settings=RoundSettings(
            **{name: value for name, value in given.items() if value is not None},
            training=_training(size, iterations, seed, device),
        ),
        force=force,
        scale=_scale(output, workers, scheduler, retries, device),
    )
    check_order(order)
    with made_folder(output), ProgressBar("Starting") as bar:
        made = run_in_child(bar, label_in_rounds, order)
    for one in made:
        typer.echo(_sentence(one))
    typer.echo(f"{_ending(order, made)} The labels lie in {output}.")


def _scale(
    folder: Path, workers: int | None, scheduler: str | None, retries: int, device: Device
) -> ScaleSettings | None:
    """Who labels; None where nobody else was asked for."""
    if workers is None and scheduler is None:
        return None
    return ScaleSettings(folder, workers, scheduler, retries, gpu=device is not Device.CPU)


def label_in_rounds(report: Report, order: RoundsOrder) -> tuple[RoundManifest, ...]:
    """Do the rounds; runs in the child process."""
    from pgt.reference.pseudo_label_rounds import run_rounds

    def show(progress: Progress) -> None:
        report(Step(progress.done, progress.total, progress.message))

    return run_rounds(order, show)


def _training(size: Size, iterations: int | None, seed: int | None, device: Device) -> Any:
    from pgt.reference.settings import ReferenceSettings

    given = {"iterations": iterations, "seed": seed}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return ReferenceSettings.of_size(size.value, device=device.word, **chosen)


def _sentence(made: RoundManifest) -> str:
    accepted, count = len(made.accepted), len(made.scored)
    scores = sorted(case.score for case in made.scored)
    middle = scores[len(scores) // 2] if scores else 0.0
    return (
        f"Round {made.number}: learnt from {len(made.learnt_from)} cases, accepted {accepted} of {count} "
        f"(score {middle:.3f} in the middle, threshold {made.threshold:g})."
    )


def _ending(order: RoundsOrder, made: tuple[RoundManifest, ...]) -> str:
    accepted = sum(len(one.accepted) for one in made)
    left = sum(row.label is None for row in order.rows) - accepted
    said = (
        f"Pseudo-labelled {accepted} case{'s' * (accepted != 1)} in {len(made)} round{'s' * (len(made) != 1)}"
    )
    return f"{said}, {left} left." if left else f"{said}; none is left."
