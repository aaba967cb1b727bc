"""``pgt reference predict``: a volume in, a label map out, nothing drawn."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pgt.commands.case_lists import DEFAULT_RETRIES, RETRIES, SCHEDULER, WORKERS, check_alone
from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Device, DeviceName
from pgt.commands.outputs import Outputs, check_image_name
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError

if TYPE_CHECKING:
    from pgt.progress import Progress
    from pgt.reference.prediction import PredictionReport, PredictionSettings
    from pgt.reference.reference_card import ReferenceCard

CASES_HELP = "A table of cases instead, with the columns case and image; each gets a folder below OUTPUT."


class Stage(str, Enum):
    """How far the automatic path goes."""

    PROPAGATION = "propagation"
    REFERENCE = "reference"

    @property
    def word(self) -> Literal["propagation", "reference"]:
        """The stage as `pgt.reference.prediction` takes it."""
        return self.value


@dataclass(frozen=True)
class PredictionOptions:
    """How to segment, as in `pgt.reference.prediction.PredictionSettings`; None for its defaults."""

    model: Path
    stage: Literal["propagation", "reference"]
    candidates: int | None
    per_structure: int | None
    device: DeviceName


@dataclass(frozen=True)
class PredictionFiles:
    """What to segment, and where the results go (places that exist only until they are published)."""

    options: PredictionOptions
    image: Path
    output: Path
    uncertainty: Path | None
    report: Path | None


@dataclass(frozen=True)
class Summary:
    """What came of it, in words."""

    sentence: str
    messages: tuple[str, ...]


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL_FOLDER", help="What pgt reference train has made.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The label map to write; with --cases a folder.")
    ],
    image: Annotated[
        Path | None, typer.Argument(metavar="IMAGE", help="The volume: NIfTI, NRRD, MHA or a DICOM folder.")
    ] = None,
    cases: Annotated[Path | None, typer.Option(metavar="CASES.csv", help=CASES_HELP)] = None,
    stage: Annotated[
        Stage, typer.Option(help="The networks' own masks, or these propagated and weighed against them.")
    ] = Stage.PROPAGATION,
    candidates: Annotated[
        int | None,
        typer.Option(metavar="K", help="Have the networks look at K evenly spread slices only; else at all."),
    ] = None,
    slices: Annotated[
        int | None,
        typer.Option(metavar="N", help="Slices a structure whose masks are propagated; else chosen well."),
    ] = None,
    uncertainty: Annotated[
        Path | None, typer.Option(help="Also write the uncertainty, 0 to 1 per voxel, to this file.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Also write a report.")] = None,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.AUTO,
    scheduler: Annotated[str | None, SCHEDULER] = None,
    workers: Annotated[int | None, WORKERS] = None,
    retries: Annotated[int, RETRIES] = DEFAULT_RETRIES,
    force: Annotated[bool, typer.Option("--force", help="Replace output files that exist.")] = False,
) -> None:
    """Segment a volume, or with --cases a table of them, without any slice drawn."""
    options = PredictionOptions(model, stage.word, candidates, slices, device.word)
    _check(options)
    check_alone(cases, scheduler, workers)
    if cases is not None:
        from pgt.commands.reference_predict_cases import predict_list
        from pgt.scale.case_runs import ScaleSettings

        if image or report or uncertainty:
            raise InputError(
                "--cases names every image, and each case gets its report; give no IMAGE, --report or "
                "--uncertainty beside it."
            )
        gpu = device is not Device.CPU
        predict_list(cases, options, ScaleSettings(output, workers, scheduler, retries, force=force, gpu=gpu))
        return
    if image is None:
        raise InputError("Give IMAGE, or a table of images with --cases.")
    check_image_name(output)
    if uncertainty:
        check_image_name(uncertainty)
    with Outputs([output, uncertainty, report], overwrite=force, inputs=[image]) as outputs:
        files = PredictionFiles(
            options=options,
            image=image,
            output=outputs.place(output),
            uncertainty=outputs.place(uncertainty) if uncertainty else None,
            report=outputs.place(report) if report else None,
        )
        with ProgressBar("Reading") as bar:
            summary = run_in_child(bar, predict_files, files)
        outputs.publish()
    for message in summary.messages:
        typer.echo(message, err=True)
    typer.echo(f"{summary.sentence} Wrote {output}.")


def predict_files(report: Report, files: PredictionFiles) -> Summary:
    """Read, segment and write, in the child process.

    What cannot be read is refused before torch is imported, which takes seconds.
    """
    from pgt.reference.reference_card import read_card
    from pgt.volume_io import read_volume

    card = read_card(files.options.model)
    volume = read_volume(files.image)

    import torch

    from pgt.output_files import write_text
    from pgt.propagation.fillers import choose_device
    from pgt.reference.prediction import predict_volume, report_of
    from pgt.reference.reference_model import ReferenceModel
    from pgt.volume import Volume
    from pgt.volume_io import write_label_map, write_volume

    def show(progress: Progress) -> None:
        report(Step(progress.done, progress.total, progress.message))

    device = torch.device(choose_device(files.options.device))
    model = ReferenceModel.load(files.options.model, device)
    try:
        label_map, said = predict_volume(model, volume, _settings(files.options), show)
    except InputError as error:
        raise InputError(f"{files.image}: {error}") from error
    report(Step(0, 0, "Writing"))
    write_label_map(label_map, files.output)
    if files.uncertainty:
        write_volume(Volume(said.uncertainty, volume.geometry), files.uncertainty)
    if files.report:
        content = {**report_of(said), "model": weights_of(files.options.model)}
        write_text(files.report, json.dumps(content, indent=1) + "\n")
    return Summary(_sentence(said, card), said.messages)


def weights_of(model: Path) -> dict[str, str]:
    """SHA-256 of a model's weights, by file."""
    from pgt.propagation.checkpoints import sha256_of
    from pgt.reference.model_folder import DEEPLAB, TRANSUNET

    return {name: sha256_of(model / name) for name in (TRANSUNET, DEEPLAB)}


def _check(options: PredictionOptions) -> None:
    """Refuse options that do not go together. Raises InputError."""
    if options.stage == "reference" and not options.candidates == options.per_structure is None:
        raise InputError("--candidates and --slices belong to the stage propagation.")
    for name, number in (("--candidates", options.candidates), ("--slices", options.per_structure)):
        if number is not None and number < 1:
            raise InputError(f"{name} takes a number from 1, not {number}.")


def _settings(options: PredictionOptions) -> PredictionSettings:
    from pgt.reference.prediction import PredictionSettings

    settings = PredictionSettings(stage=options.stage)
    selection = settings.selection
    if options.candidates is not None:
        selection = replace(selection, candidates=options.candidates)
    if options.per_structure is not None:
        selection = replace(selection, per_structure=options.per_structure)
    return replace(settings, selection=selection)


def _sentence(said: PredictionReport, card: ReferenceCard) -> str:
    names = dict(zip(card.values, card.names, strict=True))
    found = [names[value] for value, voxels in said.voxels.items() if voxels]
    selected = len({index for indices in said.selected.values() for index in indices})
    how = f", the masks of {selected} propagated" if said.stage == "propagation" else ""
    return (
        f"Segmented {', '.join(found) or 'nothing'}: {len(said.candidates)} slices along "
        f"{'ijk'[said.axis]} looked at{how}, in {said.seconds:.1f} s ({said.device})."
    )
