"""``pgt study label-quality`` as users meet it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command_line import listing, refused, run_here, run_process
from label_quality_cases import STRUCTURES, write_cases, write_configuration

from pgt.commands.study_label_quality import StudyFiles, study_labels
from pgt.errors import InputError
from pgt.studies.configuration import read_configuration
from pgt.studies.label_quality_configuration import EXAMPLE, LabelQualityConfiguration
from pgt.volume import LabelMap, Segment
from pgt.volume_io import read_label_map, write_label_map


@pytest.fixture
def made(tmp_path) -> Path:
    write_cases(tmp_path, "cases", 10)
    return tmp_path


def study(configuration: Path, folder: Path, force: bool = False) -> tuple[str, ...]:
    """What the command's child process does, in this one, which saves starting it."""
    return study_labels(lambda step: None, StudyFiles(configuration, folder, "cpu", force))


class _Texts(HTMLParser):
    """Tags and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_report_as_json_and_page(capfd, made):
    write_cases(made, "second", 4, first=60)
    versions = [
        {"name": "thin <b>", "perturbation": "eroded", "mm": 1},
        {"name": "loose", "perturbation": "dilated", "mm": 1},
    ]
    agreement = {
        "schema": "pgt-agreement",
        "summary": [
            {"metric": "dice", "kind": "inter-rater", "label": "lower", "value": 0.4},
            {"metric": "dice", "kind": "inter-rater", "label": "upper", "value": 0.2},
            {"metric": "dice", "kind": "intra-rater", "label": "upper", "value": 0.9},
            {"metric": "nsd", "kind": "inter-rater", "label": "upper", "value": 0.99},
        ],
    }
    (made / "agreed.json").write_text(json.dumps(agreement))
    configuration = write_configuration(
        made, perturbed=versions, agreement="agreed.json",
        fine_tuning={"cases": "second.csv", "training_cases": 2, "steps": 2},
    )  # fmt: skip
    folder = made / "study"
    ended = run_here(capfd, "study", "label-quality", configuration, "-o", folder)
    assert ended.status == 0, ended
    assert "have not learnt the task" in ended.out
    assert f"Wrote {folder / 'report.html'}." in ended.out
    report = json.loads((folder / "report.json").read_text())
    assert report["schema"] == "pgt-label-quality"
    assert report["cases"] == {"all": 10, "training": 8, "kept_out": 2}
    assert report["raters"] == {"lower": pytest.approx(0.3), "upper": 0.9}
    assert [version["name"] for version in report["versions"]] == ["base", "thin <b>", "loose"]
    thin = report["versions"][1]
    means = [one["mean"] for one in thin["labels"]["dice"]["structures"]]
    assert thin["labels"]["dice"]["mean"] == pytest.approx(sum(means) / 2, abs=1e-5)
    assert {answer["use"] for answer in report["answers"]} == {"in-domain", "pre-training"}
    assert report["answers"][0]["worth"] == "open"
    assert report["answers"][0]["pay_off"]["pairs"] == 3
    page = (folder / "report.html").read_text()
    found = _Texts()
    found.feed(page)
    assert "b" not in found.tags
    assert "thin <b>" in found.text
    assert found.tags.count("svg") == 4
    assert "Raters reach a Dice of 0.300 among each other" in found.text
    assert "src=" not in page
    assert "Doe" not in page

    before = {name: content for name, content in listing(folder).items() if name.startswith("cells")}
    (folder / "report.html").unlink()
    assert study(configuration, folder)[-1].startswith("Wrote")
    assert (folder / "report.html").read_text() == page
    assert {name: text for name, text in listing(folder).items() if name.startswith("cells")} == before


def test_the_example_is_a_configuration(capfd, tmp_path):
    ended = run_here(capfd, "study", "label-quality", "--example")
    assert ended.status == 0
    (tmp_path / "study.json").write_text(ended.out)
    read = read_configuration(tmp_path / "study.json", LabelQualityConfiguration)
    assert read.cases == tmp_path / "CASES.csv"
    assert read.versions == EXAMPLE.versions
    assert read.fine_tuning is not None
    refused(run_here(capfd, "study", "label-quality"), "CONFIG.json and -o FOLDER", "--example")


def test_folders_of_others_are_left_alone(capfd, made):
    configuration = write_configuration(made)
    folder = made / "other"
    folder.mkdir()
    (folder / "report.json").write_text("mine")
    refused(run_here(capfd, "study", "label-quality", configuration, "-o", folder), "report.json", "--force")
    assert listing(folder) == {"report.json": b"mine"}
    refused(
        run_here(capfd, "study", "label-quality", made / "none.json", "-o", folder), "none.json", "not exist"
    )
    refused(run_here(capfd, "study", "label-quality", configuration, "-o", configuration), "is a file")


def _renamed(made: Path) -> None:
    path = made / "cases-1-base.seg.nrrd"
    label_map = read_label_map(made / "cases-1-base.nrrd")
    segments = (Segment(3, "upper", (1, 0, 0)), Segment(5, "lower", (0, 1, 0)))
    write_label_map(LabelMap(label_map.voxels, label_map.geometry, segments), path)
    named = (Segment(3, "lower", (1, 0, 0)), Segment(5, "upper", (0, 1, 0)))
    label_map = read_label_map(made / "cases-0-base.nrrd")
    write_label_map(LabelMap(label_map.voxels, label_map.geometry, named), made / "cases-0-base.seg.nrrd")
    text = (made / "cases.csv").read_text()
    for number in (0, 1):
        text = text.replace(f"cases-{number}-base.nrrd", f"cases-{number}-base.seg.nrrd")
    (made / "cases.csv").write_text(text)


def _gone(made: Path) -> None:
    (made / "cases-3-base.nrrd").unlink()


def _twice(made: Path) -> None:
    text = (made / "cases.csv").read_text()
    (made / "cases.csv").write_text(text + text.splitlines()[-1] + "\n")


def _cut(made: Path) -> None:
    path = made / "cases-2-image.nrrd"
    path.write_bytes(path.read_bytes()[:600])


def _elsewhere(made: Path) -> None:
    whole = read_label_map(made / "cases-4-same.nrrd")
    smaller = LabelMap(whole.voxels[:-1], whole.geometry.cropped((0, 0, 0), (15, 16, 12)), whole.segments)
    write_label_map(smaller, made / "cases-4-same.nrrd", overwrite=True)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_gone, r"cases-3-base\.nrrd .*does not exist"),
        (_twice, r"names the case Doe John 9 more than once"),
        (_cut, r"cases-2-image\.nrrd is truncated"),
        (_renamed, r"calls label 3 'lower', .*cases-1-base\.seg\.nrrd calls it 'upper'"),
        (_elsewhere, r"cases-4-same\.nrrd \(case Doe John 4\) does not lie on the case's image"),
    ],
)
def test_case_lists_that_cannot_be_used(made, spoil, said):
    spoil(made)
    configuration = write_configuration(made, columns=[{"name": "copy", "column": "same"}])
    with pytest.raises(InputError, match=said):
        study(configuration, made / "study")
    assert not (made / "study" / "report.json").exists()


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"verions": []}, r"unknown entry 'verions'; known are cases"),
        (
            {"perturbed": [{"name": "x", "perturbation": "worse", "mm": 1}]},
            r"perturbed\[0\]\.perturbation must be",
        ),
        ({"perturbed": None}, "no label version beside the base"),
        ({"seeds": [1, 1]}, r"seeds are different whole numbers"),
        ({"kept_out": 1.5}, "kept_out is a share"),
        ({"kept_out": 0.1}, "10 cases cannot be divided"),
        ({"steps": 0}, "whole numbers from 1"),
        ({"tolerance_mm": -1}, "is no distance"),
        ({"structures": [{"name": "x", "values": [4]}]}, r"No case has the structure x \(label 4\)"),
        ({"structures": [STRUCTURES[0], STRUCTURES[0]]}, "Two structures have the same name"),
        ({"predicted": [{"name": "n", "folds": 9}]}, "8 cases cannot be divided into 9 folds"),
        ({"columns": [{"name": "c", "column": "label_c"}]}, "names no file in the column label_c"),
        ({"fine_tuning": {"cases": "cases.csv"}}, "fine-tuning needs other cases"),
        ({"fine_tuning": {"cases": "few.csv"}}, "lists 3 cases; fine-tuning on 8 leaves fewer than two"),
        ({"agreement": "cases.csv"}, r"is no report\.json of pgt agree"),
        ({"channels": [4, 8]}, "three levels or more"),
    ],
)
def test_configurations_that_make_no_sense(tmp_path_factory, entries, said):
    made = _shared(tmp_path_factory)
    with pytest.raises(InputError, match=said):
        study(write_configuration(made, **entries), made / "study", force=True)
    assert not (made / "study" / "report.json").exists()


_MADE: dict[str, Path] = {}


def _shared(tmp_path_factory) -> Path:
    """Cases that no test changes."""
    if "folder" not in _MADE:
        folder = tmp_path_factory.mktemp("configurations")
        write_cases(folder, "cases", 10)
        write_cases(folder, "few", 3, first=70)
        _MADE["folder"] = folder
    return _MADE["folder"]


def test_no_room_for_a_network(made):
    """Weights that do not fit are told in one sentence, and the study can go on when there is room."""
    resource = pytest.importorskip("resource")
    configuration = write_configuration(made)
    folder = made / "study"
    ended = run_process(
        "study", "label-quality", configuration, "-o", folder, "--device", "cpu",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    refused(ended, "trained-base-0.safetensors", "cannot be written")
    names = listing(folder)
    assert "cells/labels-thin.json" in names
    assert not [name for name in names if "safetensors" in name or "partial" in name]
