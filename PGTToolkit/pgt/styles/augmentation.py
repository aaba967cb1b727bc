"""Training patches moved and shaded at random, so that a network cannot learn labels by heart.

A network that knows every training image explains its label whatever the style; the latent vector then says
little about how the case was annotated, and cases stay in a style that they came to by chance. Image and
label are turned, moved and scaled together, so that a border lies in both where it lay before: the style
stays.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from monai.transforms.intensity.array import RandGaussianNoise, RandScaleIntensity, RandShiftIntensity
    from monai.transforms.spatial.array import RandAffine

_TURN = 0.25
"""Radians around every axis, at most."""
_SCALE = 0.1
"""Share of the size along every axis, at most."""
_MOVE = 1.0
"""Voxels along every axis, at most."""
_INTENSITY = 0.15
"""Shares and standard deviations of the intensities, at most."""


class Augmentation:
    """MONAI's transforms, drawn from a generator of the caller's; what is drawn depends on it alone."""

    def __call__(
        self, image: Tensor, labels: Tensor, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """A patch as it might have been.

        Args:
            image: float32 [channel, i, j, k].
            labels: shares of the classes, float32 [class, i, j, k], adding up to 1; they still do afterwards.
            generator: draws what is done.
        """
        moving, *shading = self._transforms
        for drawing in self._transforms:
            drawing.set_random_state(seed=int(generator.integers(2**31)))
        # Shares are interpolated as the image is: one call moves both.
        moved = _plain(moving(torch.cat([image, labels])))
        image, labels = moved[: len(image)], moved[len(image) :]
        for transform in shading:
            image = _plain(transform(image))
        return image, labels

    @cached_property
    def _transforms(self) -> tuple[RandAffine, RandScaleIntensity, RandShiftIntensity, RandGaussianNoise]:
        # Loading MONAI takes seconds, which who does not train need not wait.
        from monai.transforms.intensity.array import RandGaussianNoise, RandScaleIntensity, RandShiftIntensity
        from monai.transforms.spatial.array import RandAffine

        return (
            RandAffine(
                prob=1.0,
                rotate_range=(_TURN,) * 3,
                translate_range=(_MOVE,) * 3,
                scale_range=(_SCALE,) * 3,
                mode="bilinear",
                padding_mode="border",
                cache_grid=False,
            ),
            RandScaleIntensity(_INTENSITY, prob=1.0),
            RandShiftIntensity(_INTENSITY, prob=1.0),
            RandGaussianNoise(prob=0.5, std=_INTENSITY),
        )


def _plain(found: object) -> Tensor:
    """The tensor that MONAI keeps its history beside."""
    tensor = torch.as_tensor(found)
    return tensor.as_subclass(Tensor).contiguous()
