"""Losses of FLARE22's propagation stage: bootstrapped cross-entropy and Lovasz; Dice beside them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def bootstrapped_cross_entropy(logits: Tensor, target: Tensor, fraction: float) -> Tensor:
    """Mean binary cross-entropy over the hardest ``fraction`` of the voxels (online hard example mining)."""
    losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten()
    if fraction >= 1:
        return losses.mean()
    return losses.topk(max(int(fraction * losses.numel()), 1), sorted=False).values.mean()


def dice_loss(logits: Tensor, target: Tensor, smooth: float = 10.0) -> Tensor:
    """1 - soft Dice per slice of (N, H, W), averaged; ``smooth`` tames nearly empty slices."""
    probability = logits.sigmoid()
    overlap = (probability * target).sum(dim=(1, 2))
    total = probability.sum(dim=(1, 2)) + target.sum(dim=(1, 2))
    return (1 - (2 * overlap + smooth) / (total + smooth)).mean()


def lovasz_hinge(logits: Tensor, target: Tensor) -> Tensor:
    """Lovasz extension of the Jaccard loss over all voxels together (Berman et al., CVPR 2018, section 2)."""
    logits, target = logits.flatten(), target.flatten()
    errors = 1 - logits * (2 * target - 1)
    relevant = errors > 0
    if not relevant.any():
        return logits.sum() * 0
    errors, order = errors[relevant].sort(descending=True)
    truth = target[relevant][order]
    intersection = target.sum() - truth.cumsum(0)
    union = target.sum() + (1 - truth).cumsum(0)
    jaccard = 1 - intersection / union
    steps = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
    return torch.dot(errors, steps)
