"""``pgt reference predict``: files in, files out, one volume or a table of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import listing, refused, run_here
from oracle_reference import CARD, made_volume

from pgt.case_table import CaseRow, write_case_table
from pgt.volume_io import read_label_map, read_volume, write_volume


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt nothing: its label maps are as good as noise, but the same every time."""
    from pgt.reference.networks import ReferenceNetworks
    from pgt.reference.reference_model import ReferenceModel

    folder = tmp_path_factory.mktemp("models") / "model"
    ReferenceModel(replace(CARD, training={}), ReferenceNetworks(CARD.classes, "small")).save(folder)
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    write_volume(made_volume()[0], tmp_path / "image.nrrd")
    return tmp_path / "image.nrrd"


def test_a_volume_in_a_label_map_out(
    model: Path, image: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output, report, doubt = tmp_path / "out.seg.nrrd", tmp_path / "report.json", tmp_path / "doubt.nrrd"
    arguments = (
        "reference", "predict", model, image, "-o", output, "--candidates", 4, "--report", report,
        "--uncertainty", doubt, "--device", "cpu",
    )  # fmt: skip
    ended = run_here(capfd, *arguments)
    assert ended.status == 0, ended.err
    assert "4 slices along k looked at" in ended.out
    found, volume = read_label_map(output), read_volume(image)
    assert found.geometry.difference(volume.geometry) is None
    assert [(segment.value, segment.name) for segment in found.segments] == [(1, "Pale"), (3, "Bright")]
    told = json.loads(report.read_text())
    assert told["candidates"] == [2, 6, 10, 14]
    assert {name: len(sha) for name, sha in told["model"].items()} == {
        "transunet.safetensors": 64, "deeplab.safetensors": 64,
    }  # fmt: skip
    assert {value: entry["voxels"] for value, entry in told["labels"].items()} == {
        str(value): int(np.sum(found.voxels == value)) for value in (1, 3)
    }
    uncertainty = read_volume(doubt).voxels
    assert uncertainty.shape == found.voxels.shape
    assert 0 <= uncertainty.min() <= uncertainty.max() <= 1
    before = listing(tmp_path)
    refused(run_here(capfd, *arguments), output, "exists already")
    assert listing(tmp_path) == before


def test_a_table_of_volumes_is_done_but_for_what_cannot_be(
    model: Path, image: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.nrrd"
    broken.write_bytes(image.read_bytes()[:300])
    table, folder = tmp_path / "cases.csv", tmp_path / "out"
    write_case_table(table, [CaseRow("good", image), CaseRow("bad", broken)])
    arguments = (
        "reference", "predict", model, "--cases", table, "-o", folder, "--stage", "reference", "--device",
        "cpu", "--workers", 1, "--retries", 0,
    )  # fmt: skip
    ended = run_here(capfd, *arguments)
    assert ended.status == 3, ended
    assert "bad: " in ended.err
    assert "1 done, 1 failed" in ended.out
    found = read_label_map(folder / "good" / "label.seg.nrrd")
    assert found.geometry.difference(read_volume(image).geometry) is None
    assert json.loads((folder / "good" / "report.json").read_text())["stage"] == "reference"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--stage", "reference", "--candidates", 4), "belong to the stage propagation"),
        (("--slices", 0), "--slices takes a number from 1"),
        (("--workers", 2), "go with a list of cases"),
        (("--cases", "cases.csv"), "names every image"),
        (("--report", "missing/report.json"), "does not exist"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    image: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], more: tuple[str | int, ...], said: str
) -> None:
    before = listing(tmp_path)
    ended = run_here(
        capfd, "reference", "predict", tmp_path, image, "-o", tmp_path / "out.nii.gz", *map(str, more)
    )
    refused(ended, said)
    assert listing(tmp_path) == before


def test_files_that_cannot_be_used_are_refused(model: Path, image: Path, tmp_path: Path) -> None:
    from pgt.commands.reference_predict import PredictionFiles, PredictionOptions, predict_files
    from pgt.errors import CheckpointError, InputError

    def predict(folder: Path, picture: Path) -> None:
        options = PredictionOptions(folder, "reference", None, None, "cpu")
        predict_files(lambda step: None, PredictionFiles(options, picture, tmp_path / "o.nrrd", None, None))

    with pytest.raises(CheckpointError, match="holds no reference model"):
        predict(tmp_path, image)
    with pytest.raises(InputError, match=r"absent\.nrrd"):
        predict(model, tmp_path / "absent.nrrd")


def test_no_image_is_refused(model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused(run_here(capfd, "reference", "predict", model, "-o", tmp_path / "o.nrrd"), "Give IMAGE")


def test_a_table_with_missing_files_is_refused(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "cases.csv"
    write_case_table(table, [CaseRow("one", tmp_path / "absent.nrrd")])
    ended = run_here(capfd, "reference", "predict", model, "--cases", table, "-o", tmp_path / "out")
    refused(ended, "absent.nrrd of case one")
    assert not (tmp_path / "out").exists()
