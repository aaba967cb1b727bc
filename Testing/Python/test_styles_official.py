"""Models of the official HyperSORT code, against numbers recorded from it.

``data/hypersort_golden.npz`` was recorded in float64 on a CPU (torch 2.13) from ImFusionGmbH/HyperSORT at
f6a70c9 (`HyperModel` around `UNet`), with the weights, images and latent vectors of ``hypersort_formula``.
Per network it keeps 400 evenly spaced logits, the means of x, |x| and x², and the shapes of the state dict.
"""

from __future__ import annotations

import json
from pathlib import Path

import hypersort_formula
import numpy as np
import pytest
import torch

from pgt.errors import CheckpointError, InputError
from pgt.styles.official_checkpoints import OfficialPreparation, import_official
from pgt.styles.style_model import StyleModel

GOLDEN = np.load(Path(__file__).parent / "data" / "hypersort_golden.npz")
SHAPES = json.loads(GOLDEN["shapes"].tobytes())
WINDOW = OfficialPreparation(patch=(16, 24, 16))


def official_state(variant: str) -> dict[str, torch.Tensor]:
    """The state dict that was recorded from."""
    fan_in = SHAPES[variant]["fan"]
    state = {}
    for name, shape in SHAPES[variant].items():
        if name == "fan":
            continue
        layer = name.removeprefix("heads.").rpartition(".")[0].replace(";", ".")
        entering = fan_in[layer] if name.startswith("heads.") else shape[-1]
        state[name] = torch.from_numpy(hypersort_formula.parameter(name, tuple(shape), entering))
    return state


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model_w.pt"
    torch.save(official_state("published"), path)
    return path


@pytest.mark.parametrize("variant", ["published", "other"])
@torch.inference_mode()
def test_computes_what_the_official_code_computes(tmp_path, variant):
    path = tmp_path / "model_w.pt"
    torch.save(official_state(variant), path)
    model = import_official(path, prepared=WINDOW)
    images = torch.from_numpy(hypersort_formula.images())
    latents = torch.from_numpy(hypersort_formula.latents(model.hypernetwork.shape.latent))
    in_single = model.logits(images, latents)
    logits = model.unet.segment(images.double(), model.hypernetwork.double()(latents.double()))
    assert tuple(logits.shape) == tuple(GOLDEN[f"{variant}.shape"])
    numbers = logits.contiguous().flatten().numpy()
    chosen = np.linspace(0, numbers.size - 1, 400).round().astype(int)
    np.testing.assert_allclose(numbers[chosen], GOLDEN[f"{variant}.logits"], rtol=0, atol=1e-8)
    moments = [numbers.mean(), np.abs(numbers).mean(), (numbers**2).mean()]
    np.testing.assert_allclose(moments, GOLDEN[f"{variant}.moments"], rtol=0, atol=1e-8)
    # Norms over the few voxels of the lowest level magnify the rounding of float32.
    torch.testing.assert_close(in_single.double(), logits, rtol=0, atol=2e-3)


def test_latent_vectors_get_the_names_of_the_data_list(tmp_path, weights):
    latents = tmp_path / "latent_dict.pt"
    vectors = {row: torch.full((1, 2), row / 10).requires_grad_() for row in (2, 0, 1)}
    torch.save(vectors, latents)
    by_row = import_official(weights, latents, prepared=WINDOW)
    assert by_row.latents == {str(row): pytest.approx((row / 10, row / 10)) for row in range(3)}
    listed = tmp_path / "list.txt"
    listed.write_text(
        "DataPath\tLabelPath\n" + "".join(f"in/s{n}.nii.gz\tout/s{n}.nii.gz\n" for n in range(3))
    )
    assert list(import_official(weights, latents, listed, WINDOW).latents) == ["s0", "s1", "s2"]
    listed.write_text("DataPath\tLabelPath\nin/s0.nii.gz\tout/s0.nii.gz\n")
    with pytest.raises(InputError, match="lists 1 cases"):
        import_official(weights, latents, listed, WINDOW)


def test_an_imported_model_is_saved_and_read_like_any_other(tmp_path, weights):
    model = import_official(weights, prepared=WINDOW)
    model.save(tmp_path)
    again = StyleModel.load(tmp_path)
    assert again.preparation == model.preparation
    with torch.inference_mode():
        image, latent = torch.randn(1, 1, 16, 16, 16), torch.tensor([[0.3, -0.2]])
        torch.testing.assert_close(again.logits(image, latent), model.logits(image, latent), rtol=0, atol=0)


def test_what_is_no_such_model_is_refused(tmp_path, weights):
    state = official_state("published")
    for change, sentence in (
        (lambda s: {n: t for n, t in s.items() if not n.startswith("hypernetwork")}, "no hyper-network"),
        (lambda s: {n: t for n, t in s.items() if "up_1;weight" not in n}, "another UNet"),
        (lambda s: s | {"heads.norm_init;running_mean.bias": torch.zeros(3)}, "batch normalisation"),
        (lambda s: s | {"heads.conv_0_0;weight.weight": torch.zeros(81, 20),
                        "heads.conv_0_0;weight.bias": torch.zeros(81)}, "3D UNet"),
    ):  # fmt: skip
        path = tmp_path / "changed.pt"
        torch.save(change(state), path)
        with pytest.raises(CheckpointError, match=sentence):
            import_official(path, prepared=WINDOW)
    with pytest.raises(InputError, match="multiples of 8"):
        import_official(weights, prepared=OfficialPreparation(patch=(100, 100, 100)))
    with pytest.raises(InputError, match="1 classes"):
        import_official(weights, prepared=OfficialPreparation(patch=(16, 16, 16), class_names=("a", "b")))
