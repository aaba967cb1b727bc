"""Comparing raters in the worker: what goes in comes out as the core gives it, and stops when asked to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worker_host import Host

import pgt
from pgt.agreement import case_list_job, consensus_job, job
from pgt.agreement.case_consensus import case_consensus
from pgt.agreement.disagreement import entropy
from pgt.agreement.expert_ratings import ExpertRating
from pgt.agreement.label_renaming import LEFT_OUT, found_labels, matched
from pgt.agreement.masks import CroppedMask
from pgt.agreement.reading_source import ReadingSource
from pgt.agreement.readings import DrawnSlices, Sitting
from pgt.agreement.results import Agreement, PairKind
from pgt.agreement.structures import RatedSegmentation, Segmentation, Structure
from pgt.agreement.study import StudyOptions, study
from pgt.errors import Cancelled, InputError
from pgt.geometry import Geometry
from pgt.job_kinds import JobState
from pgt.plain_data import from_plain, to_plain
from pgt.volume import LabelMap
from pgt.volume_io import write_label_map

TURNED = Geometry(
    (40, 36, 20), (1.0, 1.2, 2.5), (-10.0, 4.0, 7.0), ((0.8, -0.6, 0), (0.6, 0.8, 0), (0, 0, 1))
)
QUIET = JobState(None, lambda value: None)


def ball(radius: float, centre: tuple[float, float, float] = (20, 18, 10)) -> CroppedMask:
    """A ball of a radius in voxels along i, somewhat flat along k."""
    i, j, k = np.indices(TURNED.shape)
    return CroppedMask.of(
        (i - centre[0]) ** 2 + (j - centre[1]) ** 2 + (2 * (k - centre[2])) ** 2 <= radius**2
    )


def rated(
    rater: str,
    session: str = "1",
    radius: float = 9.0,
    names: tuple[str, ...] = ("Liver", "Cyst"),
    **more: Any,
) -> RatedSegmentation:
    masks = [ball(radius), ball(radius / 3, (14, 12, 10))]
    structures = tuple(
        Structure(f"Segment_{number}", name, number, "", masks[number - 1], more.get("drawn"))
        for number, name in enumerate(names, start=1)
    )
    segmentation = Segmentation(f"{rater} {session}", TURNED, structures, complete=False)
    return RatedSegmentation(more.get("case", "one"), Sitting(rater, session), segmentation)


def source() -> ReadingSource:
    """Three raters, one of them twice, and a model."""
    people = (rated("Ada"), rated("Ada", "2", 9.3), rated("Ben", radius=8.2), rated("Cid", radius=9.9))
    return ReadingSource(rated=(*people, rated("Net", radius=9.1)), candidates=("Net",))


@pytest.fixture
def done(tmp_path: Path) -> job.Comparison:
    asked = job.AskedFor(tolerance_mm=1.5, remarks=("Ada saw her first session.",))
    job.write_job(tmp_path, source(), asked)
    job.run(tmp_path, lambda progress: None, lambda: False, QUIET)
    return job.read_result(tmp_path)


def test_the_numbers_are_those_of_the_study(done: job.Comparison) -> None:
    readings = source().opened().readings()
    expected = study(readings, StudyOptions(tolerance_mm=1.5, candidates=("Net",)))
    assert done.agreement == replace(expected, messages=(*expected.messages, "Ada saw her first session."))
    assert {pair.kind for pair in done.agreement.pairs} == {PairKind.INTER, PairKind.INTRA}


def test_the_entropy_comes_back_where_it_lies(done: job.Comparison) -> None:
    readings = source().opened().readings()
    assert done.geometry == TURNED
    for label in ("Liver", "Cyst"):
        box, bits = entropy(readings, label)
        start, found = done.disputed[label]
        assert start == tuple(part.start for part in box)
        np.testing.assert_array_equal(found, bits)


def test_the_report_is_whole(done: job.Comparison) -> None:
    assert set(done.files) == {"report.json", "pairs.csv", "report.html"}
    assert len(json.loads(done.files["report.json"])["pairs"]) == len(done.agreement.pairs) == 20
    assert done.files["pairs.csv"].count("\n") == 21
    assert "</html>" in done.files["report.html"]


def test_without_the_page_nothing_that_draws_is_imported(tmp_path: Path) -> None:
    job.write_job(tmp_path, source(), job.AskedFor(page=False))
    code = (
        "import sys; from pathlib import Path; from pgt.agreement import job;"
        "from pgt.job_kinds import JobState;"
        f"job.run(Path({str(tmp_path)!r}), lambda p: None, lambda: False, JobState(None, print));"
        "print(sorted({'matplotlib', 'jinja2', 'skimage', 'torch', 'markupsafe'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env()
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "[]"
    assert set(job.read_result(tmp_path).files) == {"report.json", "pairs.csv"}


def test_ratings_reach_the_study(tmp_path: Path) -> None:
    cases = [
        rated(name, radius=8 + wobble * number / 3, case=f"c{number}")
        for number in range(5)
        for name, wobble in (("Ada", 1), ("Ben", 2))
    ]
    ratings = tuple(ExpertRating(f"c{number}", "Liver", 6 - number, "Dee") for number in range(5))
    job.write_job(tmp_path, ReadingSource(rated=tuple(cases)), job.AskedFor(ratings=ratings, page=False))
    job.run(tmp_path, lambda progress: None, lambda: False, QUIET)
    found = job.read_result(tmp_path)
    spearman = {
        one.metric: one.spearman.value for one in found.agreement.correlations if one.label == "Liver"
    }
    assert spearman["dice"] == pytest.approx(1.0)
    assert found.geometry is None
    assert found.disputed == {}


def test_the_consensus_is_that_of_the_core(tmp_path: Path) -> None:
    consensus_job.write_job(tmp_path, source(), "majority")
    consensus_job.run(tmp_path, lambda progress: None, lambda: False, QUIET)
    found = consensus_job.read_result(tmp_path)
    people = [one for one in source().opened().readings() if one.sitting.rater != "Net"]
    expected = case_consensus(people, "majority")
    assert found.geometry == TURNED
    for label, one in expected.labels.items():
        np.testing.assert_array_equal(found.masks[label].full(), one.mask.full())
        assert found.labels[label].raters == one.raters
        assert (found.labels[label].disputed, found.labels[label].ties) == (one.disputed, one.ties)
    assert [rater.rater for rater in found.labels["Liver"].raters] == ["Ada", "Ben", "Cid"]


def test_a_single_rater_has_no_consensus(tmp_path: Path) -> None:
    consensus_job.write_job(tmp_path, ReadingSource(rated=(rated("Ada"), rated("Ada", "2"))), "staple")
    with pytest.raises(InputError, match="two raters"):
        consensus_job.run(tmp_path, lambda progress: None, lambda: False, QUIET)


@pytest.fixture
def case_list(tmp_path: Path) -> Path:
    """Two cases, two raters, as files."""
    lines = ["case,rater,file,role"]
    for case in ("a", "b"):
        for rater, radius in (("Ada", 9.0), ("Ben", 7.5)):
            voxels = np.asfortranarray(ball(radius).full().astype(np.uint8))
            name = f"{case}_{rater}.nii.gz"
            write_label_map(LabelMap.from_voxels(voxels, TURNED), tmp_path / name)
            lines.append(f"{case},{rater},{name},{'reference' if rater == 'Ada' else ''}")
    table = tmp_path / "cases.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def test_a_case_list_is_compared_against_its_reference(case_list: Path, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    job.write_job(folder, ReadingSource(table=case_list), job.AskedFor(page=False))
    seen = []
    job.run(folder, seen.append, lambda: False, QUIET)
    pairs = job.read_result(folder).agreement.pairs
    assert [(pair.case, pair.kind, pair.a.rater) for pair in pairs] == [
        ("a", PairKind.REFERENCE, "Ada"), ("b", PairKind.REFERENCE, "Ada")
    ]  # fmt: skip
    assert {"Reading", "Comparing"} <= {progress.message for progress in seen}


def test_a_case_of_a_list_is_opened(case_list: Path, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    case_list_job.write_job(folder, ReadingSource(table=case_list, case="b"))
    case_list_job.run(folder, lambda progress: None, lambda: False, QUIET)
    found = case_list_job.read_result(folder)
    assert found.opened is not None
    assert found.opened.case == "b"
    assert found.opened.geometry.difference(TURNED) is None
    assert found.sittings == (Sitting("Ada"), Sitting("Ben"))
    (mask,) = found.opened.masks[Sitting("Ben")].values()
    np.testing.assert_array_equal(mask.full(), ball(7.5).full())


def test_labels_are_mended_and_left_out() -> None:
    segmentations = [
        rated("Ada").segmentation,
        rated("Ben", names=("Hepar", "Cyst")).segmentation,
    ]
    names = {one.name: (one.count, one.label) for one in found_labels(segmentations, {})}
    assert names == {"Liver": (1, "Liver"), "Cyst": (2, "Cyst"), "Hepar": (1, "Hepar")}
    mended = matched(segmentations, {"Hepar": "Liver", "Cyst": LEFT_OUT})
    assert [(line.label, line.keys) for line in mended] == [("Liver", ("Segment_1", "Segment_1"))]
    with pytest.raises(InputError, match="'Liver' and 'Cyst' of Ada 1 cannot both be compared as 'Liver'"):
        matched(segmentations, {"Cyst": "Liver"})


def test_an_agreement_survives_as_plain_data(done: job.Comparison) -> None:
    text = json.dumps(to_plain(done.agreement), allow_nan=False)
    assert from_plain(Agreement, json.loads(text)) == done.agreement
    content = json.loads(text)
    for spoilt in (content | {"tolerance_mm": "wide"}, content | {"pairs": [{}]}, content | {"new": 1}, []):
        with pytest.raises(InputError, match="no Agreement"):
            from_plain(Agreement, spoilt)


def test_drawn_slices_travel(tmp_path: Path) -> None:
    drawn = DrawnSlices(2, (8, 10, 12))
    job.write_job(tmp_path, ReadingSource(rated=(rated("Ada", drawn=drawn), rated("Ben", drawn=drawn))))
    (first, _second), _asked = job.read_job(tmp_path)[0].rated, None
    assert {one.drawn for one in first.segmentation.structures} == {drawn}


def test_work_stops_where_it_is_told_to(tmp_path: Path) -> None:
    job.write_job(tmp_path, source())
    with pytest.raises(Cancelled):
        job.run(tmp_path, lambda progress: None, lambda: True, QUIET)
    assert not (tmp_path / "result.json").exists()


def test_a_job_of_another_kind_is_refused(tmp_path: Path) -> None:
    consensus_job.write_job(tmp_path, source(), "majority")
    with pytest.raises(InputError, match="is not a comparison job"):
        job.read_job(tmp_path)


def env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(pgt.__file__).parents[1]), "OMP_NUM_THREADS": "1"}


def test_cancelling_a_long_comparison_takes_less_than_a_second(tmp_path: Path) -> None:
    shape = (220, 220, 120)
    rng = np.random.default_rng(0)
    raters = []
    for number in range(8):
        mask = CroppedMask.of(rng.random(shape) < 0.5)  # as much surface as there can be
        structure = Structure("s", "Sponge", 1, "", mask)
        segmentation = Segmentation(f"r{number}", Geometry(shape), (structure,), complete=False)
        raters.append(RatedSegmentation("one", Sitting(f"r{number}"), segmentation))
    job.write_job(tmp_path, ReadingSource(rated=tuple(raters)))
    host = Host([sys.executable, "-m", "pgt.worker"])
    try:
        host.next("ready")
        host.send(id="1", command="agree", job=str(tmp_path))
        host.next("progress")
        time.sleep(2)
        asked = time.monotonic()
        host.send(id="2", command="cancel", target="1")
        assert host.next("cancelled", "result")["event"] == "cancelled"
        assert time.monotonic() - asked < 1.0
    finally:
        host.process.kill()
        host.process.wait()
