"""The record beside every label keeps to its schema, says who drew what, and nothing about the patient."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from made_exports import MadeCase, reviewed_ledger, table

from pgt import __version__
from pgt.annotation import SliceState
from pgt.export.case_list import read_cases
from pgt.export.case_state import CaseAgreement, CaseSuspicion
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.exporting import export_cases
from pgt.export.provenance import schema_text
from pgt.propagation.checkpoints import find_model
from pgt.volume_io import read_layers

ALL = ExportSettings((ExportFormat.NIFTI, ExportFormat.SEG_NRRD, ExportFormat.NNUNET, ExportFormat.MONAI))


def records(folder: Path) -> dict[str, Any]:
    found = sorted(folder.rglob("*.provenance.json"))
    return {path.relative_to(folder).as_posix(): json.loads(path.read_text()) for path in found}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases: one of which all is known, and one of which nothing is."""
    folder = tmp_path_factory.mktemp("provenance")
    rows = [
        replace(
            MadeCase(ledger=reviewed_ledger(propagated=2)).write(folder, "a"),
            others={"rater": "r7", "session": "s2", "style": "tight"},
        ),
        MadeCase().write(folder, "b"),
    ]
    known, unknown = read_cases(table(folder, rows))
    known = replace(
        known, agreement=CaseAgreement(0.9, "dice", 6), suspicion=CaseSuspicion(False, "nothing unusual", 0.1)
    )
    export_cases([known, unknown], ALL, folder / "out")
    return folder


def test_the_schema_is_a_schema_and_travels_with_the_export(export: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))
    assert (export / "out" / "provenance.schema.json").read_text() == schema_text()


def test_every_label_has_a_record_that_keeps_to_the_schema(export: Path) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema_text()))
    found = records(export / "out")
    assert set(found) == {
        f"{place}/{case}.provenance.json"
        for case in "ab"
        for place in ("nifti", "seg-nrrd", "nnunet/Dataset001_PGT/labelsTr", "monai/labels")
    }
    for name, record in found.items():
        validator.validate(record)
        label = (export / "out" / name).parent / record["label"]["file"]
        assert hashlib.sha256(label.read_bytes()).hexdigest() == record["label"]["sha256"]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2}, {"patient": "Doe"}, {"raters": [""]}, {"created": "yesterday"}, {"software": []},
        {"agreement": {"value": 1.2, "metric": "dice", "pairs": 1}},
    ],
)  # fmt: skip
def test_the_schema_refuses_other_records(export: Path, change: dict[str, Any]) -> None:
    record = records(export / "out")["nifti/a.provenance.json"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**record, **change}, json.loads(schema_text()))


def test_who_drew_what_when_and_what_a_model_filled(export: Path) -> None:
    record = records(export / "out")["nifti/a.provenance.json"]
    liver = record["segments"][0]
    assert (liver["name"], liver["value"], liver["reviewed"]) == ("Liver", 1, False)
    slices = {(one["axis"], one["index"]): one for one in liver["slices"]}
    assert len(slices) == 8
    assert slices["k", 0] == {
        "axis": "k", "index": 0, "state": "annotated", "rater": "rater 1", "model": None,
        "session": "first", "time": "2026-11-21T09:30:00+00:00", "empty": False, "confidence": None,
    }  # fmt: skip
    filled = slices["k", 7]
    assert (filled["state"], filled["rater"], filled["model"]) == ("propagated", None, "network default")
    assert filled["confidence"] == 0.75
    accepted = slices["k", 3]
    assert (accepted["state"], accepted["rater"], accepted["model"]) == ("reviewed", "rater 1", "network old")
    weights = find_model("default").weights
    assert record["models"] == [
        {"name": "network default", "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()},
        {"name": "network old", "sha256": "ab" * 32},
    ]


def test_what_the_list_says_of_the_case(export: Path) -> None:
    record = records(export / "out")["nifti/a.provenance.json"]
    assert (record["rater"], record["session"], record["style"]) == ("r7", "s2", "tight")
    assert record["raters"] == ["r7", "rater 1"]
    assert record["agreement"] == {"value": 0.9, "metric": "dice", "pairs": 6}
    assert record["suspicion"]["suspicious"] is False
    assert {"name": "pgt-toolkit", "version": __version__} in record["software"]


def test_what_is_not_known_is_null(export: Path) -> None:
    record = records(export / "out")["nifti/b.provenance.json"]
    assert [record[name] for name in ("rater", "session", "style", "agreement", "suspicion")] == [None] * 5
    assert (record["raters"], record["models"]) == ([], [])
    assert [(one["reviewed"], one["slices"]) for one in record["segments"]] == [(None, []), (None, [])]


def test_sources_are_told_by_content_and_files_are_named_only_if_asked_for(export: Path) -> None:
    record = records(export / "out")["nifti/a.provenance.json"]
    digests = {one["role"]: one["sha256"] for one in record["sources"]}
    assert digests["label"] == hashlib.sha256((export / "a.seg.nrrd").read_bytes()).hexdigest()
    assert digests["image"] == hashlib.sha256((export / "a_ct.nii.gz").read_bytes()).hexdigest()
    assert "a_ct" not in json.dumps(record)
    cases = read_cases(export / "cases.csv")
    settings = ExportSettings((ExportFormat.NIFTI,), identifiers=True)
    export_cases(cases, settings, export / "named")
    named = records(export / "named")["nifti/a.provenance.json"]
    assert named["identifiers"]["image_file"].endswith("a_ct.nii.gz")
    jsonschema.validate(named, json.loads(schema_text()))


def test_states_in_an_exported_segmentation_are_those_of_the_record(export: Path) -> None:
    """The .seg.nrrd and its record agree, so either can be read."""
    stored = read_layers(export / "out" / "seg-nrrd" / "a.seg.nrrd")
    record = records(export / "out")["seg-nrrd/a.provenance.json"]
    for segment, identifier in zip(record["segments"], ("S_liver", "S_kidney"), strict=True):
        ledger = stored.slice_states[identifier]
        assert [one["index"] for one in segment["slices"]] == [one.index for one in ledger]
        drawn = [one["index"] for one in segment["slices"] if one["state"] == "annotated"]
        assert drawn == list(ledger.slices(identifier, 2, SliceState.ANNOTATED))
    np.testing.assert_array_equal(stored.layers[0].voxels, MadeCase().liver)
