"""Losses against their definitions, written out the slow way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pgt.propagation.losses import bootstrapped_cross_entropy, dice_loss, lovasz_hinge


def jaccard_loss(wrong: np.ndarray, truth: np.ndarray) -> float:
    """1 - |A ∩ B| / |A ∪ B| of the prediction that is wrong at just these voxels."""
    found = truth ^ wrong
    union = np.count_nonzero(found | truth)
    return 1 - np.count_nonzero(found & truth) / union if union else 0.0


def brute_force_lovasz(logits: np.ndarray, target: np.ndarray) -> float:
    """Sum over the errors, largest first, of each times what its voxel adds to the Jaccard loss."""
    truth = target > 0.5
    errors = np.maximum(1 - logits * (2 * target - 1), 0)
    wrong = np.zeros_like(truth)
    total = before = 0.0
    for place in np.argsort(-errors):
        wrong[place] = True
        after = jaccard_loss(wrong, truth)
        total += errors[place] * (after - before)
        before = after
    return total


def drawn(seed: int, share: float = 0.4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 5, 6, generator=generator) * 2
    return logits, (torch.rand(2, 5, 6, generator=generator) < share).float()


@pytest.mark.parametrize("seed", range(5))
def test_lovasz_hinge_is_its_formula(seed: int) -> None:
    logits, target = drawn(seed)
    expected = brute_force_lovasz(logits.flatten().double().numpy(), target.flatten().double().numpy())
    assert float(lovasz_hinge(logits, target)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_with_decided_logits_lovasz_hinge_is_the_jaccard_loss(seed: int) -> None:
    """At logits of ±1 the hinge is 0 where right and 2 where wrong: twice the Jaccard loss."""
    logits, target = drawn(seed)
    truth, found = target.numpy() > 0.5, logits.numpy() > 0
    expected = 2 * jaccard_loss(truth ^ found, truth)
    assert float(lovasz_hinge(logits.sign(), target)) == pytest.approx(expected, rel=1e-4)
    large = 1000.0
    assert float(lovasz_hinge(large * logits.sign(), target)) == pytest.approx(
        (1 + large) / 2 * expected, rel=1e-4
    )


def test_lovasz_hinge_of_what_is_right_is_zero_and_still_has_a_gradient() -> None:
    target = drawn(0)[1]
    logits = ((2 * target - 1) * 5).requires_grad_()
    loss = lovasz_hinge(logits, target)
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_lovasz_hinge_is_finite_without_one_of_the_classes(share: float) -> None:
    logits, target = drawn(1, share)
    logits.requires_grad_()
    loss = lovasz_hinge(logits, target)
    loss.backward()
    assert torch.isfinite(loss.detach())
    assert torch.isfinite(logits.grad).all()


def test_bootstrapping_keeps_the_hardest_voxels() -> None:
    logits, target = drawn(2)
    p = torch.sigmoid(logits.double())
    hardest = -(target * p.log() + (1 - target) * (1 - p).log()).flatten().sort().values
    for fraction in (0.1, 0.25, 0.5, 1.0):
        expected = float(hardest[: int(fraction * hardest.numel())].mean())
        assert float(bootstrapped_cross_entropy(logits, target, fraction)) == pytest.approx(
            expected, rel=1e-5
        )


def test_dice_loss_is_the_mean_over_slices() -> None:
    logits, target = drawn(3)
    expected = []
    for plane, truth in zip(torch.sigmoid(logits), target, strict=True):
        overlap, total = float((plane * truth).sum()), float(plane.sum() + truth.sum())
        expected.append(1 - (2 * overlap + 1) / (total + 1))
    assert float(dice_loss(logits, target, smooth=1.0)) == pytest.approx(np.mean(expected), rel=1e-5)
    decided = (2 * target - 1) * 40
    assert float(dice_loss(decided, target)) == pytest.approx(0, abs=1e-5)
