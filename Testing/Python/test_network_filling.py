"""Filling with a network: in parts or at once alike, and trusted only as far as it has earned it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from propagation_cases import drawn_together, made_case
from torch import Tensor, nn

from pgt.errors import DeviceError
from pgt.propagation.area_keeping import profile_share
from pgt.propagation.checkpoints import load_model
from pgt.propagation.filling import FilledSlices
from pgt.propagation.network import Gap
from pgt.propagation.network_filling import NetworkFiller, rehearsals
from pgt.propagation.regions import region_around
from pgt.propagation.stack import Opening, Stack, openings
from pgt.propagation.turning import Turn
from pgt.propagation.windowing import choose_windowing

VOLUME, TRUTH = made_case()


def stack_and_opening(slices: Sequence[int], first: int) -> tuple[Stack, Opening]:
    torch.set_num_threads(1)
    turn = Turn((2, 0, 1), (False, False, False))
    stack = Stack.of(VOLUME, drawn_together(TRUTH, 2, slices), turn, choose_windowing(VOLUME.voxels))
    return stack, next(opening for opening in openings(stack) if opening.first == first)


def filled(filler: NetworkFiller, stack: Stack, opening: Opening) -> list[FilledSlices]:
    rows, columns = stack.image.shape[1:]
    masks = stack.masks(opening.values, opening.memory, (slice(0, rows), slice(0, columns)))
    region = region_around(masks)
    assert region is not None
    return list(filler.fill(stack, opening, region, opening.values))


@pytest.mark.parametrize(("slices", "first"), [((0, 29), 1), ((14,), 15), ((14,), 0)])
def test_in_parts_or_at_once_it_is_the_same(slices: tuple[int, ...], first: int) -> None:
    """The slices seen around a part are as many as the network's convolutions reach."""
    stack, opening = stack_and_opening(slices, first)
    network = load_model("default")
    found = []
    for pixels in (1, 10**9):
        parts = filled(NetworkFiller(network, "cpu", doubting=False, pixels_at_once=pixels), stack, opening)
        parts.sort(key=lambda part: part.indices)
        assert [index for part in parts for index in part.indices] == list(
            range(opening.first, opening.last + 1)
        )
        found.append((len(parts), np.concatenate([part.logits for part in parts], axis=1)))
    if not opening.one_sided:
        assert found[0][0] > found[1][0] == 1
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-3)


def test_each_bound_is_rehearsed_from_the_others() -> None:
    opening = stack_and_opening((2, 8, 14, 20, 26), 9)[1]
    found = rehearsals(opening)
    assert [(r.first, r.last, r.before, r.after, r.memory) for r in found] == [
        (8, 8, 2, 14, (2, 14, 20)),
        (14, 14, 8, 20, (2, 8, 20, 26)),
    ]
    assert rehearsals(stack_and_opening((2, 26), 3)[1]) == []


class StagedNetwork(nn.Module):
    """A correction of our choosing on top of the interpolation."""

    architecture = "staged"
    slice_reach = 0
    top_k = 32

    def __init__(self, unknown: float, known: float) -> None:
        super().__init__()
        self.unknown, self.known_gain = unknown, known
        self.sharpness = nn.Parameter(torch.tensor(1.0))

    def settings(self) -> dict[str, object]:
        return {}

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        return super().parameters(recurse)

    def forward(self, gaps: Sequence[Gap], top_k: int | None = None) -> list[Tensor]:
        return [
            gap.prior + torch.where(gap.known == 0, self.unknown, self.known_gain * gap.known) for gap in gaps
        ]


@pytest.mark.parametrize(
    "network",
    [StagedNetwork(unknown=300.0, known=0.0), StagedNetwork(unknown=300.0, known=600.0)],
    ids=["one that fills everything", "one that copies what it is told"],
)
def test_a_harmful_correction_is_dropped(network: StagedNetwork) -> None:
    """A left-out slice must not be told to the network, or one that copies would look perfect."""
    stack, opening = stack_and_opening((2, 8, 14, 20, 26), 9)
    doubted = filled(NetworkFiller(network, "cpu", doubting=True), stack, opening)
    believed = filled(NetworkFiller(network, "cpu", doubting=False), stack, opening)
    harmless = filled(NetworkFiller(StagedNetwork(0.0, 0.0), "cpu", doubting=False), stack, opening)
    for found, wrong, expected in zip(doubted, believed, harmless, strict=True):
        # The third label is hardly there on these slices: filling everything does not harm it.
        np.testing.assert_allclose(found.logits[:2], expected.logits[:2], atol=1e-4)
        assert (wrong.logits > 0).mean() > 0.9


def test_a_harmless_correction_is_kept() -> None:
    stack, opening = stack_and_opening((2, 8, 14, 20, 26), 9)
    network = StagedNetwork(unknown=0.02, known=0.0)
    doubted = filled(NetworkFiller(network, "cpu", doubting=True), stack, opening)
    believed = filled(NetworkFiller(network, "cpu", doubting=False), stack, opening)
    for found, expected in zip(doubted, believed, strict=True):
        np.testing.assert_allclose(found.logits, expected.logits, atol=1e-2)


def test_a_correction_that_is_too_wide_everywhere_is_brought_to_size() -> None:
    """Two pixels too wide on the left-out slices too: the areas in between follow the annotated ones."""
    stack, opening = stack_and_opening((2, 8, 14, 20, 26), 9)
    wide = StagedNetwork(unknown=4.0, known=0.0)
    filler = NetworkFiller(wide, "cpu", doubting=True)
    shares = profile_share([filler._rehearsed(stack, one, (1, 2)).areas for one in rehearsals(opening)], 2)
    assert (shares > 0.5).all()
    kept = filled(filler, stack, opening)
    believed = filled(NetworkFiller(wide, "cpu", doubting=False), stack, opening)
    plain = filled(NetworkFiller(StagedNetwork(0.0, 0.0), "cpu", doubting=False), stack, opening)
    for label in (0, 1):
        size = [
            sum(int((part.logits[label] > 0).sum()) for part in parts) for parts in (kept, believed, plain)
        ]
        assert size[1] > 1.15 * size[2]
        assert size[0] < 1.05 * size[2]


class HungryNetwork(StagedNetwork):
    """Finds no memory for more slices at once than it is given room for."""

    def __init__(self, room: int) -> None:
        super().__init__(unknown=1.0, known=0.0)
        self.room = room

    def forward(self, gaps: Sequence[Gap], top_k: int | None = None) -> list[Tensor]:
        if len(gaps[0].images) > self.room:
            raise torch.OutOfMemoryError("no room")
        return super().forward(gaps, top_k)


def test_out_of_memory_tries_fewer_slices_at_once() -> None:
    stack, opening = stack_and_opening((2, 14, 26), 3)
    calm = filled(NetworkFiller(HungryNetwork(99), "cpu", doubting=False), stack, opening)
    hungry = filled(NetworkFiller(HungryNetwork(4), "cpu", doubting=False), stack, opening)
    together = [np.concatenate([part.logits for part in parts], axis=1) for parts in (calm, hungry)]
    np.testing.assert_array_equal(*together)


def test_no_memory_for_a_single_slice_is_said() -> None:
    stack, opening = stack_and_opening((2, 14, 26), 3)
    with pytest.raises(DeviceError, match="not enough memory"):
        filled(NetworkFiller(HungryNetwork(0), "cpu", doubting=False), stack, opening)
