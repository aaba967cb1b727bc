"""Supervised training of the studies: what is not annotated contributes nothing, and a seed says it all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_study import made_case
from numpy.typing import NDArray

from pgt.errors import Cancelled, InputError, PGTError
from pgt.studies.masked_loss import MaskedDiceCrossEntropy
from pgt.studies.networks import NetworkShape, build_network, parameter_count
from pgt.studies.supervised import (
    TrainingCase,
    TrainingSettings,
    patch_for,
    predict_probabilities,
    train_network,
)
from pgt.studies.training_samples import SampleLook, SliceSampler, VolumeSampler

FLAT = NetworkShape("flat", 2, channels=(4, 8), residual_units=0)
SOLID = NetworkShape("solid", 3, channels=(4, 8), residual_units=0)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def case(number: int, slices: list[int] | None = None, axis: int = 2) -> TrainingCase:
    volume, truth = made_case(number)
    image = ((volume.voxels - volume.voxels.mean()) / volume.voxels.std()).astype(np.float32)
    known = None
    if slices is not None:
        known = np.zeros(image.shape, bool)
        np.moveaxis(known, axis, 0)[slices] = True
    return TrainingCase(f"case{number}", image, truth.voxels.astype(np.int16), known)


def settings(shape: NetworkShape, **others: object) -> TrainingSettings:
    made = TrainingSettings(
        patch_for([(14, 16, 12)], shape.dimensions, 2, shape.divisor),
        dimensions=shape.dimensions, steps=3, batch=4 if shape.dimensions == 2 else 1, axis=2,
    )  # fmt: skip
    return replace(made, **others)


def weights(network: torch.nn.Module) -> NDArray[np.float32]:
    return torch.cat([value.flatten() for value in network.state_dict().values()]).numpy()


# --- the loss


def example(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 6, 5, 4, generator=random, dtype=torch.float64).requires_grad_(True)
    labels = torch.randint(0, 3, (2, 6, 5, 4), generator=random)
    return logits, labels, torch.rand(2, 6, 5, 4, generator=random) < 0.3


def test_loss_is_the_formula_over_annotated_voxels_alone() -> None:
    logits, labels, known = example(0)
    logits = logits.detach().float()
    loss = float(MaskedDiceCrossEntropy()(logits, labels, known))

    probabilities = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(axis=1, keepdims=True)
    p = np.moveaxis(probabilities, 1, -1)[known.numpy()]  # [voxel, class], annotated ones only
    t = np.eye(3)[labels.numpy()[known.numpy()]]
    cross_entropy = -np.log((p * t).sum(axis=1)).mean()
    dice = [2 * (p[:, c] * t[:, c]).sum() / (p[:, c].sum() + t[:, c].sum()) for c in (1, 2)]
    assert loss == pytest.approx(cross_entropy + 1 - np.mean(dice), abs=1e-4)


def test_unannotated_voxels_give_exactly_no_gradient() -> None:
    logits, labels, known = example(1)
    MaskedDiceCrossEntropy()(logits, labels, known).backward()
    assert logits.grad is not None
    by_voxel = logits.grad.abs().sum(dim=1)
    assert bool((by_voxel[~known] == 0).all())
    assert bool((by_voxel[known] > 0).all())


def test_what_is_said_of_unannotated_voxels_changes_no_bit_of_loss_or_gradient() -> None:
    found = []
    for labels_there, logits_there in ((0, 0.0), (2, 0.0), (1, 3.0)):
        logits, labels, known = example(2)
        labels = torch.where(known, labels, labels_there)
        logits = torch.where(known[:, None], logits.detach(), logits_there).requires_grad_(True)
        loss = MaskedDiceCrossEntropy()(logits, labels, known)
        loss.backward()
        assert logits.grad is not None
        found.append((float(loss.detach()), logits.grad))
    assert found[0][0] == found[1][0] == found[2][0]
    assert all(torch.equal(found[0][1], gradient) for _, gradient in found[1:])


def test_nothing_annotated_is_no_loss_and_no_gradient() -> None:
    logits, labels, known = example(3)
    loss = MaskedDiceCrossEntropy()(logits, labels, torch.zeros_like(known))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


# --- training


@pytest.mark.parametrize("shape", [FLAT, SOLID], ids=["2D", "3D"])
def test_hidden_labels_change_no_weight(shape: NetworkShape) -> None:
    found = []
    for hidden in (None, 0, 2):
        cases = []
        for one in (case(0, [2, 6]), case(1, [5])):
            label = one.label if hidden is None else np.where(one.known, one.label, hidden)
            cases.append(replace(one, label=label.astype(np.int16)))
        network = build_network(shape, 3, seed=0)
        train_network(network, cases, settings(shape))
        found.append(weights(network))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("shape", [FLAT, SOLID], ids=["2D", "3D"])
def test_a_seed_says_it_all(shape: NetworkShape) -> None:
    def trained(network_seed: int, seed: int) -> NDArray[np.float32]:
        network = build_network(shape, 3, network_seed)
        train_network(network, [case(0), case(1)], settings(shape, seed=seed))
        return weights(network)

    torch.manual_seed(5)
    first, state = trained(0, 0), torch.random.get_rng_state()
    torch.rand(3)
    assert np.array_equal(first, trained(0, 0))
    assert not np.array_equal(first, trained(1, 0))
    assert not np.array_equal(first, trained(0, 1))
    torch.manual_seed(5)
    assert torch.equal(state, torch.random.get_rng_state())  # torch's own numbers were left alone


@pytest.mark.parametrize(("shape", "steps", "batch"), [(FLAT, 60, 8), (SOLID, 60, 1)], ids=["2D", "3D"])
def test_learns_whole_volumes_from_a_few_slices(shape: NetworkShape, steps: int, batch: int) -> None:
    network = build_network(shape, 3, seed=0)
    how = settings(shape, steps=steps, batch=batch, learning_rate=0.02)
    reports: list[tuple[int, int]] = []
    sparse = [case(number, [2, 5, 8]) for number in range(4)]
    curve = train_network(network, sparse, how, lambda done, total: reports.append((done, total)))
    assert reports[-1] == (steps, steps)
    assert len(curve.losses) == 10
    assert curve.losses[-1] < curve.losses[0] / 2
    assert curve.annotated_voxels == 4 * 3 * 14 * 16
    unseen = case(9)
    found = predict_probabilities(network, unseen.image, how).argmax(axis=0)
    for value in (1, 2):
        both = ((found == value) & (unseen.label == value)).sum()
        assert 2 * both / ((found == value).sum() + (unseen.label == value).sum()) > 0.8


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_predicted_in_their_places(axis: int) -> None:
    """A network that gives its input back shows where everything went."""

    class Echo(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.cat([torch.zeros_like(images), images], dim=1)

    image = case(0).image
    for dimensions, patch in ((2, (20, 20)), (2, (8, 8)), (3, (20, 20, 20)), (3, (8, 12, 8))):
        how = TrainingSettings(patch, dimensions=dimensions, axis=axis)
        found = predict_probabilities(Echo(), image, how)
        assert found.shape == (2, *image.shape)
        assert np.allclose(found[1], 1 / (1 + np.exp(-image)), atol=1e-5)


def test_stops_when_asked_to() -> None:
    calls = iter([False, True])
    with pytest.raises(Cancelled):
        train_network(build_network(FLAT, 3, 0), [case(0)], settings(FLAT), cancelled=lambda: next(calls))


def test_refuses_what_cannot_be_learnt_from() -> None:
    network = build_network(FLAT, 3, 0)
    with pytest.raises(InputError, match="No voxel of any case is annotated"):
        train_network(network, [case(0, [])], settings(FLAT))
    with pytest.raises(InputError, match="No voxel of any case is annotated"):
        train_network(network, [], settings(FLAT))
    broken = replace(case(0), image=np.full((14, 16, 12), np.inf, np.float32))
    with pytest.raises(PGTError, match="diverged in step 1"):
        train_network(network, [broken], settings(FLAT))
    for wrong in ({"steps": 0}, {"learning_rate": 0.0}, {"axis": 3}, {"patch": (8,)}, {"seed": -1}):
        with pytest.raises(InputError):
            settings(FLAT, **wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_trains_on_a_gpu() -> None:
    network = build_network(SOLID, 3, 0)
    how = settings(SOLID, steps=60, learning_rate=0.02, device="cuda")
    curve = train_network(network, [case(number) for number in range(4)], how)
    assert curve.losses[-1] < curve.losses[0] / 2
    assert next(network.parameters()).device.type == "cpu"


# --- what it sees


def test_samples_show_annotated_slices_alone_and_nothing_annotated_beyond_the_case() -> None:
    one = case(0, [3, 7])
    look = SampleLook((24, 24), 40, (), 0.0, seed=0)
    images, labels, known = SliceSampler([(one.image, one.label, one.known)], look, 2).batch(0)
    assert images.shape == (40, 1, 24, 24)
    drawn = {one.image[..., index].tobytes() for index in (3, 7)}
    for image, label, where in zip(images[:, 0].numpy(), labels.numpy(), known.numpy(), strict=True):
        assert where.sum() == 14 * 16
        rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
        inside = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.tobytes() in drawn
        assert (image[~where] == one.image.min()).all()
        assert not label[~where].any()


def test_patches_of_large_cases_hold_what_they_were_drawn_around() -> None:
    one = case(0, [6])
    look = SampleLook((8, 8, 8), 30, (0,), 0.0, seed=0)
    for foreground in (0.0, 1.0):
        arrays = (one.image, one.label, one.known)
        _, labels, known = VolumeSampler([arrays], look, foreground).batch(1)
        assert bool(known.flatten(1).any(dim=1).all())
        assert bool(((labels > 0) & known).flatten(1).any(dim=1).all()) or foreground == 0.0


def test_networks_are_what_they_say() -> None:
    for shape in (FLAT, SOLID, NetworkShape("nn", 3, "dynunet", channels=(4, 8, 16))):
        network = build_network(shape, 4, 0)
        size = [2 * shape.divisor] * shape.dimensions
        assert network(torch.zeros(2, 1, *size)).shape == (2, 4, *size)
        assert parameter_count(network) > 0
    for wrong in ({"name": "a b"}, {"dimensions": 4}, {"channels": (8,)}, {"architecture": "vnet"}):
        with pytest.raises(InputError):
            replace(FLAT, **wrong)
