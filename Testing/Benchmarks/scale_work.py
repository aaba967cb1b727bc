"""Made cases for the benchmark of scale; the workers of the cluster import this file by its name."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pgt.case_table import CaseRow
from pgt.commands.choices import MethodName
from pgt.commands.propagate_cases import CasePropagation, PropagationOptions, prepare, propagate_case
from pgt.geometry import Shape
from pgt.sample_volume import make_sample
from pgt.scale.case_task import CaseTask
from pgt.volume_io import write_label_map, write_volume

DRAWN = (0.2, 0.35, 0.5, 0.65, 0.8)
"""Annotated slices, as parts of the way along k."""

IMAGES = 8
"""Different volumes; cases beyond that share them, each with a result of its own."""


@dataclass(frozen=True)
class CountedCase:
    """A case of ``pgt propagate --cases`` and the file that notes its beginnings and ends."""

    propagation: CasePropagation
    log: Path


def make_rows(folder: Path, count: int, shape: Shape) -> list[CaseRow]:
    """A list of made cases, with volumes and annotated slices written into an existing folder."""
    slices = [round(part * shape[2]) for part in DRAWN]
    for number in range(min(IMAGES, count)):
        volume, truth = make_sample(shape, seed=number)
        drawn = np.zeros_like(truth.voxels)
        drawn[:, :, slices] = truth.voxels[:, :, slices]
        write_volume(volume, folder / f"image{number}.nrrd")
        write_label_map(replace(truth, voxels=drawn), folder / f"drawn{number}.seg.nrrd")
    return [
        CaseRow(
            f"case{number:03d}",
            folder / f"image{number % IMAGES}.nrrd",
            folder / f"drawn{number % IMAGES}.seg.nrrd",
        )
        for number in range(count)
    ]


def counted_tasks(rows: Sequence[CaseRow], log: Path, method: MethodName) -> list[CaseTask]:
    """The tasks of ``pgt propagate --cases --device cpu``, counted."""
    options = PropagationOptions(
        slices=None,
        axis=2,
        method=method,
        model="default",
        device="cpu",
        uncertainty=None,
        styles=None,
        table=Path("made"),
    )
    return [
        replace(task, function=counted_case, arguments=CountedCase(task.arguments, log))
        for task in prepare(options, rows)
    ]


def counted_case(counted: CountedCase, folder: Path) -> Mapping[str, Any]:
    """Propagate one case, noting that it was begun and ended, and what it cost this process."""
    _note(counted.log, "begun", folder)
    started, cpu_started = time.perf_counter(), time.process_time()
    results = propagate_case(counted.propagation, folder)
    _note(counted.log, "ended", folder)
    return {
        **results,
        "work_seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu_started,
    }


def times_noted(log: Path) -> Counter[tuple[str, str]]:
    """How often each case was begun and ended, by what and case."""
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter((line.split()[0], line.split()[1]) for line in lines)


def _note(log: Path, what: str, folder: Path) -> None:
    """One line, written at once, so that lines of several processes do not mix."""
    case = folder.name.partition(".attempt-")[0]
    with log.open("ab", buffering=0) as file:
        file.write(f"{what} {case} {os.getpid()}\n".encode())
