"""A propagation as a job of the worker; the folder's rules stand in `pgt.job_files`. Arrays are [i, j, k].

``job.json``::

    {"schema": 1,
     "image":  {"file": "image.npy", "geometry": {"shape", "spacing", "origin", "direction"}},
     "labels": {"file": "labels.npy", "segments": [{"value", "name", "color", "terminology"}]},
     "slices": {"<label value>": {"<axis 0..2>": [annotated slice indices]}},
     "settings": {fields of PropagationSettings; those left out keep their defaults}}

``result.json``: the fields of `PropagationResult`, with ``"labels"`` and ``"uncertainty"`` naming their
array files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgt.annotation import SliceState, SparseAnnotation
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
from pgt.volume import LabelMap, Segment, Volume

if TYPE_CHECKING:
    from pgt.propagation.engine import PropagationResult, PropagationSettings


def write_job(
    folder: Path, volume: Volume, annotation: SparseAnnotation, settings: Mapping[str, Any] | None = None
) -> None:
    """Write a propagation into an existing, empty folder.

    Args:
        folder: the job folder; the caller removes it after reading the result.
        volume: the image.
        annotation: the annotated slices, on the image's grid.
        settings: fields of `PropagationSettings` that differ from their defaults.
    """
    save_array(folder / "image.npy", volume.voxels)
    save_array(folder / "labels.npy", annotation.label_map.voxels)
    job = {
        "image": {"file": "image.npy", "geometry": asdict(volume.geometry)},
        "labels": {"file": "labels.npy", "segments": [asdict(s) for s in annotation.label_map.segments]},
        "slices": annotation.slices,
        "settings": dict(settings or {}),
    }
    write_job_file(folder, job)


def read_job(folder: Path) -> tuple[Volume, SparseAnnotation, PropagationSettings]:
    """Read what `write_job` wrote.

    Raises:
        InputError: the folder lacks a file, or holds something else than a job.
    """
    from pgt.propagation.engine import PropagationSettings

    job = read_job_file(folder)
    try:
        geometry = geometry_from(job["image"]["geometry"])
        volume = Volume(load_array(folder / job["image"]["file"]), geometry)
        segments = tuple(_segment(fields) for fields in job["labels"]["segments"])
        label_map = LabelMap(load_array(folder / job["labels"]["file"]), geometry, segments)
        slices = {
            int(value): {int(axis): tuple(indices) for axis, indices in axes.items()}
            for value, axes in job["slices"].items()
        }
        return volume, SparseAnnotation(label_map, slices), PropagationSettings(**job["settings"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_this_job(folder, "propagation", error) from error


def run(folder: Path, report: Report, cancelled: IsCancelled, state: JobState) -> None:
    """Propagate; of what the job refines, only what changed is computed again, with the same result."""
    from pgt.propagation.engine import propagate

    volume, annotation, settings = read_job(folder)
    result = propagate(
        volume, annotation, settings, progress=report, cancelled=cancelled, previous=state.previous
    )
    write_result(folder, result)
    state.keep(result)


def write_result(folder: Path, result: PropagationResult) -> None:
    """Add a result to a job folder; ``result.json`` appears last, and only whole."""
    save_array(folder / "result_labels.npy", result.label_map.voxels)
    save_array(folder / "result_uncertainty.npy", result.uncertainty)
    description = {
        "labels": "result_labels.npy",
        "uncertainty": "result_uncertainty.npy",
        "geometry": asdict(result.label_map.geometry),
        "segments": [asdict(segment) for segment in result.label_map.segments],
        "slices": [
            {"index": s.index, "state": s.state.value if s.state else None, "confidence": s.confidence}
            for s in result.slices
        ],
        "next_slice": result.next_slice,
        "axis": result.axis,
        "annotated": result.annotated,
        "method": result.method,
        "model": result.model,
        "device": result.device,
        "seconds": result.seconds,
        "messages": result.messages,
    }
    write_result_file(folder, description)


def read_result(folder: Path) -> PropagationResult:
    """Read what `write_result` wrote."""
    from pgt.propagation.engine import PropagationResult, SliceResult

    result = read_result_file(folder)
    segments = tuple(_segment(fields) for fields in result["segments"])
    return PropagationResult(
        label_map=LabelMap(
            load_array(folder / result["labels"]), geometry_from(result["geometry"]), segments
        ),
        uncertainty=load_array(folder / result["uncertainty"]),
        slices=tuple(
            SliceResult(s["index"], SliceState(s["state"]) if s["state"] else None, s["confidence"])
            for s in result["slices"]
        ),
        next_slice=result["next_slice"],
        axis=result["axis"],
        annotated=tuple(result["annotated"]),
        method=result["method"],
        model=result["model"],
        device=result["device"],
        seconds=result["seconds"],
        messages=tuple(result["messages"]),
    )


def _segment(fields: Mapping[str, Any]) -> Segment:
    return Segment(**{**fields, "color": tuple(fields["color"])})
