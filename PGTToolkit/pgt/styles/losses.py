"""Dice + cross-entropy (Joutard et al., section 3), with labels that may fill voxels in part."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class SegmentationLoss:
    """The two parts, each [case]."""

    dice: Tensor
    cross_entropy: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum, [case]."""
        return self.dice + self.cross_entropy


def segmentation_loss(logits: Tensor, labels: Tensor) -> SegmentationLoss:
    """How far predictions are from labels, case by case.

    Args:
        logits: [case, class, i, j, k].
        labels: share of every voxel that a class fills, same shape, adding up to 1 over the classes.
    """
    logits = logits.float()
    space = tuple(range(2, logits.ndim))
    cross_entropy = -(labels * logits.log_softmax(dim=1)).sum(dim=1).flatten(1).mean(dim=1)
    probabilities = logits.softmax(dim=1)
    overlap = 2 * (probabilities * labels).sum(dim=space)
    sizes = probabilities.sum(dim=space) + labels.sum(dim=space)
    dice = (1 - overlap / (sizes + 1e-8)).mean(dim=1)
    return SegmentationLoss(dice, cross_entropy)
