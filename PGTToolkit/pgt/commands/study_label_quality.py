"""``pgt study label-quality``: is it worth improving these labels, and for which use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Device, DeviceName
from pgt.commands.outputs import Outputs, check_free
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError


@dataclass(frozen=True)
class StudyFiles:
    """What to study, and where the results go.

    Args:
        configuration: the JSON file.
        folder: of the study.
        device: where the networks run.
        force: throw away what another study left in the folder.
    """

    configuration: Path
    folder: Path
    device: DeviceName
    force: bool


def label_quality(
    configuration: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG.json", help="Case list, label versions, training; see --example."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where results and report go.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.AUTO,
    force: Annotated[
        bool, typer.Option("--force", help="Begin anew in a folder that holds another study.")
    ] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a configuration and stop.")] = False,
) -> None:
    """Train on versions of one data set's labels: is improving them worth it, and for which use?

    Writes report.json and report.html. A study that was stopped goes on with what is missing.
    """
    if example:
        from pgt.studies.configuration import configuration_text
        from pgt.studies.label_quality_configuration import EXAMPLE

        typer.echo(configuration_text(EXAMPLE), nl=False)
        return
    if configuration is None or output is None:
        raise InputError(
            "pgt study label-quality takes CONFIG.json and -o FOLDER; --example prints a CONFIG.json."
        )
    order = StudyFiles(configuration, output, device.word, force)
    _check_folder(order)
    with ProgressBar("Starting") as bar:
        sentences = run_in_child(bar, study_labels, order)
    for sentence in sentences:
        typer.echo(sentence)


def study_labels(report: Report, files: StudyFiles) -> tuple[str, ...]:
    """Do the study and write its report; runs in the child process.

    Returns:
        The answer in words.
    """
    from pgt.studies.configuration import read_configuration
    from pgt.studies.label_quality_answer import answers_of
    from pgt.studies.label_quality_configuration import LabelQualityConfiguration
    from pgt.studies.label_quality_files import FILES, read_agreement, report_json
    from pgt.studies.label_quality_page import report_html
    from pgt.studies.label_quality_study import ordered, run_study
    from pgt.studies.label_quality_words import lead

    read = read_configuration(files.configuration, LabelQualityConfiguration)
    raters = read_agreement(read.agreement) if read.agreement else None
    order = ordered(read, files.folder, files.device, files.force)
    results = run_study(order, lambda done, total, said: report(Step(done, total, said)))
    report(Step(0, 0, "Writing the report"))
    answers = answers_of(results)
    targets = [files.folder / name for name in FILES]
    with Outputs(targets, overwrite=True) as outputs:
        texts = (report_json(read, results, answers, raters), report_html(read, results, answers, raters))
        for path, text in zip(targets, texts, strict=True):
            outputs.place(path).write_text(text, encoding="utf-8")
        outputs.publish()
    return (*lead(answers), f"Wrote {targets[-1]}.")


def _check_folder(files: StudyFiles) -> None:
    """Refuse what can be refused at once: a report in the folder that no study of its own explains."""
    from pgt.studies.cells import CELLS
    from pgt.studies.label_quality_files import FILES

    if not files.configuration.is_file():
        raise InputError(f"{files.configuration} does not exist.")
    if files.folder.is_dir() and not (files.folder / CELLS).is_dir():
        for name in FILES:
            if (files.folder / name).exists():
                check_free(files.folder / name, files.force)
