"""Segmenting in a style: any grid, any size, any point of the map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from geometries import DIRECTIONS
from style_cases import LOOSE, PREPARATION, SHAPE, TIGHT, made_case, tiny_model
from trained_style_model import trained_style_model

from pgt.errors import Cancelled, CheckpointError, DeviceError, InputError
from pgt.geometry import Geometry
from pgt.progress import Progress
from pgt.styles.hypernetwork import HyperNetwork, HyperNetworkShape
from pgt.styles.inference import Segmenter, predicted_weights, segment
from pgt.styles.preparation import Preparation
from pgt.styles.sampling import PreparedCase, take_patches
from pgt.styles.several_styles import compare_styles, spread_of
from pgt.styles.style_choice import choose_style, outside_training
from pgt.styles.style_model import StyleModel
from pgt.styles.unet import UNetShape
from pgt.volume import Volume


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize(("style", "size"), [("tight", TIGHT), ("main", 1.0), ("loose", LOOSE)])
def test_each_style_draws_its_own_outline(style: str, size: float) -> None:
    model = trained_style_model()
    for number in (100, 101, 102):
        volume, label_map = made_case(number, size)
        found = segment(model, volume, choose_style(model, style))
        assert dice(found.label_map.mask(1), label_map.mask(1)) > 0.93
        ml = np.count_nonzero(found.label_map.mask(1)) / 1000
        assert found.volumes_ml == pytest.approx({1: ml})


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_turned_volume_is_segmented_voxel_for_voxel_alike(direction: str) -> None:
    model = trained_style_model()
    volume, _ = made_case(7, 1.0)
    plain = segment(model, volume, model.styles["loose"])
    turned = Geometry(SHAPE, (1.0, 1.0, 1.0), (31.0, -12.0, 5.0), DIRECTIONS[direction])
    order, flips = turned.turn_to("RAS")
    # The same voxels towards the same anatomical directions: undo what turning to RAS will do.
    voxels = volume.voxels
    for axis in flips:
        voxels = np.flip(voxels, axis)
    back = np.argsort(order)
    geometry = replace(turned, shape=tuple(SHAPE[axis] for axis in back))
    found = segment(
        model, Volume(np.ascontiguousarray(voxels.transpose(back)), geometry), model.styles["loose"]
    )
    expected = plain.label_map.voxels
    for axis in flips:
        expected = np.flip(expected, axis)
    np.testing.assert_array_equal(found.label_map.voxels, expected.transpose(back))
    assert found.label_map.geometry is geometry


def test_one_window_is_the_network_itself() -> None:
    model = trained_style_model()
    volume, _ = made_case(11, 1.0)
    segmenter = Segmenter(model, volume, mixed_precision=False)
    with torch.no_grad():
        whole = model.logits(segmenter.image[None], torch.zeros(1, 2))[0].softmax(dim=0)
    torch.testing.assert_close(segmenter.shares((0.0, 0.0)), whole, atol=1e-5, rtol=0)
    half = Segmenter(model, volume, mixed_precision=True).shares((0.0, 0.0))
    assert (half - whole).abs().mean() < 0.005  # bfloat16 keeps 8 bits


def test_small_volumes_are_padded_as_in_training() -> None:
    model = trained_style_model()
    volume, label_map = made_case(12, 1.0, Geometry((13, 9, 12)))
    case = Segmenter(model, volume, mixed_precision=False)
    prepared = PreparedCase("case", case.image, PREPARATION.labels(label_map))
    padded, _ = take_patches([prepared], model.patch, [np.random.default_rng(0)])
    with torch.no_grad():
        weights = predicted_weights(model, (0.0, 0.0), "cpu")
        whole = model.unet.segment(padded, weights)[0].softmax(dim=0)
    torch.testing.assert_close(case.shares((0.0, 0.0)), whole[:, 1:14, 3:12], atol=1e-5, rtol=0)


class Pointwise:
    """A primary network that looks at one voxel at a time: windows cannot matter to it."""

    step = 1
    shape = UNetShape(classes=2)

    def __init__(self) -> None:
        self.windows = 0

    def initial_weights(self) -> dict[str, torch.Tensor]:
        return {"slope": torch.tensor([2.0])}

    def segment(self, images: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
        self.windows += len(images)
        logits = images * weights["slope"].reshape(-1, 1, 1, 1, 1)
        return torch.cat([-logits, logits], dim=1)


@pytest.mark.parametrize("shape", [(8, 8, 8), (5, 9, 8), (21, 8, 3), (33, 14, 19), (9, 9, 9)])
def test_windows_cover_every_voxel_once_and_are_counted(shape: tuple[int, int, int]) -> None:
    network = Pointwise()
    torch.manual_seed(0)
    hyper = HyperNetwork(HyperNetworkShape(hidden=(50,), rank=None), network)
    model = StyleModel(hyper, network, Preparation((1.0, 1.0, 1.0), (1,)), (8, 8, 8), ("Bright",))
    voxels = np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)
    told: list[Progress] = []
    segmenter = Segmenter(model, Volume(voxels, Geometry(shape)))
    found = segmenter.segment((0.3, -0.1), told.append)
    slope = predicted_weights(model, (0.3, -0.1), "cpu")["slope"]
    assert float(slope) != pytest.approx(2.0)  # the style counts
    expected = torch.sigmoid(2 * slope * segmenter.image)[0]
    torch.testing.assert_close(found.shares[1], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.shares.sum(dim=0), torch.ones(shape))
    done = [step.done for step in told]
    assert done == sorted(set(done))
    assert done[-1] == network.windows == segmenter.windows
    assert {step.total for step in told} == {segmenter.windows}


def test_what_lies_beyond_the_window_is_segmented_like_what_lies_in_it() -> None:
    model = trained_style_model()
    volume, label_map = made_case(13, 1.0)
    twice = Volume(np.concatenate([volume.voxels] * 2), Geometry((2 * SHAPE[0], *SHAPE[1:])))
    found = segment(model, twice).label_map.mask(1)
    for half in (found[: SHAPE[0]], found[SHAPE[0] :]):
        assert dice(half, label_map.mask(1)) > 0.85


def test_labels_are_the_most_probable_class_on_the_volume_s_own_grid() -> None:
    torch.manual_seed(3)
    preparation = Preparation((1.5, 1.0, 2.0), (2, 300))
    model = StyleModel.new(
        UNetShape(classes=3, channels=4, levels=1, layers=1),
        tiny_model().hypernetwork.shape,
        preparation,
        (16, 16, 12),
        ("Near", "Far"),
    )
    geometry = Geometry((17, 15, 13), (1.0, 1.3, 1.1), (0, 0, 0), DIRECTIONS["oblique"])
    volume = Volume(np.random.default_rng(0).normal(size=geometry.shape).astype(np.float32), geometry)
    found = segment(model, volume, (0.7, -0.2))
    fields = np.stack([found.probability(value) for value in (0, 2, 300)])
    np.testing.assert_array_equal(found.label_map.voxels, np.array([0, 2, 300])[fields.argmax(axis=0)])
    assert [(s.value, s.name) for s in found.label_map.segments] == [(2, "Near"), (300, "Far")]
    assert set(np.unique(found.label_map.voxels)) == {0, 2, 300}
    with pytest.raises(InputError, match="no label 7"):
        found.probability(7)


def test_a_style_is_found_by_name_and_by_place() -> None:
    model = trained_style_model()
    assert choose_style(model, "main") == (0.0, 0.0)
    assert choose_style(model, "tight") == model.styles["tight"]
    assert choose_style(model, "0.25,-1e-1") == (0.25, -0.1)
    with pytest.raises(InputError, match=r"no style 'TS'; it has main, tight, loose"):
        choose_style(model, "TS")
    with pytest.raises(InputError, match="2 numbers, not 3"):
        choose_style(model, "1,2,3")
    with pytest.raises(InputError, match="finite"):
        choose_style(model, "nan,0")


def test_outside_the_trained_range_is_allowed_with_a_warning() -> None:
    model = trained_style_model()
    volume, _ = made_case(14, 1.0)
    far = segment(model, volume, (5.0, -5.0))
    assert any("(5, -5) lies outside the trained range" in message for message in far.messages)
    assert segment(model, volume).messages == ()
    assert all(outside_training(model, latent) is None for latent in model.latents.values())


def test_refusals() -> None:
    model = trained_style_model()
    volume, _ = made_case(15, 1.0)
    with pytest.raises(InputError, match="same intensity everywhere"):
        segment(model, Volume(np.zeros(SHAPE, np.int16), Geometry(SHAPE)))
    with pytest.raises(InputError, match="2 numbers, not 1"):
        segment(model, volume, (0.0,))
    with pytest.raises(Cancelled):
        segment(model, volume, cancelled=lambda: True)
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="No CUDA GPU"):
            segment(model, volume, device="cuda")


def test_a_model_of_another_architecture_is_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, model in ((first, tiny_model()), (second, tiny_model(classes=4))):
        folder.mkdir()
        model.save(folder)
    (first / "model.safetensors").write_bytes((second / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        StyleModel.load(first)


def test_styles_compared_differ_at_the_border_alone() -> None:
    model = trained_style_model()
    volume, _ = made_case(16, 1.0)
    found = compare_styles(model, volume, {"main": model.main_style, **model.styles})
    ml = {name: by_label[1] for name, by_label in found.volumes_ml.items()}
    assert ml["tight"] < ml["main"] < ml["loose"]
    tight, loose = (found.styles[name].label_map.mask(1) for name in ("tight", "loose"))
    disputed = loose & ~tight
    assert found.spread.shape == SHAPE
    assert found.spread[disputed].mean() > 0.6
    assert found.spread[~loose].mean() < 0.1
    with pytest.raises(InputError, match="two or more"):
        compare_styles(model, volume, {"main": model.main_style})


def test_spread_is_twice_the_standard_deviation() -> None:
    draw = torch.rand(5, 3, 4, 4, 4, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    expected = 2 * draw.double().std(dim=0, correction=0).amax(dim=0)
    torch.testing.assert_close(spread_of(list(draw)).double(), expected, atol=1e-6, rtol=1e-5)
    sure = torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1)
    torch.testing.assert_close(spread_of([sure, 1 - sure]), torch.ones(1, 1, 1))
    torch.testing.assert_close(spread_of([sure, sure]), torch.zeros(1, 1, 1))
