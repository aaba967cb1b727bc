"""The small network: it starts as the interpolation, corrects it gently, and sees no farther than it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pgt.propagation.gaps import GapMaker, Memory, Query
from pgt.propagation.network import (
    HALF_FREEDOM,
    Gap,
    NetworkConfiguration,
    SliceNetwork,
    evidence_channels,
    freedom,
    with_neighbours,
)

SMALL = NetworkConfiguration(widths=(8, 8, 16, 16), key_channels=8, value_channels=8)
SIZE = 24


def made_gap(slices: int = 5, segments: int = 2, thickness: float = 2.0, seed: int = 0) -> Gap:
    """A gap between slices 0 and ``slices - 1``, both annotated, with discs that move."""
    torch.set_num_threads(1)
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    bounds = (0, slices - 1)
    masks = np.stack(
        [
            [np.hypot(rows - 8 - 6 * segment, columns - 9 - index / slices) < 4 for index in bounds]
            for segment in range(segments)
        ]
    )
    intensities = random.normal(0, 1, (slices, SIZE, SIZE)).astype(np.float32)
    channels = np.clip(np.stack([intensities] * 3, axis=1), -1, 1)
    memory = Memory(bounds, intensities[list(bounds)], channels[list(bounds)], masks)
    known = np.zeros((segments, slices, SIZE, SIZE), np.int8)
    known[:, list(bounds)] = np.where(masks, 1, -1)
    return GapMaker(memory, thickness).gap(Query(tuple(range(slices)), intensities, channels, known))


def decided_network(configuration: NetworkConfiguration = SMALL, seed: int = 0) -> SliceNetwork:
    """A network whose every layer speaks, those included that start at zero."""
    torch.manual_seed(seed)
    network = SliceNetwork(configuration).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return network


def test_untrained_it_is_the_interpolation() -> None:
    gap = made_gap()
    with torch.inference_mode():
        logits = SliceNetwork(SMALL).eval()([gap])[0]
    torch.testing.assert_close(logits, gap.prior)


def test_the_default_network_is_the_one_whose_weights_are_shipped() -> None:
    assert sum(parameter.numel() for parameter in SliceNetwork().parameters()) == 2_445_866


def test_its_settings_rebuild_it() -> None:
    network = SliceNetwork(SMALL)
    again = SliceNetwork(NetworkConfiguration(**network.settings()))  # type: ignore[arg-type]
    again.load_state_dict(network.state_dict())
    assert again.configuration == SMALL


def test_annotated_slices_are_left_alone_and_freedom_grows_with_distance() -> None:
    gap = made_gap(slices=9, thickness=2.0)
    share = freedom(gap)[0, :, 0, 0]
    nearest = 2.0 * torch.tensor([0.0, 1, 2, 3, 4, 3, 2, 1, 0])
    torch.testing.assert_close(share, nearest / (nearest + HALF_FREEDOM), atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        logits = decided_network()([gap])[0]
    torch.testing.assert_close(logits[:, [0, 8]], gap.prior[:, [0, 8]], atol=1e-4, rtol=0)
    assert (logits[:, 4] - gap.prior[:, 4]).abs().max() > 1e-3


def test_gaps_together_are_as_gaps_alone() -> None:
    network = decided_network()
    gaps = [made_gap(5, 2), made_gap(8, 1, seed=1), made_gap(3, 3, seed=2)]
    with torch.inference_mode():
        together = network(gaps)
        for gap, logits in zip(gaps, together, strict=True):
            torch.testing.assert_close(logits, network([gap])[0], atol=1e-4, rtol=1e-4)


def test_the_order_of_segments_does_not_matter() -> None:
    network, gap = decided_network(), made_gap(segments=3)
    order = [2, 0, 1]
    shared = ("images", "memory_images")
    reordered = Gap(**{n: t if n in shared else t[order] for n, t in vars(gap).items()})
    with torch.inference_mode():
        torch.testing.assert_close(network([reordered])[0], network([gap])[0][order], atol=1e-4, rtol=1e-4)


def changed_at(gap: Gap, place: int) -> Gap:
    images = gap.images.clone()
    images[place] = -images[place]
    appearance = gap.appearance.clone()
    appearance[:, place] = -appearance[:, place]
    return replace(gap, images=images, appearance=appearance)


@pytest.mark.parametrize("dilations", [(1,), (1, 2, 4, 1)])
def test_it_looks_as_far_along_the_slices_as_it_says(dilations: tuple[int, ...]) -> None:
    network = decided_network(replace(SMALL, slice_dilations=dilations))
    reach = network.slice_reach
    gap = made_gap(slices=2 * reach + 5)
    place = reach + 2
    with torch.inference_mode():
        change = (network([changed_at(gap, place)])[0] - network([gap])[0]).abs().amax(dim=(0, 2, 3))
    moved = {index - place for index in torch.nonzero(change > 1e-6).flatten().tolist()}
    assert moved <= set(range(-reach, reach + 1))
    assert {-reach, reach} & moved


def test_reading_all_of_a_small_memory_or_its_best_is_the_same() -> None:
    network, gap = decided_network(), made_gap()
    positions = 2 * (SIZE // 4) ** 2
    with torch.inference_mode():
        torch.testing.assert_close(
            network([gap], top_k=positions)[0], network([gap])[0], atol=1e-5, rtol=1e-5
        )


def test_neighbours_are_slices_apart_and_zero_beyond_the_ends() -> None:
    x = torch.arange(1.0, 6).reshape(5, 1, 1, 1)
    found = with_neighbours(x, 2)[..., 0, 0].tolist()
    assert found == [[0, 1, 3], [0, 2, 4], [1, 3, 5], [2, 4, 0], [3, 5, 0]]
    assert with_neighbours(x, 9)[..., 0, 0].tolist() == [[0, n, 0] for n in (1, 2, 3, 4, 5)]


def test_evidence_is_bounded() -> None:
    evidence = evidence_channels(made_gap())
    assert evidence.shape == (2, 5, 6, SIZE, SIZE)
    assert evidence.abs().max() <= 1


def test_every_parameter_learns() -> None:
    network = decided_network().train()
    loss: Tensor = network([made_gap()])[0].square().mean()
    loss.backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent
