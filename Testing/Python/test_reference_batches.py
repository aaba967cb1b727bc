"""What a training step sees: drawn by the step alone, small structures as often as large ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference_cases import QUICK

from pgt.reference.batches import IGNORED, SliceSampler, joined, turned
from pgt.reference.cases import PreparedSlices
from pgt.reference.networks import BLACK


def prepared(seed: int, shape: tuple[int, int, int] = (8, 6, 7), labelled: bool = True) -> PreparedSlices:
    """Slices whose intensity names their index; class 2 is one pixel on the last slice alone."""
    slices, rows, columns = shape
    images = np.full((slices, 3, rows, columns), 100 + seed, np.uint8)
    images[:] += np.arange(slices, dtype=np.uint8)[:, None, None, None]
    labels = np.zeros(shape, np.uint8)
    labels[:, 1:4, 1:4] = 1
    labels[-1, 2, 2] = 2
    return PreparedSlices(images, labels if labelled else None, 3)


def test_a_step_is_drawn_by_seed_step_and_process_alone():
    cases = [prepared(0), prepared(20), prepared(40, labelled=False)]
    one, again = SliceSampler(cases, QUICK, "axial"), SliceSampler(cases, QUICK, "axial")
    again.labelled(3)  # a training that stopped has drawn other steps
    again.unlabelled(7)
    for step in (0, 5):
        for draw in (SliceSampler.labelled, SliceSampler.unlabelled):
            first, second = draw(one, step), draw(again, step)
            assert torch.equal(first.images, second.images)
            assert torch.equal(first.labels, second.labels)
    images = one.labelled(5).images
    others = [
        SliceSampler(cases, QUICK, "axial").labelled(6),
        SliceSampler(cases, replace(QUICK, seed=1), "axial").labelled(5),
        SliceSampler(cases, QUICK, "axial", rank=1).labelled(5),
    ]
    assert not any(torch.equal(images, other.images) for other in others)


def test_without_unlabelled_slices_the_labelled_ones_are_the_same():
    cases = [prepared(0), prepared(20), prepared(40, labelled=False)]
    both, alone = SliceSampler(cases, QUICK, "axial"), SliceSampler(cases[:2], QUICK, "axial")
    assert alone.unlabelled(2) is None
    assert SliceSampler(cases, replace(QUICK, unlabelled=0), "axial").unlabelled(2) is None
    assert torch.equal(both.labelled(2).images, alone.labelled(2).images)


def test_small_structures_come_as_often_as_large_ones():
    """Class 2 shows on one slice of eight: half of all slices that are drawn by class show it."""
    settings = replace(QUICK, labelled=200, rotation=0.0)
    for share, expected in ((1.0, 1 / 2 + 1 / 2 / 8), (0.0, 1 / 8)):
        sampler = SliceSampler([prepared(0)], replace(settings, class_share=share), "axial")
        shown = (sampler.labelled(0).labels == 2).flatten(1).any(dim=1).float().mean()
        assert float(shown) == pytest.approx(expected, abs=0.1)


def test_slices_of_all_sizes_share_a_batch():
    settings = replace(QUICK, labelled=12, rotation=0.0)
    cases = [prepared(0, (8, 6, 7)), prepared(60, (3, 9, 5))]
    batch = SliceSampler(cases, settings, "axial").labelled(0)
    assert batch.images.shape == (12, 3, 9, 7)
    small = batch.images[:, 0, 4, 3] < 0
    beyond = batch.labels == IGNORED
    assert beyond[small].flatten(1).sum(dim=1).unique().tolist() == [9 * 7 - 6 * 7]
    assert beyond[~small].flatten(1).sum(dim=1).unique().tolist() == [9 * 7 - 9 * 5]
    assert (batch.images[:, 0][beyond] == BLACK).all()
    # Labels stay on their pixels: as many of them as in the slice.
    assert ((batch.labels == 1) | (batch.labels == 2)).flatten(1).sum(dim=1).unique().tolist() == [9]
    together = joined([batch, SliceSampler([prepared(9, (4, 12, 3))], settings, "axial").labelled(0)])
    assert together.images.shape == (24, 3, 12, 7)
    assert (together.labels[:12, 9:] == IGNORED).all()


def checkered(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(1, 3, rows, columns, generator=torch.Generator().manual_seed(0))
    return images, (torch.arange(rows * columns).reshape(1, rows, columns) % 3)


def test_mirroring_and_quarter_turns_are_exact():
    images, labels = checkered(8, 8)
    none, quarter = np.zeros(1), np.full(1, 90.0)
    for flips, axis in (([[True, False]], 2), ([[False, True]], 3)):
        moved, known = turned(images, labels, none, np.array(flips))
        torch.testing.assert_close(moved, images.flip(axis), rtol=0, atol=1e-5)
        assert torch.equal(known, labels.flip(axis - 1))
    moved, known = turned(images, labels, quarter, np.array([[False, False]]))
    torch.testing.assert_close(moved, images.rot90(1, (2, 3)), rtol=0, atol=1e-4)
    assert torch.equal(known, labels.rot90(1, (1, 2)))


def test_turning_keeps_shapes_in_slices_that_are_not_square():
    """A disc stays a disc: pixels are as wide as high before and after."""
    rows, columns = 41, 61
    row, column = np.indices((rows, columns))
    disc = ((row - 20) ** 2 + (column - 30) ** 2 <= 14**2).astype(np.int64)
    labels = torch.from_numpy(disc)[None]
    images = labels[:, None].float().expand(-1, 3, -1, -1) * 2 - 1
    moved, known = turned(images, labels, np.full(1, 37.0), np.zeros((1, 2), bool))
    overlap = 2 * ((known == 1) & (labels == 1)).sum() / ((known == 1).sum() + (labels == 1).sum())
    assert float(overlap) > 0.99
    # Image and labels turn together; what came from beyond is black and does not count.
    assert float(((moved[:, 0] > 0) == (known == 1)).float().mean()) > 0.99
    assert (moved[:, 0][known == IGNORED] < -0.5).all()
    assert 0 < int((known == IGNORED).sum()) < known.numel() / 3


def test_mirroring_only_along_what_was_allowed():
    """Axial slices have rows along R and columns along A."""
    shape = (1, 6, 6)
    ramp = np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None] * 40, (1, 3, 6, 6)).copy()
    case = PreparedSlices(ramp, np.ones(shape, np.uint8), 3)
    settings = replace(QUICK, labelled=64, rotation=0.0)
    for flips, mirrored in (("", False), ("A", False), ("R", True), ("S", False)):
        images = SliceSampler([case], replace(settings, flips=flips), "axial").labelled(0).images
        falling = images[:, 0, 0, 0] > images[:, 0, -1, 0]
        assert bool(falling.any()) is mirrored
        assert not bool(falling.all())
