"""How to train the reference networks; cheap to import, to make and to check."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pgt.errors import InputError
from pgt.propagation.windowing import Modality
from pgt.reference.slices import Plane

Size = Literal["published", "small"]

_DIRECTIONS = frozenset("RAS")
_SMALL = {"iterations": 1500, "labelled": 4, "unlabelled": 4, "learning_rate": 2e-3}


@dataclass(frozen=True)
class ReferenceSettings:
    """How to train. Defaults are the FLARE22 paper's (table 2) where it says anything.

    Args:
        size: "published", 105 and 11 million parameters, or "small" for a CPU.
        iterations: steps in all.
        labelled: labelled slices a step.
        unlabelled: unlabelled slices a step; 0 to learn from labelled cases alone.
        learning_rate: of AdamW; halved after 80 % and again after 90 % of the iterations.
        weight_decay: of AdamW.
        unsupervised_weight: of what the networks learn from each other.
        ramp_up: share of the iterations over which that weight rises from nothing.
        label_smoothing: share of the cross-entropy's target that is spread evenly over the classes.
        class_share: share of the labelled slices that are drawn to show a class, every class as often.
        rotation: slices are turned by up to this many degrees either way.
        flips: anatomical directions that slices may be mirrored along, letters of R, A and S; empty for none.
            Mirroring along R makes a left organ a right one, so it is only for labels that do not tell them
            apart.
        plane: which way volumes are cut; "auto" for the plane they were scanned in (thickest slices).
        modality: of the images: "auto" tells CT from anything else.
        values: label values to learn; None for all that occur.
        seed: of everything that is drawn.
        device: "auto", "cpu" or "cuda".
        checkpoint_seconds: at most this much work, or one step, is lost when a training is stopped.

    Raises:
        InputError: a number is out of its range.
    """

    LATER: ClassVar[tuple[str, ...]] = ("device", "checkpoint_seconds")
    """What may differ when a training goes on."""

    size: Size = "published"
    iterations: int = 50_000
    labelled: int = 2
    unlabelled: int = 2
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    unsupervised_weight: float = 1.0
    ramp_up: float = 0.2
    label_smoothing: float = 0.1
    class_share: float = 0.5
    rotation: float = 15.0
    flips: str = ""
    plane: Plane | Literal["auto"] = "auto"
    modality: Modality = "auto"
    values: tuple[int, ...] | None = None
    seed: int = 0
    device: str = "auto"
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name, least in {"iterations": 1, "labelled": 1, "unlabelled": 0, "seed": 0}.items():
            if getattr(self, name) < least:
                raise InputError(f"{_words(name)} must be at least {least}, not {getattr(self, name)}.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InputError(f"{_words('learning_rate')} must be above 0, not {self.learning_rate}.")
        for name in ("weight_decay", "unsupervised_weight", "rotation"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise InputError(f"{_words(name)} must be at least 0, not {getattr(self, name)}.")
        for name in ("ramp_up", "label_smoothing", "class_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{_words(name)} must be from 0 to 1, not {getattr(self, name)}.")
        if not set(self.flips) <= _DIRECTIONS:
            raise InputError(f"Slices can be mirrored along R, A and S, not along {self.flips!r}.")
        if self.values is not None and (not self.values or min(self.values) < 1):
            raise InputError(f"Label values to learn are whole numbers from 1, not {self.values}.")

    @classmethod
    def of_size(cls, size: Size, **given: Any) -> ReferenceSettings:
        """Settings that suit a size: the paper's, or those of the small networks, which learn faster.

        Args:
            size: "published" or "small".
            given: settings that are to differ from these.
        """
        suited: dict[str, Any] = dict(_SMALL) if size == "small" else {}
        return cls(**{**suited, **given, "size": size})

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        halvings = sum(step >= round(share * self.iterations) for share in (0.8, 0.9))
        return self.learning_rate * 0.5**halvings

    def unsupervised(self, step: int) -> float:
        """The weight, at a step counted from 0, of what the networks learn from each other.

        It rises as exp(-5 (1 - t)²) over the ramp, as consistency losses commonly do: at first the networks
        have nothing to tell each other.
        """
        ramp = self.ramp_up * self.iterations
        left = max(1 - step / ramp, 0.0) if ramp > 0 else 0.0
        return self.unsupervised_weight * math.exp(-5 * left**2)


def _words(name: str) -> str:
    return "The " + name.replace("_", " ")
