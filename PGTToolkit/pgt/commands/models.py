"""``pgt models``: the networks on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Device, DeviceName
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError

app = typer.Typer(help="List, import, verify and train models.", no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """List the models, shipped, imported and trained ones."""
    from pgt.propagation.checkpoints import list_models as installed_models

    models = installed_models()
    for model in models:
        card = model.card()
        origin = "shipped" if model.shipped else "yours"
        typer.echo(
            f"{model.name}: {card.architecture}, {card.parameters:,} parameters, {origin}, {card.source}"
        )
    if not models:
        typer.echo("No model is installed.")


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Weights: torch or safetensors.")],
    name: Annotated[str | None, typer.Option(help="The model's name; else the file's.")] = None,
    licence: Annotated[str | None, typer.Option(help="The licence of the weights, for the card.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a model of the same name.")] = False,
) -> None:
    """Import weights of STCN or of this project; nothing in the file is run."""
    with ProgressBar("Importing") as bar:
        sentence = run_in_child(bar, import_weights, file, name, licence, force)
    typer.echo(sentence)


@app.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Models; else all.")] = None,
) -> None:
    """Check that models are what their cards say."""
    with ProgressBar("Verifying") as bar:
        for sentence in run_in_child(bar, verify_models, names):
            typer.echo(sentence)


@app.command("train")
def train(
    name: Annotated[str, typer.Option(help="What to call the trained model.")],
    cases: Annotated[
        Path | None, typer.Argument(metavar="CASES.csv", help="Finished volumes: columns case, image, label.")
    ] = None,
    made: Annotated[
        bool, typer.Option("--made", help="Train from nothing on made volumes, as the default model was.")
    ] = False,
    model: Annotated[str, typer.Option(metavar="NAME|FILE", help="The model to start from.")] = "default",
    hours: Annotated[float, typer.Option(help="How long to train in all.")] = 1.0,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    force: Annotated[bool, typer.Option("--force", help="Replace a model of the same name.")] = False,
) -> None:
    """Train a model further on your own finished volumes, or a new one on made volumes.

    Ctrl-C keeps what was learnt so far; the same command goes on from there.
    """
    if not hours > 0:
        raise InputError(f"--hours must be above 0, not {hours:g}.")
    if made == (cases is not None):
        raise InputError("Give either CASES.csv or --made.")
    with ProgressBar("Reading") as bar:
        sentence = run_in_child(bar, train_model, cases, name, model, hours, device.word, force)
    typer.echo(sentence)


def import_weights(report: Report, file: Path, name: str | None, licence: str | None, force: bool) -> str:
    """Import; runs in the child process."""
    from pgt.propagation.checkpoints import import_checkpoint
    from pgt.propagation.model_card import UNKNOWN_LICENCE

    model = import_checkpoint(file, name, licence=licence or UNKNOWN_LICENCE, overwrite=force)
    card = model.card()
    return f"Imported {card.layout} ({card.parameters:,} parameters) as {model.name} into {model.folder}."


def verify_models(report: Report, names: list[str] | None) -> list[str]:
    """Verify; runs in the child process."""
    from pgt.propagation.checkpoints import list_models as installed_models
    from pgt.propagation.checkpoints import verify_model

    chosen = names or [model.name for model in installed_models()]
    sentences = []
    for number, name in enumerate(chosen):
        report(Step(number, len(chosen), f"Verifying {name}"))
        card = verify_model(name)
        sentences.append(f"{name}: {card.architecture}, {card.parameters:,} parameters, as its card says")
    return sentences


def train_model(
    report: Report, table: Path | None, name: str, model: str, hours: float, device: DeviceName, force: bool
) -> str:
    """Train; runs in the child process."""
    from pgt.case_table import read_case_table
    from pgt.propagation.fillers import choose_device
    from pgt.propagation.fine_tuning import fine_tune, train_on_made_volumes
    from pgt.propagation.training import TrainingStep

    def show(step: TrainingStep) -> None:
        said = (
            f"Step {step.step}, loss {step.loss:.2f}, Dice {step.dice:.3f} ({step.prior_dice:.3f} by shape)"
        )
        report(Step(round(3600 * step.hours), round(3600 * hours), said))

    place = choose_device(device)
    if table is None:
        installed = train_on_made_volumes(name, hours, place, show, overwrite=force)
        return f"Trained {name} on made volumes; it lies in {installed.folder}."
    cases = read_case_table(table, needed=("case", "image", "label"))
    installed = fine_tune(cases, name, model, hours, place, show, overwrite=force)
    return f"Trained {name} on {len(cases)} cases; it lies in {installed.folder}."
