"""``pgt agree``."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import Ended, folders, listing, refused, run_here
from reading_cases import GRID, box, ledger_tag, named, write_labels, write_layers, write_named

from pgt.agreement.expert_ratings import ExpertRating, write_ratings
from pgt.agreement.metrics import METRICS
from pgt.annotation import SliceState
from pgt.volume import Volume
from pgt.volume_io import write_volume

Capture = pytest.CaptureFixture[str]

LIVER = {
    "ann": box((2, 3, 1), (12, 14, 13)),
    "ben": box((3, 3, 2), (12, 15, 13)),
    "cem": box((2, 4, 1), (11, 14, 12)),
}
SPLEEN = {
    "ann": box((14, 3, 4), (18, 9, 9)),
    "ben": box((14, 4, 4), (19, 9, 9)),
    "cem": box((13, 3, 4), (18, 8, 9)),
}
RESULTS = {"report.json", "pairs.csv", "report.html"}


@pytest.fixture
def raters(tmp_path: Path) -> Path:
    """A folder with ``ann.nii.gz`` and so on, structures 1 and 2."""
    for name, liver in LIVER.items():
        write_labels(tmp_path / f"{name}.nii.gz", {1: liver, 2: SPLEEN[name]})
    return tmp_path


def report_in(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def test_raters_of_one_case(raters: Path, capfd: Capture) -> None:
    paths = [raters / f"{name}.nii.gz" for name in LIVER]
    ended = run_here(capfd, "agree", *paths, "-o", raters / "out")
    assert ended.status == 0, ended.err
    assert "3 raters on 2 labels in 1 case, 6 pairs" in ended.out
    assert set(listing(raters / "out")) == RESULTS
    report = report_in(raters / "out")
    pairs = report["pairs"]
    assert {(pair["a"], pair["b"], pair["label"]) for pair in pairs} == {
        (a, b, label) for a, b in (("ann", "ben"), ("ann", "cem"), ("ben", "cem")) for label in ("1", "2")
    }
    measure = sitk.LabelOverlapMeasuresImageFilter()
    for pair in pairs:
        images = [sitk.ReadImage(str(raters / f"{pair[name]}.nii.gz")) for name in ("a", "b")]
        measure.Execute(*images)
        assert pair["dice"] == pytest.approx(measure.GetDiceCoefficient(int(pair["label"])), abs=1e-12)
        assert pair["iou"] == pytest.approx(measure.GetJaccardCoefficient(int(pair["label"])), abs=1e-12)
        needed = ("nsd", "hd95_mm", "assd_mm", "volume_difference_ml", "kappa")
        assert all(isinstance(pair[name], float) for name in needed)
    assert all(
        isinstance(report["overall"][name], float) for name in ("fleiss_kappa", "krippendorff_alpha", "icc")
    )
    assert report["peak"] == []
    assert len(list(csv.DictReader((raters / "out" / "pairs.csv").open()))) == len(pairs)
    page = (raters / "out" / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in LIVER)


def test_answers_decide_which_metrics_are_recommended(raters: Path, capfd: Capture) -> None:
    paths = [raters / f"{name}.nii.gz" for name in LIVER]
    said = ["--answer", "volume_used=yes", "--answer", "2:volume_used=no"]
    ended = run_here(capfd, "agree", *paths, "-o", raters / "out", *said)
    assert ended.status == 0, ended.err
    advice = report_in(raters / "out")["recommendations"]
    about_volumes = {one["label"] for one in advice if one["metric"].startswith("volume_difference")}
    assert about_volumes == {"1"}


def test_nothing_says_where_the_files_lie(raters: Path, capfd: Capture) -> None:
    paths = [raters / f"{name}.nii.gz" for name in LIVER]
    shifted = replace(GRID, spacing=(1.0, 1.0, 2.2))
    write_labels(paths[2], {1: LIVER["cem"]}, shifted)
    ended = run_here(capfd, "agree", *paths, "-o", raters / "out")
    assert ended.status == 0, ended.err
    assert "cem.nii.gz was resampled to the grid of ann.nii.gz" in ended.err
    for name in RESULTS:
        assert str(raters) not in (raters / "out" / name).read_text(encoding="utf-8")
    assert any("resampled" in message for message in report_in(raters / "out")["messages"])


def test_names_repeats_reference_and_candidate(raters: Path, capfd: Capture) -> None:
    for name in ("again", "truth", "net"):
        write_labels(raters / f"{name}.nrrd", {1: LIVER["ben"], 2: SPLEEN["ann"]})
    ended = run_here(
        capfd, "agree", raters / "ann.nii.gz", raters / "ben.nii.gz", "--names", "Dr A, Dr B",
        "--repeat", f"Dr A={raters / 'again.nrrd'}", "--repeat", f"Dr A={raters / 'cem.nii.gz'}",
        "--reference", raters / "truth.nrrd", "--candidate", f"net={raters / 'net.nrrd'}",
        "--tolerance-mm", "1", "--metrics", "all", "-o", raters / "out", "--case", "7",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    report = report_in(raters / "out")
    assert [(one["rater"], one["session"], one["role"]) for one in report["raters"]] == [
        ("Dr A", "1", "rater"), ("Dr A", "2", "rater"), ("Dr A", "3", "rater"), ("Dr B", "1", "rater"),
        ("net", "1", "candidate"), ("reference", "1", "reference"),
    ]  # fmt: skip
    assert (report["cases"], report["tolerance_mm"], report["reference"]) == (["7"], 1, "reference")
    assert list(report["metrics"]) == [metric.key for metric in METRICS]
    kinds = [pair["kind"] for pair in report["pairs"] if pair["label"] == "Segment_1"]
    assert (kinds.count("intra-rater"), kinds.count("against the reference"), len(kinds)) == (3, 5, 15)
    bands = [found for found in report["peak"] if found["metric"] == "dice"]
    assert len(bands) == 2
    for band in bands:
        assert band["state"] == "too few cases"
        assert set(band["lower"]) == set(band["upper"]) == {"value", "ci95", "cases", "note"}
        assert band["lower"]["value"] < 1


def test_names_and_overlapping_structures_of_slicer(tmp_path: Path, capfd: Capture) -> None:
    write_layers(tmp_path / "ann.seg.nrrd", {"Liver": LIVER["ann"], "Tumour": LIVER["ben"]})
    write_layers(tmp_path / "ben.seg.nrrd", {"tumour": LIVER["cem"], "LIVER": LIVER["ann"]})
    ended = run_here(
        capfd, "agree", tmp_path / "ann.seg.nrrd", tmp_path / "ben.seg.nrrd", "-o", tmp_path / "out"
    )
    assert ended.status == 0, ended.err
    dice = {pair["label"]: pair["dice"] for pair in report_in(tmp_path / "out")["pairs"]}
    both = 2 * (LIVER["ben"] & LIVER["cem"]).sum() / (LIVER["ben"].sum() + LIVER["cem"].sum())
    assert dice == {"Liver": 1, "Tumour": pytest.approx(both)}


def test_what_a_machine_filled_is_left_out_and_said(tmp_path: Path, capfd: Capture) -> None:
    ben = LIVER["ann"].copy()
    ben[:, :, 6:9] = False
    state = dict.fromkeys(range(1, 13), SliceState.PROPAGATED) | {
        4: SliceState.ANNOTATED,
        10: SliceState.ANNOTATED,
    }
    write_layers(tmp_path / "ann.seg.nrrd", {"L": LIVER["ann"]})
    write_layers(tmp_path / "ben.seg.nrrd", {"L": ben}, tags={"L": ledger_tag("S0", state)})
    ended = run_here(
        capfd, "agree", tmp_path / "ann.seg.nrrd", tmp_path / "ben.seg.nrrd", "-o", tmp_path / "out"
    )
    assert ended.status == 0, ended.err
    (pair,) = report_in(tmp_path / "out")["pairs"]
    assert (pair["dice"], pair["compared_share"]) == (1, pytest.approx(2 / 12))
    assert "83.3 % of the voxels lie on slices that not both raters annotated" in ended.err


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """A case list: two raters, one of them twice, in six cases; ben lacks the last."""
    rows = ["case,rater,session,file,image"]
    random = np.random.default_rng(4)
    write_volume(Volume(random.normal(size=GRID.shape).astype(np.float32), GRID), tmp_path / "ct.nrrd")
    for number in range(6):
        for rater, session in (("ann", "1"), ("ann", "2"), ("ben", "1")):
            if (number, rater) == (5, "ben"):
                continue
            first = 3 + random.integers(-2, 3, 3)
            name = f"{number}_{rater}_{session}.nii.gz"
            write_labels(tmp_path / name, {1: box(tuple(first), (14, 13, 12))})
            rows.append(f"p{number},{rater},{session},{name},ct.nrrd")
    (tmp_path / "cases.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_a_case_list(cases: Path, capfd: Capture) -> None:
    write_ratings([ExpertRating(f"p{n}", "1", n + 1, "eva") for n in range(5)], cases / "ratings.csv")
    ended = run_here(
        capfd,
        "agree",
        "--cases",
        cases / "cases.csv",
        "--ratings",
        cases / "ratings.csv",
        "-o",
        cases / "out",
    )
    assert ended.status == 0, ended.err
    assert "ben has no reading of case p5: missing, and in no number." in ended.err
    report = report_in(cases / "out")
    assert report["cases"] == [f"p{n}" for n in range(6)]
    assert report["missing"] == [{"case": "p5", "rater": "ben", "session": "1", "label": None}]
    assert {pair["kind"] for pair in report["pairs"] if pair["case"] == "p5"} == {"intra-rater"}
    band = next(found for found in report["peak"] if found["metric"] == "dice")
    assert band["lower"]["cases"] == 5
    assert band["lower"]["ci95"][0] <= band["lower"]["value"] <= band["lower"]["ci95"][1]
    assert any(one["metric"] == "dice" and one["label"] == "1" for one in report["correlations"])
    page = (cases / "out" / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in page
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)


class Attempt:
    """`pgt agree` on files that it must refuse, leaving everything as it was."""

    def __init__(self, folder: Path, capfd: Capture) -> None:
        self.folder, self._capfd = folder, capfd

    def __call__(self, *arguments: str | Path) -> Ended:
        before, rooms = listing(self.folder), folders(self.folder)
        ended = run_here(self._capfd, "agree", *arguments, "-o", self.folder / "out")
        assert (listing(self.folder), folders(self.folder)) == (before, rooms)
        return ended


@pytest.fixture
def attempt(raters: Path, capfd: Capture) -> Attempt:
    return Attempt(raters, capfd)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "one rater only (ann)"),
        (["ben.nii.gz", "--names", "a"], "--names gives 1 names for 2"),
        (["ben.nii.gz", "--names", "a,a"], "Two raters are called a"),
        (["ben.nii.gz", "--names", "a,"], "--names gives 1 names for 2"),
        (["other/ann.nii.gz"], "called ann by their files' names; tell them apart with --names"),
        (["ben.nii.gz", "--repeat", "cem=cem.nii.gz"], "cem has no first session"),
        (["ben.nii.gz", "--repeat", "cem.nii.gz"], "--repeat takes NAME=FILE"),
        (["ben.nii.gz", "--candidate", "ben=cem.nii.gz"], "called ben"),
        (["ben.nii.gz", "--tolerance-mm", "0"], "positive number of millimetres"),
        (["ben.nii.gz", "--tolerance-mm", "-1"], "positive number of millimetres"),
        (["ben.nii.gz", "--metrics", "dice,beauty"], "no metric 'beauty'"),
        (["ben.nii.gz", "--metrics", ""], "No metric"),
        (["ben.nii.gz", "--cases", "cases.csv"], "give no others beside it"),
        (["gone.nii.gz"], "gone.nii.gz does not exist"),
        (["broken.nii.gz"], "broken.nii.gz"),
        (["fractions.nii.gz"], "numbers that are not whole"),
        (["far.nii.gz"], "far.nii.gz and ann.nii.gz do not overlap in space"),
        (["other.nii.gz"], "label in common (ann.nii.gz: 1, 2; other.nii.gz: 9)"),
        (["clash.seg.nrrd"], "clash.seg.nrrd has segments 'Liver' and 'LIVER'"),
        (["ben.nii.gz", "--ratings", "none.csv"], "none.csv"),
        (["ben.nii.gz", "--image", "broken.nii.gz"], "broken.nii.gz"),
        (["ben.nii.gz", "--answer", "beautiful=yes"], "--answer beautiful=yes is no answer"),
        (["ben.nii.gz", "--answer", "tubular=perhaps"], "--answer tubular=perhaps is no answer"),
    ],
)
def test_what_makes_no_sense_is_refused(attempt: Attempt, options: list[str], said: str) -> None:
    folder = attempt.folder
    (folder / "other").mkdir()
    write_labels(folder / "other" / "ann.nii.gz", {1: LIVER["ann"]})
    (folder / "broken.nii.gz").write_bytes((folder / "ann.nii.gz").read_bytes()[:150])
    write_volume(Volume(LIVER["ann"] * np.float32(0.5), GRID), folder / "fractions.nii.gz")
    write_labels(folder / "far.nii.gz", {1: LIVER["ann"]}, replace(GRID, origin=(900.0, 0.0, 0.0)))
    write_labels(folder / "other.nii.gz", {9: LIVER["ann"]})
    write_named(folder / "clash.seg.nrrd", named("Liver", "LIVER"), [LIVER["ann"], SPLEEN["ann"]])
    arguments = [
        re.sub(r"[\w./]+\.(nii\.gz|nrrd|csv)", lambda found: str(folder / found[0]), one) for one in options
    ]
    refused(attempt(folder / "ann.nii.gz", *arguments), said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case,rater\nx,ann\n", "lacks the column file"),
        ("case,rater,file\nx,ann,ann.nii.gz\n", "one rater only"),
        (
            "case,rater,file\nx,ann,ann.nii.gz\nx,ann,ben.nii.gz\n",
            "line 3: ann has a reading of case x already",
        ),
        (
            "case,rater,session,file\nx,ann,1,ann.nii.gz\nx,ben,2,ben.nii.gz\n",
            "ben has session 2 but no first",
        ),
        ("case,rater,file\nx,ann,ann.nii.gz\ny,ben,ben.nii.gz\n", "No case has two segmentations"),
        ("case,rater,file\nx,ann,ann.nii.gz\nx,ben,gone.nii.gz\n", "gone.nii.gz does not exist"),
    ],
)
def test_bad_case_lists_are_refused(attempt: Attempt, text: str, said: str) -> None:
    table = attempt.folder / "cases.csv"
    table.write_text(text)
    refused(attempt("--cases", table), said)


def test_no_files_at_all_are_refused(attempt: Attempt) -> None:
    refused(attempt(), "--cases")


def test_a_file_given_twice_is_said(raters: Path, capfd: Capture) -> None:
    ended = run_here(
        capfd, "agree", raters / "ann.nii.gz", raters / "ann.nii.gz", "--names", "a,b", "-o", raters / "out"
    )
    assert ended.status == 0, ended.err
    assert "a and b are equal voxel for voxel" in ended.err


def test_an_empty_segmentation_is_a_missed_structure(raters: Path, capfd: Capture) -> None:
    write_labels(raters / "empty.nii.gz", {})
    ended = run_here(capfd, "agree", raters / "ann.nii.gz", raters / "empty.nii.gz", "-o", raters / "out")
    assert ended.status == 0, ended.err
    assert "empty has no voxel of 1 in the case" in ended.err
    pairs = report_in(raters / "out")["pairs"]
    assert [(pair["dice"], pair["occupancy"]) for pair in pairs] == [(0, "one empty")] * 2
    write_labels(raters / "empty2.nii.gz", {})
    refused(
        run_here(capfd, "agree", raters / "empty.nii.gz", raters / "empty2.nii.gz", "-o", raters / "new"),
        "No structure is labelled in empty.nii.gz, empty2.nii.gz",
    )


def test_a_report_is_not_replaced_without_force(raters: Path, capfd: Capture) -> None:
    paths = [raters / "ann.nii.gz", raters / "ben.nii.gz"]
    out = raters / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "pairs.csv").write_text("older")
    before = listing(raters)
    refused(run_here(capfd, "agree", *paths, "-o", out), out / "pairs.csv", "exists already")
    assert listing(raters) == before
    ended = run_here(capfd, "agree", *paths, "-o", out, "--force")
    assert ended.status == 0, ended.err
    assert set(listing(out)) == RESULTS | {"notes.txt"}
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(("place", "said"), [("ann.nii.gz", "ann.nii.gz"), ("gone/out", "cannot be made")])
def test_a_folder_that_cannot_be_is_refused(raters: Path, capfd: Capture, place: str, said: str) -> None:
    before = listing(raters)
    paths = [raters / "ann.nii.gz", raters / "ben.nii.gz"]
    refused(run_here(capfd, "agree", *paths, "-o", raters / place), said)
    assert listing(raters) == before
