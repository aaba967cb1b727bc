"""``pgt styles import``: models of the official HyperSORT code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgt.commands.child import Report, run_in_child
from pgt.commands.choices import spacing_in_mm
from pgt.commands.outputs import Outputs, made_folder
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError

if TYPE_CHECKING:
    from pgt.geometry import Vector


def import_model(
    weights: Annotated[Path, typer.Argument(metavar="MODEL_W.pt", help="Weights by the official code.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="MODEL_FOLDER", help="Where the model goes.")
    ],
    latents: Annotated[
        Path | None, typer.Option(metavar="LATENT_DICT.pt", help="Its latent vectors, for the map.")
    ] = None,
    data_list: Annotated[
        Path | None, typer.Option(metavar="LIST.txt", help="Its list of files, for the cases' names.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="liver,...", help="What its classes are called.")
    ] = None,
    spacing: Annotated[str | None, typer.Option(metavar="MM", help="The voxels it was trained on.")] = None,
    orientation: Annotated[
        str, typer.Option(metavar="SPL", help="The directions of the axes that it was trained on.")
    ] = "SPL",
    patch: Annotated[int, typer.Option(metavar="N", help="Sides of its window in voxels.")] = 168,
    force: Annotated[bool, typer.Option("--force", help="Replace a model in the folder.")] = False,
) -> None:
    """Import a model that the official code of HyperSORT trained; nothing in its files is run."""
    from pgt.styles.model_folder import DESCRIPTION, WEIGHTS

    if patch < 8:
        raise InputError(f"--patch must be at least 8 voxels, not {patch}.")
    inputs = [path for path in (weights, latents, data_list) if path]
    targets = [output / WEIGHTS, output / DESCRIPTION]
    with made_folder(output), Outputs(targets, overwrite=force, inputs=inputs) as outputs:
        with ProgressBar("Importing") as bar:
            sentence = run_in_child(
                bar,
                import_files,
                (weights, latents, data_list),
                outputs.place(targets[0]).parent,
                spacing_in_mm(spacing),
                orientation,
                patch,
                tuple(name.strip() for name in classes.split(",")) if classes else (),
            )
        outputs.publish()
    typer.echo(f"{sentence} The model lies in {output}.")


def import_files(
    report: Report,
    files: tuple[Path, Path | None, Path | None],
    folder: Path,
    spacing: Vector | None,
    orientation: str,
    patch: int,
    classes: tuple[str, ...],
) -> str:
    """Import; runs in the child process."""
    from pgt.styles.official_checkpoints import OfficialPreparation, import_official

    weights, latents, data_list = files
    prepared = OfficialPreparation(
        spacing or OfficialPreparation.spacing, orientation, (patch, patch, patch), classes
    )
    model = import_official(weights, latents, data_list, prepared)
    model.save(folder)
    parameters = sum(parameter.numel() for parameter in model.hypernetwork.parameters())
    return f"Imported {parameters:,} parameters and {len(model.latents)} latent vectors."
