"""``pgt agree``: how far raters agree, and what that says of a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgt.commands.case_lists import SCHEDULER, check_alone
from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Axis
from pgt.commands.outputs import Outputs, made_folder
from pgt.commands.progress import ProgressBar
from pgt.commands.reading_arguments import readings_of_one_case
from pgt.commands.structure_answers import read_answers
from pgt.errors import InputError
from pgt.scale.case_runs import ScaleSettings, staging_folder

if TYPE_CHECKING:
    from pgt.agreement.metric_choice import Answers
    from pgt.agreement.reading_table import ReadingTable
    from pgt.agreement.readings import Reading
    from pgt.agreement.results import Agreement, WorstSlice
    from pgt.volume import Volume

ALL_METRICS = "all"


@dataclass(frozen=True)
class AgreementFiles:
    """What to compare and how, and where the results go (places that exist only until they are published)."""

    table: ReadingTable
    tolerance_mm: float
    metrics: tuple[str, ...] | None
    ratings: Path | None
    axis: int | None
    seed: int
    anonymous: bool
    answers: Mapping[str, Answers]
    places: tuple[Path, Path, Path]
    scale: ScaleSettings | None = None


@dataclass(frozen=True)
class Summary:
    """What a study came to, in words."""

    sentence: str
    messages: tuple[str, ...]


def agree(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="For the report.")],
    segmentations: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SEG SEG...", help="One segmentation a rater, all of one case: NIfTI, NRRD or MHA."
        ),
    ] = None,
    names: Annotated[
        str | None, typer.Option(metavar="a,b,c", help="The raters' names; else their files'.")
    ] = None,
    repeat: Annotated[
        list[str] | None,
        typer.Option(metavar="a=SEG2", help="A further session of a rater; may be repeated."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(metavar="SEG", help="The reference annotation, on whose grid is compared.")
    ] = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SEG", help="A model's segmentation, to place it against the raters."),
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(metavar="CASES.csv", help="Many cases: a table of case, rater, session and file."),
    ] = None,
    case: Annotated[str, typer.Option(metavar="NAME", help="What to call the single case.")] = "case",
    image: Annotated[
        Path | None, typer.Option(metavar="IMAGE", help="The volume to show under the contours.")
    ] = None,
    tolerance_mm: Annotated[
        float, typer.Option("--tolerance-mm", metavar="T", help="How far surfaces may lie apart for NSD.")
    ] = 2.0,
    metrics: Annotated[
        str | None, typer.Option(metavar="dice,nsd,...|all", help="What to measure; else the usual ones.")
    ] = None,
    ratings: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Experts' ratings, 1 to 6, by case and label.")
    ] = None,
    axis: Annotated[
        Axis | None, typer.Option(help="The axis that drawn slices count along; else the one with most.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Start of the bootstrap.")] = 0,
    anonymous: Annotated[
        bool,
        typer.Option("--anonymous", help="A rater's name means another person from case to case."),
    ] = False,
    answer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[LABEL:]QUESTION=yes|no",
            help="For the choice of metrics, what masks do not tell: boundary_critical, boundary_uncertain, "
            "outliers_matter, volume_used, errors_differ; or against what was measured: small, tubular, "
            "scattered, sizes_differ.",
        ),
    ] = None,
    scheduler: Annotated[str | None, SCHEDULER] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the report of an earlier run.")] = False,
) -> None:
    """Compare raters, and sessions of one rater, on every structure.

    Writes report.json, pairs.csv and report.html into the folder.
    """
    from pgt.agreement.agreement_files import FILES, REPORT_HTML

    check_alone(cases, scheduler, None)
    if cases is not None:
        if segmentations or names or repeat or reference or candidate or image:
            raise InputError(
                "--cases names every segmentation, rater, session, role and image; give no others beside it."
            )
        from pgt.agreement.reading_table import read_reading_table

        table = read_reading_table(cases)
    elif not segmentations:
        raise InputError("Give the raters' segmentations, or a table of them with --cases.")
    else:
        table = readings_of_one_case(
            case, segmentations, names, repeat or (), reference, candidate or (), image
        )
    inputs = [file.path for file in table.files] + [path for path in (cases, ratings, image) if path]
    _check(table, tolerance_mm, metrics)
    answers = read_answers(answer or ())
    targets = [output / name for name in FILES]
    with (
        made_folder(output),
        Outputs(targets, overwrite=force, inputs=inputs) as outputs,
        _scale(output, scheduler) as scale,
    ):
        json, csv, html = (outputs.place(path) for path in targets)
        files = AgreementFiles(
            table=table,
            tolerance_mm=tolerance_mm,
            metrics=_metric_keys(metrics),
            ratings=ratings,
            axis=axis.number if axis else None,
            seed=seed,
            anonymous=anonymous,
            answers=answers,
            places=(json, csv, html),
            scale=scale,
        )
        with ProgressBar("Reading") as bar:
            summary = run_in_child(bar, agree_files, files)
        outputs.publish()
    for message in summary.messages:
        typer.echo(message, err=True)
    typer.echo(f"{summary.sentence} Wrote {output / REPORT_HTML}.")


@contextlib.contextmanager
def _scale(output: Path, scheduler: str | None) -> Iterator[ScaleSettings | None]:
    """The cluster that measures, and a folder for it that vanishes; None without one."""
    if scheduler is None:
        yield None
        return
    with staging_folder(output) as staging:
        yield ScaleSettings(output, scheduler=scheduler, staging=staging.absolute())


def agree_files(report: Report, files: AgreementFiles) -> Summary:
    """Read, compare and write, in the child process."""
    from pgt.agreement.agreement_files import pairs_csv, report_json
    from pgt.agreement.expert_ratings import read_ratings
    from pgt.agreement.measuring_by_workers import MeasuringByWorkers
    from pgt.agreement.metrics import DEFAULT_METRICS
    from pgt.agreement.reading_files import read_readings
    from pgt.agreement.report_page import report_html
    from pgt.agreement.slice_pictures import slice_pictures
    from pgt.agreement.study import StudyOptions, study
    from pgt.output_files import write_text
    from pgt.volume_io import read_geometry

    def show(done: int, total: int, message: str = "Reading") -> None:
        report(Step(done, total, message))

    table = files.table
    ratings = read_ratings(files.ratings) if files.ratings else ()
    for image in (table.images or {}).values():
        read_geometry(image)  # a wrong name is better found before the work than after it
    readings = read_readings(table.files, table.reference, files.axis, show)
    options = StudyOptions(
        tolerance_mm=files.tolerance_mm,
        metrics=files.metrics or DEFAULT_METRICS,
        reference=table.reference,
        candidates=table.candidates,
        seed=files.seed,
        ratings=ratings,
        axis=files.axis,
        anonymous=files.anonymous,
        answers=files.answers,
    )
    if files.scale:
        agreement = study(readings, options, show, measure=MeasuringByWorkers(files.scale))
    else:
        agreement = study(readings, options, show)
    report(Step(0, 0, "Writing"))
    pictures = slice_pictures(
        readings, agreement.worst_slices, _images(table, readings, agreement.worst_slices)
    )
    json, csv, html = files.places
    write_text(json, report_json(agreement))
    write_text(csv, pairs_csv(agreement))
    write_text(html, report_html(agreement, pictures))
    return Summary(_sentence(agreement), agreement.messages)


def _images(
    table: ReadingTable, readings: tuple[Reading, ...], worst: tuple[WorstSlice, ...]
) -> dict[str, Volume]:
    """The images of the cases that are shown, on the grids that were compared."""
    from pgt.resampling import resampled
    from pgt.volume_io import read_volume

    grids = {reading.case: reading.geometry for reading in readings}
    found = {}
    for case in dict.fromkeys(one.case for one in worst):
        path = (table.images or {}).get(case)
        if path is None:
            continue
        image = read_volume(path)
        same = image.geometry.difference(grids[case]) is None
        found[case] = image if same else resampled(image, grids[case])
    return found


def _check(table: ReadingTable, tolerance_mm: float, metrics: str | None) -> None:
    """Refuse what can be refused before any file is read."""
    from pgt.agreement.metrics import DEFAULT_METRICS
    from pgt.agreement.study_checks import check_numbers, check_roles

    keys = _metric_keys(metrics)
    check_numbers(tolerance_mm, DEFAULT_METRICS if keys is None else keys)
    sittings = tuple(dict.fromkeys(file.sitting for file in table.files))
    check_roles(sittings, table.reference, table.candidates)


def _metric_keys(text: str | None) -> tuple[str, ...] | None:
    """The metrics that were asked for; None for the usual ones."""
    if text is None:
        return None
    if text.strip() == ALL_METRICS:
        from pgt.agreement.metrics import METRICS

        return tuple(metric.key for metric in METRICS)
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _sentence(agreement: Agreement) -> str:
    raters = len({sitting.rater for sitting in agreement.sittings})
    return (
        f"Compared {_counted(raters, 'rater')} on {_counted(len(agreement.labels), 'label')} in "
        f"{_counted(len(agreement.cases), 'case')}, {_counted(len(agreement.pairs), 'pair')} in all."
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
