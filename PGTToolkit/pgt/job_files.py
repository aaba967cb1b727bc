"""Job folders: how work and its result travel between a host and the worker.

The host writes ``job.json`` and its arrays, the worker adds ``result.json`` and its own. Arrays are ``.npy``
or ``.npz`` files that hold numbers only (``allow_pickle=False``); everything else is JSON. Both JSON files
carry `SCHEMA` and appear only whole. What stands in them is a matter of the kind of job (`pgt.job_kinds`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.geometry import Geometry

SCHEMA = 1
_JOB_FILE = "job.json"
_RESULT_FILE = "result.json"


def write_job_file(folder: Path, job: Mapping[str, Any]) -> None:
    """Write what is asked for."""
    _write(folder / _JOB_FILE, job)


def read_job_file(folder: Path) -> dict[str, Any]:
    """Read what is asked for.

    Raises:
        InputError: there is no such file, or it is of another version.
    """
    return _read(folder / _JOB_FILE)


def write_result_file(folder: Path, result: Mapping[str, Any]) -> None:
    """Write what came of it, as the last file of a result."""
    _write(folder / _RESULT_FILE, result)


def read_result_file(folder: Path) -> dict[str, Any]:
    """Read what came of it.

    Raises:
        InputError: there is no such file, or it is of another version.
    """
    return _read(folder / _RESULT_FILE)


def not_this_job(folder: Path, kind: str, error: Exception) -> InputError:
    """What to raise where ``job.json`` lacks what a kind of job needs."""
    return InputError(f"{folder / _JOB_FILE} is not a {kind} job: {error!r}.")


def save_array(path: Path, voxels: NDArray[Any]) -> None:
    """Write an array of numbers as ``.npy``."""
    np.save(path, voxels, allow_pickle=False)


def load_array(path: Path) -> NDArray[Any]:
    """Read an array of numbers.

    Raises:
        InputError: the file is missing, damaged, or holds anything but numbers.
    """
    try:
        voxels: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read as an array: {error}.") from error
    return voxels


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write several arrays of numbers as ``.npz``, each under its name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read several arrays of numbers.

    Raises:
        InputError: the file is missing, damaged, or holds anything but numbers.
    """
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as arrays: {error}.") from error


def geometry_from(fields: Mapping[str, Any]) -> Geometry:
    """A geometry from what ``dataclasses.asdict`` and JSON made of it."""
    return Geometry(**{name: as_tuples(value) for name, value in fields.items()})


def as_tuples(value: Any) -> Any:
    """Lists, in which JSON keeps tuples, as tuples again, however deep."""
    return tuple(as_tuples(item) for item in value) if isinstance(value, list) else value


def _write(path: Path, value: Mapping[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"schema": SCHEMA, **value}), encoding="utf-8")
    partial.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise InputError(f"{path} is not of schema {SCHEMA}, the one that this version of PGT Toolkit reads.")
    return value
