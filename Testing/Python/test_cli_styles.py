"""``pgt styles train`` and ``import`` as users meet them."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace

import pytest
import torch
from command_line import command, listing, refused, run_here, running
from style_cases import LOOSE, TIGHT, made_rows
from test_styles_official import official_state

from pgt.case_table import read_case_table
from pgt.errors import Cancelled
from pgt.styles.style_model import StyleModel
from pgt.styles.training_folder import train_folder
from pgt.styles.training_order import TrainingOrder, tidied
from pgt.styles.training_settings import StyleTrainingSettings

QUICK = ("--epochs", "3", "--spacing", "2")


@pytest.fixture
def table(tmp_path):
    made_rows(tmp_path, [TIGHT, LOOSE, TIGHT, LOOSE])
    return tmp_path / "cases.csv"


def test_train_go_on_and_begin_anew(capfd, tmp_path, table):
    folder = tmp_path / "model"
    ended = run_here(capfd, "styles", "train", table, "-o", folder, *QUICK)
    assert ended.status == 0, ended
    assert "Trained on 4 cases for 3 epochs" in ended.out
    assert str(folder) in ended.out
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors", "model.json", "cases.csv", "checkpoint.pt", "log.jsonl", "latents.jsonl",
        "progress.html",
    }  # fmt: skip
    model = StyleModel.load(folder)
    assert list(model.latents) == ["case0", "case1", "case2", "case3"]
    assert model.preparation.spacing == (2.0, 2.0, 2.0)
    page = (folder / "progress.html").read_text()
    assert "Finished after 3 epochs" in page
    assert page.count("<circle") == 4
    assert "style:" in page  # the column that colours the map
    assert "http-equiv" not in page
    assert "src=" not in page

    finished = listing(folder)
    refused(run_here(capfd, "styles", "train", table, "-o", folder, *QUICK), folder, "--resume", "--force")
    assert listing(folder) == finished

    assert run_here(capfd, "styles", "train", table, "-o", folder, "--resume", "--epochs", "5").status == 0
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["loss"] for line in lines[:3]] == [
        json.loads(line)["loss"] for line in finished["log.jsonl"].decode().splitlines()
    ]

    # A model outlives an attempt to replace it that fails.
    before, text = listing(folder), table.read_text()
    table.write_text(text.replace("label2.nrrd", "image2.nrrd"))
    refused(run_here(capfd, "styles", "train", table, "-o", folder, "--force", *QUICK), "image2.nrrd")
    assert listing(folder) == before
    table.write_text(text)

    ended = run_here(capfd, "styles", "train", table, "-o", folder, "--force", "--epochs", "2", "--seed", "3")
    assert ended.status == 0
    assert len((folder / "log.jsonl").read_text().splitlines()) == 2
    assert StyleModel.load(folder).training["seed"] == 3


def test_bad_input_leaves_nothing(capfd, tmp_path, table):
    folder = tmp_path / "model"
    text = table.read_text()
    lines = text.splitlines()
    without = "\n".join([lines[0], lines[1], lines[2].replace(str(tmp_path / "label1.nrrd"), "")])
    single = "\n".join(lines[:2])
    missing = text.replace("label2.nrrd", "nowhere.nrrd")
    mixed = text.replace("label2.nrrd", "image2.nrrd")
    for content, said in (
        (without, "label"), (single, "one case alone"), (missing, "nowhere.nrrd"), (mixed, "image2.nrrd"),
    ):  # fmt: skip
        bad = tmp_path / "bad.csv"
        bad.write_text(content)
        refused(run_here(capfd, "styles", "train", bad, "-o", folder, *QUICK), said)
        assert not folder.exists()
    for options, said in (
        (("--spacing", "fine"), "--spacing"),
        (("--spacing", "1,2"), "--spacing"),
        (("--labels", "0"), "--labels"),
        (("--labels", "7"), "labels to learn (7)"),
        (("--epochs", "0"), "epochs"),
        (("--latent-penalty", "-1"), "latent penalty"),
        (("--resume",), "checkpoint.pt is missing"),
        (("--resume", "--seed", "4"), "as it began"),
    ):
        refused(run_here(capfd, "styles", "train", table, "-o", folder, *options), said)
        assert not folder.exists()
    refused(run_here(capfd, "styles", "train", table, "-o", tmp_path / "a" / "b", *QUICK), "does not exist")
    refused(run_here(capfd, "styles", "train", table, "-o", table, *QUICK), "is a file")


def test_interrupted_before_anything_was_learnt(tmp_path, table):
    folder = tmp_path / "model"
    arguments = command("styles", "train", table, "-o", folder, "--epochs", "100000", "--patience", "0")
    awaited = folder / "log.jsonl"
    with running(arguments) as process:
        while process.poll() is None and not (awaited.exists() and awaited.stat().st_size > 0):
            time.sleep(0.05)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode != 0
    assert "Traceback" not in said
    assert not folder.exists()


def test_interrupted_after_a_checkpoint(tmp_path, table):
    """What is needed to go on stays, also after a further interruption."""
    rows = read_case_table(table)
    for resume in (False, True):
        order = TrainingOrder(rows, tmp_path / "model", epochs=4 + 2 * resume, resume=resume)
        order = replace(order, settings=StyleTrainingSettings(checkpoint_seconds=0, device="cpu"))
        asked = iter([False] * (2 + resume) + [True])
        with pytest.raises(Cancelled), tidied(order):
            train_folder(order, cancelled=lambda asked=asked: next(asked))
        held = {path.name for path in order.folder.iterdir()}
        assert {"checkpoint.pt", "log.jsonl", "progress.html", "prepared"} <= held
        assert "model.safetensors" not in held
        assert "http-equiv" in (order.folder / "progress.html").read_text()
    model = train_folder(order)
    assert model.training["epochs_run"] == 6
    assert not (order.folder / "prepared").exists()


def test_import_of_an_official_model(capfd, tmp_path):
    weights, latents, folder = tmp_path / "model_w.pt", tmp_path / "latent_dict.pt", tmp_path / "model"
    torch.save(official_state("published"), weights)
    torch.save({0: torch.zeros(1, 2), 1: torch.ones(1, 2)}, latents)
    ended = run_here(
        capfd, "styles", "import", weights, "-o", folder, "--latents", latents, "--classes", "liver",
        "--patch", "32", "--spacing", "3",
    )  # fmt: skip
    assert ended.status == 0, ended
    assert "2 latent vectors" in ended.out
    model = StyleModel.load(folder)
    assert model.class_names == ("liver",)
    assert model.latents == {"0": (0.0, 0.0), "1": (1.0, 1.0)}
    assert (model.preparation.orientation, model.preparation.spacing) == ("SPL", (3.0, 3.0, 3.0))
    before = listing(folder)
    refused(run_here(capfd, "styles", "import", weights, "-o", folder), "--force")
    refused(run_here(capfd, "styles", "import", latents, "-o", tmp_path / "other"), "no hyper-network")
    assert listing(folder) == before
    assert not (tmp_path / "other").exists()
