"""``pgt styles segment``: a volume in a style, chosen by name, by place or by drawn slices."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Axis, Device, DeviceName, slice_indices
from pgt.commands.outputs import Outputs, check_image_name
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError

if TYPE_CHECKING:
    from pgt.annotation import SparseAnnotation
    from pgt.progress import Progress
    from pgt.styles.inference import StyledSegmentation
    from pgt.styles.style_from_slices import FittedStyle
    from pgt.volume import Volume

_MAIN = "main"


@dataclass(frozen=True)
class StyleFiles:
    """What to segment, and where the results go (places that exist only until they are published)."""

    model: Path
    image: Path
    style: str
    annotation: Path | None
    slices: tuple[int, ...] | None
    axis: int | None
    device: DeviceName
    output: Path
    probabilities: Path | None


@dataclass(frozen=True)
class Summary:
    """What came of it, in words."""

    sentence: str
    messages: tuple[str, ...]


def segment(
    model: Annotated[Path, typer.Argument(metavar="MODEL_FOLDER", help="What pgt styles train has made.")],
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="The volume: NIfTI, NRRD, MHA or a DICOM folder.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The label map to write.")],
    style: Annotated[
        str | None, typer.Option(metavar="main|NAME|X,Y", help="A style by name or by place on the map.")
    ] = None,
    annotation: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Drawn slices on IMAGE's grid: their style is found and used."),
    ] = None,
    slices: Annotated[
        str | None,
        typer.Option(metavar="12,40,77", help="The annotated slices, from 0; else all that are not empty."),
    ] = None,
    axis: Annotated[
        Axis | None,
        typer.Option(help="The axis that slices count along; else the one that was drawn across."),
    ] = None,
    probabilities: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the probability of every structure, one a component."),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    force: Annotated[bool, typer.Option("--force", help="Replace output files that exist.")] = False,
) -> None:
    """Segment a volume in an annotation style; slices given with --annotation stay as they are."""
    indices = slice_indices(slices)
    if annotation is None and (indices is not None or axis is not None):
        raise InputError("--slices and --axis speak of slices that were drawn; give them with --annotation.")
    if annotation is not None and style is not None:
        raise InputError("Give either --style or --annotation, from which the style is found.")
    check_image_name(output)
    if probabilities:
        check_image_name(probabilities)
    inputs = [image, *([annotation] if annotation else [])]
    with Outputs([output, probabilities], overwrite=force, inputs=inputs) as outputs:
        files = StyleFiles(
            model=model,
            image=image,
            style=style or _MAIN,
            annotation=annotation,
            slices=indices,
            axis=axis.number if axis else None,
            device=device.word,
            output=outputs.place(output),
            probabilities=outputs.place(probabilities) if probabilities else None,
        )
        with ProgressBar("Reading") as bar:
            summary = run_in_child(bar, segment_files, files)
        outputs.publish()
    for message in summary.messages:
        typer.echo(message, err=True)
    typer.echo(f"{summary.sentence} Wrote {output}.")


def segment_files(report: Report, files: StyleFiles) -> Summary:
    """Read, segment and write, in the child process."""
    volume, annotation = _read(files)

    from pgt.styles.drawn_labels import in_drawn_labels, with_drawn_slices
    from pgt.styles.drawn_slices import matched_classes
    from pgt.styles.inference import Segmenter
    from pgt.styles.style_choice import choose_style
    from pgt.styles.style_from_slices import fit_prepared
    from pgt.styles.style_model import StyleModel
    from pgt.volume_io import write_fields, write_label_map

    def show(progress: Progress) -> None:
        report(Step(progress.done, progress.total, progress.message))

    model = StyleModel.load(files.model)
    latent = choose_style(model, files.style)
    report(Step(0, 0, "Preparing"))
    with _naming(files.image):
        segmenter = Segmenter(model, volume, files.device)
    fitted = None
    if annotation is not None and files.annotation is not None:
        with _naming(files.annotation):
            fitted = fit_prepared(segmenter, annotation, progress=show)
        latent = fitted.latent
    found = segmenter.segment(latent, show)
    report(Step(0, 0, "Writing"))
    label_map = found.label_map
    if annotation is not None:
        matched = matched_classes(model, annotation.label_map)
        label_map = with_drawn_slices(in_drawn_labels(label_map, annotation.label_map, matched), annotation)
    write_label_map(label_map, files.output)
    if files.probabilities:
        fields = [found.probability(value) for value in model.preparation.values]
        write_fields(fields, volume.geometry, files.probabilities)
    return Summary(_sentence(found, files.style, fitted), found.messages)


def _read(files: StyleFiles) -> tuple[Volume, SparseAnnotation | None]:
    """What can be refused before torch is imported, which takes seconds."""
    from pgt.commands.annotation_files import read_annotated
    from pgt.styles.model_card import read_card
    from pgt.volume_io import read_volume

    read_card(files.model)
    if files.annotation is None:
        return read_volume(files.image), None
    volume, annotation, _ = read_annotated(files.image, files.annotation, files.axis, files.slices)
    return volume, annotation


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have a refusal name the file that it speaks of."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _sentence(found: StyledSegmentation, style: str, fitted: FittedStyle | None) -> str:
    place = ", ".join(f"{number:.3g}" for number in found.latent)
    names = {segment.value: segment.name for segment in found.label_map.segments}
    volumes = ", ".join(f"{names[value]} {ml:.3g} ml" for value, ml in found.volumes_ml.items())
    how = f"in {found.seconds:.1f} s ({found.device})"
    if fitted is None:
        return f"Segmented in the style {style} ({place}) {how}: {volumes}."
    slices = f"{fitted.slices} annotated slice{'s' * (fitted.slices != 1)}"
    return (
        f"The style of {slices} is ({place}): Dice {fitted.dice:.3f} on them, {fitted.main_dice:.3f} in the "
        f"main style. Segmented {how}: {volumes}."
    )
