"""Hyper-network, primary network and latent vectors against PyTorch's own modules and optimiser."""

from __future__ import annotations

import copy

import pytest
import torch
from style_cases import tiny_model
from torch import nn

from pgt.styles.hypernetwork import BOUND, HyperNetwork, HyperNetworkShape
from pgt.styles.latents import LatentTable
from pgt.styles.losses import segmentation_loss
from pgt.styles.model_planning import SIZES
from pgt.styles.unet import UNet, UNetShape


class PlainUNet(nn.Module):
    """The paper's UNet written down with PyTorch's modules, layer after layer."""

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        self.shape = shape
        wide = [shape.channels * 2**level for level in range(shape.levels + 1)]
        self._add("conv_init", "norm_init", nn.Conv3d(shape.input_channels, wide[0], 3, 1, 1))
        for level in range(shape.levels + 1):
            if level:
                self._add(f"down_{level - 1}", f"down_norm_{level - 1}",
                          nn.Conv3d(wide[level - 1], wide[level], 3, 2, 1))  # fmt: skip
            for layer in range(shape.layers):
                self._add(f"conv_{level}_{layer}", f"norm_{level}_{layer}",
                          nn.Conv3d(wide[level], wide[level], 3, 1, 1))  # fmt: skip
        for level in range(shape.levels):
            self._add(f"up_{level}", f"up_norm_{level}",
                      nn.ConvTranspose3d(wide[level + 1], wide[level], 4, 2, 1))  # fmt: skip
            for layer in range(shape.layers):
                entering = wide[level + 1] if layer == 0 else wide[level]
                self._add(f"dec_conv_{level}_{layer}", f"dec_norm_{level}_{layer}",
                          nn.Conv3d(entering, wide[level], 3, 1, 1))  # fmt: skip
        self.conv_final = nn.Conv3d(wide[0], shape.classes, 3, 1, 1)

    def _add(self, name, norm, layer):
        self.add_module(name, layer)
        self.add_module(norm, nn.InstanceNorm3d(layer.out_channels, affine=True))

    def _run(self, x, name, norm):
        return getattr(self, norm)(torch.relu(getattr(self, name)(x)))

    def forward(self, x):
        x = self._run(x, "conv_init", "norm_init")
        skips = []
        for level in range(self.shape.levels + 1):
            if level:
                x = self._run(x, f"down_{level - 1}", f"down_norm_{level - 1}")
            for layer in range(self.shape.layers):
                x = self._run(x, f"conv_{level}_{layer}", f"norm_{level}_{layer}")
            skips.append(x)
        for level in reversed(range(self.shape.levels)):
            x = torch.cat([self._run(x, f"up_{level}", f"up_norm_{level}"), skips[level]], dim=1)
            for layer in range(self.shape.layers):
                x = self._run(x, f"dec_conv_{level}_{layer}", f"dec_norm_{level}_{layer}")
        return self.conv_final(x)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_published_sizes():
    """Section 4 of the paper, as the official code has them; its spare parameter of one number left out."""
    unet = UNet(UNetShape())
    assert sum(weight.numel() for weight in unet.initial_weights().values()) == 3_327_122
    published = HyperNetwork(HyperNetworkShape(rank=None), unet)
    assert parameters(published) == 169_688_472
    factored = HyperNetwork(HyperNetworkShape(rank=SIZES["factored"].rank), unet)
    assert parameters(factored) <= parameters(published) / 5


