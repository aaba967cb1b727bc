"""``pgt consensus``: one segmentation out of several raters'."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgt.commands.child import Report, Step, run_in_child
from pgt.commands.choices import Axis
from pgt.commands.outputs import Outputs, check_image_name
from pgt.commands.progress import ProgressBar
from pgt.commands.reading_arguments import readings_of_one_case
from pgt.errors import InputError

if TYPE_CHECKING:
    from pgt.agreement.case_consensus import CaseConsensus
    from pgt.agreement.label_matching import MatchedLabel
    from pgt.agreement.reading_table import ReadingFile
    from pgt.agreement.structures import RatedSegmentation
    from pgt.volume import Segment


class Method(str, Enum):
    """How voxels in dispute are decided."""

    STAPLE = "staple"
    MAJORITY = "majority"
    ANY = "any"
    ALL = "all"


@dataclass(frozen=True)
class ConsensusFiles:
    """What to join, and where the results go (places that exist only until they are published)."""

    files: tuple[ReadingFile, ...]
    method: str
    labels: tuple[str, ...]
    axis: int | None
    output: Path
    probability: Path | None
    report: Path | None


@dataclass(frozen=True)
class Summary:
    """What a consensus came to, in words."""

    sentence: str
    messages: tuple[str, ...]


def consensus(
    segmentations: Annotated[
        list[Path],
        typer.Argument(metavar="SEG SEG SEG...", help="One segmentation a rater, all of one case."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The label map to write.")],
    method: Annotated[Method, typer.Option(help="How voxels in dispute are decided.")] = Method.STAPLE,
    names: Annotated[
        str | None, typer.Option(metavar="a,b,c", help="The raters' names; else their files'.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this structure; may be repeated.")
    ] = None,
    axis: Annotated[
        Axis | None, typer.Option(help="The axis that drawn slices count along; else the one with most.")
    ] = None,
    probability: Annotated[
        Path | None,
        typer.Option(help="Also write each voxel's probability, of several structures the highest."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Also write ties and the raters' performance.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace output files that exist.")] = False,
) -> None:
    """Make one segmentation out of several raters'.

    Names, colours and values are those of the first segmentation, and so is the grid.
    """
    if len(segmentations) < 2:
        raise InputError("A consensus needs the segmentations of two raters or more.")
    check_image_name(output)
    if probability:
        check_image_name(probability)
    table = readings_of_one_case("case", segmentations, names)
    with Outputs([output, probability, report], overwrite=force, inputs=segmentations) as outputs:
        files = ConsensusFiles(
            files=table.files,
            method=method.value,
            labels=tuple(label or ()),
            axis=axis.number if axis else None,
            output=outputs.place(output),
            probability=outputs.place(probability) if probability else None,
            report=outputs.place(report) if report else None,
        )
        with ProgressBar("Reading") as bar:
            summary = run_in_child(bar, consensus_files, files)
        outputs.publish()
    for message in summary.messages:
        typer.echo(message, err=True)
    typer.echo(f"{summary.sentence} Wrote {output}.")


def consensus_files(report: Report, files: ConsensusFiles) -> Summary:
    """Read, join and write, in the child process."""
    from pgt.agreement.case_consensus import case_consensus
    from pgt.agreement.label_matching import match_labels
    from pgt.agreement.reading_assembly import assemble
    from pgt.agreement.reading_files import rate_files
    from pgt.output_files import write_text
    from pgt.volume import LabelMap, Volume
    from pgt.volume_io import write_label_map, write_volume

    rated = rate_files(files.files, files.axis, lambda done, total: report(Step(done, total, "Reading")))
    table = match_labels([one.segmentation for one in rated])
    readings = assemble(rated, table)
    report(Step(0, 0, "Deciding"))
    found = case_consensus(readings, files.method, files.labels or None)
    segments = _segments(table, rated, tuple(found.labels))
    values = {label: segment.value for label, segment in segments.items()}
    geometry = readings[0].geometry
    voxels = found.label_voxels(values, geometry.shape)
    report(Step(0, 0, "Writing"))
    write_label_map(LabelMap(voxels, geometry, tuple(segments.values())), files.output)
    if files.probability:
        write_volume(Volume(found.probability(geometry.shape), geometry), files.probability)
    if files.report:
        content = _report(found, files.method, values)
        write_text(files.report, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    notes = tuple(reading.note for reading in readings if reading.note)
    notes += tuple(f"{label}: {one.note}" for label, one in found.labels.items())
    return Summary(_sentence(found, len(readings), files.method), notes + found.messages)


def _segments(
    table: tuple[MatchedLabel, ...], rated: tuple[RatedSegmentation, ...], labels: tuple[str, ...]
) -> dict[str, Segment]:
    """What each label is in the result: as in the first segmentation that has it, where its value is free."""
    from pgt.volume import Segment

    found: dict[str, Segment] = {}
    rows = {row.label: row for row in table}
    # Values of the first segmentation first, so that they stay as they are.
    for label in sorted(labels, key=lambda name: rows[name].keys[0] is None):
        column = next(number for number, key in enumerate(rows[label].keys) if key is not None)
        structure = next(
            one for one in rated[column].segmentation.structures if one.key == rows[label].keys[column]
        )
        taken = {segment.value for segment in found.values()}
        free = next(value for value in range(1, len(taken) + 2) if value not in taken)
        value = structure.value if structure.value and structure.value not in taken else free
        if structure.name:
            base = Segment.numbered(value)
            found[label] = Segment(
                value, structure.name, structure.color or base.color, structure.terminology, structure.key
            )
        else:
            found[label] = Segment.numbered(value)
    return {label: found[label] for label in labels}


def _report(found: CaseConsensus, method: str, values: dict[str, int]) -> dict[str, Any]:
    return {
        "schema": "pgt-consensus",
        "version": 1,
        "method": method,
        "together": found.together,
        "labels": {
            label: {
                "value": values[label],
                "voxels": one.mask.count,
                "disputed": one.disputed,
                "ties": one.ties,
                "region": one.region,
                "slices": None if one.slices is None else list(one.slices.indices),
                "raters": [
                    {"rater": r.rater, "sensitivity": r.sensitivity, "specificity": r.specificity}
                    for r in one.raters
                ],
                "note": one.note,
            }
            for label, one in found.labels.items()
        },
        "messages": list(found.messages),
    }


def _sentence(found: CaseConsensus, raters: int, method: str) -> str:
    disputed = sum(one.disputed for one in found.labels.values())
    count = len(found.labels)
    return (
        f"{raters} raters, {count} structure{'s' * (count != 1)}: {disputed} voxels in dispute decided by "
        f"{method}."
    )
