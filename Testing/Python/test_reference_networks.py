"""TransUNet and DeepLabV3+: published sizes, slices of any size, and positions that count."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pgt.reference.deeplab import DeepLab, DeepLabShape
from pgt.reference.networks import BLACK, ReferenceNetworks, padded_slices
from pgt.reference.position import PositionEmbedding
from pgt.reference.transunet import TransUNet, TransUNetShape


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(scope="module")
def small() -> ReferenceNetworks:
    return ReferenceNetworks(classes=3, size="small").eval()


def test_published_sizes_are_the_papers():
    """FLARE22, table 2: 105 M (TransUNet, ResNet-50) + 11 M (DeepLabV3+, EfficientNet), for 13 organs."""
    with torch.device("meta"):
        transunet, deeplab = TransUNet(classes=14), DeepLab(classes=14)
    assert count(transunet) / 1e6 == pytest.approx(105, abs=1)
    assert count(deeplab) / 1e6 == pytest.approx(11, abs=0.5)
    # ViT-B/16 (Dosovitskiy et al., table 1): 12 layers of 768 with perceptrons of 3072, 85 M.
    assert count(transunet.transformer) == 12 * (4 * 768 * 769 + 768 * 3073 + 3072 * 769 + 4 * 768)
    assert [len(stage) for stage in transunet.stages] == [3, 4, 9]
    assert TransUNetShape().multiple == DeepLabShape().multiple == 16


def test_published_features_lie_16_pixels_apart():
    """The encoders stop at a sixteenth of the slice, whatever EfficientNet's own strides."""
    with torch.device("meta"):
        transunet, deeplab = TransUNet(classes=2).eval(), DeepLab(classes=2).eval()
        slices = torch.zeros(1, 3, 96, 128)
        early, deep = deeplab.encoder(slices)
        features = transunet.root(slices)
    assert early.shape[2:] == (24, 32)
    assert deep.shape[2:] == (6, 8)
    assert features.shape[2:] == (48, 64)


def test_a_late_stride_becomes_a_dilation():
    """With the same weights: twice as many features along each side, from neighbours twice as far apart."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(3)
        strided = DeepLab(2, DeepLabShape(width=0.5, depth=0.5, stride=64)).eval().encoder
        torch.manual_seed(3)
        dilated = DeepLab(2, DeepLabShape(width=0.5, depth=0.5, stride=16)).eval().encoder
    features = torch.rand(1, strided.channels[4], 16, 16)
    convolutions = [encoder.stages[5][0]._depthwise_conv for encoder in (strided, dilated)]
    assert [one.stride for one in convolutions] == [(2, 2), (1, 1)]
    assert [one.dilation for one in convolutions] == [(1, 1), (2, 2)]
    for one in convolutions:
        assert torch.equal(one.weight, convolutions[0].weight)
    assert strided.stages[5](features).shape[2:] == (8, 8)
    assert dilated.stages[5](features).shape[2:] == (16, 16)


def test_small_ones_have_under_a_million_parameters(small):
    assert 1e5 < count(small.transunet) < 1e6
    assert 1e5 < count(small.deeplab) < 1e6


@pytest.mark.parametrize("size", [(1, 1), (35, 50), (40, 56), (7, 90)])
@torch.inference_mode()
def test_any_slice_size(small, size):
    first, second = small(torch.rand(2, 3, *size), torch.tensor([0.1, 0.9]))
    assert first.shape == second.shape == (2, 3, *size)
    assert torch.isfinite(first).all()
    assert torch.isfinite(second).all()


def test_padding_is_black_below_and_to_the_right():
    padded = padded_slices(torch.ones(1, 3, 5, 8), 8)
    assert padded.shape == (1, 3, 8, 8)
    assert (padded[:, :, 5:] == BLACK).all()
    assert (padded[:, :, :5] == 1).all()
    assert padded_slices(torch.ones(1, 3, 8, 16), 8).shape == (1, 3, 8, 16)


def test_position_matters(small):
    """The same slice elsewhere along the axis gets another answer from both networks."""
    slices = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0)).expand(2, -1, -1, -1)
    with torch.inference_mode():
        for logits in small(slices, torch.tensor([0.1, 0.6])):
            assert (logits[0] - logits[1]).abs().max() > 1e-5
        for logits in small(slices, torch.tensor([0.3, 0.3])):
            torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-6)


def test_what_only_the_position_tells_is_learnt():
    """Slices of noise, drawn on in the upper half of the axis alone: nothing but the position can tell."""
    networks = ReferenceNetworks(classes=2, size="small").train()
    optimizer = torch.optim.AdamW(networks.parameters(), lr=3e-3)
    draw = torch.Generator().manual_seed(1)

    def noise(count: int) -> torch.Tensor:
        return torch.rand(count, 3, 16, 16, generator=draw) * 2 - 1

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1)  # of the residual blocks that are left out
        for _ in range(60):
            positions = torch.rand(8, generator=draw)
            truth = (positions > 0.5).long()[:, None, None].expand(-1, 16, 16)
            logits = networks(noise(8), positions)
            loss = sum(functional.cross_entropy(one, truth) for one in logits)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        positions = torch.tensor([0.1, 0.2, 0.3, 0.35, 0.65, 0.7, 0.8, 0.9])
        # Normalised by the batch, as in training: running statistics have not settled after so few steps.
        for logits in networks(noise(8), positions):
            drawn = (logits[:, 1] > logits[:, 0]).float().mean(dim=(1, 2))
            assert float(drawn[:4].mean()) < 0.25
            assert float(drawn[4:].mean()) > 0.75


def test_positions_are_told_apart_as_finely_as_slices():
    """200 slices: neighbours differ, and no two positions are embedded alike."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        features = PositionEmbedding(32)((torch.arange(200) + 0.5) / 200).detach()
    apart = torch.cdist(features, features) + torch.eye(200) * 1e9
    assert apart.min() > 1e-3


def test_weights_follow_from_the_seed():
    before = torch.random.get_rng_state()
    one, same, other = (ReferenceNetworks(2, "small", seed) for seed in (4, 4, 5))
    assert torch.equal(torch.random.get_rng_state(), before)
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)
    assert not torch.equal(one.transunet.tokens.weight, other.transunet.tokens.weight)
