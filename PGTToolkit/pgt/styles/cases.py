"""From the rows of ``CASES.csv`` to training cases as the network sees them, kept on disk in between."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.output_files import whole_file
from pgt.styles.preparation import Preparation
from pgt.styles.sampling import PreparedCase
from pgt.styles.survey import CaseProgress, read_labels
from pgt.styles.training_order import check_rows
from pgt.volume_io import read_volume

_FORMAT = 1
"""Counts up whenever prepared arrays change their meaning, so that older ones are made anew."""


def prepare_cases(
    rows: Sequence[CaseRow],
    preparation: Preparation,
    cache: Path | None = None,
    progress: CaseProgress = lambda done, total: None,
) -> tuple[PreparedCase, ...]:
    """Read and prepare cases.

    Args:
        rows: of the table, each with a label map on the grid of its image.
        preparation: of the model that they shall train.
        cache: a folder, made where missing, in which prepared cases stay for the next time; arrays are then
            read from disk as they are needed. A case whose files or preparation changed is prepared anew.
        progress: called after every case.

    Raises:
        InputError: fewer than two cases, or a case that `pgt.styles.survey.survey` would refuse.
        OutputError: the cache cannot be written.
    """
    check_rows(rows)
    if cache:
        cache.mkdir(parents=True, exist_ok=True)
    cases = []
    for number, row in enumerate(rows):
        cases.append(_cached(row, preparation, cache) if cache else prepare_case(row, preparation))
        progress(number + 1, len(rows))
    return tuple(cases)


def prepare_case(row: CaseRow, preparation: Preparation) -> PreparedCase:
    """Read and prepare one case.

    Raises:
        InputError: a file cannot be read, the two are on different grids, or no structure is labelled.
    """
    volume = read_volume(row.image)
    label_map = read_labels(row, volume.geometry)
    labelled = np.isin(label_map.voxels, preparation.values)
    if not labelled.any():
        raise InputError(f"{row.label} (case {row.case}) labels none of the structures to learn.")
    # Shares of voxels are few and coarse numbers; half precision keeps them and half the memory.
    return PreparedCase(row.case, preparation.image(volume), preparation.labels(label_map).half())


def _cached(row: CaseRow, preparation: Preparation, cache: Path) -> PreparedCase:
    key = _key(row, preparation)
    # Named by a key, since a case's name may be a patient's.
    paths = cache / f"{key}-image.npy", cache / f"{key}-labels.npy"
    image, labels = _stored(paths[0], np.float32), _stored(paths[1], np.float16)
    if image is not None and labels is not None and image.shape[1:] == labels.shape[1:]:
        return PreparedCase(row.case, image, labels)
    case = prepare_case(row, preparation)
    for path, tensor in zip(paths, (case.image, case.labels), strict=True):
        with whole_file(path, overwrite=True) as beside, beside.open("wb") as file:
            np.save(file, tensor.numpy(), allow_pickle=False)
    return case


def _key(row: CaseRow, preparation: Preparation) -> str:
    """Names what a prepared case depends on: its files as they are now, and the preparation."""
    assert row.label is not None  # check_rows
    content: list[Any] = [_FORMAT, asdict(preparation), _state(row.image), _state(row.label)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _state(path: Path) -> list[Any]:
    """What changes when a file, or one in a folder of DICOM files, is written anew."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = [(str(file.resolve()), file.stat()) for file in files]
    return [[name, state.st_size, state.st_mtime_ns] for name, state in states]


def _stored(path: Path, kind: type) -> Tensor | None:
    """An array that was kept, read from disk as it is used; None where it is absent or damaged."""
    try:
        # Copy on write: torch wants arrays that it could write to.
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return torch.from_numpy(array) if array.dtype == kind and array.ndim == 4 else None
