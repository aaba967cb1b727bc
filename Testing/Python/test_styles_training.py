"""Training: it separates styles, goes on after any interruption, and is the same on several processes."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import environment
from style_cases import LOOSE, TIGHT, prepared_cases, tiny_model
from style_training_process import main

from pgt.errors import Cancelled, CheckpointError, InputError, PGTError
from pgt.styles.sampling import PreparedCase, take_patches
from pgt.styles.style_model import StyleModel
from pgt.styles.training import train
from pgt.styles.training_schedule import Schedule
from pgt.styles.training_settings import StyleTrainingSettings

PROGRAM = Path(__file__).with_name("style_training_process.py")
SETTINGS = StyleTrainingSettings(epochs=4, mixed_precision=False, checkpoint_seconds=0, augmentation=False)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def start(folder: Path, epochs: int, **variables: str) -> subprocess.Popen[str]:
    surroundings = environment(**variables)
    surroundings["PYTHONPATH"] += os.pathsep + str(PROGRAM.parent)
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), str(epochs)],
        env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for the end; test machines are busy."""
    try:
        said, _ = process.communicate(timeout=400)
    finally:
        process.kill()
    assert process.returncode == 0, said


def losses(folder: Path) -> list[tuple[int, float]]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [(line["epoch"], line["loss"]) for line in map(json.loads, lines)]


def test_two_styles_come_apart(tmp_path):
    sizes = [TIGHT, LOOSE] * 10
    settings = StyleTrainingSettings(epochs=40, cases_per_step=5, checkpoint_seconds=1e9, augmentation=False)
    model = train(tiny_model(), prepared_cases(sizes), settings, tmp_path)
    places = np.array(list(model.latents.values()))
    groups = [places[::2], places[1::2]]
    between = groups[1].mean(axis=0) - groups[0].mean(axis=0)
    assert (groups[0] @ between).max() < (groups[1] @ between).min()
    # And the styles mean something: the same image, in either, is segmented tightly or loosely.
    image = prepared_cases([1.0] * 21)[20].image
    with torch.inference_mode():
        centres = torch.from_numpy(np.stack([group.mean(axis=0) for group in groups])).float()
        logits = model.logits(image.expand(2, -1, -1, -1, -1), centres)
    tight, loose = (logits.softmax(dim=1)[:, 1] > 0.5).sum(dim=(1, 2, 3)).tolist()
    assert tight < 0.5 * loose
    curve = [loss for _, loss in losses(tmp_path)]
    assert curve[-1] < 0.5 * curve[0]


def test_killed_at_any_moment_and_going_on_gives_the_same_curve(tmp_path):
    epochs = 30
    (tmp_path / "killed").mkdir()
    main(tmp_path / "whole", epochs)
    draw, log = random.Random(5), tmp_path / "killed" / "log.jsonl"
    kills = 0
    for reached in (1, 12):
        process = start(tmp_path / "killed", epochs)
        while process.poll() is None and not (log.exists() and len(log.read_bytes().splitlines()) > reached):
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.1))
        kills += process.poll() is None
        process.kill()
        process.communicate()
    assert kills == 2
    assert 1 <= len(log.read_bytes().splitlines()) < epochs
    finish(start(tmp_path / "killed", epochs))
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    for name in ("latents0.json", "latents.jsonl"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()
    assert_same_weights(tmp_path / "killed" / "weights0.pt", tmp_path / "whole" / "weights0.pt", 0)


def assert_same_weights(one: Path, other: Path, tolerance: float) -> None:
    first, second = torch.load(one, weights_only=True), torch.load(other, weights_only=True)
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=tolerance)


