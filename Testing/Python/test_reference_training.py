"""Training the reference stage: it learns, goes on after any interruption, and refuses what is another's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import environment, listing
from reference_cases import QUICK, dice, made_case, made_cases
from reference_training_process import main
from safetensors.torch import load_file, save_file

from pgt.errors import Cancelled, CheckpointError, InputError, OutputError, PGTError
from pgt.reference.cases import fingerprint, plan_card, prepare_cases
from pgt.reference.model_folder import CHECKPOINT, DEEPLAB, DESCRIPTION, LOG, PREPARED, TRANSUNET
from pgt.reference.slices import windowed_slices
from pgt.reference.training import time_left, train_reference
from pgt.reference.training_log import ReferenceLog, read_log
from pgt.volume import LabelMap
from pgt.volume_io import read_label_map, write_label_map

PROGRAM = Path(__file__).with_name("reference_training_process.py")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return made_cases(tmp_path_factory.mktemp("data") / "cases", labelled=2, unlabelled=2)


def start(cases: Path, folder: Path, iterations: int, **variables: str) -> subprocess.Popen[str]:
    surroundings = environment(**variables)
    surroundings["PYTHONPATH"] += os.pathsep + str(PROGRAM.parent)
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(cases), str(folder), str(iterations)],
        env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for the end; test machines are busy."""
    try:
        said, _ = process.communicate(timeout=400)
    finally:
        process.kill()
    assert process.returncode == 0, said


def curve(folder: Path) -> list[tuple[float, ...]]:
    """The log but for the time that it took."""
    return [(line.step, line.learning_rate, line.loss, line.unsupervised) for line in read_log(folder)]


def test_an_analytic_structure_is_learnt(tmp_path):
    """A noisy ellipsoid and its core, from five labelled cases: found in a sixth that nobody showed."""
    settings = replace(QUICK, iterations=60, labelled=4, unlabelled=2, learning_rate=3e-3)
    model = train_reference(made_cases(tmp_path / "cases", 5, 1), settings, tmp_path / "model")
    assert model.card.values == (1, 3)
    assert model.card.plane == "axial"
    volume, truth = made_case(77)
    cut = windowed_slices(volume, model.card.plane)
    found = model.probabilities(cut.images, cut.positions)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    labelled = np.array([0, 1, 3])[cut.turn.undo(found.argmax(axis=1))]
    assert dice(labelled, truth.voxels, 1) > 0.8
    assert dice(labelled, truth.voxels, 3) > 0.7
    lines = read_log(tmp_path / "model")
    assert [line.step for line in lines] == list(range(1, 61))
    assert np.mean([line.dice_loss for line in lines[-5:]]) < 0.4 * lines[0].dice_loss
    # Where they began to agree, the networks agree more at the end.
    assert lines[-1].unsupervised < 0.5 * max(line.unsupervised for line in lines)


def test_killed_and_going_on_gives_the_same_curve(tmp_path, cases):
    source, killed, whole = cases[0].image.parent, tmp_path / "killed", tmp_path / "whole"
    iterations = 8
    main(source, whole, iterations)
    process = start(source, killed, iterations)
    while process.poll() is None and len(read_log(killed)) < 2:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert (killed / CHECKPOINT).exists()
    assert (killed / PREPARED).is_dir()
    assert not (killed / DESCRIPTION).exists()
    main(source, killed, iterations)
    assert len(curve(whole)) == iterations
    assert curve(killed) == curve(whole)
    for name in (TRANSUNET, DEEPLAB):
        one, other = load_file(killed / name), load_file(whole / name)
        assert all(torch.equal(one[key], other[key]) for key in one)
    # Nothing of the patients is left, and nothing is a pickle.
    assert {path.name for path in whole.iterdir()} == {
        DESCRIPTION, TRANSUNET, DEEPLAB, LOG, "training_cases.csv"
    }  # fmt: skip


def test_two_processes_end_with_the_same_model(tmp_path, cases):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    source, folder = cases[0].image.parent, tmp_path / "model"
    processes = [start(source, folder, 2, RANK=str(rank), LOCAL_RANK=str(rank), **shared) for rank in (0, 1)]
    for process in processes:
        finish(process)
    assert [line.step for line in read_log(folder)] == [1, 2]
    assert json.loads((folder / DESCRIPTION).read_text())["training"]["processes"] == 2
    # Twice as many slices a step: another course than one process takes.
    main(source, tmp_path / "alone", 2)
    assert curve(folder) != curve(tmp_path / "alone")


def test_a_finished_training_is_read_and_another_one_refused(tmp_path, cases):
    folder, settings = tmp_path / "model", replace(QUICK, iterations=1)
    train_reference(cases, settings, folder)
    before = listing(folder)
    again = train_reference(cases, settings, folder)
    assert listing(folder) == before
    assert again.card.training["labelled_cases"] == 2
    assert again.card.training["unlabelled_cases"] == 2
    with pytest.raises(OutputError, match="the model of another training"):
        train_reference(cases[:2], settings, folder)
    assert listing(folder) == before
    # A model outlives an attempt to replace it that fails.
    for given, changed in ((cases, {"values": (9,)}), ([replace(cases[0], label=cases[0].image)], {})):
        with pytest.raises(InputError):
            train_reference(given, replace(settings, **changed), folder, begin_anew=True)
        assert listing(folder) == before
    anew = train_reference(cases[:2], settings, folder, begin_anew=True)
    assert anew.card.training["unlabelled_cases"] == 0
    assert read_log(folder)[-1].unsupervised == 0
    assert read_log(folder)[-1].weight == 0


