"""``pgt reference train`` as users meet it."""

from __future__ import annotations

import signal
import time

import pytest
from command_line import command, listing, refused, run_here, running
from reference_cases import made_cases

from pgt.reference.model_folder import CHECKPOINT, DESCRIPTION
from pgt.reference.reference_card import read_card
from pgt.reference.training_log import read_log

QUICK = ("--size", "small", "--iterations", "2", "--slices", "1", "--device", "cpu")


@pytest.fixture
def table(tmp_path):
    made_cases(tmp_path / "cases", labelled=2, unlabelled=1)
    return tmp_path / "cases" / "cases.csv"


def test_train(capfd, tmp_path, table):
    folder = tmp_path / "model"
    chosen = ("--plane", "coronal", "--labels", "3", "--no-unlabelled")
    ended = run_here(capfd, "reference", "train", table, "-o", folder, *QUICK, *chosen)
    assert ended.status == 0, ended
    assert "Trained on 2 labelled and 0 unlabelled cases for 2 steps" in ended.out
    assert str(folder) in ended.out
    card = read_card(folder)
    assert (card.values, card.plane, card.size) == ((3,), "coronal", "small")
    assert [line.unsupervised for line in read_log(folder)] == [0, 0]
    before = listing(folder)
    refused(run_here(capfd, "reference", "train", table, "-o", folder, *QUICK), folder, "--force")
    refused(run_here(capfd, "reference", "train", table, "-o", folder, "--resume"), CHECKPOINT)
    assert listing(folder) == before


def test_bad_input_leaves_nothing(capfd, tmp_path, table):
    folder = tmp_path / "model"
    text = table.read_text()
    lines = text.splitlines()
    image0, label0 = tmp_path / "cases" / "image0.nrrd", tmp_path / "cases" / "label0.nrrd"
    tables = [
        (text.replace(str(image0), str(tmp_path / "gone.nrrd")), ("gone.nrrd", "case0")),
        (text.replace(str(label0), str(tmp_path / "lost.nrrd")), ("lost.nrrd", "case0")),
        ("\n".join([lines[0], lines[3]]), ("No case has a label map",)),
        ("\n".join([*lines, lines[1]]), ("case0", "more than once")),
        ("image,label\na,b", ("column case",)),
    ]
    for content, said in tables:
        table.write_text(content)
        refused(run_here(capfd, "reference", "train", table, "-o", folder, *QUICK), *said)
        assert not folder.exists()
    table.write_text(text)
    options = [
        (("--iterations", "0"), ("iterations", "at least 1")),
        (("--labels", "one"), ("--labels", "'one'")),
        (("--flips", "X"), ("mirrored", "'X'")),
        (("--resume", "--force"), ("--resume", "--force")),
    ]
    for given, said in options:
        refused(run_here(capfd, "reference", "train", table, "-o", folder, *QUICK, *given), *said)
        assert not folder.exists()
    refused(run_here(capfd, "reference", "train", table, "-o", table, *QUICK), "is a file")
    nowhere = tmp_path / "a" / "b"
    refused(run_here(capfd, "reference", "train", table, "-o", nowhere, *QUICK), "does not exist")


def test_ctrl_c_ends_at_once_and_leaves_no_slices(tmp_path, table):
    folder = tmp_path / "model"
    long = [*QUICK[:3], "100000", *QUICK[4:]]
    with running(command("reference", "train", table, "-o", folder, *long)) as process:
        while process.poll() is None and len(read_log(folder)) < 1:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.wait(timeout=60)
        assert time.monotonic() - began < 30
    assert process.returncode != 0
    # A minute had not passed: there is no checkpoint, so nothing is left.
    assert not (folder / DESCRIPTION).exists()
    assert not folder.exists()
