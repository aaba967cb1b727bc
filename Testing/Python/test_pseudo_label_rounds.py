"""Rounds of pseudo-labels with small real models: what is accepted, kept, gone on with and refused."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import command, listing, refused, run_here, running
from oracle_reference import made_rows, made_volume
from safetensors.numpy import load_file

from pgt.case_table import CaseRow, read_case_table, write_case_table
from pgt.errors import Cancelled, InputError, PGTError
from pgt.geometry import Geometry
from pgt.progress import Progress
from pgt.reference.model_folder import CASES
from pgt.reference.pseudo_label_manifest import RoundManifest, read_manifest
from pgt.reference.pseudo_label_plan import RoundSettings, RoundsOrder
from pgt.reference.settings import ReferenceSettings
from pgt.volume import LabelMap, Segment, Volume
from pgt.volume_io import read_label_map, write_label_map, write_volume

TRAINING = ReferenceSettings.of_size("small", iterations=2, labelled=1, unlabelled=1, device="cpu")


def order_of(rows: list[CaseRow], folder: Path, **settings: float) -> RoundsOrder:
    """Two models and two steps of training: nothing is learnt, everything is gone through."""
    given = {"models": 2, "threshold": 0.5, "rounds": 3, **settings}
    return RoundsOrder(tuple(rows), folder, RoundSettings(training=TRAINING, **given))  # type: ignore[arg-type]


@pytest.fixture
def agreeing(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, list[float]]], None]:
    """Has models agree on chosen cases as far as is said for each round, and label them by their truth."""
    from pgt.reference import pseudo_label_rounds
    from pgt.reference.consensus_score import ConsensusScore
    from pgt.reference.pseudo_labels import PseudoLabel

    def arrange(scores: dict[str, list[float]]) -> None:
        truths = {made_volume(number)[0].voxels.tobytes(): number for number in range(10)}
        told = {name: iter(course) for name, course in scores.items()}

        def labelled(models: object, volume: Volume, *_: object) -> PseudoLabel:
            number = truths[volume.voxels.tobytes()]
            score = next(told[f"case{number}"])
            return PseudoLabel(made_volume(number)[1], ConsensusScore(score, {1: score}, {1: 4}))

        monkeypatch.setattr(pseudo_label_rounds, "pseudo_label", labelled)

    return arrange


def replace_threshold(order: RoundsOrder, threshold: float | None) -> RoundsOrder:
    return replace(order, settings=replace(order.settings, threshold=threshold))


def run(order: RoundsOrder, **options: object) -> tuple[RoundManifest, ...]:
    from pgt.reference.pseudo_label_rounds import run_rounds

    return run_rounds(order, **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def test_accepted_labels_teach_the_next_round(
    tmp_path: Path, agreeing: Callable[[dict[str, list[float]]], None]
) -> None:
    rows = made_rows(tmp_path, 2, 3)
    agreeing({"case2": [0.9], "case3": [0.2, 0.6], "case4": [0.3, 0.4, 0.45]})
    folder = tmp_path / "rounds"
    with one_thread():
        made = run(order_of(rows, folder))
    assert [[case.case for case in one.accepted] for one in made] == [["case2"], ["case3"], []]
    assert [[case.case for case in one.learnt_from] for one in made] == [
        ["case0", "case1"], ["case0", "case1", "case2"], ["case0", "case1", "case2", "case3"],
    ]  # fmt: skip
    assert [case.accepted_in for case in made[2].learnt_from] == [None, None, 1, 2]
    assert {case.case: case.score for case in made[1].scored} == {"case3": 0.6, "case4": 0.4}
    assert sorted(path.name for path in (folder / "round-1" / "labels").iterdir()) == ["case2.nii.gz"]
    assert {path.name for path in (folder / "round-1" / "rejected").iterdir()} == {
        "case3.nii.gz", "case4.nii.gz",
    }  # fmt: skip
    assert np.array_equal(
        read_label_map(folder / "round-1" / "labels" / "case2.nii.gz").voxels, made_volume(2)[1].voxels
    )
    # Models of different rounds and numbers begin from different seeds, and all are kept with their hashes.
    seeds = [model.seed for one in made for model in one.models]
    assert len(set(seeds)) == 6
    assert all(len(sha) == 64 for one in made for model in one.models for sha in model.sha256.values())
    assert made == tuple(read_manifest(folder / f"round-{number}" / "manifest.json") for number in (1, 2, 3))
    table = read_case_table(folder / "round-2" / "CASES.csv", needed=("case", "image", "label"))
    assert [(row.case, row.others["label_from"]) for row in table] == [
        ("case0", "given"), ("case1", "given"), ("case2", "round-1"), ("case3", "round-2"),
    ]  # fmt: skip
    assert [row.others["score"] for row in table] == ["", "", "0.9000", "0.6000"]
    assert all(row.image.exists() and row.label and row.label.exists() for row in table)
    # The training of the last round knew the accepted labels as labels.
    with (folder / "round-3" / "models" / "1" / CASES).open() as file:
        learnt = {line["case"]: line["label"] for line in csv.DictReader(file)}
    assert [Path(learnt[f"case{n}"]).parts[-3:] for n in (2, 3)] == [
        ("round-1", "labels", "case2.nii.gz"), ("round-2", "labels", "case3.nii.gz"),
    ]  # fmt: skip
    assert learnt["case4"] == ""


def test_without_a_threshold_the_more_certain_half_of_the_first_round_sets_it(
    tmp_path: Path, agreeing: Callable[[dict[str, list[float]]], None]
) -> None:
    rows = made_rows(tmp_path, 1, 5)
    agreeing({"case1": [0.9], "case2": [0.0, 0], "case3": [0.6], "case4": [0.7], "case5": [0.3, 0.5]})
    with one_thread():
        made = run(replace_threshold(order_of(rows, tmp_path / "rounds", rounds=2), None))
    assert [[case.case for case in one.accepted] for one in made] == [["case1", "case3", "case4"], []]
    assert [one.threshold for one in made] == [0.6, 0.6]


def test_what_no_model_found_anything_in_is_never_accepted(
    tmp_path: Path, agreeing: Callable[[dict[str, list[float]]], None]
) -> None:
    rows = made_rows(tmp_path, 1, 2)
    agreeing({"case1": [0.0], "case2": [0.0]})
    with one_thread():
        (made,) = run(replace_threshold(order_of(rows, tmp_path / "rounds"), None))
    assert not made.accepted


def test_it_ends_when_all_are_used_and_a_second_run_has_nothing_to_do(
    tmp_path: Path, agreeing: Callable[[dict[str, list[float]]], None]
) -> None:
    rows = made_rows(tmp_path, 1, 1)
    agreeing({"case1": [0.5]})
    order = order_of(rows, tmp_path / "rounds")
    with one_thread():
        made = run(order)
        before = listing(tmp_path / "rounds")
        assert len(made) == 1
        assert made[0].accepted[0].score == 0.5
        assert run(order) == made
    assert listing(tmp_path / "rounds") == before


def test_stopped_anywhere_it_goes_on_to_the_same_result(
    tmp_path: Path, agreeing: Callable[[dict[str, list[float]]], None]
) -> None:
    rows = made_rows(tmp_path, 1, 2)
    course = {"case1": [0.9] * 4, "case2": [0.1, 0.7, 0.1, 0.1]}
    order = order_of(rows, tmp_path / "rounds", rounds=1)
    seen: list[str] = []

    def stopping_at(words: str) -> dict[str, object]:
        seen.clear()

        def note(step: Progress) -> None:
            seen.append(step.message)

        return {"progress": note, "cancelled": lambda: any(words in message for message in seen)}

    agreeing(course)
    with one_thread():
        for words in ("Looking at the images", "model 1 of 2: Loss", "model 2 of 2: Preparing"):
            with pytest.raises(Cancelled):
                run(order, **stopping_at(words))
        assert not (tmp_path / "rounds" / "round-1" / "manifest.json").exists()
        (finished,) = run(order)
        agreeing(course)
        (expected,) = run(order_of(rows, tmp_path / "at once", rounds=1))
    weights = [
        load_file(tmp_path / name / "round-1" / "models" / "2" / "transunet.safetensors")
        for name in ("rounds", "at once")
    ]
    assert all(np.array_equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    assert [(case.case, case.score) for case in finished.scored] == [
        (case.case, case.score) for case in expected.scored
    ]


def test_scored_cases_are_not_scored_again(
    tmp_path: Path, agreeing: Callable[[dict[str, list[float]]], None]
) -> None:
    from pgt.reference import pseudo_label_rounds

    rows = made_rows(tmp_path, 1, 2)
    order = order_of(rows, tmp_path / "rounds", rounds=1)
    agreeing({"case1": [0.9], "case2": [0.3]})  # asked once each, a second time would fail
    answer = pseudo_label_rounds.pseudo_label
    calls = []

    def failing(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled
        return answer(*arguments)  # type: ignore[arg-type]

    with one_thread():
        pseudo_label_rounds.pseudo_label = failing  # type: ignore[assignment]  # undone by agreeing's fixture
        with pytest.raises(Cancelled):
            run(order)
        (made,) = run(order)
    assert [(case.case, case.score, case.accepted) for case in made.scored] == [
        ("case1", 0.9, True), ("case2", 0.3, False),
    ]  # fmt: skip
    assert not (tmp_path / "rounds" / "round-1" / "scored").exists()


def test_more_rounds_go_on_and_other_settings_are_refused(
    tmp_path: Path, agreeing: Callable[[dict[str, list[float]]], None]
) -> None:
    rows = made_rows(tmp_path, 1, 2)
    agreeing({"case1": [0.9], "case2": [0.1, 0.8]})
    folder = tmp_path / "rounds"
    with one_thread():
        assert len(run(order_of(rows, folder, rounds=1))) == 1
        assert len(run(order_of(rows, folder, rounds=2))) == 2
    with pytest.raises(InputError, match=r"other settings \(threshold 0.5, not 0.7\)"):
        run(order_of(rows, folder, threshold=0.7))
    write_label_map(made_volume(7)[1], tmp_path / "label0.nii.gz", overwrite=True)
    with pytest.raises(InputError, match="other cases, or their files have changed"):
        run(order_of(rows, folder))
    agreeing({"case1": [0.1], "case2": [0.1]})
    (folder / "plan.json").write_text("{")
    with pytest.raises(InputError, match=r"plan\.json cannot be read"):
        run(order_of(rows, folder))
    with one_thread():
        (made,) = run(replace(order_of(rows, folder, threshold=0.7), force=True))
    assert not made.accepted
    assert sorted(path.name for path in folder.iterdir()) == ["plan.json", "round-1"]


def test_a_lost_label_is_missed(tmp_path: Path, agreeing: Callable[[dict[str, list[float]]], None]) -> None:
    rows = made_rows(tmp_path, 1, 2)
    agreeing({"case1": [0.9], "case2": [0.1]})
    folder = tmp_path / "rounds"
    with one_thread():
        run(order_of(rows, folder, rounds=1))
        lost = folder / "round-1" / "labels" / "case1.nii.gz"
        lost.unlink()
        with pytest.raises(InputError, match=f"{lost} is missing"):
            run(order_of(rows, folder))


def test_small_models_label_what_they_learnt(tmp_path: Path) -> None:
    """The real thing: a few steps of training on the command line's own path."""
    from pgt.reference.pseudo_label_rounds import run_rounds

    rows = made_rows(tmp_path, 3, 1)
    training = ReferenceSettings.of_size("small", iterations=25, device="cpu")
    settings = RoundSettings(models=2, threshold=0.05, rounds=1, training=training)
    with one_thread():
        (made,) = run_rounds(RoundsOrder(tuple(rows), tmp_path / "rounds", settings))
    (case,) = made.accepted
    found, truth = read_label_map(tmp_path / "rounds" / "round-1" / case.label), made_volume(3)[1]
    dice = [
        2
        * np.sum(found.mask(value) & truth.mask(value))
        / (found.mask(value).sum() + truth.mask(value).sum())
        for value in (1, 3)
    ]
    assert np.mean(dice) > 0.5
    assert 0 < case.score <= 1


