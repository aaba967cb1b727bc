"""How well the probabilities hold that propagation gives: fitted on made volumes, checked on others.

    python -m Benchmarks.calibration --volumes 40

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

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

SAMPLES_A_SEGMENT = 1500
EXAMPLES_A_VOLUME = 10
WIDEST = 12.0
"""Pixels from the interpolated outline within which voxels are looked at: elsewhere nobody doubts."""

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
    options = parser.parse_args(arguments)
    run(options.volumes, options.model)


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
