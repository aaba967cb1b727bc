"""``pgt models``: a model is imported, listed, verified, used and trained further."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import listing, refused, run_here

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.propagation.checkpoints import find_model, load_model, save_model
from pgt.propagation.fine_tuning import FinishedCases, read_finished, structure_of
from pgt.propagation.network import NetworkConfiguration, SliceNetwork
from pgt.sample_volume import make_sample
from pgt.volume import LabelMap
from pgt.volume_io import read_label_map, write_label_map, write_volume

Capture = pytest.CaptureFixture[str]
TINY = NetworkConfiguration(widths=(8, 8, 16, 16), key_channels=8, value_channels=8)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models, empty."""
    folder = tmp_path / "models"
    monkeypatch.setenv("PGT_MODELS", str(folder))
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file with the weights of an untrained network."""
    torch.manual_seed(0)
    path = tmp_path / "tiny.pth"
    torch.save(SliceNetwork(NetworkConfiguration()).state_dict(), path)
    return path


@pytest.fixture
def untrained(models: Path) -> str:
    """The name of a model that is quick to train."""
    torch.manual_seed(0)
    save_model(SliceNetwork(TINY), "untrained", source="a test")
    return "untrained"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of two finished cases."""
    folder = tmp_path_factory.mktemp("finished")
    lines = ["case,image,label"]
    for number in (1, 2):
        volume, truth = make_sample((64, 52, 32), seed=number)
        write_volume(volume, folder / f"{number}.nrrd")
        write_label_map(truth, folder / f"{number}.seg.nrrd")
        lines.append(f"case{number},{number}.nrrd,{number}.seg.nrrd")
    (folder / "CASES.csv").write_text("\n".join(lines))
    return folder / "CASES.csv"


def test_import_list_verify(models: Path, weights: Path, capfd: Capture) -> None:
    ended = run_here(capfd, "models", "import", weights, "--name", "mine", "--licence", "CC0")
    assert ended.status == 0, ended.err
    assert "mine" in ended.out
    assert find_model("mine").card().licence == "CC0"
    assert "mine: " in run_here(capfd, "models", "list").out
    ended = run_here(capfd, "models", "verify", "mine")
    assert ended.status == 0, ended.err
    assert "mine" in ended.out


def test_a_changed_model_fails_its_verification(models: Path, weights: Path, capfd: Capture) -> None:
    assert run_here(capfd, "models", "import", weights, "--name", "mine").status == 0
    file = find_model("mine").weights
    content = bytearray(file.read_bytes())
    content[-1] ^= 0xFF
    file.write_bytes(content)
    refused(run_here(capfd, "models", "verify"), file)


def test_an_existing_model_stays_unless_forced(models: Path, weights: Path, capfd: Capture) -> None:
    assert run_here(capfd, "models", "import", weights, "--name", "mine").status == 0
    before = listing(models)
    refused(run_here(capfd, "models", "import", weights, "--name", "mine"), "mine")
    assert listing(models) == before
    assert run_here(capfd, "models", "import", weights, "--name", "mine", "--force").status == 0
    refused(run_here(capfd, "models", "import", weights, "--name", "../mine"), "../mine")
    refused(run_here(capfd, "models", "verify", "yours"), "yours", "mine")


def test_an_imported_model_propagates(
    models: Path, weights: Path, finished: Path, tmp_path: Path, capfd: Capture
) -> None:
    assert run_here(capfd, "models", "import", weights, "--name", "mine").status == 0
    truth = finished.parent / "1.seg.nrrd"
    for model in ("mine", str(weights)):
        out = tmp_path / "out.nrrd"
        ended = run_here(
            capfd, "propagate", finished.parent / "1.nrrd", truth, "-o", out, "--slices", "4,16,28",
            "--method", "network", "--model", model, "--device", "cpu", "--force",
        )  # fmt: skip
        assert ended.status == 0, ended.err
        drawn, filled = read_label_map(truth).voxels, read_label_map(out).voxels
        np.testing.assert_array_equal(filled[:, :, [4, 16, 28]], drawn[:, :, [4, 16, 28]])


def test_training_makes_a_model_that_learnt_something(
    models: Path, untrained: str, finished: Path, capfd: Capture
) -> None:
    arguments = ("models", "train", finished, "--name", "better", "--model", untrained, "--device", "cpu")
    ended = run_here(capfd, *arguments, "--hours", "0.0005")
    assert ended.status == 0, ended.err
    card = find_model("better").card()
    assert card.details["cases"] == 2
    assert card.details["steps"] > 0
    before, after = load_model(untrained).state_dict(), load_model("better").state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert not list(models.glob(".*"))
    refused(run_here(capfd, *arguments), "better")


def test_training_refuses_unfinished_cases(
    models: Path, weights: Path, finished: Path, capfd: Capture
) -> None:
    table = finished.parent / "UNFINISHED.csv"
    arguments = ("models", "train", table, "--name", "better", "--model", weights)
    table.write_text("case,image,label\na,1.nrrd,missing.nrrd\n")
    refused(run_here(capfd, *arguments), "missing.nrrd")
    write_label_map(make_sample((64, 52, 30))[1], finished.parent / "other.nrrd", overwrite=True)
    table.write_text("case,image,label\na,1.nrrd,other.nrrd\n")
    refused(run_here(capfd, *arguments), "other.nrrd", "1.nrrd", "shape")
    table.write_text("case,image\na,1.nrrd\n")
    refused(run_here(capfd, *arguments), table, "label")
    refused(run_here(capfd, *arguments, "--hours", "0"), "--hours")


def test_a_structure_is_cut_out_as_the_engine_would(finished: Path) -> None:
    case = CaseRow("a", finished.parent / "1.nrrd", finished.parent / "1.seg.nrrd")
    volume, truth = read_finished(case)
    for value in truth.values:
        cut = structure_of(volume, truth, value)
        assert cut.labels.shape == cut.intensities.shape == cut.channels[:, 0].shape
        assert cut.labels.shape[0] == 32
        assert min(cut.labels.shape[1:]) >= 64
        assert np.abs(cut.channels).max() <= 1
        assert np.count_nonzero(cut.labels == cut.labels.max()) == truth.mask(value).sum()
        i, j, k = volume.geometry.spacing
        assert cut.thickness == pytest.approx(k / np.sqrt(i * j))


def test_cases_are_picked_at_random_and_repeatably(finished: Path) -> None:
    cases = tuple(
        CaseRow(str(n), finished.parent / f"{n}.nrrd", finished.parent / f"{n}.seg.nrrd") for n in (1, 2)
    )
    source = FinishedCases(cases)
    first, second = (source(np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)
    generator = np.random.default_rng(0)
    assert len({source(generator).intensities.sum() for _ in range(12)}) > 3


def test_an_empty_label_map_is_no_finished_case(tmp_path: Path) -> None:
    volume, truth = make_sample((16, 16, 16))
    write_volume(volume, tmp_path / "a.nrrd")
    write_label_map(LabelMap(truth.voxels * 0, truth.geometry, truth.segments), tmp_path / "b.seg.nrrd")
    with pytest.raises(InputError, match=r"b\.seg\.nrrd labels nothing"):
        read_finished(CaseRow("a", tmp_path / "a.nrrd", tmp_path / "b.seg.nrrd"))
