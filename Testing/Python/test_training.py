"""Training: it learns, it keeps what it learnt, and it goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pgt.propagation.losses import bootstrapped_cross_entropy, dice_loss
from pgt.propagation.network import NetworkConfiguration, SliceNetwork
from pgt.propagation.sampling import LabelledVolume, draw_example, random_windows
from pgt.propagation.synthetic import make_volume
from pgt.propagation.training import ExampleStream, TrainingSettings, TrainingStep, train

SMALL = NetworkConfiguration(widths=(8, 8, 16, 16), key_channels=8, value_channels=8, slice_dilations=(1,))
SETTINGS = TrainingSettings(
    hours=1.0, examples_per_step=1, examples_per_volume=4, sizes=(24,), workers=0, warm_up_steps=1, seed=3
)


def small_volume(generator: np.random.Generator) -> LabelledVolume:
    made = make_volume(generator, (10, 32, 32), bodies=(3, 5))
    return LabelledVolume(made.image, random_windows(generator, made.image), made.labels, made.thickness)


def small_network() -> SliceNetwork:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return SliceNetwork(SMALL)


def trained(folder: Path, steps: int, network: SliceNetwork | None = None) -> list[TrainingStep]:
    """A session of a few steps, as if the user had stopped it then."""
    seen: list[TrainingStep] = []
    train(
        network or small_network(),
        small_volume,
        SETTINGS,
        folder,
        report=seen.append,
        cancelled=lambda: len(seen) >= steps,
    )
    return seen


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[TrainingStep]]:
    folder = tmp_path_factory.mktemp("run")
    return folder, trained(folder, 2) + trained(folder, 3)


def test_training_goes_on_where_it_stopped(session: tuple[Path, list[TrainingStep]]) -> None:
    folder, steps = session
    assert [step.step for step in steps] == [1, 2, 3, 4, 5]
    assert [step.hours for step in steps] == sorted(step.hours for step in steps)
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [1, 2, 3, 4, 5]
    assert all(np.isfinite(entry["loss"]) for entry in log)


def test_what_is_needed_is_written_and_nothing_else(session: tuple[Path, list[TrainingStep]]) -> None:
    folder = session[0]
    assert sorted(path.name for path in folder.iterdir()) == ["average.pt", "checkpoint.pt", "log.jsonl"]
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert state["step"] == 5
    average = torch.load(folder / "average.pt", weights_only=True)
    assert all(torch.equal(average[name], state["averaged"][name]) for name in average)
    network = SliceNetwork(SMALL)
    network.load_state_dict(average)


def test_going_on_starts_from_the_saved_state(tmp_path: Path) -> None:
    """Weights, running average and optimiser of a resumed run are the stopped run's, bit for bit."""
    trained(tmp_path, 2)
    before = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    other = SliceNetwork(SMALL)
    stopped = replace(SETTINGS, learning_rate=0.0, final_learning_rate=0.0, weight_decay=0.0)
    train(other, small_volume, stopped, tmp_path, cancelled=lambda: True)
    after = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert after["step"] == before["step"] + 1
    for name, weights in before["network"].items():
        assert torch.equal(weights, after["network"][name]), name
    moments = [state["optimizer"]["state"][0]["step"].item() for state in (before, after)]
    assert moments == [2, 3]


def test_a_checkpoint_of_another_network_is_not_used_silently(tmp_path: Path) -> None:
    trained(tmp_path, 1)
    wider = SliceNetwork(replace(SMALL, key_channels=16))
    with pytest.raises(RuntimeError, match="size mismatch"):
        trained(tmp_path, 1, wider)


def test_the_running_average_lies_between_start_and_end(tmp_path: Path) -> None:
    network = small_network()
    start = float(network.sharpness.detach())
    trained(tmp_path, 4, network)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    end, average = float(state["network"]["sharpness"]), float(state["averaged"]["sharpness"])
    assert start != end
    assert min(start, end) <= average <= max(start, end)


def test_the_stream_is_reproducible_and_uniform_in_size() -> None:
    batches = []
    for _ in range(2):
        stream = iter(ExampleStream(small_volume, replace(SETTINGS, examples_per_step=2, sizes=(16, 24)), 7))
        batches.append([next(stream) for _ in range(3)])
    for first, second in zip(*batches, strict=True):
        assert len(first) == 2
        assert len({tuple(example.truth.shape[-2:]) for example in first}) == 1
        assert all(torch.equal(a.truth, b.truth) for a, b in zip(first, second, strict=True))


def test_the_loss_falls_on_one_example() -> None:
    network = small_network().train()
    volume = small_volume(np.random.default_rng(1))
    example = next(
        found
        for seed in range(50)
        if (found := draw_example(volume, np.random.default_rng(seed), 24)) is not None
    )
    chosen = example.counted > 0
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        logits = network([example.gap])[0][chosen]
        truth = example.truth[chosen]
        loss = bootstrapped_cross_entropy(logits, truth, 1.0) + dice_loss(logits, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
