"""How to train a style model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from pgt.errors import InputError


@dataclass(frozen=True)
class StyleTrainingSettings:
    """How to train.

    Args:
        epochs: at most; the last `decay` share of them runs with a falling rate.
        learning_rate: of the hyper-network (Adam).
        latent_rate: of the latent vectors (Adam).
        latent_penalty: weight of the L1 norm of the latent vectors.
        cases_per_step: trained together, each with weights of its own, by all processes taken together.
        decay: share of the epochs at the end in which both rates fall to a twentieth.
        patience: epochs over which the mean loss has to fall by one hundredth; where it does not, the
            falling of the rates begins. 0 for never.
        gather_every: epochs after which cases gather anew at places that they share, for raters of alike
            shares (`pgt.styles.gathering`); the penalty then draws each case to its place instead of the
            origin. 0 for never, as in the paper.
        augmentation: turn, move, scale and shade what is shown (`pgt.styles.augmentation`).
        mixed_precision: run the primary network in bfloat16 (the hyper-network stays in float32); "auto" for
            where that is faster.
        checkpoint_seconds: at most this much work is lost when training is stopped, or one epoch.
        seed: of everything that is drawn.
        device: "cpu" or "cuda".

    Raises:
        InputError: a number is out of its range.
    """

    LATER: ClassVar[tuple[str, ...]] = ("epochs", "device", "checkpoint_seconds")
    """What may differ when a training goes on."""

    epochs: int = 200
    learning_rate: float = 1e-3
    latent_rate: float = 0.03
    latent_penalty: float = 0.05
    cases_per_step: int = 8
    decay: float = 0.3
    patience: int = 25
    gather_every: int = 0
    augmentation: bool = True
    mixed_precision: bool | Literal["auto"] = "auto"
    checkpoint_seconds: float = 60.0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        least_values = {"epochs": 1, "cases_per_step": 1, "patience": 0, "gather_every": 0, "seed": 0}
        for name, least in least_values.items():
            if getattr(self, name) < least:
                raise InputError(f"{_words(name)} must be at least {least}, not {getattr(self, name)}.")
        for name in ("learning_rate", "latent_rate"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise InputError(f"{_words(name)} must be above 0, not {getattr(self, name)}.")
        if not (self.latent_penalty >= 0 and math.isfinite(self.latent_penalty)):
            raise InputError(f"{_words('latent_penalty')} must be at least 0, not {self.latent_penalty}.")
        if not 0 < self.decay <= 1:
            raise InputError(f"{_words('decay')} must be above 0 and at most 1, not {self.decay}.")


def _words(name: str) -> str:
    return "The " + name.replace("_", " ")
