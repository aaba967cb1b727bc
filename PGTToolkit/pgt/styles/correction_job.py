"""A proposal for the label of a training case as a job of the worker; the folder's rules: `pgt.job_files`.

``job.json``: ``asked``, an `AskedCorrection`.

``result.json``: ``case``; ``image``, its file; ``geometry`` and ``segments`` of the label and the proposal,
which lie in ``label.npy`` and ``proposal.npy``, [i, j, k]; ``dice`` of the two; ``messages``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from pgt.errors import Cancelled, InputError
from pgt.job_files import (
    geometry_from,
    load_array,
    not_this_job,
    read_job_file,
    read_result_file,
    save_array,
    write_job_file,
    write_result_file,
)
from pgt.job_kinds import IsCancelled, JobState, Report
from pgt.plain_data import from_plain, to_plain
from pgt.progress import Progress
from pgt.volume import LabelMap, Segment

_LABEL = "label.npy"
_PROPOSAL = "proposal.npy"


@dataclass(frozen=True)
class AskedCorrection:
    """Whose label is suspicious, and where to compute."""

    model: Path
    case: str
    device: str = "auto"


@dataclass(frozen=True, eq=False)
class Proposal:
    """What the main style says of a training case.

    Args:
        model: folder of the model.
        case: its name.
        image: the file of its image.
        label: as it was learnt from.
        proposal: the main style's segmentation, on the same grid; structures that it does not know stay.
        dice: of the two, mean over the structures.
        messages: what the user should know.
    """

    model: Path
    case: str
    image: Path
    label: LabelMap
    proposal: LabelMap
    dice: float
    messages: tuple[str, ...]


def write_job(folder: Path, asked: AskedCorrection) -> None:
    """Write what is asked for into an existing, empty folder."""
    write_job_file(folder, {"asked": to_plain(asked)})


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Segment the case's image in the main style."""
    from pgt.case_table import read_case_table
    from pgt.styles.corrections import propose_correction
    from pgt.styles.model_card import read_card
    from pgt.styles.survey import read_labels
    from pgt.styles.warm_model import warm_model
    from pgt.volume_io import read_volume

    try:
        asked = from_plain(AskedCorrection, read_job_file(folder)["asked"])
    except (KeyError, TypeError) as error:
        raise not_this_job(folder, "correction", error) from error
    rows = {row.case: row for row in read_case_table(read_card(asked.model).case_table)}
    row = rows.get(asked.case)
    if row is None or row.label is None:
        raise InputError(f"The table of the model's cases names no label for {asked.case}.")
    if cancelled():
        raise Cancelled
    volume = read_volume(row.image)
    label = read_labels(row, volume.geometry)
    model = warm_model(asked.model)
    report(Progress(0, 0, 0.0, f"Segmenting {row.case}"))
    found = propose_correction(
        model,
        row.case,
        volume,
        label,
        device=asked.device,  # type: ignore[arg-type]
        cancelled=cancelled,
    )
    save_array(folder / _LABEL, label.voxels)
    save_array(folder / _PROPOSAL, found.proposal.voxels)
    content = {
        "model": str(asked.model),
        "case": asked.case,
        "image": str(row.image),
        "geometry": asdict(volume.geometry),
        "segments": [asdict(segment) for segment in found.proposal.segments],
        "dice": found.dice,
        "messages": found.segmentation.messages,
    }
    write_result_file(folder, content)


def read_result(folder: Path) -> Proposal:
    """Read what `run` added."""
    result = read_result_file(folder)
    geometry = geometry_from(result["geometry"])
    segments = tuple(Segment(**{**one, "color": tuple(one["color"])}) for one in result["segments"])
    label, proposal = (
        LabelMap(load_array(folder / name), geometry, segments) for name in (_LABEL, _PROPOSAL)
    )
    return Proposal(
        Path(result["model"]),
        result["case"],
        Path(result["image"]),
        label,
        proposal,
        result["dice"],
        tuple(result["messages"]),
    )
