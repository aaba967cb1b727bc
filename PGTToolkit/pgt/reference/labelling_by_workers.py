"""Pseudo-labels of many cases by several workers, here or on a cluster: each labels whole cases.

The models are those of a round's folder, which the workers read; training stays where it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from pgt.case_table import CaseRow
from pgt.errors import OutputError, PGTError
from pgt.output_files import write_text
from pgt.plain_data import to_plain
from pgt.propagation.fillers import choose_device
from pgt.reference.pseudo_label_manifest import scored_case
from pgt.reference.pseudo_labels import pseudo_label
from pgt.reference.reference_model import ReferenceModel
from pgt.scale.case_runs import ScaleSettings, run_cases
from pgt.scale.case_task import CaseOutcome, CaseTask
from pgt.volume_io import read_volume, write_label_map

_RECORD = "score.json"
_SHOWN = 3


@dataclass(frozen=True)
class Labelling:
    """What holds for all cases of a round.

    Args:
        models: folders of the round's models.
        device: where they run.
        suffix: of label maps.
    """

    models: tuple[Path, ...]
    device: str
    suffix: str


@dataclass(frozen=True)
class CaseToLabel:
    """One case, with what holds for all."""

    case: str
    image: Path
    labelling: Labelling


def label_by_workers(
    rows: Sequence[CaseRow],
    labelling: Labelling,
    folder: Path,
    scale: ScaleSettings,
    on_case: Callable[[int], None],
) -> None:
    """Label cases; their label maps and, last, their scores appear in ``folder`` as they come.

    Args:
        rows: the cases.
        labelling: how.
        folder: an existing folder; ``<case>.json`` there says that a case is done.
        scale: where; its folder is a new one for what is under way.
        on_case: told how many cases have ended.

    Raises:
        PGTError: some cases could not be labelled, or the run was stopped; the others are done.
    """
    ended: list[str] = []

    def put(outcome: CaseOutcome) -> None:
        ended.append(outcome.case)
        if outcome.good:
            made, name = scale.folder / outcome.case, outcome.case + labelling.suffix
            try:
                (made / name).replace(folder / name)
                (made / _RECORD).replace(folder / f"{outcome.case}.json")
            except OSError as error:
                raise OutputError(f"{folder / name} cannot be written: {error.strerror}.") from error
        on_case(len(ended))

    run = run_cases([_task(row, labelling) for row in rows], scale, put)
    if run.stopped:
        raise PGTError(f"{run.stopped} {run.count('done')} of {len(rows)} cases were labelled.")
    failed = [f"{one.case}: {one.reason}" for one in run.outcomes if not one.good]
    if failed:
        more = f" And {len(failed) - _SHOWN} more." if len(failed) > _SHOWN else ""
        raise PGTError(
            f"{len(failed)} of {len(rows)} cases could not be labelled, the others are. "
            f"{' '.join(failed[:_SHOWN])}{more}"
        )


def label_case(order: CaseToLabel, folder: Path) -> Mapping[str, Any]:
    """Label one case; runs in a worker."""
    labelling = order.labelling
    made = pseudo_label(_models(labelling.models, labelling.device), read_volume(order.image))
    path = folder / (order.case + labelling.suffix)
    write_label_map(made.label_map, path)
    entry = scored_case(order.case, made.score, path)
    write_text(folder / _RECORD, json.dumps(to_plain(entry), indent=1) + "\n")
    return {"score": entry.score}


@lru_cache(maxsize=1)
def _models(folders: tuple[Path, ...], device: str) -> tuple[ReferenceModel, ...]:
    """The models of a round, kept from case to case."""
    place = torch.device(choose_device(device))
    return tuple(ReferenceModel.load(folder, place) for folder in folders)


def _task(row: CaseRow, labelling: Labelling) -> CaseTask:
    image = row.image.resolve()
    own = replace(labelling, models=tuple(folder.resolve() for folder in labelling.models))
    return CaseTask(
        case=row.case,
        function=label_case,
        arguments=CaseToLabel(row.case, image, own),
        inputs={"image": image},
        settings={},
        outputs=(row.case + labelling.suffix, _RECORD),
    )
