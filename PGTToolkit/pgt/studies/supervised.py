"""Plain supervised training of a network on small cases in memory; unannotated voxels contribute nothing.

What is drawn depends on the seed and the cases alone, so that the same training on the same machine comes to
the same weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pgt.errors import Cancelled, InputError, PGTError
from pgt.precision import denormals_flushed
from pgt.studies.masked_loss import MaskedDiceCrossEntropy
from pgt.studies.training_samples import SampleLook, SliceSampler, VolumeSampler

_POWER = 0.9
"""Of the polynomial by which the learning rate falls to 0."""
_REPORT_EVERY = 10


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """A case to learn from; all arrays [i, j, k] of one shape.

    Args:
        case: its name.
        image: float32, of mean about 0 and standard deviation about 1.
        label: class of every voxel, from 0 for the background, without gaps; of no meaning where not
            annotated.
        annotated: where the label counts; None for everywhere.
    """

    case: str
    image: NDArray[np.float32]
    label: NDArray[np.int16]
    annotated: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        shapes = {self.image.shape, self.label.shape}
        if self.annotated is not None:
            shapes.add(self.annotated.shape)
        if len(shapes) != 1 or len(self.image.shape) != 3:
            raise ValueError(f"image, label and annotated voxels of a case differ in shape: {shapes}")

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where the label counts."""
        return np.ones(self.label.shape, bool) if self.annotated is None else self.annotated


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Args:
        patch: voxels of a 3D network's patches along i, j, k, or a 2D network's along the two axes within
            the slice (:func:`patch_for`). Smaller cases are padded, in training and ever after alike, since
            the network's normalisation sees the padding; larger ones are cropped at random.
        dimensions: 2 for a network of slices, 3 for one of volumes.
        steps: of the optimizer (AdamW); the learning rate falls to 0 over them.
        batch: slices, or patches, a step.
        learning_rate: at the start.
        schedule: along which the learning rate falls: a polynomial of power 0.9, or half a cosine.
        weight_decay: of AdamW.
        axis: across which a 2D network's slices lie.
        foreground: share of a 3D network's patches around a voxel that is annotated as no background; the
            others lie around any annotated voxel.
        flips: axes along which half of the patches are mirrored; none where left and right must not change.
        intensity: how far a patch's contrast and brightness are changed at most, 0 for not at all.
        seed: of everything that is drawn; the network's first weights are its maker's matter.
        device: "cpu" or "cuda".

    Raises:
        InputError: a number is out of its range.
    """

    patch: tuple[int, ...]
    dimensions: int = 3
    steps: int = 300
    batch: int = 2
    learning_rate: float = 3e-3
    schedule: Literal["polynomial", "cosine"] = "polynomial"
    weight_decay: float = 1e-5
    axis: int = 2
    foreground: float = 0.5
    flips: tuple[int, ...] = ()
    intensity: float = 0.1
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"The {name} of a training must be at least 1, not {getattr(self, name)}.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InputError(f"The learning rate must be above 0, not {self.learning_rate}.")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise InputError(f"The weight decay must be at least 0, not {self.weight_decay}.")
        if self.dimensions not in (2, 3) or self.axis not in (0, 1, 2) or not set(self.flips) <= {0, 1, 2}:
            raise InputError("A training has 2 or 3 dimensions, and axes 0, 1 or 2.")
        if not 0 <= self.foreground <= 1 or not 0 <= self.intensity < 1:
            raise InputError("The shares foreground and intensity of a training lie between 0 and 1.")
        if len(self.patch) != self.dimensions or min(self.patch) < 1:
            raise InputError(
                f"The patch of a network of {self.dimensions} dimensions has as many sizes, "
                f"not {list(self.patch)}."
            )
        if self.seed < 0:
            raise InputError(f"A seed is a whole number from 0, not {self.seed}.")


@dataclass(frozen=True)
class TrainingCurve:
    """How a training went.

    Args:
        losses: mean loss of each tenth of the training (fewer where there are fewer steps).
        seconds: it took.
        steps: of the optimizer.
        annotated_voxels: that there were to learn from.
    """

    losses: tuple[float, ...] = field(default=())
    seconds: float = 0.0
    steps: int = 0
    annotated_voxels: int = 0


def train_network(
    network: torch.nn.Module,
    cases: Sequence[TrainingCase],
    settings: TrainingSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> TrainingCurve:
    """Train a network in place; it comes back on the CPU, ready to predict.

    Args:
        network: from [case, 1, i, j(, k)] to logits [case, class, i, j(, k)].
        cases: one or more.
        settings: how.
        progress: called every few steps with steps done and in all.
        cancelled: asked before every step.

    Raises:
        InputError: there is no case, or none has an annotated voxel.
        Cancelled: ``cancelled`` said so.
        PGTError: the training diverged.
    """
    annotated = sum(int(case.known.sum()) for case in cases)
    if not annotated:
        raise InputError("No voxel of any case is annotated; there is nothing to learn from.")
    sampler = _sampler(cases, settings)
    device = torch.device(settings.device)
    network.to(device).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    loss_of = MaskedDiceCrossEntropy()
    began = time.monotonic()
    losses = []
    with denormals_flushed(settings.device):
        for step in range(settings.steps):
            if cancelled():
                raise Cancelled
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _rate(step / settings.steps, settings.schedule)
            images, labels, known = (part.to(device) for part in sampler.batch(step))
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(network(images), labels, known)
            if not bool(torch.isfinite(loss)):
                raise PGTError(f"The training diverged in step {step + 1}; a lower learning rate may help.")
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            if (step + 1) % _REPORT_EVERY == 0 or step + 1 == settings.steps:
                progress(step + 1, settings.steps)
    network.cpu().eval()
    tenths = tuple(float(part.mean()) for part in np.array_split(np.array(losses), 10) if len(part))
    return TrainingCurve(tenths, time.monotonic() - began, settings.steps, annotated)


@torch.no_grad()
def predict_probabilities(
    network: torch.nn.Module, image: NDArray[np.float32], settings: TrainingSettings, batch: int = 16
) -> NDArray[np.float32]:
    """What a trained network says of a whole case.

    Args:
        network: trained with ``settings``.
        image: float32 [i, j, k], prepared like those it was trained on.
        settings: its patch, dimensions, axis and device count. Where the case is larger than the patch,
            patches overlap by half.
        batch: slices at once.

    Returns:
        Probabilities, float32 [class, i, j, k].
    """
    device = torch.device(settings.device)
    network.to(device).eval()
    if settings.dimensions == 2:
        images = torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, settings.axis, 0)))[:, None]
    else:
        images = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    with denormals_flushed(settings.device):
        parts = [_through(network, part, float(image.min()), settings) for part in images.split(batch)]
    found: NDArray[np.float32] = torch.cat(parts).numpy()
    return np.moveaxis(found, 0, settings.axis + 1) if settings.dimensions == 2 else found[0]


def _rate(done: float, schedule: Literal["polynomial", "cosine"]) -> float:
    """The learning rate as a share of the first one, after a share of the steps."""
    return (1 - done) ** _POWER if schedule == "polynomial" else (1 + math.cos(math.pi * done)) / 2


def patch_for(
    shapes: Sequence[tuple[int, ...]], dimensions: int, axis: int, divisor: int, largest: int = 128
) -> tuple[int, ...]:
    """The patch that holds the largest of some cases.

    Args:
        shapes: of the cases, voxels along i, j, k.
        dimensions: of the network.
        axis: across the slices of a 2D network.
        divisor: what the network's input must be a multiple of
            (`pgt.studies.networks.NetworkShape.divisor`).
        largest: voxels along an axis at most, for the sake of memory.
    """
    within = [a for a in range(3) if dimensions == 3 or a != axis]
    lengths = [min(max(shape[a] for shape in shapes), largest) for a in within]
    return tuple(math.ceil(length / divisor) * divisor for length in lengths)


def _through(
    network: torch.nn.Module, images: torch.Tensor, lowest: float, settings: TrainingSettings
) -> torch.Tensor:
    """Probabilities of images [case, 1, ...], padded like in training and cropped again, on the CPU."""
    sizes = images.shape[2:]
    margins = [max(p - size, 0) for p, size in zip(settings.patch, sizes, strict=True)]
    around = [end for margin in reversed(margins) for end in (margin // 2, margin - margin // 2)]
    padded = torch.nn.functional.pad(images, around, value=lowest).to(settings.device)
    if padded.shape[2:] == settings.patch:
        logits = network(padded)
    else:
        from monai.inferers.utils import sliding_window_inference

        logits = sliding_window_inference(
            padded, settings.patch, settings.batch, network, overlap=0.5, mode="gaussian"
        )
    probabilities: torch.Tensor = logits.softmax(dim=1).cpu()
    for axis, (margin, size) in enumerate(zip(margins, sizes, strict=True)):
        probabilities = probabilities.narrow(axis + 2, margin // 2, size)
    return probabilities


def _sampler(cases: Sequence[TrainingCase], settings: TrainingSettings) -> SliceSampler | VolumeSampler:
    arrays = [(case.image, case.label, case.known) for case in cases]
    within = [a for a in range(3) if settings.dimensions == 3 or a != settings.axis]
    look = SampleLook(
        settings.patch,
        settings.batch,
        tuple(place for place, a in enumerate(within) if a in settings.flips),
        settings.intensity,
        settings.seed,
    )
    if settings.dimensions == 2:
        return SliceSampler(arrays, look, settings.axis)
    return VolumeSampler(arrays, look, settings.foreground)
