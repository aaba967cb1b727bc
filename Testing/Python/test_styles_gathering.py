"""Cases that gather at places of the map which they share, and weights that all cases share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pgt.errors import Cancelled
from pgt.styles.gathering import (
    FIRST_SHARE,
    FIRST_WORTH,
    LEAST_GAIN,
    LEAST_WORTH,
    PLACES,
    gathered,
    main_place,
    places_that_count,
    places_to_try,
    worth_to_stay,
)
from pgt.styles.hypernetwork import HyperNetwork, HyperNetworkShape
from pgt.styles.latents import LatentTable
from pgt.styles.preparation import Preparation
from pgt.styles.sampling import PreparedCase
from pgt.styles.style_model import StyleModel
from pgt.styles.training import train
from pgt.styles.training_log import Epoch
from pgt.styles.training_settings import StyleTrainingSettings
from pgt.styles.unet import UNet, UNetShape

EPOCHS = 24


def test_places_are_the_middles_of_groups() -> None:
    middles = torch.tensor([[i, j] for i in (0.0, 1.0, 2.0, 3.0) for j in (0.0, 1.0)])
    assert len(middles) == PLACES
    generator = torch.Generator().manual_seed(3)
    vectors = middles.repeat_interleave(5, dim=0) + 0.01 * torch.randn(40, 2, generator=generator)
    places = places_to_try(vectors, seed=7)
    distances = torch.cdist(middles, places)
    assert distances.min(dim=1).values.max() < 0.03
    assert torch.equal(places, places_to_try(vectors, seed=7))


def test_there_are_no_more_places_than_vectors() -> None:
    assert places_to_try(torch.tensor([[0.0], [0.0], [1.0]]), seed=0).shape == (2, 1)


def test_places_stay_that_explain_what_no_other_does() -> None:
    generator = torch.Generator().manual_seed(1)
    style = torch.arange(60) % 3
    losses = 0.1 + 0.05 * (style[:, None] != torch.tensor([0, 1, 1, 2, 0])).float()
    losses += 1e-4 * torch.rand(losses.shape, generator=generator)
    kept = places_that_count(losses)
    assert sorted(torch.tensor([0, 1, 1, 2, 0])[kept].tolist()) == [0, 1, 2]


def test_a_place_of_too_little_worth_is_given_up() -> None:
    rare = torch.zeros(100, 2)
    rare[:, 1] = 1.0
    rare[0] = torch.tensor([LEAST_WORTH * 100 * 1.1, 0.0])
    assert places_that_count(rare) == [0, 1]
    rare[0, 0] = LEAST_WORTH * 100 * 0.9
    assert places_that_count(rare) == [0]


def test_styles_that_hardly_differ_have_time_to_part() -> None:
    """Two places stay at first whose difference is worth little, and are joined where it still is at last."""
    alike = torch.full((100, 2), 0.1)
    alike[:50, 0] += (FIRST_WORTH + LEAST_WORTH) / 2 * 2
    alike[50:, 1] += (FIRST_WORTH + LEAST_WORTH) / 2 * 2
    course = [(0.0, False), (FIRST_SHARE * 0.9, False), (FIRST_SHARE, False), (0.0, True), (0.9, True)]
    kept = [places_that_count(alike, worth_to_stay(*moment)) for moment in course]
    assert [len(places) for places in kept] == [2, 2, 1, 1, 1]


def test_a_case_keeps_a_vector_that_explains_its_label_better() -> None:
    places = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    losses = torch.tensor([[0.1, 0.9], [0.9, 0.1], [0.5, 0.9]])
    homes, moving = gathered(torch.tensor([0.1, 0.1 - LEAST_GAIN / 2, 0.1]), places, losses)
    assert homes.tolist() == [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    assert moving.tolist() == [0, 1]
    assert main_place(homes).tolist() == [0.0, 0.0]


def test_a_new_origin_changes_no_prediction() -> None:
    torch.manual_seed(2)
    network = HyperNetwork(
        HyperNetworkShape(latent=3, rank=4), UNet(UNetShape(channels=4, levels=1, layers=1))
    )
    table = LatentTable(["a", "b"], 3, torch.Generator().manual_seed(0))
    table.homes = table.vectors.clone()
    before = network(table.vectors)
    origin = table.vectors[0].clone()
    network.move_origin(origin)
    table.move_origin(origin)
    assert table.vectors[0].tolist() == [0.0] * 3
    assert torch.equal(table.homes, table.vectors)
    after = network(table.vectors)
    for name, weight in before.items():
        torch.testing.assert_close(weight, after[name], rtol=1e-4, atol=1e-6)


def test_a_case_that_moved_forgets_where_it_was_going() -> None:
    table = LatentTable(["a", "b"], 2, torch.Generator().manual_seed(0))
    fresh = LatentTable(["a", "b"], 2, torch.Generator().manual_seed(0))
    both, there = torch.tensor([0, 1]), torch.tensor([[0.5, -0.5]])
    table.step(both, torch.ones(2, 2), 0.1)
    stayed = table.by_case()["b"]
    table.move(torch.tensor([0]), there)
    assert table.by_case() == {"a": (0.5, -0.5), "b": stayed}
    table.step(both[:1], torch.tensor([[1.0, -2.0]]), 0.1)
    fresh.move(torch.tensor([0]), there)
    fresh.step(both[:1], torch.tensor([[1.0, -2.0]]), 0.1)
    assert torch.equal(table.vectors[0], fresh.vectors[0])


def test_shared_weights_give_what_weights_of_each_case_give() -> None:
    torch.manual_seed(1)
    unet = UNet(UNetShape(input_channels=2, classes=3, channels=4, levels=2, layers=1))
    weights = unet.initial_weights()
    images = torch.randn(3, 2, 8, 12, 16)
    shared = unet.segment(images, {name: value[None] for name, value in weights.items()})
    own = unet.segment(images, {name: value[None].expand(3, *value.shape) for name, value in weights.items()})
    assert shared.shape == (3, 3, 8, 12, 16)
    torch.testing.assert_close(shared, own, rtol=1e-4, atol=1e-5)


def test_cases_gather_and_a_stopped_training_takes_the_same_course(tmp_path: Path) -> None:
    never = _trained(tmp_path / "never", gather_every=0)
    straight = _trained(tmp_path / "straight")
    assert straight != never
    assert len(set(never.values())) == len(never)
    by_size = [{straight[f"case {number}"] for number in range(first, 8, 2)} for first in (0, 1)]
    assert [len(places) for places in by_size] == [1, 1]  # in the end, cases of one style lie on one place
    assert by_size[0] != by_size[1]
    lengths = {case: np.linalg.norm(latent) for case, latent in straight.items()}
    assert min(lengths.values()) < 0.1 * max(lengths.values())  # one group's place is the origin
    with pytest.raises(Cancelled):
        _trained(tmp_path / "stopped", stop_after=15)
    assert _trained(tmp_path / "stopped") == straight


def _trained(
    folder: Path, gather_every: int = 1, stop_after: int = EPOCHS + 1
) -> dict[str, tuple[float, ...]]:
    """Where the cases lie in the end."""
    torch.manual_seed(0)
    model = StyleModel.new(
        UNetShape(classes=2, channels=4, levels=1, layers=1),
        HyperNetworkShape(latent=2, rank=4),
        Preparation((1.0, 1.0, 1.0), (1,)),
        (12, 12, 12),
        ("ball",),
    )
    settings = StyleTrainingSettings(
        epochs=EPOCHS,
        patience=0,
        decay=0.5,
        latent_rate=0.1,
        cases_per_step=3,
        gather_every=gather_every,
        augmentation=False,
        checkpoint_seconds=0.0,
        mixed_precision=False,
    )
    seen: list[Epoch] = []
    train(model, _balls(), settings, folder, seen.append, lambda: len(seen) >= stop_after)
    return dict(model.latents)


def _balls() -> list[PreparedCase]:
    """Bright balls, labelled tightly and loosely in turn."""
    random = np.random.default_rng(5)
    grid = np.stack(np.meshgrid(*[np.arange(12.0)] * 3, indexing="ij"))
    cases = []
    for number in range(8):
        centre = random.uniform(4.5, 6.5, 3)
        away = np.sqrt(((grid - centre[:, None, None, None]) ** 2).sum(axis=0))
        image = (away < 3.5) + random.normal(0, 0.2, away.shape)
        inside = away < (2.5 if number % 2 else 4.5)
        labels = np.stack([~inside, inside]).astype(np.float32)
        cases.append(
            PreparedCase(
                f"case {number}", torch.from_numpy(image[None].astype(np.float32)), torch.from_numpy(labels)
            )
        )
    return cases
