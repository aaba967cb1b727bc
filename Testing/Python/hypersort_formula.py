"""Weights, images and latent vectors for the golden test of HyperSORT, from a formula instead of a file.

Element ``i`` of a tensor comes from an integer hash of ``i`` and the tensor's name (`stcn_formula.uniform`),
scaled by its place in the official state dict: hidden layers by sqrt(3 / fan-in), which keeps the variance of
activations, their biases by 0.5; the heads' biases so that 5·tanh of them is an ordinary UNet (convolutions
sqrt(3 / fan-in), norms' weights 1 ± 0.2, biases ± 0.1), and the heads' weights by a third of that.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from stcn_formula import uniform

SHAPE = (16, 24, 16)
CASES = 2
BOUND = 5.0


def head_scale(name: str, fan_in: int) -> float:
    """How large predicted weights of a layer are."""
    if "norm" in name:
        return 0.2 if name.endswith("weight") else 0.1
    return math.sqrt(3 / fan_in) if name.endswith("weight") else 0.1


def parameter(name: str, shape: tuple[int, ...], fan_in: int) -> NDArray[np.float32]:
    """One entry of the official state dict.

    Args:
        name: such as ``heads.conv_init;weight.bias``.
        shape: of the entry.
        fan_in: of the layer whose weights a head predicts; else of the layer itself.
    """
    u = uniform(name, shape)
    if name.startswith("heads."):
        predicted = name.removeprefix("heads.").rpartition(".")[0].replace(";", ".")
        scale = head_scale(predicted, fan_in) / BOUND
        if name.endswith(".weight"):
            u *= scale / 3
        else:
            u = scale * u + (1 / BOUND if "norm" in predicted and predicted.endswith("weight") else 0.0)
    elif len(shape) > 1:
        u *= math.sqrt(3 / fan_in)
    else:
        u *= 0.5
    return u.astype(np.float32)


def images() -> NDArray[np.float32]:
    """Images [case, 1, i, j, k]: smooth waves with some noise."""
    i, j, k = np.meshgrid(*(np.arange(size) for size in SHAPE), indexing="ij")
    waves = [np.sin(0.3 * i + n) * np.cos(0.2 * j - n) + np.sin(0.25 * k * (n + 1)) for n in range(CASES)]
    noise = uniform("images", (CASES, *SHAPE))
    return (np.stack(waves) + 0.3 * noise)[:, None].astype(np.float32)


def latents(dimensions: int) -> NDArray[np.float32]:
    """Latent vectors [case, dimension]."""
    return (0.7 * uniform("latents", (CASES, dimensions))).astype(np.float32)