def test_cancelled_training_goes_on_only_as_it_began(tmp_path, cases):
    folder, settings = tmp_path / "model", replace(QUICK, iterations=6, checkpoint_seconds=0)
    steps = []

    def stop() -> bool:
        return len(steps) >= 3

    def count(at) -> None:
        if "left" in at.message:
            steps.append(at)

    with pytest.raises(Cancelled):
        train_reference(cases, settings, folder, count, stop)
    assert [(at.done, at.total) for at in steps] == [(1, 6), (2, 6), (3, 6)]
    others = [
        (cases[:3], settings, "other cases"),
        (cases, replace(settings, learning_rate=1e-3), "learning_rate 0.002, not 0.001"),
        (cases, replace(settings, size="published"), "size small, not published"),
    ]
    for given, changed, said in others:
        with pytest.raises(CheckpointError, match=said):
            train_reference(given, changed, folder)
    whole = (folder / CHECKPOINT).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"\x80\x04."):
        (folder / CHECKPOINT).write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged or no checkpoint"):
            train_reference(cases, settings, folder)
    save_file({"x": torch.zeros(1)}, folder / CHECKPOINT)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        train_reference(cases, settings, folder)
    (folder / CHECKPOINT).write_bytes(whole)
    train_reference(cases, replace(settings, checkpoint_seconds=60), folder, count)
    assert [line.step for line in read_log(folder)] == [1, 2, 3, 4, 5, 6]


def test_divergence_is_said(tmp_path, cases):
    settings = replace(QUICK, learning_rate=1e30, iterations=20)
    with pytest.raises(PGTError, match=r"diverged in step .*; a lower learning rate may help"):
        train_reference(cases, settings, tmp_path / "model")


def test_the_log_survives_a_line_that_was_cut_off(tmp_path):
    log = ReferenceLog(tmp_path, 0)
    text = (tmp_path / LOG).read_text()
    (tmp_path / LOG).write_text(text + "1,9,0.1,1,2,3,4,5,6\n2,9,0.1,1,2,3,4,5,6\n3,9,0.1,1,2")
    assert [line.step for line in read_log(tmp_path)] == [1, 2]
    ReferenceLog(tmp_path, 1)
    assert (tmp_path / LOG).read_text() == text + "1,9,0.1,1,2,3,4,5,6.0\n"
    assert log is not None


def test_cases_that_cannot_be_used_are_refused(tmp_path, cases):
    def refused(given, said, **changes):
        with pytest.raises(InputError, match=said):
            plan_card(given, replace(QUICK, **changes))

    refused([replace(case, label=None) for case in cases], "No case has a label map")
    refused([*cases, cases[0]], "case0 is listed more than once")
    refused([replace(cases[0], image=tmp_path / "gone.nrrd")], "gone.nrrd .* does not exist")
    refused([cases[0], replace(cases[3], label=tmp_path / "lost.nrrd")], "lost.nrrd .* does not exist")
    refused([replace(cases[0], label=cases[1].label)], "does not lie on the grid")
    refused(cases, "No label map has label 7", values=(1, 7))
    empty = read_label_map(cases[0].label)
    write_label_map(LabelMap(empty.voxels * 0, empty.geometry, ()), tmp_path / "empty.nrrd")
    refused([replace(cases[0], label=tmp_path / "empty.nrrd")], "background everywhere")


def test_label_maps_that_name_a_value_differently_are_refused(tmp_path, cases):
    named = []
    for case, name in zip(cases[:2], ("Liver", "Spleen"), strict=True):
        label_map = read_label_map(case.label)
        segments = [replace(one, name=name if one.value == 1 else "Core") for one in label_map.segments]
        path = tmp_path / f"{name}.seg.nrrd"
        write_label_map(replace(label_map, segments=tuple(segments)), path)
        named.append(replace(case, label=path))
    with pytest.raises(InputError, match=r"calls label 1 'Liver', .* calls it 'Spleen'"):
        plan_card(named, QUICK)
    assert plan_card(named[:1], QUICK).names == ("Liver", "Core")
    # A case that names nothing goes along with one that does.
    assert plan_card([cases[1], named[0]], QUICK).names == ("Liver", "Core")


def test_prepared_slices_are_kept_and_made_anew_when_a_file_changes(tmp_path, cases):
    card = plan_card(cases, QUICK)
    first = prepare_cases(cases, card, tmp_path / "cache")
    files = listing(tmp_path / "cache")
    assert len(files) == 2 + 4
    assert not any("case" in name for name in files)
    again = prepare_cases(cases, card, tmp_path / "cache")
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.images, other.images)
        assert (one.labels is None) == (other.labels is None)
    assert isinstance(again[0].images, np.memmap)
    broken = sorted((tmp_path / "cache").iterdir())[0]
    broken.write_bytes(b"")
    prepare_cases(cases, card, tmp_path / "cache")
    assert broken.stat().st_size > 0
    mark = fingerprint(cases)
    os.utime(cases[3].image, ns=(1, 1))
    assert fingerprint(cases) != mark


def test_time_left_in_words():
    assert [time_left(seconds) for seconds in (12.2, 600, 7200)] == ["12 s", "10 min", "2.0 h"]
