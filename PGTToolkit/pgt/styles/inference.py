"""Segment a volume in a style: a point of the map becomes a network, the network segments (section 3).

`Segmenter` prepares a volume once; changing the style then costs one prediction of weights and one pass.
Volumes larger than the network's window are segmented window by window, smaller ones are padded as in
training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, prod
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgt.errors import Cancelled, DeviceError, InputError
from pgt.geometry import Shape
from pgt.precision import bfloat16_is_fast
from pgt.progress import Progress
from pgt.propagation.fillers import choose_device
from pgt.styles.preparation import Preparation
from pgt.styles.sampling import window
from pgt.styles.style_choice import check_latent, outside_training
from pgt.styles.style_model import Latent, StyleModel
from pgt.styles.unet import Weights
from pgt.volume import LabelMap, Segment, Volume, color_of_value

DeviceName = Literal["auto", "cpu", "cuda"]
Report = Callable[[Progress], None]
IsCancelled = Callable[[], bool]

_OVERLAP = 0.25
"""Part that neighbouring windows share."""
_VOXELS_AT_ONCE = {"cpu": 2**17, "cuda": 2**21}
"""Windows run together up to this many voxels. In float32 on a single core, PyTorch convolves two small ones
five times as fast as one."""


@dataclass(frozen=True, eq=False)
class StyledSegmentation:
    """A volume segmented in one style.

    Args:
        label_map: on the volume's own grid, one segment a class of the model.
        shares: probability of every class on the network's grid, [class, i, j, k], background first; the
            share of a voxel that the class is expected to fill.
        latent: the style.
        device: where it was computed, "cpu" or "cuda".
        seconds: it took, without preparing the volume.
        messages: what the user should know, such as that the style lies outside the trained range.
    """

    label_map: LabelMap
    shares: Tensor
    latent: Latent
    device: str
    seconds: float
    messages: tuple[str, ...]
    preparation: Preparation

    def probability(self, value: int) -> NDArray[np.float32]:
        """Probability of a label value on the volume's own grid, [i, j, k]; 0 for the background."""
        if value and value not in self.preparation.values:
            raise InputError(f"The model has no label {value}; it has {self.label_map.values}.")
        place = 1 + self.preparation.values.index(value) if value else 0
        return self.preparation.on_grid(self.shares[place : place + 1], self.label_map.geometry)[0]

    @property
    def volumes_ml(self) -> dict[int, float]:
        """Volume of every segment in ml, by label value."""
        voxel = self.label_map.geometry.voxel_volume / 1000
        return {value: int(self.label_map.mask(value).sum()) * voxel for value in self.label_map.values}


