"""What a comparison came to, and what experts think, kept in the scene."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import slicer

from pgt.agreement.agreement_files import REPORT_JSON, SCHEMA
from pgt.agreement.expert_ratings import ExpertRating, ratings_from_json, ratings_to_json, write_ratings
from pgt.agreement.results import Agreement
from pgt.errors import InputError, OutputError
from pgt.output_files import write_text
from pgt.plain_data import from_plain, to_plain

RATINGS_FILE = "ratings.csv"

_RESULT_TAG = "PGTToolkitAgreement"
_RATINGS_TAG = "PGTToolkitExpertRatings"


@dataclass(frozen=True)
class StoredAgreement:
    """The newest comparison.

    Args:
        agreement: the numbers.
        notes: what was done to readings, such as resampling.
        files: content of the report's files by name.
        table: the case list that was compared; None for the readings of the scene.
        renamed: the user's corrections to the labels.
    """

    agreement: Agreement
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    table: Path | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)


def store_agreement(scene: slicer.vtkMRMLScene, stored: StoredAgreement) -> None:
    """Keep a comparison in the scene instead of the one before."""
    _write(scene, _RESULT_TAG, "PGT agreement", json.dumps(to_plain(stored), ensure_ascii=False))


def stored_agreement(scene: slicer.vtkMRMLScene) -> StoredAgreement | None:
    """The comparison kept in the scene; None where there is none.

    Raises:
        InputError: it was damaged, or written by another version.
    """
    text = _read(scene, _RESULT_TAG)
    if not text:
        return None
    try:
        return from_plain(StoredAgreement, json.loads(text))
    except ValueError as error:
        raise InputError(f"The comparison kept in the scene cannot be read: {error}.") from error


def ratings_of(scene: slicer.vtkMRMLScene) -> tuple[ExpertRating, ...]:
    """What experts think, as kept in the scene.

    Raises:
        InputError: it was damaged.
    """
    text = _read(scene, _RATINGS_TAG)
    return ratings_from_json(text) if text else ()


def rate(scene: slicer.vtkMRMLScene, rating: ExpertRating) -> None:
    """Keep an expert's opinion; the same expert's earlier one of the same structure gives way."""
    place = (rating.case, rating.label, rating.expert)
    others = [one for one in ratings_of(scene) if (one.case, one.label, one.expert) != place]
    _write(scene, _RATINGS_TAG, "PGT expert ratings", ratings_to_json([*others, rating]))


def export_report(scene: slicer.vtkMRMLScene, folder: Path) -> tuple[Path, ...]:
    """Write the report's files, and the experts' ratings where there are any, into a folder.

    An earlier report there is replaced; other files are not.

    Raises:
        InputError: there is no comparison.
        OutputError: the folder cannot be written, or holds other files of these names.
    """
    stored = stored_agreement(scene)
    if stored is None:
        raise InputError("There is nothing to export yet: compare first.")
    ratings = ratings_of(scene)
    paths = [folder / name for name in stored.files]
    _check_ours(folder, [*paths, folder / RATINGS_FILE])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error}.") from error
    for path, text in zip(paths, stored.files.values(), strict=True):
        write_text(path, text, overwrite=True)
    if ratings:
        write_ratings(ratings, folder / RATINGS_FILE, overwrite=True)
        paths.append(folder / RATINGS_FILE)
    return tuple(paths)


def _check_ours(folder: Path, paths: Iterable[Path]) -> None:
    """Raise OutputError where files are in the way that no earlier report brought."""
    there = [path for path in paths if path.exists()]
    if not there:
        return
    try:
        ours = json.loads((folder / REPORT_JSON).read_text(encoding="utf-8"))["schema"] == SCHEMA
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise OutputError(f"{there[0]} exists already and is no report; choose another folder.")


def _node(scene: slicer.vtkMRMLScene, tag: str) -> slicer.vtkMRMLTextNode | None:
    return scene.GetSingletonNode(tag, "vtkMRMLTextNode")


def _read(scene: slicer.vtkMRMLScene, tag: str) -> str:
    node = _node(scene, tag)
    return (node.GetText() or "") if node is not None else ""


def _write(scene: slicer.vtkMRMLScene, tag: str, name: str, text: str) -> None:
    node = _node(scene, tag)
    if node is None:
        node = slicer.vtkMRMLTextNode()
        node.SetSingletonTag(tag)
        node.SetName(name)
        node = scene.AddNode(node)
    node.SetText(text)
