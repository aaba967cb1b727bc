"""Dice + cross-entropy of the annotated voxels alone: what nobody drew contributes nothing, not even 0.

Çiçek and others (3D U-Net, 2016) train on sparse annotations this way, and so do Zhang and others in their
study of slice selection ("ignore the gradients of unannotated slices or voxels").
"""

from __future__ import annotations

import torch
from monai.losses.dice import MaskedDiceLoss
from torch import Tensor
from torch.nn import functional

_IGNORED = -1


class MaskedDiceCrossEntropy(torch.nn.Module):
    """Sum of Dice loss, over classes without the background and the whole batch, and mean cross-entropy."""

    def __init__(self) -> None:
        super().__init__()
        # MONAI masks what it is given; probabilities rather than logits, since a masked logit of 0 would be a
        # probability that the Dice loss counts.
        self._dice = MaskedDiceLoss(include_background=False, batch=True)

    def forward(self, logits: Tensor, labels: Tensor, annotated: Tensor) -> Tensor:
        """The loss, a scalar; 0 where no voxel is annotated.

        Args:
            logits: [case, class, i, j] or [case, class, i, j, k]; class 0 is the background.
            labels: class of every voxel, int64 [case, i, j(, k)]; of no meaning where not annotated.
            annotated: bool, same shape.
        """
        if not bool(annotated.any()):
            return (logits * 0).sum()
        logits = logits.float()
        known = torch.where(annotated, labels, _IGNORED)
        cross_entropy = functional.cross_entropy(logits, known, ignore_index=_IGNORED)
        classes = functional.one_hot(torch.where(annotated, labels, 0), logits.shape[1]).movedim(-1, 1)
        dice: Tensor = self._dice(logits.softmax(dim=1), classes.to(logits), annotated[:, None].to(logits))
        return cross_entropy + dice
