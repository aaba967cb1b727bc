"""What is shown in training differs every time, by what was drawn alone, and is annotated as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from style_cases import LOOSE, TIGHT, prepared_cases, tiny_model

from pgt.errors import Cancelled
from pgt.styles.augmentation import Augmentation
from pgt.styles.training import train
from pgt.styles.training_log import Epoch
from pgt.styles.training_settings import StyleTrainingSettings

SETTINGS = StyleTrainingSettings(epochs=4, mixed_precision=False, checkpoint_seconds=0, augmentation=True)


def ball(radius: float = 6.0) -> tuple[torch.Tensor, torch.Tensor]:
    """An image ten times as bright inside, and shares of background and ball."""
    grid = np.stack(np.meshgrid(*[np.arange(24.0) - 11.5] * 3, indexing="ij"))
    inside = np.clip(radius + 0.5 - np.sqrt((grid**2).sum(axis=0)), 0, 1).astype(np.float32)
    shares = torch.from_numpy(np.stack([1 - inside, inside]))
    return 10 * shares[1:], shares


def test_what_is_done_depends_on_the_generator_alone():
    augmentation, (image, labels) = Augmentation(), ball()
    one = augmentation(image, labels, np.random.default_rng(3))
    augmentation(image, labels, np.random.default_rng(4))
    again = Augmentation()(image, labels, np.random.default_rng(3))
    other = augmentation(image, labels, np.random.default_rng(5))
    for first, second, third in zip(one, again, other, strict=True):
        assert type(first) is torch.Tensor
        assert torch.equal(first, second)
        assert not torch.equal(first, third)


def test_image_and_label_move_together_and_shares_stay_shares():
    augmentation, (image, labels) = Augmentation(), ball()
    for seed in range(10):
        shown, shares = augmentation(image, labels, np.random.default_rng(seed))
        assert shares.shape == labels.shape
        torch.testing.assert_close(shares.sum(dim=0), torch.ones(24, 24, 24))
        assert float(shares.min()) >= 0
        assert (shares[1] - labels[1]).abs().max() > 0.1
        # The image stays a straight line of the share, but for noise of a few hundredths of its range.
        steepness, level = np.polyfit(shares[1].flatten(), shown.flatten(), 1)
        left = shown - (steepness * shares[1] + level)
        assert float(left.std()) < 0.2
        assert 8 < steepness < 12


def test_labels_become_neither_tighter_nor_looser_on_average():
    augmentation, (image, labels) = Augmentation(), ball()
    volumes = [
        float(augmentation(image, labels, np.random.default_rng(seed))[1][1].sum()) for seed in range(60)
    ]
    assert np.mean(volumes) == pytest.approx(float(labels[1].sum()), rel=0.05)
    assert np.std(volumes) > 0.03 * np.mean(volumes)


def test_a_training_that_goes_on_shows_what_one_that_never_stopped_shows(tmp_path: Path):
    whole = _course(tmp_path / "whole", SETTINGS)
    assert whole != _course(tmp_path / "plain", replace(SETTINGS, augmentation=False))
    with pytest.raises(Cancelled):
        _course(tmp_path / "stopped", SETTINGS, stop_after=2)
    assert _course(tmp_path / "stopped", SETTINGS) == whole[2:]


def _course(folder: Path, settings: StyleTrainingSettings, stop_after: int = 99) -> list[Epoch]:
    seen: list[Epoch] = []
    cases = prepared_cases([TIGHT, LOOSE, TIGHT])
    train(tiny_model(), cases, settings, folder, seen.append, lambda: len(seen) >= stop_after)
    return [replace(epoch, seconds=0.0) for epoch in seen]
