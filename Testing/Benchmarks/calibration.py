"""How well the probabilities hold that propagation gives: fitted on made volumes, checked on others.

    python -m Benchmarks.calibration --volumes 40

Then, on a few real volumes, how often voxels are wrong that are said to be in doubt.

Draws training examples of made volumes, fits the two numbers of
:class:`pgt.propagation.calibration.Calibration` for the network and for shape interpolation by maximum
likelihood on one half of the volumes, and prints on the other half the negative log-likelihood and the
expected calibration error of the doubt (ten bins), with the raw logits, with the fitted numbers and with
those in use.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from .real_data import data_folder, list_cases, quick_subset
from .simulated_rater import Plan, draw

SAMPLES_A_SEGMENT = 1500
EXAMPLES_A_VOLUME = 10
WIDEST = 12.0
"""Pixels from the interpolated outline within which voxels are looked at: elsewhere nobody doubts."""

LEAST_DOUBT_SHOWN = 0.02

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Voxels: logits by the network and by shape, pixels to the nearest annotated slice, and the truth."""

    network: Array
    shape: Array
    distance: Array
    truth: Array


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="Benchmarks.calibration", description=__doc__.split("\n")[0])
    parser.add_argument("--volumes", type=int, default=40)
    parser.add_argument("--model", default="default")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real volumes")
    options = parser.parse_args(arguments)
    run(options.volumes, options.model)
    run_on_real(options.data)


def run(volumes: int, model: str = "default") -> None:
    """Print the table."""
    from pgt.propagation.calibration import NETWORK, SHAPE

    fitting, checking = collect(volumes // 2, model, seed=1), collect(volumes - volumes // 2, model, seed=2)
    print(f"\nCalibration on made volumes ({checking.truth.size} voxels near outlines)")
    print("method    doubt: offset, slope  negative log-likelihood   expected calibration error")
    for name, in_use in (("network", NETWORK), ("shape", SHAPE)):
        found = fit(getattr(fitting, name), fitting)
        rows = {"raw": (1.0, 0.0), "fitted": found, "in use": (in_use.offset, in_use.slope)}
        for said, (offset, slope) in rows.items():
            scaled = getattr(checking, name) / doubt(offset, slope, checking.distance)
            print(
                f"{name:8}  {said:7} {offset:+.2f} {slope:+.2f}"
                f"      {negative_log_likelihood(scaled, checking.truth):.4f}"
                f"                    {calibration_error(scaled, checking.truth):.4f}"
            )


def run_on_real(data: Path, slices: str = "5") -> None:
    """Print how often voxels of real volumes are wrong, by the doubt that ``auto`` has of them."""
    from pgt.annotation import SparseAnnotation
    from pgt.geometry import Geometry
    from pgt.propagation.engine import propagate
    from pgt.volume import LabelMap, Segment, Volume

    doubts, wrongs = [], []
    for case in quick_subset([case for case in list_cases(data) if case.data_set != "torso CT"]):
        loaded = case.load()
        geometry = Geometry(shape=loaded.voxels.shape, spacing=loaded.spacing)
        for structure in loaded.structures:
            drawing = draw(loaded, structure, Plan.from_name(slices, False))
            drawn = LabelMap(drawing.mask.astype(np.uint8), geometry, (Segment.numbered(1),))
            annotation = SparseAnnotation.from_label_map(drawn, case.axis, drawing.annotated)
            result = propagate(Volume(loaded.voxels, geometry), annotation)
            between = slice(drawing.annotated[0], drawing.annotated[-1] + 1)
            doubt_of = np.moveaxis(result.uncertainty, case.axis, 0)[between]
            truth = np.moveaxis(loaded.labels == structure.value, case.axis, 0)[between]
            inside = np.moveaxis(result.label_map.voxels == 1, case.axis, 0)[between]
            looked_at = doubt_of > LEAST_DOUBT_SHOWN
            doubts.append(doubt_of[looked_at])
            wrongs.append((truth != inside)[looked_at])
    if not doubts:
        print("skipped: no real volumes")
        return
    doubt_of, wrong = np.concatenate(doubts), np.concatenate(wrongs)
    print(f"\nCalibration on real volumes, {slices} slices drawn ({doubt_of.size} voxels in doubt)")
    print("doubt said   share wrong   voxels")
    for low in np.arange(0, 0.5, 0.1):
        inside = (doubt_of >= low) & (doubt_of < low + 0.1)
        if inside.any():
            print(f"{doubt_of[inside].mean():10.3f}   {wrong[inside].mean():11.3f}   {inside.sum()}")


def collect(volumes: int, model: str, seed: int) -> Sample:
    """Voxels of examples drawn from made volumes."""
    import torch

    from pgt.propagation.checkpoints import load_model
    from pgt.propagation.network_filling import caution
    from pgt.propagation.sampling import draw_example
    from pgt.propagation.training import made_volume

    network = load_model(model)
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(volumes):
        volume = made_volume(generator)
        for _ in range(EXAMPLES_A_VOLUME):
            example = draw_example(volume, generator, 64)
            if example is None:
                continue
            with torch.inference_mode():
                logits = network([example.gap], top_k=network.top_k)[0]
            shape = network.sharpness.detach() * example.gap.prior
            weight = torch.from_numpy(caution(example.gap.distance.double().numpy())).float()
            logits = shape + weight[..., None, None] * (logits - shape)
            distance = example.gap.distance[..., None, None].expand_as(logits)
            stacked = torch.stack([logits, example.gap.prior, distance, example.truth])
            for segment, counted in enumerate(example.counted > 0):
                near = stacked[:, segment, counted].flatten(1).numpy().astype(np.float64)
                near = near[:, (np.abs(near[1]) < WIDEST) & np.isfinite(near[2])]
                count = min(near.shape[1], SAMPLES_A_SEGMENT)
                rows.append(near[:, generator.choice(near.shape[1], count, replace=False)])
    return Sample(*np.concatenate(rows, axis=1))


def fit(logits: Array, sample: Sample) -> tuple[float, float]:
    """Offset and slope of the doubt by maximum likelihood."""

    def loss(numbers: Array) -> float:
        scaled = logits / doubt(numbers[0], numbers[1], sample.distance)
        return negative_log_likelihood(scaled, sample.truth)

    found = minimize(loss, [1.0, 0.1], method="Nelder-Mead").x
    return float(found[0]), float(found[1])


def doubt(offset: float, slope: float, distance: Array) -> Array:
    """What logits are divided by."""
    return np.maximum(offset + slope * np.sqrt(distance), 0.25)


def negative_log_likelihood(logits: Array, truth: Array) -> float:
    return float(np.mean(np.logaddexp(0, logits) - truth * logits))


def calibration_error(logits: Array, truth: Array) -> float:
    """Mean absolute difference between doubt and the share of wrong voxels, over ten bins of doubt."""
    wrong = (logits > 0) != (truth > 0.5)
    doubted = 1 / (1 + np.exp(np.abs(logits)))
    bins = np.minimum((doubted * 20).astype(int), 9)
    error = 0.0
    for number in range(10):
        inside = bins == number
        if inside.any():
            error += inside.mean() * abs(doubted[inside].mean() - wrong[inside].mean())
    return float(error)


if __name__ == "__main__":
    main()
