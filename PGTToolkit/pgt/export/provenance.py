"""The record beside every exported label: who drew what when, and what a machine filled.

The schema is ``Resources/Schemas/provenance.schema.json`` (docs/provenance.md tells it in words); an export
carries a copy. A record never holds a patient's name. Identifiers of patient, study, series and files are in
it only where they were asked for; raters go by the pseudonyms that the slice states have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pgt import __version__
from pgt.annotation import AXIS_NAMES, SliceRecord, SliceState, utc_now
from pgt.errors import PGTError
from pgt.export.case_state import CaseState
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.labels import ExportLabel, labels_of_case
from pgt.machine_names import machine_parts

SCHEMA = "pgt-provenance"
VERSION = 1
SCHEMA_NAME = "provenance.schema.json"
RECORD_SUFFIX = ".provenance.json"

_LIBRARIES = ("numpy", "SimpleITK", "pydicom", "highdicom")


@dataclass(frozen=True)
class LabelFile:
    """The file that a record is about.

    Args:
        name: its name, without folder.
        sha256: of its content.
        format: what it is.
        labels: of the export, that it holds; their value, or in a DICOM SEG segment number, is their own.
        ignore_value: the value of unannotated voxels, None where they are not marked.
    """

    name: str
    sha256: str
    format: ExportFormat
    labels: tuple[ExportLabel, ...]
    ignore_value: int | None = None


def schema_text() -> str:
    """The schema of the records, as JSON text."""
    package = Path(__file__).resolve().parents[1]
    within = package / "Resources" / "Schemas"
    folder = within if within.is_dir() else package.parent / "Resources" / "Schemas"
    return (folder / SCHEMA_NAME).read_text(encoding="utf-8")


def provenance_json(
    case: CaseState,
    file: LabelFile,
    settings: ExportSettings,
    sources: Mapping[str, str],
    identifiers: Mapping[str, str] | None = None,
) -> str:
    """The record of one label file, as JSON text.

    Args:
        case: what the case list says.
        file: the label.
        settings: of the export.
        sources: SHA-256 of what it was made from, by role: "label", "image", "series".
        identifiers: of patient, study, series and files; None unless asked for.
    """
    own = labels_of_case(case, file.labels, settings)
    shown = {segment.identifier for _, segment in own if segment}
    records = [record for record in case.records if record.segment in shown]
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "case": case.case,
        "created": utc_now(),
        "label": {
            "file": file.name,
            "format": file.format.value,
            "sha256": file.sha256,
            "ignore_value": file.ignore_value,
        },
        "rater": case.rater or None,
        "session": case.session or None,
        "raters": list(case.raters),
        "segments": [
            {
                "name": label.name,
                "value": label.value,
                "drawn": segment is not None,
                "terminology": (segment.terminology if segment else label.terminology) or None,
                "reviewed": segment.is_reviewed if segment else None,
                "slices": [
                    _slice(record) for record in records if segment and record.segment == segment.identifier
                ],
            }
            for label, segment in own
        ],
        "models": [{"name": name, "sha256": sha256} for name, sha256 in machines(records).items()],
        "style": case.style or None,
        "agreement": None if case.agreement is None else vars(case.agreement),
        "suspicion": None if case.suspicion is None else vars(case.suspicion),
        "sources": [{"role": role, "sha256": sha256} for role, sha256 in sources.items()],
        "software": software(),
    }
    if identifiers is not None:
        content["identifiers"] = dict(identifiers)
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def machines(records: Sequence[SliceRecord]) -> Mapping[str, str | None]:
    """What filled slices, accepted ones too: method and model, with the SHA-256 of the weights. Sorted.

    Slice states of before the hash was kept in them have the name of the model; its hash is then that of the
    model which this machine has under that name.
    """
    found: dict[str, str | None] = {}
    for record in records:
        name, sha256 = _machine(record)
        if name:
            found[name] = sha256 or found.get(name) or _hash_here(name)
    return dict(sorted(found.items()))


def software() -> list[dict[str, str]]:
    """Name and version of what took part in writing."""
    found = [{"name": "pgt-toolkit", "version": __version__}]
    for name in _LIBRARIES:
        try:
            found.append({"name": name, "version": metadata.version(name)})
        except metadata.PackageNotFoundError:
            continue
    return found


def _slice(record: SliceRecord) -> dict[str, Any]:
    by_machine = record.state is SliceState.PROPAGATED
    return {
        "axis": AXIS_NAMES[record.axis],
        "index": record.index,
        "state": record.state.value,
        "rater": None if by_machine else record.rater or None,
        "model": _machine(record)[0] or None,
        "session": record.session or None,
        "time": record.time or None,
        "empty": record.empty,
        "confidence": record.confidence,
    }


def _machine(record: SliceRecord) -> tuple[str, str | None]:
    """Name and hash of what filled a slice; both empty for one that was drawn."""
    if record.machine:
        return machine_parts(record.machine)
    return (record.rater, None) if record.state is SliceState.PROPAGATED else ("", None)


def _hash_here(machine: str) -> str | None:
    """Hash of a model as the slice states name it: its method, blank, its name; some have no model."""
    method, _, name = machine.rpartition(" ")
    return _installed_models().get(name) if method else None


@cache
def _installed_models() -> Mapping[str, str]:
    """SHA-256 of the weights of every propagation model on this machine, by name, as its card says."""
    from pgt.propagation.checkpoints import list_models

    found = {}
    for model in list_models():
        try:
            found[model.name] = model.card().sha256
        except PGTError:
            continue
    return found
