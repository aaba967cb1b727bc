"""A case list is read with the state of every case, or one sentence says what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_exports import MadeCase, record, reviewed_ledger, table, written_label_map

from pgt.annotation import SliceLedger, SliceState
from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.export.case_list import read_cases
from pgt.export.case_state import CaseState
from pgt.export.case_summary import summary_lines
from pgt.export.export_settings import CaseFilter
from pgt.export.selection import selected
from pgt.plain_data import from_plain, to_plain


def named(cases: tuple[CaseState, ...]) -> dict[str, CaseState]:
    return {case.case: case for case in cases}


def test_slice_states_are_counted_by_segment(tmp_path: Path) -> None:
    ledger = reviewed_ledger(propagated=2)
    ledger.forget("S_kidney", 2, 0)
    (case,) = read_cases(table(tmp_path, [MadeCase(ledger=ledger).write(tmp_path, "a")]))
    liver, kidney = case.segments
    assert (liver.name, liver.layer, liver.axis) == ("Liver", 0, 2)
    assert (liver.shown, liver.annotated) == ((1, 2, 3, 4), (0, 1))
    assert (liver.reviewed, liver.propagated) == ((2, 3, 4, 5), (6, 7))
    assert (kidney.annotated, kidney.shown) == ((1,), (2, 3, 4, 5))
    assert [case.slices(state) for state in SliceState] == [3, 4, 8]
    assert case.raters == ("rater 1",)
    assert case.is_reviewed is False
    assert case.ledger == ledger


def test_a_case_is_reviewed_when_every_slice_that_shows_a_segment_is(tmp_path: Path) -> None:
    gap = reviewed_ledger()
    gap.forget("S_kidney", 2, 3)
    outside = reviewed_ledger()
    outside.forget("S_kidney", 2, 7)
    rows = [
        MadeCase(ledger=reviewed_ledger()).write(tmp_path, "whole"),
        MadeCase(ledger=reviewed_ledger(propagated=1)).write(tmp_path, "propagated"),
        MadeCase(ledger=gap).write(tmp_path, "gap"),
        MadeCase(ledger=outside).write(tmp_path, "outside"),
        MadeCase().write(tmp_path, "unknown"),
        replace(MadeCase().write(tmp_path, "said"), others={"reviewed": "yes"}),
    ]
    cases = read_cases(table(tmp_path, rows))
    assert {case.case: case.is_reviewed for case in cases} == {
        "whole": True, "propagated": False, "gap": False, "outside": True, "unknown": None, "said": True,
    }  # fmt: skip
    passing, left_out = selected(cases, CaseFilter(reviewed_only=True))
    assert [case.case for case in passing] == ["whole", "outside", "said"]
    reasons = {one.case: one.reason for one in left_out}
    assert "2 propagated slices wait for review" in reasons["propagated"]
    assert "nobody drew" in reasons["gap"]
    assert "Nothing says" in reasons["unknown"]


def agreement_report(folder: Path) -> Path:
    pairs = [
        ("a", "Liver", "inter-rater", 0.9), ("a", "Kidney", "inter-rater", 0.7),
        ("a", "Liver", "intra-rater", 0.1), ("b", "Liver", "against the reference", 0.5),
    ]  # fmt: skip
    content = {
        "schema": "pgt-agreement",
        "version": 1,
        "pairs": [{"case": c, "label": label, "kind": kind, "dice": dice} for c, label, kind, dice in pairs],
    }
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(content))
    return folder


def test_agreement_is_the_mean_over_pairs_of_different_raters(tmp_path: Path) -> None:
    rows = [MadeCase().write(tmp_path, name) for name in "abc"]
    rows[2] = replace(rows[2], others={"agreement": "0.95"})
    found = named(read_cases(table(tmp_path, rows), agreement=agreement_report(tmp_path / "agree")))
    assert found["a"].agreement is not None
    assert found["a"].agreement.value == pytest.approx(0.8)
    assert found["a"].agreement.pairs == 2
    assert found["b"].agreement is not None
    assert found["b"].agreement.value == 0.5
    assert found["c"].agreement is not None
    assert (found["c"].agreement.value, found["c"].agreement.metric) == (0.95, "given")
    passing, left_out = selected(tuple(found.values()), CaseFilter(agreement_above=0.8))
    assert [case.case for case in passing] == ["a", "c"]
    assert "0.500" in left_out[0].reason


def test_suspects_are_those_that_a_style_model_found_unusual(tmp_path: Path) -> None:
    suspects = tmp_path / "suspects.json"
    entries = [("a", "bad label", 3.0), ("b", "nothing unusual", 0.2), ("c", "unknown", 0.1)]
    suspects.write_text(
        json.dumps([dict(zip(("case", "suggestion", "score"), one, strict=True)) for one in entries])
    )
    rows = [MadeCase().write(tmp_path, name) for name in "abcd"]
    rows[3] = replace(rows[3], others={"suspicious": "no"})
    cases = read_cases(table(tmp_path, rows), suspects=suspects)
    passing, left_out = selected(cases, CaseFilter(not_suspicious=True))
    assert [case.case for case in passing] == ["b", "d"]
    assert "bad label" in left_out[0].reason
    assert "No style model" in left_out[1].reason


def test_a_propagation_report_tells_the_states_of_a_plain_label_map(tmp_path: Path) -> None:
    case = MadeCase()
    image = case.write(tmp_path, "a").image
    label = written_label_map(tmp_path / "a.nii.gz", case.liver)
    report = {
        "axis": "k", "annotated": [1, 4], "method": "network", "model": "default",
        "slices": [
            {"index": 1, "state": "annotated", "confidence": 1.0},
            {"index": 2, "state": "propagated", "confidence": 0.8},
            {"index": 4, "state": "annotated", "confidence": 1.0},
        ],
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(report))
    row = CaseRow("a", image, label, {"propagation": str(tmp_path / "a.json"), "rater": "r2"})
    (read,) = read_cases(table(tmp_path, [row]))
    (segment,) = read.segments
    assert (segment.identifier, segment.annotated, segment.propagated) == ("1", (1, 4), (2,))
    assert [(one.rater, one.confidence) for one in read.records] == [
        ("r2", None), ("network default", 0.8), ("r2", None),
    ]  # fmt: skip


def test_a_ledger_file_goes_by_segment_name_or_identifier(tmp_path: Path) -> None:
    row = MadeCase().write(tmp_path, "a")
    ledger = SliceLedger(
        [record("Liver", 2, SliceState.REVIEWED), record("S_kidney", 3, SliceState.ANNOTATED)]
    )
    (tmp_path / "a.json").write_text(ledger.to_json())
    row = replace(row, others={"ledger": str(tmp_path / "a.json")})
    (read,) = read_cases(table(tmp_path, [row]))
    assert {(one.segment, one.index) for one in read.records} == {("S_kidney", 3), ("S_liver", 2)}


def test_overlaps_are_seen(tmp_path: Path) -> None:
    rows = [MadeCase(overlap=True).write(tmp_path, "a"), MadeCase().write(tmp_path, "b")]
    assert [case.overlapping for case in read_cases(table(tmp_path, rows))] == [True, False]


def test_a_state_goes_through_a_worker_unchanged(tmp_path: Path) -> None:
    rows = [replace(MadeCase(ledger=reviewed_ledger(1)).write(tmp_path, "a"), others={"agreement": "0.5"})]
    (case,) = read_cases(table(tmp_path, rows))
    assert from_plain(CaseState, json.loads(json.dumps(to_plain(case)))) == case


def test_the_table_that_is_shown(tmp_path: Path) -> None:
    rows = [
        MadeCase(ledger=reviewed_ledger(propagated=2)).write(tmp_path, "a"),
        MadeCase().write(tmp_path, "b"),
    ]
    lines = summary_lines(read_cases(table(tmp_path, rows)), CaseFilter(reviewed_only=True))
    assert lines[1].split()[:5] == ["a", "2", "4", "4", "8"]
    assert "4 propagated slices wait" in lines[1]
    assert lines[2].split() == ["Liver", "2", "2", "4", "no"]
    assert lines[4].split()[:5] == ["b", "2", "-", "-", "-"]


def bad_rows(folder: Path) -> dict[str, tuple[list[CaseRow], str]]:
    a, b = MadeCase().write(folder, "a"), MadeCase().write(folder, "b")
    damaged = folder / "damaged.nii.gz"
    damaged.write_bytes(written_label_map(folder / "whole.nii.gz", MadeCase().liver).read_bytes()[:60])
    late = folder / "late.json"
    late.write_text(SliceLedger([record("Liver", 70, SliceState.ANNOTATED)]).to_json())
    other = folder / "other.json"
    other.write_text(SliceLedger([record("Spleen", 1, SliceState.ANNOTATED)]).to_json())
    return {
        "label missing": ([a, replace(b, label=folder / "gone.nii.gz")], "gone.nii.gz"),
        "image missing": ([replace(a, image=folder / "gone.nii.gz")], "do not exist"),
        "series missing": ([replace(a, others={"series": "gone"})], "gone"),
        "twice": ([a, replace(b, case="a")], "a more than once"),
        "twice by capitals": ([a, replace(b, case="A")], "more than once"),
        "one label twice": ([a, replace(a, case="b")], "are the same label"),
        "no file name": ([replace(a, case="a/b")], "cannot be a file name"),
        "hidden": ([replace(a, case="..")], "cannot be a file name"),
        "agreement": ([replace(a, others={"agreement": "high"})], "'high'"),
        "suspicious": ([replace(a, others={"suspicious": "maybe"})], "'maybe'"),
        "split": ([replace(a, others={"split": "both"})], "'both'"),
        "damaged": ([replace(a, label=damaged)], "damaged.nii.gz"),
        "state beyond": ([replace(a, others={"ledger": str(late)})], "slice 70"),
        "state of another": ([replace(a, others={"ledger": str(other)})], "Spleen"),
        "no ledger": ([replace(a, others={"ledger": str(damaged)})], "damaged.nii.gz"),
        "no report": ([replace(a, others={"propagation": str(late)})], "no report of pgt propagate"),
    }


@pytest.mark.parametrize(
    "what",
    [
        "label missing", "image missing", "series missing", "twice", "twice by capitals", "one label twice",
        "no file name", "hidden", "agreement", "suspicious", "split", "damaged", "state beyond",
        "state of another", "no ledger", "no report",
    ],
)  # fmt: skip
def test_bad_lists_are_refused(tmp_path: Path, what: str) -> None:
    rows, said = bad_rows(tmp_path)[what]
    with pytest.raises(InputError, match=said.replace(".", r"\.")) as refused:
        read_cases(table(tmp_path, rows))
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": "pgt-agreement", "pairs": [{"case": "a"}]}'])
def test_bad_agreement_reports_are_refused(tmp_path: Path, text: str) -> None:
    rows = [MadeCase().write(tmp_path, "a")]
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(InputError, match=r"report\.json"):
        read_cases(table(tmp_path, rows), agreement=tmp_path / "report.json")


def test_an_empty_label_map_is_a_case_without_the_structure(tmp_path: Path) -> None:
    case = MadeCase()
    label = written_label_map(tmp_path / "a.nii.gz", np.zeros_like(case.liver))
    (read,) = read_cases(table(tmp_path, [CaseRow("a", case.write(tmp_path, "x").image, label)]))
    assert read.segments == ()
    assert not read.named
