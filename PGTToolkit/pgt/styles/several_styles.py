"""One volume in several styles: how far they disagree, and what each makes of the volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgt.errors import InputError
from pgt.progress import Progress
from pgt.styles.inference import DeviceName, IsCancelled, Report, Segmenter, StyledSegmentation
from pgt.styles.style_model import Latent, StyleModel
from pgt.volume import Volume


@dataclass(frozen=True, eq=False)
class ComparedStyles:
    """A volume in several styles.

    Args:
        styles: the segmentation in each, by name.
        spread: how far the styles disagree, float32 [i, j, k] on the volume's own grid (`spread_of`).
    """

    styles: Mapping[str, StyledSegmentation]
    spread: NDArray[np.float32]

    @property
    def volumes_ml(self) -> dict[str, dict[int, float]]:
        """Volume of every structure in ml, by style and label value."""
        return {name: one.volumes_ml for name, one in self.styles.items()}


def compare_styles(
    model: StyleModel,
    volume: Volume,
    latents: Mapping[str, Latent],
    device: DeviceName = "auto",
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> ComparedStyles:
    """Segment a volume in several styles, which is prepared once.

    Args:
        model: a trained model.
        volume: the image.
        latents: two styles or more, by name.
        device: where to compute.
        progress: told after every window.
        cancelled: asked before every window.

    Raises:
        InputError: fewer than two styles, one that has not the model's dimensions, or an image that is the
            same everywhere.
        DeviceError: there is no such device, or its memory does not suffice.
        Cancelled: ``cancelled`` said so.
    """
    return compare_prepared(Segmenter(model, volume, device), latents, progress, cancelled)


def compare_prepared(
    segmenter: Segmenter,
    latents: Mapping[str, Latent],
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> ComparedStyles:
    """As `compare_styles`, for a volume that is prepared already."""
    if len(latents) < 2:
        raise InputError("Styles are compared with each other; choose two or more.")
    found = {
        name: segmenter.segment(latent, _part_of_all(progress, name, number, len(latents)), cancelled)
        for number, (name, latent) in enumerate(latents.items())
    }
    spread = spread_of([one.shares for one in found.values()])
    on_grid = segmenter.model.preparation.on_grid(spread[None], segmenter.geometry)[0]
    return ComparedStyles(found, on_grid)


def spread_of(shares: Sequence[Tensor]) -> Tensor:
    """How far styles disagree: twice the standard deviation of a class's probability over the styles.

    Of the class for which it is largest. 0 where all styles say the same, however unsure; 1 where half of
    them are sure of a class and half of another.

    Args:
        shares: probabilities of the classes in each style, [class, i, j, k].

    Returns:
        float32 [i, j, k].
    """
    mean, squares = torch.zeros_like(shares[0]), torch.zeros_like(shares[0])
    # Welford's running sums: all styles of a large volume at once would take gigabytes.
    for number, one in enumerate(shares, start=1):
        away = one - mean
        mean += away / number
        squares += away * (one - mean)
    return 2 * (squares / len(shares)).amax(dim=0).clamp(min=0).sqrt()


def _part_of_all(progress: Report, name: str, number: int, styles: int) -> Report:
    def told(step: Progress) -> None:
        done, total = number * step.total + step.done, styles * step.total
        progress(replace(step, done=done, total=total, message=f"{name}: {step.message}"))

    return told