def test_ctrl_c_on_the_command_line_and_going_on(tmp_path: Path) -> None:
    made_rows(tmp_path, 1, 1)
    arguments = (
        "pseudo-label", tmp_path / "cases.csv", "-o", tmp_path / "rounds", "--models", 2, "--rounds", 1,
        "--device", "cpu", "--threshold", 0.001,
    )  # fmt: skip
    with running(command(*arguments, "--iterations", 100000)) as process:
        log = tmp_path / "rounds" / "round-1" / "models" / "1" / "prepared"
        until = time.monotonic() + 90
        while not log.exists() and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert process.returncode != 0
    assert not (tmp_path / "rounds" / "round-1" / "manifest.json").exists()
    assert (tmp_path / "rounds" / "plan.json").exists()


def test_the_command_says_what_it_did(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made_rows(tmp_path, 1, 1)
    arguments = (
        "pseudo-label", tmp_path / "cases.csv", "-o", tmp_path / "rounds", "--models", 2, "--rounds", 1,
        "--device", "cpu", "--iterations", 2, "--threshold", 1,
    )  # fmt: skip
    ended = run_here(capfd, *arguments)
    assert ended.status == 0, ended.err
    assert "Round 1: learnt from 1 cases, accepted 0 of 1" in ended.out
    assert "Pseudo-labelled 0 cases in 1 round, 1 left." in ended.out
    content = json.loads((tmp_path / "rounds" / "round-1" / "manifest.json").read_text())
    assert content["schema"] == "pgt-pseudo-label-round"
    assert content["threshold"] == 1.0
    refused(run_here(capfd, *arguments[:-1], 0.5), tmp_path / "rounds", "other settings (threshold 1.0")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("nothing labelled", "names no label map"),
        ("nothing unlabelled", "none is left to be pseudo-labelled"),
        ("a missing image", "image2.nrrd (case case2) does not exist"),
        ("a duplicate case", "names the case case0 more than once"),
        ("one image twice", "image0.nrrd is the image of two cases, case0 and other"),
        ("a name that climbs", "cannot give its name to a file"),
        ("one model", "two models or more"),
        ("a threshold", "threshold lies above 0"),
        ("a file for a folder", "is a file; name a folder"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], spoil: str, said: str
) -> None:
    rows = made_rows(tmp_path, 2, 2)
    options = spoiled(tmp_path, rows, spoil)
    (tmp_path / "cases.csv").unlink()
    write_case_table(tmp_path / "cases.csv", rows)
    if spoil == "a file for a folder":
        (tmp_path / "rounds").write_text("")
    before = listing(tmp_path)
    ended = run_here(
        capfd, "pseudo-label", tmp_path / "cases.csv", "-o", tmp_path / "rounds", "--iterations", 1,
        "--device", "cpu", *options,
    )  # fmt: skip
    refused(ended, said)
    after = listing(tmp_path)
    assert {name: after[name] for name in before} == before
    assert not list((tmp_path / "rounds").glob("*/manifest.json"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("another grid", "label0.nii.gz"),
        ("other names", "calls it 'Spleen'"),
        ("other modality", "looks like CT, other images of the table like MR"),
        ("a broken image", "image2.nrrd"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, spoil: str, said: str) -> None:
    """As above, but found out only by the process that trains."""
    rows = made_rows(tmp_path, 2, 2)
    spoiled(tmp_path, rows, spoil)
    with pytest.raises(PGTError, match=re.escape(said)), one_thread():
        run(order_of(rows, tmp_path / "rounds"))
    assert not list((tmp_path / "rounds").glob("*/manifest.json"))


def spoiled(folder: Path, rows: list[CaseRow], how: str) -> list[str]:
    """Put one thing wrong; the options that the command is then run with."""
    volume, label_map = made_volume(0)
    if how == "nothing labelled":
        rows[:] = [CaseRow(row.case, row.image) for row in rows]
    elif how == "nothing unlabelled":
        rows[:] = rows[:2]
    elif how == "a missing image":
        rows[2].image.unlink()
    elif how == "a duplicate case":
        rows[3] = CaseRow("case0", rows[3].image)
    elif how == "one image twice":
        rows[3] = CaseRow("other", rows[0].image)
    elif how == "a name that climbs":
        rows[3] = CaseRow("../case3", rows[3].image)
    elif how == "another grid":
        moved = Geometry(label_map.geometry.shape, label_map.geometry.spacing, (0.0, 0.0, 0.0))
        write_label_map(LabelMap(label_map.voxels, moved, label_map.segments), folder / "label0.nii.gz", True)
    elif how == "other names":
        for number, name in enumerate(("Liver", "Spleen")):
            segments = (Segment(1, name, (1, 0, 0)), Segment(3, "Bright", (0, 1, 0)))
            path = folder / f"label{number}.seg.nrrd"
            _, labels = made_volume(number)
            write_label_map(LabelMap(labels.voxels, labels.geometry, segments), path)
            rows[number] = CaseRow(rows[number].case, rows[number].image, path)
    elif how == "other modality":
        voxels = np.where(volume.voxels > 50, 40, -1000).astype(np.int16)
        write_volume(Volume(voxels, volume.geometry), rows[2].image, overwrite=True)
    elif how == "a broken image":
        rows[2].image.write_bytes(rows[2].image.read_bytes()[:200])
    return {"one model": ["--models", "1"], "a threshold": ["--threshold", "1.5"]}.get(how, [])
