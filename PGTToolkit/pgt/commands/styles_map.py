"""``pgt styles map`` and ``pgt styles suspects``: where training cases lie, and which are suspicious."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Device, DeviceName
from pgt.commands.outputs import Outputs, made_folder
from pgt.commands.progress import ProgressBar
from pgt.errors import InputError

_SHOWN = 10

_Model = Annotated[Path, typer.Argument(metavar="MODEL_FOLDER", help="A trained style model.")]
_Cases = Annotated[
    Path | None,
    typer.Option(metavar="CASES.csv", help="Where its cases lie now; else the table in the folder."),
]
_Device = Annotated[Device, typer.Option(help="Where to compute.")]
_Quick = Annotated[
    bool, typer.Option("--quick", help="Leave labels and predictions alone, and with them suggestions.")
]
_Force = Annotated[bool, typer.Option("--force", help="Replace files of an earlier run.")]


@dataclass(frozen=True)
class MapSummary:
    """What a map shows, in words.

    Args:
        lines: for standard output.
        messages: what the user should know.
    """

    lines: tuple[str, ...]
    messages: tuple[str, ...]


def show_map(
    model: _Model,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="For the map.")],
    cases: _Cases = None,
    quick: _Quick = False,
    device: _Device = Device.AUTO,
    force: _Force = False,
) -> None:
    """Find the styles among the training cases.

    Writes map.json and map.html, a page to look around in, into the folder.
    """
    from pgt.styles.map_folder import FILES, MAP_HTML

    check_model(model)
    targets = [output / name for name in FILES]
    with made_folder(output), Outputs(targets, overwrite=force, inputs=_inputs(model, cases)) as outputs:
        json, html = (outputs.place(path) for path in targets)
        with ProgressBar("Reading") as bar:
            summary = run_in_child(bar, write_map, model, cases, quick, device.word, (json, html))
        outputs.publish()
    _tell(summary)
    typer.echo(f"Wrote {output / MAP_HTML}.")


def suspects(
    model: _Model,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all cases, the most suspicious first.")
    ] = None,
    cases: _Cases = None,
    quick: _Quick = False,
    device: _Device = Device.AUTO,
    force: _Force = False,
) -> None:
    """List suspicious training cases, and what they may be."""
    check_model(model)
    with Outputs([json], overwrite=force, inputs=_inputs(model, cases)) as outputs:
        place = outputs.place(json) if json else None
        with ProgressBar("Reading") as bar:
            summary = run_in_child(bar, write_suspects, model, cases, quick, device.word, place)
        outputs.publish()
    _tell(summary)


def write_map(
    report: Report, model: Path, cases: Path | None, quick: bool, device: DeviceName, places: Sequence[Path]
) -> MapSummary:
    """Find and write the map, in the child process."""
    from pgt.output_files import write_text
    from pgt.styles.map_files import map_json
    from pgt.styles.map_page import map_html
    from pgt.styles.model_map import model_map

    mapped = model_map(model, cases, not quick, True, device, _steps(report))
    report(Step(0, 0, "Writing"))
    json, html = places
    write_text(json, map_json(mapped))
    write_text(html, map_html(mapped, model.resolve().name))
    found = mapped.found
    alone = sum(cluster is None for cluster in found.cluster_of.values())
    lines = [f"{cluster.name}: {_counted(len(cluster.cases))}" for cluster in found.clusters]
    if alone:
        lines.append(f"alone: {_counted(alone)}")
    return MapSummary(tuple(lines), mapped.messages)


def write_suspects(
    report: Report, model: Path, cases: Path | None, quick: bool, device: DeviceName, place: Path | None
) -> MapSummary:
    """Find and write the list, in the child process."""
    from pgt.output_files import write_text
    from pgt.styles.map_files import suspects_json
    from pgt.styles.model_map import model_map

    mapped = model_map(model, cases, not quick, False, device, _steps(report))
    if place:
        write_text(place, suspects_json(mapped.found))
    lines = []
    for suspect in mapped.found.suspects[:_SHOWN]:
        line = (
            f"{suspect.case}: score {suspect.score:.2f} (norm {suspect.norm:.3g}, isolation "
            f"{suspect.isolation:.3g}), perhaps: {suspect.suggestion.value}"
        )
        if suspect.doubt:
            line += (
                f" (label and main style disagree by {suspect.doubt.disagreement:.2f}, of which "
                f"{suspect.doubt.uncertainty:.2f} expected)"
            )
        lines.append(line)
    rest = len(mapped.found.suspects) - len(lines)
    return MapSummary((*lines, *([f"and {rest} less suspicious"] if rest > 0 else [])), mapped.messages)


def check_model(folder: Path) -> None:
    """Refuse a folder without a model before any work is begun."""
    from pgt.styles.model_folder import DESCRIPTION

    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder of a trained style model.")
    if not (folder / DESCRIPTION).exists():
        raise InputError(f"{folder} holds no style model: {DESCRIPTION} is missing.")


def _inputs(model: Path, cases: Path | None) -> list[Path]:
    from pgt.styles.model_folder import FILES

    return [*(model / name for name in FILES), *([cases] if cases else [])]


def _steps(report: Report) -> Callable[[int, int, str], None]:
    return lambda done, total, message: report(Step(done, total, message))


def _tell(summary: MapSummary) -> None:
    for message in summary.messages:
        typer.echo(message, err=True)
    for line in summary.lines:
        typer.echo(line)


def _counted(cases: int) -> str:
    return f"{cases} case{'s' * (cases != 1)}"
