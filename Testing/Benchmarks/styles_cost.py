"""What the hyper-network's heads cost in training, and how long another style takes on a volume.

Training: one step of the published UNet on patches of 48³ voxels, with the published heads and with factored
ones. Inference: 128³ voxels of the network's own size segmented anew in another style. Each run is a process
of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from .cost import in_child

TRAINED = (("published", 1), ("published", 2), ("factored", 1), ("factored", 2))
"""Heads, and cases a step."""
SEGMENTED = (("small", True), ("small", False), ("factored", True), ("published", True))
"""Model size, and whether in bfloat16."""

MEMORY_SHARE = 0.2
"""What factored heads may take of the published ones' memory."""
SECONDS = {"cpu": 3.0, "cuda": 0.3}


@dataclass(frozen=True)
class TrainingCost:
    """A step of training.

    Args:
        parameters: of the hyper-network.
        seconds: of one step, the median of three.
        cpu_seconds: of all threads, which tells how busy the machine was with other work.
        peak_gb: highest memory, of the process less what it took before the model was made, or on the GPU.
    """

    heads: str
    cases: int
    device: str
    parameters: int
    seconds: float
    cpu_seconds: float
    peak_gb: float

    @property
    def state_gb(self) -> float:
        """Weights, their gradients and Adam's two moments, in float32."""
        return 16 * self.parameters / 1e9


@dataclass(frozen=True)
class StyleChangeCost:
    """Another style on a volume that is prepared: weights predicted, all windows run, labels on the grid.

    Args:
        windows: that cover the volume.
        seconds: the median of three.
        cpu_seconds: of all threads.
    """

    size: str
    bfloat16: bool
    device: str
    threads: int
    windows: int
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class StylesCost:
    """All runs."""

    training: tuple[TrainingCost, ...]
    inference: tuple[StyleChangeCost, ...]


def run(options: argparse.Namespace) -> StylesCost:
    """Every run. One that fails is told of and left out."""
    training = [
        in_child("styles_cost_run", "train", heads, str(cases), options.device) for heads, cases in TRAINED
    ]
    inference = [
        in_child("styles_cost_run", "segment", size, str(int(half)), options.device)
        for size, half in SEGMENTED
    ]
    return StylesCost(
        tuple(TrainingCost(**found) for found in training if found),
        tuple(StyleChangeCost(**found) for found in inference if found),
    )


def print_tables(cost: StylesCost) -> None:
    """Two tables on a terminal."""
    print("\nOne training step of the published UNet on patches of 48³")
    head = ("heads", "cases", "parameters", "device", "s", "CPU s", "state GB", "peak GB")
    print("{:<11}{:>6}{:>14}  {:<7}{:>7}{:>8}{:>10}{:>9}".format(*head))
    for one in cost.training:
        print(
            f"{one.heads:<11}{one.cases:>6}{one.parameters:>14,}  {one.device:<7}{one.seconds:>7.2f}"
            f"{one.cpu_seconds:>8.2f}{one.state_gb:>10.2f}{one.peak_gb:>9.2f}{_share(one, cost.training)}"
        )
    print("\nAnother style on 128³ voxels")
    print(
        f"{'size':<11}{'precision':<10}{'device':<7}{'threads':>8}{'windows':>9}{'s':>8}{'CPU s':>8}  budget"
    )
    for one in cost.inference:
        budget = SECONDS[one.device]
        precision = "bfloat16" if one.bfloat16 else "float32"
        print(
            f"{one.size:<11}{precision:<10}{one.device:<7}{one.threads:>8}{one.windows:>9}{one.seconds:>8.2f}"
            f"{one.cpu_seconds:>8.2f}  {budget:g} s: {'met' if one.seconds <= budget else 'MISSED'}"
        )


def _share(one: TrainingCost, every: Sequence[TrainingCost]) -> str:
    published = [other for other in every if (other.heads, other.cases) == ("published", one.cases)]
    if one.heads != "factored" or not published:
        return ""
    state, peak = one.state_gb / published[0].state_gb, one.peak_gb / published[0].peak_gb
    verdict = "met" if peak <= MEMORY_SHARE else "MISSED"
    return f"  {state:.0%} and {peak:.0%} of the published heads'; at most {MEMORY_SHARE:.0%}: {verdict}"
