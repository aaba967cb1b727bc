"""What a round of pseudo-labelling came to, kept as ``manifest.json``; its schema is `RoundManifest`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgt.errors import InputError
from pgt.output_files import write_text
from pgt.plain_data import from_plain, to_plain
from pgt.propagation.checkpoints import sha256_of
from pgt.reference.consensus_score import ConsensusScore
from pgt.reference.pseudo_label_plan import REJECTED

SCHEMA = "pgt-pseudo-label-round"
VERSION = 1


@dataclass(frozen=True)
class UsedModel:
    """A model of the round.

    Args:
        folder: within the folder of the round.
        seed: that it was trained from.
        sha256: of its files with weights, by name.
    """

    folder: str
    seed: int
    sha256: Mapping[str, str]


@dataclass(frozen=True)
class LearntCase:
    """A case whose label the models learnt from.

    Args:
        case: its name.
        accepted_in: the round whose pseudo-label it is; None for a label that was given.
    """

    case: str
    accepted_in: int | None


@dataclass(frozen=True)
class ScoredCase:
    """A case that was unlabelled when the round began.

    Args:
        case: its name.
        score: equation 1; 0 where no model found any structure.
        structures: equation 1 of each structure, by label value as text.
        slices: that each of these was taken over, by label value as text.
        accepted: whether the score reached the threshold.
        label: the pseudo-label's file within the folder of the round.
        sha256: of that file.
    """

    case: str
    score: float
    structures: Mapping[str, float]
    slices: Mapping[str, int]
    accepted: bool
    label: str
    sha256: str


def scored_case(case: str, score: ConsensusScore, path: Path) -> ScoredCase:
    """What is kept of a pseudo-label until all cases have theirs; then the threshold decides.

    Args:
        case: its name.
        score: of the models' agreement.
        path: of its label map, where it lies now.
    """
    return ScoredCase(
        case=case,
        score=round(score.score, 6),
        structures={str(value): round(one, 6) for value, one in score.structures.items()},
        slices={str(value): count for value, count in score.slices.items()},
        accepted=False,
        label=f"{REJECTED}/{path.name}",
        sha256=sha256_of(path),
    )


@dataclass(frozen=True)
class RoundManifest:
    """One round.

    Args:
        number: of the round, from 1.
        software: version of PGT Toolkit.
        finished: when, ISO 8601 in UTC.
        threshold: that the scores were held against; unasked for, the middle score of the first round.
        settings: how the models were trained, `pgt.reference.settings.ReferenceSettings`.
        models: that labelled.
        learnt_from: the labelled cases, in the order of the table.
        scored: the unlabelled ones, in the order of the table.
    """

    number: int
    software: str
    finished: str
    threshold: float
    settings: Mapping[str, Any]
    models: tuple[UsedModel, ...]
    learnt_from: tuple[LearntCase, ...]
    scored: tuple[ScoredCase, ...]

    @property
    def accepted(self) -> tuple[ScoredCase, ...]:
        """The cases whose pseudo-labels were accepted in this round."""
        return tuple(case for case in self.scored if case.accepted)


def write_manifest(path: Path, manifest: RoundManifest) -> None:
    """Write a manifest, whole or not at all. Raises OutputError."""
    content = {"schema": SCHEMA, "version": VERSION, **to_plain(manifest)}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n", overwrite=True)


def read_manifest(path: Path) -> RoundManifest:
    """Read what `write_manifest` wrote.

    Raises:
        InputError: the file is missing, damaged or no manifest of this version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
        raise InputError(f"{path} is no manifest of a pseudo-label round.")
    if content.pop("version", None) != VERSION:
        raise InputError(f"{path} is a manifest of another version of PGT Toolkit.")
    try:
        return from_plain(RoundManifest, content)
    except InputError as error:
        raise InputError(f"{path} is no manifest of a pseudo-label round: {error}") from error
