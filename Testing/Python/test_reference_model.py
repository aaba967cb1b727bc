"""The model folder: the same answers after reading it back, for all twins of a volume; damage is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from reference_cases import made_case
from safetensors.torch import save_file
from test_reference_slices import twins

from pgt.errors import CheckpointError, OutputError
from pgt.propagation.weight_files import read_weights
from pgt.reference.model_folder import CHECKPOINT, DEEPLAB, DESCRIPTION, TRANSUNET
from pgt.reference.networks import ReferenceNetworks
from pgt.reference.reference_card import ReferenceCard, read_card
from pgt.reference.reference_model import ReferenceModel
from pgt.reference.slices import windowed_slices

CARD = ReferenceCard((2, 5), ("Liver", "Spleen"), "coronal", "mr", "small", {"seconds": 1.5})


@pytest.fixture(scope="module")
def model() -> ReferenceModel:
    return ReferenceModel(CARD, ReferenceNetworks(CARD.classes, CARD.size, seed=2))


@pytest.fixture
def folder(tmp_path, model):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def test_read_back_identical(model, folder):
    again = ReferenceModel.load(folder)
    assert again.card == CARD
    assert read_card(folder) == CARD
    slices = np.random.default_rng(0).uniform(-1, 1, (5, 3, 21, 30)).astype(np.float32)
    positions = np.linspace(0, 1, 5, dtype=np.float32)
    one, other = model.probabilities(slices, positions), again.probabilities(slices, positions)
    assert np.array_equal(one, other)
    assert one.shape == (5, 3, 21, 30)
    np.testing.assert_allclose(one.sum(axis=1), 1, atol=1e-5)


def test_a_header_may_be_as_long_as_a_pickle_begins(tmp_path):
    """Safetensors begin with their header's length; 0x80 there is no pickle."""
    tensors = {"weight": torch.arange(3.0)}
    for extra in range(200):
        save_file(tensors, tmp_path / "weights.safetensors", {"note": "x" * extra})
        if (tmp_path / "weights.safetensors").read_bytes().startswith(b"\x80"):
            break
    else:
        pytest.fail("no header of such a length was made")
    assert torch.equal(read_weights(tmp_path / "weights.safetensors").tensors["weight"], torch.arange(3.0))


def test_both_networks_are_summed(model):
    slices = np.random.default_rng(1).uniform(-1, 1, (2, 3, 16, 16)).astype(np.float32)
    positions = np.array([0.2, 0.7], np.float32)
    with torch.inference_mode():
        logits = model.networks(torch.from_numpy(slices), torch.from_numpy(positions))
    expected = sum(torch.softmax(one, 1) for one in logits).numpy()
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.probabilities(slices, positions), expected, atol=1e-6)


def test_slices_are_answered_one_by_one(model, monkeypatch):
    """However many go through the networks together."""
    slices = np.random.default_rng(2).uniform(-1, 1, (5, 3, 24, 24)).astype(np.float32)
    positions = np.linspace(0, 1, 5, dtype=np.float32)
    together = model.probabilities(slices, positions)
    monkeypatch.setattr("pgt.reference.reference_model._PIXELS_AT_ONCE", 24 * 24 * 2)
    np.testing.assert_allclose(model.probabilities(slices, positions), together, atol=1e-5)


def test_twins_of_a_volume_get_the_same_answer(model):
    volume, _ = made_case(3)

    def answer(twin):
        cut = windowed_slices(twin, model.card.plane, model.card.modality)
        return cut.turn.undo(model.probabilities(cut.images, cut.positions)[:, 1])

    for twin, expected in zip(twins(volume), twins_of(answer(volume), volume), strict=True):
        assert np.array_equal(answer(twin), expected)


def twins_of(voxels, volume):
    return [twin.voxels for twin in twins(type(volume)(voxels, volume.geometry))]


def test_a_model_is_not_overwritten_unasked(model, folder):
    before = (folder / TRANSUNET).read_bytes()
    with pytest.raises(OutputError, match="holds a reference model already"):
        ReferenceModel(CARD, ReferenceNetworks(3, "small", 9)).save(folder)
    assert (folder / TRANSUNET).read_bytes() == before
    ReferenceModel(CARD, ReferenceNetworks(3, "small", 9)).save(folder, overwrite=True)
    assert (folder / TRANSUNET).read_bytes() != before
    with pytest.raises(OutputError, match="cannot be made"):
        model.save(folder / TRANSUNET / "model")


def changed(folder, **entries):
    path = folder / DESCRIPTION
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"schema": "another"}, "describes no reference model"),
        ({"version": 2}, "has version 2; this reads version 1"),
        ({"plane": "sideways"}, "describes no reference model"),
        ({"classes": []}, "describes no reference model"),
        ({"classes": [{"value": 0, "name": "Liver"}]}, "describes no reference model"),
        ({"size": "huge"}, "describes no reference model"),
        ({"classes": [{"value": 1, "name": "Liver"}]}, "of another network or size"),
    ],
)
def test_other_descriptions_are_refused(folder, entries, said):
    changed(folder, **entries)
    with pytest.raises(CheckpointError, match=said):
        ReferenceModel.load(folder)


def test_damaged_folders_are_refused(folder, tmp_path):
    weights = (folder / DEEPLAB).read_bytes()
    (folder / DEEPLAB).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        ReferenceModel.load(folder)
    (folder / DEEPLAB).write_bytes((folder / TRANSUNET).read_bytes())
    with pytest.raises(CheckpointError, match="of another network or size"):
        ReferenceModel.load(folder)
    (folder / DEEPLAB).unlink()
    with pytest.raises(CheckpointError, match="holds no reference model"):
        ReferenceModel.load(folder)
    (folder / CHECKPOINT).touch()
    with pytest.raises(CheckpointError, match="has not finished"):
        ReferenceModel.load(folder)
    with pytest.raises(CheckpointError, match="holds no reference model"):
        ReferenceModel.load(tmp_path / "nowhere")