def segment(
    model: StyleModel,
    volume: Volume,
    latent: Latent | None = None,
    device: DeviceName = "auto",
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> StyledSegmentation:
    """Segment a volume in one style.

    Args:
        model: a trained model.
        volume: the image.
        latent: the style; the main one by default. It may lie outside the trained range.
        device: where to compute.
        progress: told after every window.
        cancelled: asked before every window.

    Raises:
        InputError: the image is the same everywhere, or the style has not the model's dimensions.
        DeviceError: there is no such device, or its memory does not suffice.
        Cancelled: ``cancelled`` said so.
    """
    return Segmenter(model, volume, device).segment(latent, progress, cancelled)


class Segmenter:
    """A volume made ready to be segmented in any number of styles.

    Args:
        model: a trained model; it is moved to the device.
        volume: the image.
        device: where to compute; with "auto", what does not fit into the GPU's memory goes to the CPU.
        mixed_precision: run the primary network in bfloat16; "auto" for where that is faster.

    Raises:
        InputError: the image is the same everywhere.
        DeviceError: there is no such device.
    """

    def __init__(
        self,
        model: StyleModel,
        volume: Volume,
        device: DeviceName = "auto",
        mixed_precision: bool | Literal["auto"] = "auto",
    ) -> None:
        self.device = choose_device(device)
        if volume.voxels.min() == volume.voxels.max():
            raise InputError("The image has the same intensity everywhere; there is nothing to segment.")
        self.model, self.geometry = model, volume.geometry
        self.image = model.preparation.image(volume)
        self.half = bfloat16_is_fast(self.device) if mixed_precision == "auto" else mixed_precision
        self._may_retreat = device == "auto" and self.device == "cuda"
        self._notes: tuple[str, ...] = ()

    @property
    def windows(self) -> int:
        """How many windows cover the volume."""
        return prod(
            ceil(max(size - side, 0) / int(side * (1 - _OVERLAP))) + 1
            for size, side in zip(self.image.shape[1:], self.model.patch, strict=True)
        )

    def segment(
        self,
        latent: Latent | None = None,
        progress: Report = lambda step: None,
        cancelled: IsCancelled = lambda: False,
    ) -> StyledSegmentation:
        """As the function `segment`."""
        started = time.monotonic()
        latent = self.model.main_style if latent is None else latent
        shares = self.shares(latent, progress, cancelled)
        label_map = self.label_map(shares)
        warning = outside_training(self.model, latent)
        return StyledSegmentation(
            label_map=label_map,
            shares=shares,
            latent=latent,
            device=self.device,
            seconds=time.monotonic() - started,
            messages=(*([warning] if warning else []), *self._notes),
            preparation=self.model.preparation,
        )

    def shares(
        self,
        latent: Latent,
        progress: Report = lambda step: None,
        cancelled: IsCancelled = lambda: False,
    ) -> Tensor:
        """Probability of every class on the network's grid: float32 [class, i, j, k] on the CPU."""
        check_latent(self.model, latent)
        counted = _Counted(self.windows, progress, cancelled)
        try:
            return self._shares(latent, counted)
        except torch.OutOfMemoryError as error:
            if not self._may_retreat:
                raise DeviceError(
                    "The GPU's memory does not suffice for this model; choose the device cpu."
                ) from error
        self.device, self._may_retreat = "cpu", False
        self._notes = ("The GPU's memory did not suffice; this was computed on the CPU.",)
        torch.cuda.empty_cache()
        return self._shares(latent, counted)

    def label_map(self, shares: Tensor) -> LabelMap:
        """The most probable class of every voxel of the volume's own grid.

        Args:
            shares: of the classes on the network's grid, [class, i, j, k].
        """
        preparation = self.model.preparation
        # Class by class: on a large volume all classes at once would take gigabytes.
        most = preparation.on_grid(shares[:1], self.geometry)[0]
        voxels = np.zeros(self.geometry.shape, np.min_scalar_type(max(preparation.values)))
        for place, value in enumerate(preparation.values, start=1):
            field = preparation.on_grid(shares[place : place + 1], self.geometry)[0]
            voxels[field > most] = value
            np.maximum(most, field, out=most)
        segments = tuple(
            Segment(value, name, color_of_value(value))
            for value, name in zip(preparation.values, self.model.class_names, strict=True)
        )
        return LabelMap(voxels, self.geometry, segments)

    def _shares(self, latent: Latent, counted: _Counted) -> Tensor:
        # Read here, once: predicting the published size's weights reads 680 MB.
        weights = predicted_weights(self.model, latent, self.device)
        run = _Network(self.model, weights, self.device, self.half)

        def predict(images: Tensor) -> Tensor:
            counted.check()
            found = run(images)
            counted.advance(len(images))
            return found

        patch, shape = self.model.patch, self.image.shape[1:]
        with torch.inference_mode():
            if self.windows > 1:
                # Loading MONAI takes seconds; most small volumes fit into one window.
                from monai.inferers.utils import sliding_window_inference

                found = sliding_window_inference(
                    self.image[None],
                    patch,
                    max(1, _VOXELS_AT_ONCE[self.device] // prod(patch)),
                    predict,
                    overlap=_OVERLAP,
                    mode="gaussian",
                    sw_device=self.device,
                    device=self.device,
                )
                assert isinstance(found, Tensor)
                return found[0].cpu()
            corner = padding_corner((shape[0], shape[1], shape[2]), patch)
            padded = predict(window(self.image, corner, patch)[None].to(self.device))[0]
            return window(padded, [-start for start in corner], shape).cpu().contiguous()


def padding_corner(shape: Shape, patch: Shape) -> list[int]:
    """Where the window begins that holds a small volume in its middle, as in training."""
    return [-((side - size) // 2) for size, side in zip(shape, patch, strict=True)]


def predicted_weights(model: StyleModel, latent: Latent, device: str) -> Weights:
    """The primary network's weights in one style, each with a leading dimension of 1."""
    with torch.inference_mode():
        return model.hypernetwork.to(device)(torch.tensor([latent], device=device))


class _Network:
    """The primary network in one style: images [1, 1, i, j, k] to probabilities [1, class, i, j, k]."""

    def __init__(self, model: StyleModel, weights: Weights, device: str, half: bool) -> None:
        self._unet, self._weights, self._device, self._half = model.unet, weights, device, half

    def __call__(self, images: Tensor) -> Tensor:
        with torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._half):
            logits = self._unet.segment(images, self._weights)
        return logits.float().softmax(dim=1)


class _Counted:
    """Counts windows, tells of progress and stops when asked to."""

    def __init__(self, total: int, progress: Report, cancelled: IsCancelled) -> None:
        self.done, self.total = 0, total
        self._progress, self._cancelled = progress, cancelled
        self._started = time.monotonic()

    def check(self) -> None:
        """Raise Cancelled where that was asked for."""
        if self._cancelled():
            raise Cancelled

    def advance(self, windows: int) -> None:
        """Some windows more."""
        self.done = min(self.done + windows, self.total)
        seconds = time.monotonic() - self._started
        self._progress(Progress(self.done, self.total, seconds, f"Window {self.done} of {self.total}"))
