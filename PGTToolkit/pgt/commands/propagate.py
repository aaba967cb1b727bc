"""``pgt propagate``: from a few annotated slices to the whole volume."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgt.commands.case_lists import CASES_HELP, DEFAULT_RETRIES, RETRIES, SCHEDULER, WORKERS, check_alone
from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Axis, Device, DeviceName, Method, MethodName, slice_indices
from pgt.commands.outputs import Outputs, check_image_name
from pgt.commands.progress import ProgressBar
from pgt.commands.propagate_cases import PropagationOptions, propagate_list
from pgt.errors import InputError
from pgt.scale.case_runs import ScaleSettings

if TYPE_CHECKING:
    from pgt.propagation.engine import PropagationResult


@dataclass(frozen=True)
class PropagationFiles:
    """What to propagate, and where the results go (places that exist only until they are published)."""

    image: Path
    annotation: Path
    slices: tuple[int, ...] | None
    axis: int | None
    method: MethodName
    model: str
    device: DeviceName
    output: Path
    uncertainty: Path | None
    report: Path | None
    styles: Path | None


@dataclass(frozen=True)
class Summary:
    """What a propagation came to, in words."""

    sentence: str
    messages: tuple[str, ...]


def propagate(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The label map to write; with --cases a folder.")
    ],
    image: Annotated[
        Path | None, typer.Argument(metavar="IMAGE", help="The volume: NIfTI, NRRD, MHA or a DICOM folder.")
    ] = None,
    annotation: Annotated[
        Path | None,
        typer.Argument(metavar="ANNOTATION", help="A label map on IMAGE's grid with some slices drawn."),
    ] = None,
    cases: Annotated[Path | None, typer.Option(metavar="CASES.csv", help=CASES_HELP)] = None,
    slices: Annotated[
        str | None,
        typer.Option(metavar="12,40,77", help="The annotated slices, from 0; else all that are not empty."),
    ] = None,
    axis: Annotated[
        Axis | None,
        typer.Option(help="The axis that slices count along; else the one that was drawn across."),
    ] = None,
    method: Annotated[Method, typer.Option(help="How slices are filled in.")] = Method.AUTO,
    model: Annotated[str, typer.Option(metavar="NAME|FILE", help="See pgt models list.")] = "default",
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    uncertainty: Annotated[
        Path | None, typer.Option(help="Also write the uncertainty, 0 to 1 per voxel, to this file.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Also write a report.")] = None,
    styles: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL_FOLDER",
            help="A model of pgt styles train: listen to the slices' style as far as it helps.",
        ),
    ] = None,
    scheduler: Annotated[str | None, SCHEDULER] = None,
    workers: Annotated[int | None, WORKERS] = None,
    retries: Annotated[int, RETRIES] = DEFAULT_RETRIES,
    force: Annotated[bool, typer.Option("--force", help="Replace output files that exist.")] = False,
) -> None:
    """Fill a volume in from a few annotated slices, which stay as they are.

    With --cases a whole table of them: each case gets a folder below FOLDER, cases.json tells how each ended,
    and a second run does only what is missing. The exit status is 3 where some cases are not done.
    """
    indices = slice_indices(slices)
    check_alone(cases, scheduler, workers)
    if cases is not None:
        if image or annotation or report:
            raise InputError(
                "--cases names every image and annotation, and each case gets its report; give none."
            )
        options = PropagationOptions(
            slices=indices,
            axis=axis.number if axis else None,
            method=method.word,
            model=model,
            device=device.word,
            uncertainty=_name_alone(uncertainty),
            styles=styles,
            table=cases,
        )
        gpu = device is not Device.CPU and method in (Method.AUTO, Method.NETWORK)
        propagate_list(
            cases, options, ScaleSettings(output, workers, scheduler, retries, force=force, gpu=gpu)
        )
        return
    if image is None or annotation is None:
        raise InputError("Give IMAGE and ANNOTATION, or a table of them with --cases.")
    check_image_name(output)
    if uncertainty:
        check_image_name(uncertainty)
    with Outputs([output, uncertainty, report], overwrite=force, inputs=[image, annotation]) as outputs:
        files = PropagationFiles(
            image=image,
            annotation=annotation,
            slices=indices,
            axis=axis.number if axis else None,
            method=method.word,
            model=model,
            device=device.word,
            output=outputs.place(output),
            uncertainty=outputs.place(uncertainty) if uncertainty else None,
            report=outputs.place(report) if report else None,
            styles=styles,
        )
        with ProgressBar("Reading") as bar:
            summary = run_in_child(bar, propagate_files, files)
        outputs.publish()
    for message in summary.messages:
        typer.echo(message, err=True)
    typer.echo(f"{summary.sentence} Wrote {output}.")


def _name_alone(path: Path | None) -> str | None:
    """The name of a file that every case's folder gets. Raises InputError where it is more than a name."""
    if path is None:
        return None
    check_image_name(path)
    if path.name != str(path) or path.name.startswith("."):
        raise InputError(
            f"With --cases, --uncertainty is the name of a file in each case's folder, not {path}."
        )
    if path.name in ("label.nii.gz", "label.seg.nrrd"):
        raise InputError(f"{path} is the name of each case's label map; name another file for --uncertainty.")
    return path.name


def propagate_files(report: Report, files: PropagationFiles) -> Summary:
    """Read, propagate and write, in the child process.

    What cannot be read is refused before torch is imported, which takes seconds.
    """
    from pgt.commands.annotation_files import read_annotated

    if files.styles:
        from pgt.styles.model_card import read_card

        read_card(files.styles)
    volume, annotation, axis = read_annotated(files.image, files.annotation, files.axis, files.slices)

    from pgt.output_files import write_text
    from pgt.progress import Progress
    from pgt.propagation.engine import PropagationSettings
    from pgt.propagation.engine import propagate as propagate_volume
    from pgt.propagation.report import report_of
    from pgt.volume import Volume
    from pgt.volume_io import write_label_map, write_volume

    def show(progress: Progress) -> None:
        report(Step(progress.done, progress.total, progress.message))

    settings = PropagationSettings(axis=axis, method=files.method, model=files.model, device=files.device)
    said: tuple[str, ...] = ()
    if files.styles:
        from pgt.styles.propagation_prior import propagate_in_own_style
        from pgt.styles.style_model import StyleModel

        model = StyleModel.load(files.styles)
        joined, _ = propagate_in_own_style(volume, annotation, model, settings, show)
        result, said = joined.result, joined.sentences
    else:
        result = propagate_volume(volume, annotation, settings, progress=show)
    report(Step(0, 0, "Writing"))
    write_label_map(result.label_map, files.output)
    if files.uncertainty:
        write_volume(Volume(result.uncertainty, volume.geometry), files.uncertainty)
    if files.report:
        write_text(files.report, json.dumps(report_of(result), indent=1) + "\n")
    return Summary(_sentence(result), (*result.messages, *said))


def _sentence(result: PropagationResult) -> str:
    annotated = len(result.annotated)
    filled = sum(1 for s in result.slices if s.index not in result.annotated)
    advice = "" if result.next_slice is None else f" Slice {result.next_slice} would help most next."
    how = ", ".join(filter(None, (result.method, result.model, result.device)))
    return (
        f"Propagated {annotated} annotated slice{'s' * (annotated != 1)} along {'ijk'[result.axis]} "
        f"to {filled} more in {result.seconds:.1f} s ({how}).{advice}"
    )
