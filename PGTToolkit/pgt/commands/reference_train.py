"""``pgt reference train``: learn to segment from some labelled and many unlabelled cases."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Device, label_values
from pgt.commands.progress import ProgressBar

if TYPE_CHECKING:
    from pgt.reference.cases import ReferenceCase
    from pgt.reference.settings import ReferenceSettings


class Size(str, Enum):
    """How large the networks are."""

    PUBLISHED = "published"
    SMALL = "small"


class Plane(str, Enum):
    """Which way volumes are cut into slices."""

    AUTO = "auto"
    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AXIAL = "axial"


class Modality(str, Enum):
    """Which windows the slices are shown in."""

    AUTO = "auto"
    CT = "ct"
    MR = "mr"


def train(
    cases: Annotated[
        Path,
        typer.Argument(metavar="CASES.csv", help="Columns case, image, label; no label: an unlabelled case."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="MODEL_FOLDER", help="Where the model goes.")
    ],
    size: Annotated[
        Size, typer.Option(help="published has 105 + 11 million parameters; small suits a CPU.")
    ] = Size.PUBLISHED,
    iterations: Annotated[
        int | None, typer.Option(metavar="N", help="Steps; 50000 when published, 1500 when small.")
    ] = None,
    use_unlabelled: Annotated[
        bool, typer.Option("--unlabelled/--no-unlabelled", help="Whether unlabelled cases are learnt from.")
    ] = True,
    slices: Annotated[
        int | None,
        typer.Option(metavar="N", help="Labelled slices a step, and as many unlabelled ones; 2, small 4."),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of AdamW; 0.0001 when published, 0.002 when small.")
    ] = None,
    weight: Annotated[
        float | None, typer.Option(help="Of what the two networks learn from each other; else 1.")
    ] = None,
    rotation: Annotated[
        float | None, typer.Option(metavar="DEGREES", help="How far slices are turned at most; else 15.")
    ] = None,
    flips: Annotated[
        str | None,
        typer.Option(metavar="R|RA|...", help="Anatomical directions that slices may be mirrored along."),
    ] = None,
    plane: Annotated[
        Plane, typer.Option(help="How volumes are cut; auto: as they were scanned.")
    ] = Plane.AUTO,
    modality: Annotated[Modality, typer.Option(help="Of the images.")] = Modality.AUTO,
    labels: Annotated[
        str | None, typer.Option(metavar="1,2", help="Label values to learn; else all that occur.")
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
    """Train TransUNet and DeepLabV3+ together, each learning from what the other draws on unlabelled cases.

    log.csv in the folder holds the curve. Ctrl-C keeps what was learnt until the last minute; the same
    command with --resume goes on from there. Several GPUs: torchrun --nproc-per-node 2 -m pgt reference ...
    """
    from pgt.case_table import read_case_table
    from pgt.reference.cases import ReferenceCase, check_cases
    from pgt.reference.settings import ReferenceSettings
    from pgt.reference.training_folder import check_folder, tidied

    given: dict[str, Any] = {
        "iterations": iterations,
        "labelled": slices,
        "unlabelled": slices if use_unlabelled else 0,
        "learning_rate": learning_rate,
        "unsupervised_weight": weight,
        "rotation": rotation,
        "flips": flips,
        "values": label_values(labels),
        "seed": seed,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = ReferenceSettings.of_size(
        size.value, plane=plane.value, modality=modality.value, device=device.word, **chosen
    )
    rows = read_case_table(cases)
    wanted = [
        ReferenceCase(row.case, row.image, row.label)
        for row in rows
        if row.label is not None or use_unlabelled
    ]
    # Under torchrun every process runs this command; the first one checks, reports and tidies up.
    if os.environ.get("RANK", "0") != "0":
        run_in_child(lambda step: None, train_cases, wanted, settings, output, force)
        return
    check_folder(output, resume, force)
    check_cases(wanted)
    with tidied(output), ProgressBar("Starting") as bar:
        sentence = run_in_child(bar, train_cases, wanted, settings, output, force)
    typer.echo(sentence)


def train_cases(
    report: Report, cases: list[ReferenceCase], settings: ReferenceSettings, folder: Path, force: bool
) -> str:
    """Train; runs in the child process."""
    from pgt.reference.training import train_reference

    model = train_reference(
        cases, settings, folder, lambda at: report(Step(at.done, at.total, at.message)), begin_anew=force
    )
    course = model.card.training
    return (
        f"Trained on {course['labelled_cases']} labelled and {course['unlabelled_cases']} unlabelled cases "
        f"for {settings.iterations} steps ({course['seconds'] / 60:.1f} min); the model lies in {folder}."
    )
