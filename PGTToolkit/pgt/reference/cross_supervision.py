"""Cross pseudo supervision (Chen et al., CVPR 2021): two networks, each learning from what the other draws.

Labelled slices: Dice + label-smoothed cross-entropy for both networks. Unlabelled slices: Dice of each
network to the other's hard prediction, through which no gradient flows (FLARE22, section 2.2, "Loss
function").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pgt.reference.batches import IGNORED

_SMOOTH = 1.0
"""Pixels added to both sides of Dice, so that a class that is nowhere and not predicted costs nothing."""


@dataclass(frozen=True)
class CrossLoss:
    """The parts of a step's loss; each is the mean over the two networks."""

    dice: Tensor
    cross_entropy: Tensor
    unsupervised: Tensor

    def total(self, weight: float) -> Tensor:
        """The loss of both networks, for a weight of the unsupervised part."""
        return 2 * (self.dice + self.cross_entropy + weight * self.unsupervised)


def cross_loss(logits: tuple[Tensor, Tensor], labels: Tensor, labelled: int, smoothing: float) -> CrossLoss:
    """How far both networks are from labels and from each other.

    Args:
        logits: of both networks, [slice, class, row, column]; labelled slices come first.
        labels: int64 [slice, row, column], `IGNORED` beyond slices.
        labelled: how many slices are labelled; those after them are not.
        smoothing: of the cross-entropy's target.
    """
    one, other = (network.float() for network in logits)
    counted = labels != IGNORED
    known, here = labels[:labelled], counted[:labelled]
    dice = torch.stack([dice_loss(each[:labelled], known, here) for each in (one, other)]).mean()
    entropy = torch.stack(
        [
            functional.cross_entropy(each[:labelled], known, ignore_index=IGNORED, label_smoothing=smoothing)
            for each in (one, other)
        ]
    ).mean()
    if labelled == len(labels):
        return CrossLoss(dice, entropy, torch.zeros_like(dice))
    unsupervised = cross_pseudo_loss(one[labelled:], other[labelled:], counted[labelled:])
    return CrossLoss(dice, entropy, unsupervised)


def cross_pseudo_loss(one: Tensor, other: Tensor, counted: Tensor) -> Tensor:
    """Mean of the two networks' Dice losses to each other's hard prediction.

    Args:
        one: logits [slice, class, row, column].
        other: of the other network.
        counted: bool [slice, row, column], False beyond slices.
    """
    first = dice_loss(one, other.detach().argmax(dim=1), counted)
    second = dice_loss(other, one.detach().argmax(dim=1), counted)
    return (first + second) / 2


def dice_loss(logits: Tensor, labels: Tensor, counted: Tensor) -> Tensor:
    """1 - soft Dice of each class over all slices together, mean over the classes but the background.

    Args:
        logits: [slice, class, row, column].
        labels: int64 [slice, row, column].
        counted: bool [slice, row, column]: which pixels count.
    """
    classes = logits.shape[1]
    inside = counted[:, None]
    probabilities = logits.softmax(dim=1)[:, 1:] * inside
    shown = functional.one_hot(labels.where(counted, 0), classes).permute(0, 3, 1, 2)[:, 1:] * inside
    overlap = (probabilities * shown).sum(dim=(0, 2, 3))
    sizes = probabilities.sum(dim=(0, 2, 3)) + shown.sum(dim=(0, 2, 3))
    return (1 - (2 * overlap + _SMOOTH) / (sizes + _SMOOTH)).mean()