@pytest.mark.parametrize("shape", [UNetShape(1, 3, 4, 2, 2), UNetShape(2, 2, 3, 1, 3)])
def test_cases_together_as_each_by_itself(shape):
    torch.manual_seed(1)
    images = torch.randn(3, shape.input_channels, 8, 12, 16, dtype=torch.float64)
    networks = [PlainUNet(shape).double() for _ in range(3)]
    for network in networks:
        for parameter in network.parameters():
            nn.init.uniform_(parameter, -0.5, 0.5)
    weights = {
        name: torch.stack([dict(network.named_parameters())[name] for network in networks])
        for name, _ in networks[0].named_parameters()
    }
    together = UNet(shape).segment(images, weights)
    alone = torch.cat([network(images[n : n + 1]) for n, network in enumerate(networks)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-9)
    seen = torch.autograd.grad(together.square().sum(), list(weights.values()))
    by_network = [torch.autograd.grad(alone.square().sum(), list(network.parameters()), retain_graph=True)
                  for network in networks]  # fmt: skip
    for number, gradient in enumerate(seen):
        expected = torch.stack([gradients[number] for gradients in by_network])
        torch.testing.assert_close(gradient, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("rank", [None, 5])
def test_the_origin_starts_as_an_ordinary_network(rank):
    """Without hidden activations the heads' biases alone speak, and they are an ordinary initialisation."""
    torch.manual_seed(0)
    unet = UNet(UNetShape(1, 2, 4, 1, 1))
    initial = copy.deepcopy(unet.initial_weights())
    unet.initial_weights = lambda: initial  # type: ignore[method-assign]
    hypernetwork = HyperNetwork(HyperNetworkShape(rank=rank), unet)
    with torch.no_grad():
        hypernetwork.heads.zero_()
        predicted = hypernetwork(torch.zeros(1, 2))
    for name, weight in initial.items():
        torch.testing.assert_close(predicted[name][0], weight, rtol=0, atol=1e-5)


def test_predicted_weights_stay_bounded():
    model = tiny_model()
    predicted = model.hypernetwork(torch.tensor([[1e6, -1e6], [-1e6, 1e6]]))
    assert max(float(weight.detach().abs().max()) for weight in predicted.values()) <= BOUND


def test_the_hypernetwork_keeps_its_precision_under_autocast():
    model, latents = tiny_model(), torch.tensor([[0.01, 0.0], [0.011, 0.0]])
    images = torch.randn(2, 1, 8, 8, 8)
    seen = {}
    segment = model.unet.segment
    model.unet.segment = lambda images, weights: seen.update(weights) or segment(images, weights)  # type: ignore[method-assign]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model.logits(images, latents)
    assert logits.dtype == torch.bfloat16
    for name, weight in model.hypernetwork(latents).items():
        torch.testing.assert_close(seen[name], weight, rtol=0, atol=0)


def test_each_latent_vector_has_an_adam_of_its_own():
    """Visits in any order, several at a time: every vector moves as under torch.optim.Adam alone."""
    draw = torch.Generator().manual_seed(3)
    table = LatentTable(["a", "b", "c", "d"], 3, draw)
    vectors = [vector.clone().requires_grad_() for vector in table.vectors]
    optimizers = [torch.optim.Adam([vector], lr=0.02, betas=(0.7, 0.9)) for vector in vectors]
    for visit in range(40):
        rows = torch.randperm(4, generator=draw)[: 1 + visit % 3]
        gradients = torch.randn(len(rows), 3, generator=draw)
        rate = 0.02 / (1 + visit // 10)
        table.step(rows, gradients, rate)
        for row, gradient in zip(rows.tolist(), gradients, strict=True):
            optimizers[row].param_groups[0]["lr"] = rate
            vectors[row].grad = gradient.clone()
            optimizers[row].step()
    torch.testing.assert_close(table.vectors, torch.stack(vectors).detach(), rtol=0, atol=1e-6)


def test_a_table_goes_on_from_its_state():
    rows, gradient = torch.tensor([0, 1]), torch.tensor([[0.3, -0.1], [0.2, 0.5]])
    whole, other = LatentTable(["a", "b"], 2), LatentTable(["a", "b"], 2)
    whole.step(rows, gradient, 0.1)
    other.restore({name: tensor.clone() for name, tensor in whole.state().items()})
    whole.step(rows, -gradient, 0.1)
    other.step(rows, -gradient, 0.1)
    assert torch.equal(whole.vectors, other.vectors)
    assert whole.by_case() == other.by_case()
    with pytest.raises(ValueError, match="cases"):
        LatentTable(["a"], 2).restore(whole.state())


def test_loss_by_hand():
    """Two voxels, two classes, the second voxel half of each."""
    labels = torch.tensor([[[1.0, 0.5]], [[0.0, 0.5]]])[None, :, :, :, None]
    odds = torch.tensor([[[3.0, 1.0]], [[1.0, 1.0]]])[None, :, :, :, None]
    loss = segmentation_loss(odds.log(), labels)
    p = torch.tensor([[0.75, 0.5], [0.25, 0.5]])
    assert loss.cross_entropy.item() == pytest.approx(-(p[0, 0].log() + torch.tensor(0.5).log()).item() / 2)
    first = 1 - 2 * (0.75 + 0.25) / (1.25 + 1.5)
    second = 1 - 2 * 0.25 / (0.75 + 0.5)
    assert loss.dice.item() == pytest.approx((first + second) / 2, abs=1e-6)
    assert loss.total.item() == pytest.approx(loss.dice.item() + loss.cross_entropy.item())
