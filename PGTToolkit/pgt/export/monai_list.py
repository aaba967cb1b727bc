"""MONAI data lists: ``datalist.json`` beside ``images`` and ``labels``, for ``load_decathlon_datalist``."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence

from pgt.export.case_state import CaseState
from pgt.export.export_settings import ExportSettings
from pgt.export.labels import IGNORE, ExportLabel

DATALIST = "datalist.json"
FILE_ENDING = ".nii.gz"


def image_place(case: str) -> str:
    """Where a case's image goes, under the folder of the format."""
    return f"images/{case}{FILE_ENDING}"


def label_place(case: str) -> str:
    """Where a case's label goes, under the folder of the format."""
    return f"labels/{case}{FILE_ENDING}"


def dealt_to_folds(cases: Sequence[CaseState], folds: int, seed: int) -> Mapping[str, int]:
    """The fold of every training case by name: equal in size as far as groups that stay together allow.

    The groups are shuffled and go to the fold with fewest cases, large groups first. The same cases, folds
    and seed always give the same.
    """
    groups: dict[str, list[str]] = {}
    for case in cases:
        if not case.testing:
            groups.setdefault(f"group {case.group}" if case.group else f"case {case.case}", []).append(
                case.case
            )
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -len(groups[group]))
    sizes = [0] * folds
    dealt: dict[str, int] = {}
    for group in order:
        fold = sizes.index(min(sizes))
        sizes[fold] += len(groups[group])
        dealt |= dict.fromkeys(groups[group], fold)
    return dealt


def datalist_json(
    cases: Sequence[CaseState], labels: Sequence[ExportLabel], channel: str, settings: ExportSettings
) -> str:
    """The list.

    Args:
        cases: all that are exported, in their order.
        labels: in the order of their values.
        channel: what the images are.
        settings: of the export.
    """
    dealt = dealt_to_folds(cases, settings.folds, settings.seed)
    names = {"0": "background", **{str(label.value): label.name for label in labels}}
    if settings.ignore_unannotated:
        names[str(len(labels) + 1)] = IGNORE
    training = [{**_entry(case), "fold": dealt[case.case]} for case in cases if not case.testing]
    testing = [_entry(case) for case in cases if case.testing]
    content = {
        "name": settings.dataset_name,
        "modality": {"0": channel},
        "labels": names,
        "numTraining": len(training),
        "numTest": len(testing),
        "training": training,
        "testing": testing,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _entry(case: CaseState) -> dict[str, str]:
    return {"image": image_place(case.case), "label": label_place(case.case)}
