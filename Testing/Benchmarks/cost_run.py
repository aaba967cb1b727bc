"""One run of the cost benchmark, in a process of its own: prints what it cost as a line of JSON.

python -m Benchmarks.cost_run SLICES SEGMENTS METHOD DEVICE
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import SparseAnnotation
from pgt.geometry import Geometry
from pgt.propagation.engine import PropagationSettings, propagate
from pgt.volume import LabelMap, Segment, Volume

from .accuracy import dice

ROWS = 512
SPACING = (0.8, 0.8, 1.0)
ANNOTATED_EVERY = 10


def main(slices: int, segments: int, method: str, device: str) -> None:
    """Make the volume, propagate, print the cost."""
    voxels, truth = make_volume(slices, segments)
    geometry = Geometry(voxels.shape, SPACING)
    drawn = np.zeros_like(truth)
    drawn[:, :, ::ANNOTATED_EVERY] = truth[:, :, ::ANNOTATED_EVERY]
    colors = tuple(Segment(value, f"organ {value}", (0.9, 0.5, 0.3)) for value in range(1, segments + 1))
    annotation = SparseAnnotation(LabelMap(drawn, geometry, colors), annotated_slices(truth, segments))
    start_gb = peak_resident_gb()
    settings = PropagationSettings(axis=2, method=method, device=device)
    started, cpu_started = time.monotonic(), time.process_time()
    result = propagate(Volume(voxels, geometry), annotation, settings)
    cost = {
        "slices": slices,
        "segments": segments,
        "method": method,
        "device": result.device,
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "start_gb": start_gb,
        "peak_gb": peak_resident_gb(),
        "gpu_gb": peak_gpu_gb(result.device),
        "dice": mean_dice(result.label_map.voxels, truth, segments),
    }
    print(json.dumps(cost))


def make_volume(slices: int, segments: int) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """A noisy body with ellipsoids the size of organs in a lattice, and their labels, both [i, j, k].

    A single structure is as large as a liver; thirteen share the body.
    """
    generator = np.random.default_rng(0)
    voxels = np.full((ROWS, ROWS, slices), -1000, np.int16)
    truth = np.zeros(voxels.shape, np.uint8)
    noise = generator.normal(0, 12, (ROWS, ROWS, 16)).astype(np.int16)
    i, j = np.ogrid[:ROWS, :ROWS]
    body = ((i - ROWS / 2) / 240) ** 2 + ((j - ROWS / 2) / 180) ** 2 < 1
    organs = list(_organs(slices, segments))
    for k in range(slices):
        plane = voxels[:, :, k]
        plane[body] = 20
        for value, (centre, radii) in enumerate(organs, start=1):
            distance = sum(
                ((at - middle) / radius) ** 2
                for at, middle, radius in zip((i, j, k), centre, radii, strict=True)
            )
            inside = np.asarray(distance) < 1
            truth[:, :, k][inside] = value
            plane[inside] = 60 + 15 * (value % 5)
        plane += noise[:, :, k % 16]
    return voxels, truth


def _organs(slices: int, segments: int) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Centres and radii in voxels."""
    if segments == 1:
        return [((ROWS * 0.42, ROWS / 2, slices / 2), (110.0, 90.0, slices * 0.3))]
    columns = [(column, row) for row in (0.33, 0.5, 0.67) for column in (0.2, 0.36, 0.52, 0.68, 0.82)]
    return [
        ((ROWS * column, ROWS * row, slices * (0.4 + 0.2 * (place % 2))), (36.0, 34.0, slices * 0.3))
        for place, (column, row) in enumerate(columns[:segments])
    ]


def annotated_slices(truth: NDArray[np.uint8], segments: int) -> dict[int, dict[int, tuple[int, ...]]]:
    """Every tenth slice of the volume on which a label lies, and the empty ones next to it."""
    slices: dict[int, dict[int, tuple[int, ...]]] = {}
    for value in range(1, segments + 1):
        planes = range(0, truth.shape[2], ANNOTATED_EVERY)
        used = [k for k in planes if (truth[:, :, k] == value).any()]
        ends = (used[0] - ANNOTATED_EVERY, used[-1] + ANNOTATED_EVERY)
        slices[value] = {2: tuple(sorted({*used, *(k for k in ends if k in planes)}))}
    return slices


def mean_dice(voxels: NDArray[np.integer], truth: NDArray[np.uint8], segments: int) -> float:
    """Mean Dice of the labels on the slices between the annotated ones."""
    unseen = np.arange(truth.shape[2]) % ANNOTATED_EVERY != 0
    found, expected = voxels[:, :, unseen], truth[:, :, unseen]
    return float(np.mean([dice(found == value, expected == value) for value in range(1, segments + 1)]))


def peak_resident_gb() -> float:
    """The highest resident memory of this process so far, in units of 1e9 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def peak_gpu_gb(device: str) -> float:
    """The highest memory allocated on the GPU, 0 on a CPU."""
    if device != "cuda":
        return 0.0
    import torch

    return torch.cuda.max_memory_allocated() / 1e9


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
