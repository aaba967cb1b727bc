"""``pgt styles train``: learn the annotation styles of a table of cases."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Device, label_values, spacing_in_mm
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError

if TYPE_CHECKING:
    from pgt.styles.training_order import TrainingOrder


class Size(str, Enum):
    """How large the model is."""

    SMALL = "small"
    FACTORED = "factored"
    PUBLISHED = "published"


class Precision(str, Enum):
    """Whether bfloat16 is used."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


def train(
    cases: Annotated[
        Path, typer.Argument(metavar="CASES.csv", help="Columns case, image, label; any others, as rater.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="MODEL_FOLDER", help="Where the model goes.")
    ],
    size: Annotated[
        Size, typer.Option(help="small suits a CPU; published is the paper's; factored its leaner twin.")
    ] = Size.SMALL,
    spacing: Annotated[
        str | None, typer.Option(metavar="MM|R,A,S", help="The network's voxels; else chosen by the cases.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="1,2", help="Label values to learn; else all that occur.")
    ] = None,
    latent: Annotated[int, typer.Option(help="Dimensions of the map.")] = 2,
    epochs: Annotated[
        int | None, typer.Option(help="How often to see each case at most; else by their number.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better loss before the training ends; 0: never.")
    ] = None,
    latent_penalty: Annotated[
        float | None, typer.Option(help="How strongly cases are drawn to the main style.")
    ] = None,
    gather_every: Annotated[
        int | None,
        typer.Option(help="For raters of alike shares: epochs after which cases gather at shared places."),
    ] = None,
    augmentation: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment", help="Show cases turned, moved, scaled and shaded, or as they are."
        ),
    ] = None,
    latent_rate: Annotated[float | None, typer.Option(help="Learning rate of the latent vectors.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Learning rate of the network.")] = None,
    cases_per_step: Annotated[int | None, typer.Option(help="Cases that are trained together.")] = None,
    precision: Annotated[
        Precision | None, typer.Option("--mixed-precision", help="Compute in bfloat16; auto: where faster.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="S", help="Start of random choices.")] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training that the folder holds.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Begin anew in a folder that holds a model.")
    ] = False,
) -> None:
    """Learn how the labels of many cases differ in style.

    progress.html in the folder shows curve and map while it runs. Ctrl-C keeps what was learnt until the last
    minute; --resume goes on from there, with the settings it began with. Several GPUs:
    torchrun --nproc-per-node 2 -m pgt styles train ...
    """
    from pgt.case_table import read_case_table
    from pgt.styles.training_order import TrainingOrder, check_order, tidied
    from pgt.styles.training_settings import StyleTrainingSettings

    given: dict[str, Any] = {
        "patience": patience,
        "latent_penalty": latent_penalty,
        "gather_every": gather_every,
        "augmentation": augmentation,
        "latent_rate": latent_rate,
        "learning_rate": learning_rate,
        "cases_per_step": cases_per_step,
        "mixed_precision": _precision(precision),
        "seed": seed,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    if resume and (chosen or spacing or labels):
        raise InputError(
            "A training goes on as it began; beside --resume only --epochs and --device can be given."
        )
    order = TrainingOrder(
        rows=read_case_table(cases, needed=("case", "image", "label")),
        folder=output,
        size=size.value,
        spacing=spacing_in_mm(spacing),
        values=label_values(labels),
        latent=latent,
        settings=StyleTrainingSettings(**chosen, device=device.word),
        epochs=epochs,
        resume=resume,
        force=force,
    )
    # Under torchrun every process runs this command; the first one checks, reports and tidies up.
    if os.environ.get("RANK", "0") != "0":
        run_in_child(lambda step: None, train_order, order)
        return
    check_order(order)
    with tidied(order), ProgressBar("Starting") as bar:
        sentence = run_in_child(bar, train_order, order)
    typer.echo(sentence)


def train_order(report: Report, order: TrainingOrder) -> str:
    """Train; runs in the child process."""
    from pgt.styles.training_folder import train_folder

    model = train_folder(order, lambda at: report(Step(at.done, at.total, at.message)))
    course = model.training
    return (
        f"Trained on {course['cases']} cases for {course['epochs_run']} epochs "
        f"({course['seconds'] / 60:.1f} min, loss {course['loss']:.3f}); the model lies in {order.folder}."
    )


def _precision(chosen: Precision | None) -> bool | Literal["auto"] | None:
    return None if chosen is None else "auto" if chosen is Precision.AUTO else chosen is Precision.ON
