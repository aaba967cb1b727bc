"""What propagation costs in time and memory, and what importing the modules costs.

A volume of 512 × 512 × 300 voxels (int16) is made, with one organ-sized structure, and with thirteen;
every tenth slice is annotated. Each run is a process of its own, so that its peak memory is its own. Fewer
slices and fewer segments show how time and memory grow.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MODULES = Path(__file__).resolve().parents[2] / "PGTToolkit"

TIME_BUDGET_SECONDS = {1: 40, 13: 240}
"""By number of segments, for the whole volume on a CPU."""
MEMORY_BUDGET_GB = 4.0
GPU_MEMORY_BUDGET_GB = 2.0
IMPORT_BUDGET_SECONDS = 0.3

RUNS = ((300, 1), (300, 13), (150, 1), (300, 5))
"""Slices and segments of each run."""


@dataclass(frozen=True)
class Cost:
    """One run.

    Args:
        seconds: of the call of ``propagate``.
        cpu_seconds: of all its threads, which tells how busy the machine was with other work.
        start_gb: resident memory before it, with the volume and the annotation loaded.
        peak_gb: highest resident memory during it.
        gpu_gb: highest memory allocated on the GPU; 0 on a CPU.
        dice: mean over the structures on the slices that were not annotated: that the work was done.
    """

    slices: int
    segments: int
    method: str
    device: str
    seconds: float
    cpu_seconds: float
    start_gb: float
    peak_gb: float
    gpu_gb: float
    dice: float


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="Benchmarks.cost", description=__doc__.split("\n")[0])
    add_options(parser)
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args(arguments)
    costs, imports = run(options), import_seconds()
    print_tables(costs, imports)
    if options.json:
        options.json.write_text(
            json.dumps({"runs": [asdict(cost) for cost in costs], "imports": imports}, indent=1)
        )


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", default="auto", help="method of propagation")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--runs", help="comma-separated SLICESxSEGMENTS, for instance 300x1,300x13")


def run(options: argparse.Namespace) -> list[Cost]:
    """Every run that was asked for. One that fails is told of and left out."""
    runs = RUNS
    if options.runs:
        runs = tuple((int(s), int(n)) for s, n in (pair.split("x") for pair in options.runs.split(",")))
    costs = []
    for slices, segments in runs:
        outcome = in_child("cost_run", str(slices), str(segments), options.method, options.device)
        if outcome is not None:
            costs.append(Cost(**outcome))
    return costs


def import_seconds() -> dict[str, float]:
    """How long a fresh interpreter takes to import the core and each module file, by name."""
    names = ["pgt", *sorted(path.stem for path in MODULES.glob("PGT*.py"))]
    seconds = {}
    for name in names:
        outcome = in_child("import_run", name)
        if outcome is not None:
            seconds[name] = float(outcome["seconds"])
    return seconds


def print_tables(costs: Sequence[Cost], imports: dict[str, float]) -> None:
    """Two tables on a terminal."""
    print("\nCost of propagating 512 × 512 voxels a slice, every tenth annotated")
    print(_HEADER)
    for cost in costs:
        print(
            f"{cost.slices:>7}{cost.segments:>9}  {cost.method:<9}{cost.device:<7}{cost.seconds:>7.1f}"
            f"{cost.cpu_seconds:>7.1f}{cost.start_gb:>9.2f}{cost.peak_gb:>9.2f}{cost.gpu_gb:>8.2f}"
            f"{cost.dice:>7.3f}  {_verdict(cost)}"
        )
    print(f"\nImport, at most {IMPORT_BUDGET_SECONDS} s")
    for name, seconds in imports.items():
        print(f"{name:<20}{seconds:>7.3f} s  {'met' if seconds <= IMPORT_BUDGET_SECONDS else 'MISSED'}")


_HEADER = (
    f"{'slices':>7}{'segments':>9}  {'method':<9}{'device':<7}{'s':>7}{'CPU s':>7}"
    f"{'start GB':>9}{'peak GB':>9}{'GPU GB':>8}{'Dice':>7}  budget"
)


def _verdict(cost: Cost) -> str:
    seconds = TIME_BUDGET_SECONDS.get(cost.segments)
    within_time = seconds is None or cost.device != "cpu" or cost.seconds <= seconds
    within_memory = cost.peak_gb <= MEMORY_BUDGET_GB and cost.gpu_gb <= GPU_MEMORY_BUDGET_GB
    budget = f"{seconds} s, " if seconds is not None and cost.device == "cpu" else ""
    budget += f"{MEMORY_BUDGET_GB:g} GB"
    if cost.device != "cpu":
        budget += f", GPU {GPU_MEMORY_BUDGET_GB:g} GB"
    return f"{budget}: {'met' if within_time and within_memory else 'MISSED'}"


def in_child(module: str, *arguments: str) -> dict[str, Any] | None:
    """What a module of this package prints as its last line, a JSON object; None, told of, where it fails."""
    search_path = [str(MODULES), *(path or os.getcwd() for path in sys.path)]
    completed = subprocess.run(
        [sys.executable, "-m", f"{__package__}.{module}", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(search_path)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = completed.stdout.strip().splitlines()
    if completed.returncode != 0 or not lines:
        print(f"{module} {' '.join(arguments)} failed with status {completed.returncode}", file=sys.stderr)
        return None
    return json.loads(lines[-1])


if __name__ == "__main__":
    main()
