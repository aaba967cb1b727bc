"""Losses of cross pseudo supervision, against formulas, an independent library and each other's gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional

from pgt.errors import InputError
from pgt.reference.batches import IGNORED
from pgt.reference.cross_supervision import cross_loss, cross_pseudo_loss, dice_loss
from pgt.reference.settings import ReferenceSettings


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 2, shape)).float()


def labels_like(logits: torch.Tensor, seed: int = 9) -> torch.Tensor:
    slices, classes, *size = logits.shape
    return torch.from_numpy(np.random.default_rng(seed).integers(0, classes, (slices, *size)))


def test_dice_is_monais():
    logits = drawn(0, 4, 3, 9, 7)
    labels = labels_like(logits)
    peer = DiceLoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1.0, smooth_dr=1.0
    )
    ours = dice_loss(logits, labels, torch.ones_like(labels, dtype=torch.bool))
    assert float(ours) == pytest.approx(float(peer(logits, labels[:, None])), abs=1e-6)


def test_pixels_beyond_slices_count_for_nothing():
    """Padding a batch changes none of its losses, and no gradient reaches the padding."""
    logits, other = drawn(1, 3, 3, 6, 5), drawn(2, 3, 3, 6, 5)
    labels = labels_like(logits)
    whole = cross_loss((logits, other), labels, 2, 0.1)
    sides = (0, 4, 0, 2)
    wide = functional.pad(logits, sides, value=3.0).requires_grad_(True)
    wide_other = functional.pad(other, sides, value=-1.0)
    padded = cross_loss((wide, wide_other), functional.pad(labels, sides, value=IGNORED), 2, 0.1)
    for name in ("dice", "cross_entropy", "unsupervised"):
        assert getattr(padded, name).item() == pytest.approx(getattr(whole, name).item(), abs=1e-6)
    padded.total(1.0).backward()
    assert wide.grad[:, :, 6:].abs().max() == 0
    assert wide.grad[:, :, :, 5:].abs().max() == 0
    assert wide.grad[:, :, :6, :5].abs().min() > 0


def test_supervised_part_is_dice_and_smoothed_cross_entropy():
    one, other = drawn(3, 2, 3, 5, 5), drawn(4, 2, 3, 5, 5)
    labels = labels_like(one)
    parts = cross_loss((one, other), labels, 2, 0.1)
    entropies = []
    for logits in (one, other):
        target = functional.one_hot(labels, 3).permute(0, 3, 1, 2) * 0.9 + 0.1 / 3
        entropies.append(float(-(target * logits.log_softmax(1)).sum(1).mean()))
    assert float(parts.cross_entropy) == pytest.approx(sum(entropies) / 2, abs=1e-6)
    assert float(parts.unsupervised) == 0
    expected = 2 * (float(parts.dice) + float(parts.cross_entropy))
    assert float(parts.total(1.0)) == pytest.approx(expected, abs=1e-6)


def test_gradients_go_only_where_they_should():
    """Each network learns from the other's drawing; the drawing itself takes no gradient."""
    one, other = drawn(5, 2, 3, 6, 6).requires_grad_(True), drawn(6, 2, 3, 6, 6).requires_grad_(True)
    counted = torch.ones(2, 6, 6, dtype=torch.bool)
    cross_pseudo_loss(one, other, counted).backward()
    alone = drawn(5, 2, 3, 6, 6).requires_grad_(True)
    (dice_loss(alone, other.detach().argmax(1), counted) / 2).backward()
    torch.testing.assert_close(one.grad, alone.grad)
    # A network that is right by the other's measure has little to learn, and the other learns all the same.
    assert other.grad.abs().max() > 0
    sure = (functional.one_hot(other.detach().argmax(1), 3).permute(0, 3, 1, 2) * 60.0).requires_grad_(True)
    fresh = other.detach().clone().requires_grad_(True)
    cross_pseudo_loss(sure, fresh, counted).backward()
    assert sure.grad.abs().max() < 1e-8
    assert fresh.grad.abs().max() > 1e-4


def test_unlabelled_slices_get_no_supervision_and_labelled_ones_no_pseudo_label():
    one, other = drawn(7, 4, 3, 6, 6).requires_grad_(True), drawn(8, 4, 3, 6, 6)
    labels = labels_like(one)
    parts = cross_loss((one, other), labels, 3, 0.1)
    (gradient,) = torch.autograd.grad(parts.dice + parts.cross_entropy, one, retain_graph=True)
    assert gradient[3:].abs().max() == 0
    assert gradient[:3].abs().max() > 0
    (gradient,) = torch.autograd.grad(parts.unsupervised, one)
    assert gradient[:3].abs().max() == 0
    assert gradient[3:].abs().max() > 0
    # What stands where a label would be counts for nothing on an unlabelled slice.
    changed = labels.clone()
    changed[3] = (changed[3] + 1) % 3
    again = cross_loss((one, other), changed, 3, 0.1)
    assert float(again.total(1.0)) == float(parts.total(1.0))


def test_networks_that_agree_have_nothing_to_tell_each_other():
    sure = functional.one_hot(labels_like(drawn(1, 2, 3, 8, 8)), 3).permute(0, 3, 1, 2) * 60.0
    counted = torch.ones(2, 8, 8, dtype=torch.bool)
    assert float(cross_pseudo_loss(sure, sure.clone(), counted)) == pytest.approx(0, abs=1e-6)


def test_rates_and_weights_follow_the_paper():
    """Table 2: 50000 iterations, batches of 2 + 2, 0.0001, halved at 40000 and at 45000."""
    settings = ReferenceSettings()
    assert (settings.iterations, settings.labelled, settings.unlabelled) == (50_000, 2, 2)
    rates = [settings.rate(step) for step in (0, 39_999, 40_000, 44_999, 45_000, 49_999)]
    assert rates == [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5, 2.5e-5]
    weights = [settings.unsupervised(step) for step in (0, 5_000, 10_000, 40_000)]
    assert weights[0] == pytest.approx(np.exp(-5), abs=1e-9)
    assert weights[1] == pytest.approx(np.exp(-1.25), abs=1e-9)
    assert weights[2:] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("iterations", 0, "iterations must be at least 1"),
        ("labelled", 0, "labelled must be at least 1"),
        ("unlabelled", -1, "unlabelled must be at least 0"),
        ("learning_rate", 0.0, "learning rate must be above 0"),
        ("learning_rate", float("nan"), "learning rate must be above 0"),
        ("rotation", float("inf"), "rotation must be at least 0"),
        ("class_share", 1.5, "from 0 to 1"),
        ("flips", "L", "R, A and S"),
        ("values", (0, 1), "whole numbers from 1"),
    ],
)
def test_settings_out_of_range_are_refused(name, value, said):
    with pytest.raises(InputError, match=said):
        ReferenceSettings(**{name: value})
