"""STCN against numbers recorded from the official code.

``data/stcn_golden.npz`` was recorded in float32 on a CPU (torch 2.13, torchvision 0.28 for the ResNet-50)
from hkchengrex/STCN at eb83102 (evaluation network, memory bank with top 20, soft aggregation; for stage 0
the single-object training network) and from kaylode/ivos at 276ee41 for the FLARE22 variant, with the weights
and images of ``stcn_formula``. Per tensor it keeps 300 evenly spaced numbers and the means of x, |x| and x².
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import stcn_formula
import torch

from pgt.propagation.network import Gap
from pgt.propagation.stcn import (
    FLARE22,
    MULTI_OBJECT,
    STCNNetwork,
    imagenet_normalised,
    pad_to_stride,
    soft_aggregate,
    sum_of_others,
)
from pgt.propagation.weight_files import WeightFile
from pgt.propagation.weight_layouts import count_parameters, recognise

GOLDEN = np.load(Path(__file__).parent / "data" / "stcn_golden.npz")
SHAPES = json.loads(GOLDEN["shapes"].tobytes())
TOLERANCE = 1e-4


@functools.lru_cache(maxsize=1)  # 218 MB each, and the tests of one variant follow each other
def official_network(variant: str):
    """The network whose weights follow the formula under the names and shapes of the official code."""
    shapes = {name: tuple(shape) for name, shape in SHAPES[variant].items()}
    weights = {name: torch.from_numpy(array) for name, array in stcn_formula.state_dict(shapes).items()}
    return recognise(WeightFile(weights), Path(f"{variant}.pth")).network


def slice_image(name):
    return pad_to_stride(imagenet_normalised(torch.from_numpy(stcn_formula.image(name))[None]))


def compare(variant, tensors):
    for name, tensor in tensors.items():
        numbers = tensor.contiguous().flatten().numpy()
        chosen = np.linspace(0, numbers.size - 1, 300).round().astype(int)
        np.testing.assert_allclose(
            numbers[chosen], GOLDEN[f"{variant}.{name}"], rtol=0, atol=TOLERANCE, err_msg=name
        )
        exact = numbers.astype(np.float64)
        moments = [exact.mean(), np.abs(exact).mean(), (exact**2).mean()]
        np.testing.assert_allclose(
            moments, GOLDEN[f"{variant}.{name}.moments"], rtol=0, atol=TOLERANCE, err_msg=name
        )


def test_published_sizes():
    with torch.device("meta"):
        assert count_parameters(STCNNetwork(MULTI_OBJECT)) == 54_434_180
        assert count_parameters(STCNNetwork(FLARE22)) == 54_416_065


@pytest.mark.parametrize(
    ("variant", "configuration"),
    [("flare22", FLARE22), ("official", MULTI_OBJECT)],
    ids=["flare22", "official"],
)
@torch.inference_mode()
def test_computes_what_the_official_code_computes(variant, configuration):
    network = official_network(variant)
    assert network.configuration == configuration
    masks = pad_to_stride(torch.from_numpy(stcn_formula.masks()))
    images = torch.cat([slice_image("memory 0"), slice_image("memory 1")])
    memory = network.encode_key(images)
    values = network.encode_value(images, memory, masks, sum_of_others(masks))
    query = network.encode_key(slice_image("query"))
    readout = network.read(memory.key, values, query)
    logits = network.decode(readout, query)
    compare(
        variant,
        {
            "value": values,
            "key": query.key,
            "thin": query.thin,
            "stride16": query.pyramid.stride16,
            "stride8": query.pyramid.stride8,
            "stride4": query.pyramid.stride4,
            "readout": readout,
            "logits": logits,
            "aggregated": soft_aggregate(torch.sigmoid(logits)),
        },
    )


@torch.inference_mode()
def test_fills_in_a_gap_as_the_official_code_does():
    masks = torch.from_numpy(stcn_formula.masks())
    gap = gap_of(
        images=torch.from_numpy(stcn_formula.image("query")[None]),
        memory_images=torch.from_numpy(np.stack([stcn_formula.image(f"memory {n}") for n in range(2)])),
        memory_masks=masks,
    )
    (logits,) = official_network("official")([gap])
    assert logits.shape == (2, 1, stcn_formula.ROWS, stcn_formula.COLUMNS)
    sample = torch.from_numpy(GOLDEN["official.logits"])
    padded = (2, 80, 112)
    chosen = np.unravel_index(np.linspace(0, np.prod(padded) - 1, 300).round().astype(int), padded)
    row, column = chosen[1] - 2, chosen[2] - 2
    inside = (row >= 0) & (row < stcn_formula.ROWS) & (column >= 0) & (column < stcn_formula.COLUMNS)
    found = logits[chosen[0][inside], 0, row[inside], column[inside]]
    torch.testing.assert_close(found, sample[inside], rtol=0, atol=TOLERANCE)


def gap_of(images, memory_images, memory_masks):
    """A gap without shape or appearance, which the published network does not look at."""
    segments, _, rows, columns = memory_masks.shape
    slices = len(images)
    nothing = torch.zeros(segments, slices, rows, columns)
    return Gap(
        images=images,
        memory_images=memory_images,
        memory_masks=memory_masks,
        memory_others=sum_of_others(memory_masks),
        memory_appearance=torch.zeros(segments, len(memory_images), 2, rows, columns),
        prior=nothing,
        prior_others=nothing,
        appearance=torch.zeros(segments, slices, 2, rows, columns),
        known=nothing,
        position=torch.zeros(segments, slices, 8),
    )


@torch.inference_mode()
def test_one_annotated_slice_with_fewer_positions_than_top_k_is_enough():
    network = official_network("official")
    (logits,) = network(
        [gap_of(torch.rand(1, 3, 30, 40), torch.rand(1, 3, 30, 40), torch.ones(1, 1, 30, 40))]
    )
    assert logits.shape == (1, 1, 30, 40)
    assert torch.isfinite(logits).all()


@torch.inference_mode()
def test_stage_0_weights_compute_what_the_single_object_network_computes():
    network = official_network("stage0")
    image = slice_image("memory 0")
    mask = pad_to_stride(torch.from_numpy(stcn_formula.masks()[:1, :1]))
    features = network.encode_key(image)
    compare("stage0", {"value": network.encode_value(image, features, mask, torch.zeros_like(mask))})
    others = torch.ones_like(mask)
    compare("stage0", {"value": network.encode_value(image, features, mask, others)})


def test_soft_aggregation_competes_and_sums_to_one():
    probabilities = torch.tensor([[0.0, 1.0, 0.9, 0.5], [0.0, 1.0, 0.1, 0.0]])
    joint = soft_aggregate(probabilities)
    torch.testing.assert_close(joint.sum(dim=0), torch.ones(4))
    assert joint.argmax(dim=0).tolist()[0] == 0
    assert joint.argmax(dim=0).tolist()[2] == 1
    torch.testing.assert_close(joint[1, 1], joint[2, 1])
    assert torch.isfinite(joint).all()


def test_sum_of_others():
    masks = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    assert sum_of_others(masks).tolist() == [[0, 1, 2], [1, 0, 2], [1, 1, 2]]


@pytest.mark.parametrize(("rows", "columns"), [(16, 32), (17, 31), (1, 1)])
def test_padding_is_even_and_removable(rows, columns):
    image = torch.rand(2, 3, rows, columns)
    padded = pad_to_stride(image)
    assert padded.shape[-2] % 16 == 0
    assert padded.shape[-1] % 16 == 0
    top, left = (padded.shape[-2] - rows) // 2, (padded.shape[-1] - columns) // 2
    assert torch.equal(padded[..., top : top + rows, left : left + columns], image)
    assert padded.sum().item() == pytest.approx(image.sum().item(), rel=1e-5)