def test_two_processes_take_the_course_of_one(tmp_path):
    """Five cases, three a step: steps of two and one, then of one and one, case by process."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        start(tmp_path / "two", 3, RANK=str(rank), LOCAL_RANK=str(rank), **shared) for rank in (0, 1)
    ]
    for process in processes:
        finish(process)
    main(tmp_path / "one", 3)
    assert_same_weights(tmp_path / "two" / "weights0.pt", tmp_path / "two" / "weights1.pt", 0)
    # Adam divides by the size of gradients, also of those that are little more than rounding.
    assert_same_weights(tmp_path / "two" / "weights0.pt", tmp_path / "one" / "weights0.pt", 2e-4)
    one, two = (dict(losses(tmp_path / name)) for name in ("one", "two"))
    assert two == pytest.approx(one, abs=1e-4)
    latents = [json.loads((tmp_path / name / "latents0.json").read_text()) for name in ("one", "two")]
    for case, place in latents[0].items():
        assert latents[1][case] == pytest.approx(place, abs=1e-3)
    assert not (tmp_path / "two" / "latents1.jsonl").exists()


def test_a_training_of_something_else_is_not_gone_on_with(tmp_path):
    cases = prepared_cases([TIGHT, LOOSE, TIGHT])
    train(tiny_model(), cases, SETTINGS, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    for other_cases, settings, words in (
        (cases[:2], SETTINGS, "other cases"),
        (cases, replace(SETTINGS, latent_penalty=0.5), "latent_penalty 0.05, not 0.5"),
    ):
        with pytest.raises(CheckpointError, match=words):
            train(tiny_model(), other_cases, settings, tmp_path)
    three = prepared_cases([TIGHT, LOOSE, TIGHT])
    with pytest.raises(CheckpointError, match="model of another kind"):
        train(tiny_model(classes=3), three, SETTINGS, tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(before[: len(before) // 2])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        train(tiny_model(), cases, SETTINGS, tmp_path)
    assert len(losses(tmp_path)) == SETTINGS.epochs


def test_more_epochs_can_be_added(tmp_path):
    cases = prepared_cases([TIGHT, LOOSE])
    train(tiny_model(), cases, SETTINGS, tmp_path)
    model = train(tiny_model(), cases, replace(SETTINGS, epochs=6), tmp_path)
    assert [epoch for epoch, _ in losses(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert model.training["epochs_run"] == 6


def test_cancelling_keeps_the_last_checkpoint(tmp_path):
    asked = iter([False] * 5 + [True])
    settings = replace(SETTINGS, cases_per_step=1)
    with pytest.raises(Cancelled):
        train(tiny_model(), prepared_cases([TIGHT, LOOSE]), settings, tmp_path, cancelled=lambda: next(asked))
    assert len(losses(tmp_path)) == 2
    train(tiny_model(), prepared_cases([TIGHT, LOOSE]), settings, tmp_path)
    train(tiny_model(), prepared_cases([TIGHT, LOOSE]), settings, tmp_path / "whole")
    assert losses(tmp_path) == losses(tmp_path / "whole")


def test_a_diverging_training_says_so(tmp_path):
    cases = prepared_cases([TIGHT, LOOSE])
    broken = PreparedCase("broken", cases[0].image * float("nan"), cases[0].labels)
    with pytest.raises(PGTError, match="diverged in epoch 1"):
        train(tiny_model(), [*cases, broken], SETTINGS, tmp_path)


def test_a_trained_model_is_read_back(tmp_path):
    model = train(tiny_model(), prepared_cases([TIGHT, LOOSE]), SETTINGS, tmp_path)
    with pytest.raises(CheckpointError, match="has not finished"):
        StyleModel.load(tmp_path)
    model.styles = {"tight ones": (0.5, -0.25)}
    model.save(tmp_path)
    again = StyleModel.load(tmp_path)
    assert (again.latents, again.styles, again.training) == (model.latents, model.styles, model.training)
    image = torch.randn(1, 1, 16, 16, 12)
    with torch.inference_mode():
        latent = torch.tensor([[0.2, 0.1]])
        torch.testing.assert_close(again.logits(image, latent), model.logits(image, latent), rtol=0, atol=0)
    text = (tmp_path / "model.json").read_text()
    for changed, words in (
        (text.replace('"version": 1', '"version": 99'), "version 99"),
        (text.replace('"channels": 6', '"channels": 7'), "another architecture"),
        (text.replace('"levels"', '"level"'), "describes no style model"),
        ("{", "cannot be read"),
    ):
        (tmp_path / "model.json").write_text(changed)
        with pytest.raises(CheckpointError, match=words):
            StyleModel.load(tmp_path)


def test_the_rates_fall_where_the_loss_stands_still():
    schedule = Schedule(epochs=100, decay=0.3, patience=5)
    assert (schedule.falls_from, schedule.last) == (70, 100)
    falling = [1 / (1 + epoch) for epoch in range(20)]
    for done in range(1, 21):
        schedule.look_for_the_plateau(falling[:done])
    assert schedule.plateau is None
    still = falling + [0.05] * 30
    for done in range(21, 51):
        schedule.look_for_the_plateau(still[:done])
    assert schedule.plateau == 29  # the loss is the same from the 20th epoch on: twice five of them later
    assert (schedule.falls_from, schedule.last) == (29, 41)
    assert [schedule.rate(done) for done in (0, 28)] == [1.0, 1.0]
    rates = [schedule.rate(done) for done in range(29, 41)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] < 1
    assert rates[-1] == 0.05
    never = Schedule(epochs=100, decay=0.3, patience=0)
    never.look_for_the_plateau([1.0] * 60)
    assert never.last == 100
    assert Schedule(1, 0.3, 0).last == 1
    assert Schedule(10, 1.0, 0).rate(0) < 1


def test_settings_out_of_range_are_refused():
    for wrong in ({"epochs": 0}, {"latent_penalty": -1.0}, {"learning_rate": 0.0}, {"decay": 0.0},
                  {"latent_rate": float("nan")}, {"cases_per_step": 0}):  # fmt: skip
        with pytest.raises(InputError, match="must be"):
            replace(SETTINGS, **wrong)


def test_patches_of_small_and_large_volumes():
    image = torch.arange(5 * 30 * 4, dtype=torch.float32).reshape(1, 5, 30, 4)
    labels = torch.zeros(3, 5, 30, 4)
    labels[0] = 1
    labels[:, 2, 25, 1] = torch.tensor([0.0, 0.0, 1.0])
    labels[:, :, 3:9] = torch.tensor([0.0, 1.0, 0.0])[:, None, None, None]
    case = PreparedCase("a", image, labels.half())
    seen = []
    for number in range(60):
        images, shares = take_patches([case], (8, 8, 4), [np.random.default_rng(number)])
        assert images.shape == (1, 1, 8, 8, 4)
        assert shares.shape == (1, 3, 8, 8, 4)
        assert torch.equal(shares.sum(dim=1), torch.ones(1, 8, 8, 4))
        assert float(images[0, 0, 0].abs().max()) == 0  # padding around the middle: 1 before, 2 after
        start = int(images[0, 0, 1, 0, 0]) // 4
        assert torch.equal(images[0, 0, 1:6], image[0, :, start : start + 8])
        seen.append(bool(shares[0, 2].any()))
        again = take_patches([case], (8, 8, 4), [np.random.default_rng(number)])
        assert torch.equal(images, again[0])
    # A class of one voxel is looked for as often as one of many.
    assert 0.3 < np.mean(seen) < 0.65
