"""Job folders: how a propagation and its result travel between a host and the worker.

The host writes ``job.json`` and its arrays, the worker adds ``result.json`` and its own. Arrays are
``.npy`` files [i, j, k] that hold numbers only (``allow_pickle=False``); everything else is JSON. Both
files carry `SCHEMA`.

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

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import SliceState, SparseAnnotation
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.volume import LabelMap, Segment, Volume

if TYPE_CHECKING:
    from pgt.propagation.engine import PropagationResult, PropagationSettings

SCHEMA = 1
_JOB_FILE = "job.json"
_RESULT_FILE = "result.json"


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
    _save(folder / "image.npy", volume.voxels)
    _save(folder / "labels.npy", annotation.label_map.voxels)
    job = {
        "schema": SCHEMA,
        "image": {"file": "image.npy", "geometry": asdict(volume.geometry)},
        "labels": {"file": "labels.npy", "segments": [asdict(s) for s in annotation.label_map.segments]},
        "slices": annotation.slices,
        "settings": dict(settings or {}),
    }
    _write_json(folder / _JOB_FILE, job)


def read_job(folder: Path) -> tuple[Volume, SparseAnnotation, PropagationSettings]:
    """Read what `write_job` wrote.

    Raises:
        InputError: the folder lacks a file, or holds something else than a job.
    """
    from pgt.propagation.engine import PropagationSettings

    job = _read_json(folder / _JOB_FILE)
    try:
        geometry = _geometry(job["image"]["geometry"])
        volume = Volume(_load(folder / job["image"]["file"]), geometry)
        segments = tuple(_segment(fields) for fields in job["labels"]["segments"])
        label_map = LabelMap(_load(folder / job["labels"]["file"]), geometry, segments)
        slices = {
            int(value): {int(axis): tuple(indices) for axis, indices in axes.items()}
            for value, axes in job["slices"].items()
        }
        return volume, SparseAnnotation(label_map, slices), PropagationSettings(**job["settings"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder / _JOB_FILE} is not a propagation job: {error!r}.") from error


def write_result(folder: Path, result: PropagationResult) -> None:
    """Add a result to a job folder; ``result.json`` appears last, and only whole."""
    _save(folder / "result_labels.npy", result.label_map.voxels)
    _save(folder / "result_uncertainty.npy", result.uncertainty)
    description = {
        "schema": SCHEMA,
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
    _write_json(folder / _RESULT_FILE, description)


def read_result(folder: Path) -> PropagationResult:
    """Read what `write_result` wrote."""
    from pgt.propagation.engine import PropagationResult, SliceResult

    result = _read_json(folder / _RESULT_FILE)
    segments = tuple(_segment(fields) for fields in result["segments"])
    return PropagationResult(
        label_map=LabelMap(_load(folder / result["labels"]), _geometry(result["geometry"]), segments),
        uncertainty=_load(folder / result["uncertainty"]),
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


def _geometry(fields: Mapping[str, Any]) -> Geometry:
    return Geometry(**{name: _tuples(value) for name, value in fields.items()})


def _segment(fields: Mapping[str, Any]) -> Segment:
    return Segment(**{**fields, "color": tuple(fields["color"])})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _save(path: Path, voxels: NDArray[Any]) -> None:
    np.save(path, voxels, allow_pickle=False)


def _load(path: Path) -> NDArray[Any]:
    try:
        voxels: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read as an array: {error}.") from error
    return voxels


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value), encoding="utf-8")
    partial.replace(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise InputError(f"{path} is not of schema {SCHEMA}, the one that this version of PGT Toolkit reads.")
    return value
