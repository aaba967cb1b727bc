"""``pgt demo``: the main job from end to end, with pictures and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgt import demo_files
from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Axis, Device, DeviceName
from pgt.commands.outputs import Outputs, made_folder
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError


def demo(
    image: Annotated[
        Path | None, typer.Option(help="Your own volume; without it, an abdominal CT is made.")
    ] = None,
    annotation: Annotated[Path | None, typer.Option(help="Its label map with some slices drawn.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the results.")] = Path(
        "pgt-demo"
    ),
    axis: Annotated[
        Axis | None, typer.Option(help="The axis of the drawn slices; else the one that was drawn across.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    force: Annotated[bool, typer.Option("--force", help="Replace the results of an earlier demo.")] = False,
) -> None:
    """Propagate a made volume, or your own, and show the result on one page."""
    if (image is None) != (annotation is None):
        raise InputError("--image and --annotation belong together: give both, or neither for a made volume.")
    names = [*demo_files.RESULTS, *(() if image else demo_files.MADE_VOLUME)]
    inputs = [path for path in (image, annotation) if path]
    with (
        made_folder(output),
        Outputs([output / name for name in names], overwrite=force, inputs=inputs) as outputs,
    ):
        with ProgressBar("Making a volume" if image is None else "Reading") as bar:
            staging = outputs.place(output / names[0]).parent
            sentences = run_in_child(
                bar, demonstrate, staging, image, annotation, axis.number if axis else None, device.word
            )
        outputs.publish()
    typer.echo(sentences)
    for name in names:
        typer.echo(f"  {output / name}")
    typer.echo(f"Look at {(output / demo_files.PAGE).resolve().as_uri()}")


def demonstrate(
    report: Report,
    folder: Path,
    image: Path | None,
    annotation: Path | None,
    axis: int | None,
    device: DeviceName,
) -> str:
    """Do it; runs in the child process."""
    from pgt.commands.annotation_files import read_annotated
    from pgt.demo import Case, made_case, run_demo
    from pgt.propagation.engine import PropagationSettings

    def show(done: int, total: int, message: str) -> None:
        report(Step(done, total, message))

    if image is None or annotation is None:
        case = made_case()
    else:
        volume, drawn, axis = read_annotated(image, annotation, axis, None)
        case = Case(f"PGT Toolkit: {image.name}", f"read from {image.name}", volume, drawn, axis)
    return run_demo(case, folder, PropagationSettings(device=device), show)
