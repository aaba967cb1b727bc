"""A consensus of raters as a job of the worker; the folder's rules stand in `pgt.job_files`.

``job.json``: ``source`` (`pgt.agreement.reading_source`; one case), ``method`` and ``labels``.

``result.json``: ``geometry``; ``masks``, where the consensus on each label lies in ``consensus.npz``;
``labels``, what there is to say of each; and ``messages``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.consensus import RaterPerformance
from pgt.agreement.job import Steps
from pgt.agreement.masks import CroppedMask
from pgt.agreement.reading_source import ReadingSource, load_masks, load_source, save_masks, save_source
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.job_files import (
    geometry_from,
    load_arrays,
    not_this_job,
    read_job_file,
    read_result_file,
    save_arrays,
    write_job_file,
    write_result_file,
)
from pgt.job_kinds import IsCancelled, JobState, Report
from pgt.plain_data import from_plain, to_plain

_ARRAYS_FILE = "consensus.npz"


@dataclass(frozen=True)
class LabelConsensus:
    """What there is to say of the consensus on one label.

    Args:
        disputed: voxels on which the raters do not all agree.
        ties: those of them with as much for as against.
        raters: each rater against the consensus, in the region in dispute.
        note: method, region and ties in words.
    """

    disputed: int
    ties: int
    raters: tuple[RaterPerformance, ...]
    note: str


@dataclass(frozen=True, eq=False)
class ConsensusResult:
    """The consensus of one case.

    Args:
        geometry: its grid.
        masks: the consensus on each label.
        labels: what there is to say of each.
        messages: what to mind, one sentence each.
    """

    geometry: Geometry
    masks: Mapping[str, CroppedMask]
    labels: Mapping[str, LabelConsensus]
    messages: tuple[str, ...]


def write_job(folder: Path, source: ReadingSource, method: str, labels: Sequence[str] = ()) -> None:
    """Write what is asked for into an existing, empty folder.

    Args:
        folder: the job folder; the caller removes it after reading the result.
        source: the raters' segmentations of one case.
        method: see :class:`pgt.agreement.consensus.Method`.
        labels: the labels wanted; none for all that two raters have.
    """
    job = {"source": save_source(folder, source), "method": method, "labels": list(labels)}
    write_job_file(folder, job)


def read_job(folder: Path) -> tuple[ReadingSource, str, tuple[str, ...]]:
    """Read what `write_job` wrote.

    Raises:
        InputError: the folder lacks a file, or holds something else.
    """
    job = read_job_file(folder)
    try:
        return load_source(folder, job["source"]), job["method"], tuple(job["labels"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_this_job(folder, "consensus", error) from error


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Join the raters' segmentations; neither the reference's nor a model's has a voice."""
    from pgt.agreement.case_consensus import case_consensus

    steps = Steps(report, cancelled)
    source, method, labels = read_job(folder)
    opened = source.opened(steps.counted("Reading"))
    others = {opened.reference, *opened.candidates}
    readings = [one for one in opened.readings() if one.sitting.rater not in others]
    if len({reading.sitting.rater for reading in readings}) < 2:
        raise InputError("A consensus needs the segmentations of two raters or more.")
    steps.tell(0, 0, "Deciding what is in dispute")
    found = case_consensus(readings, method, labels or None)
    steps.check()
    arrays: dict[str, NDArray[np.uint8]] = {}
    masks = save_masks({label: one.mask for label, one in found.labels.items()}, arrays, "mask")
    save_arrays(folder / _ARRAYS_FILE, arrays)
    notes = dict.fromkeys(reading.note for reading in readings if reading.note)
    described = {
        label: to_plain(LabelConsensus(one.disputed, one.ties, one.raters, one.note))
        for label, one in found.labels.items()
    }
    write_result_file(
        folder,
        {
            "geometry": asdict(readings[0].geometry),
            "masks": masks,
            "labels": described,
            "messages": [*notes, *found.messages],
        },
    )


def read_result(folder: Path) -> ConsensusResult:
    """Read what `run` added."""
    result: dict[str, Any] = read_result_file(folder)
    geometry = geometry_from(result["geometry"])
    return ConsensusResult(
        geometry,
        load_masks(result["masks"], load_arrays(folder / _ARRAYS_FILE), geometry),
        {label: from_plain(LabelConsensus, one) for label, one in result["labels"].items()},
        tuple(result["messages"]),
    )
