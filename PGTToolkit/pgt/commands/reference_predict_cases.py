"""``pgt reference predict --cases``: every image of a table, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgt.case_table import CaseRow, read_case_table
from pgt.commands.case_lists import ListOrder, run_list
from pgt.commands.reference_predict import PredictionFiles, PredictionOptions, predict_files, weights_of
from pgt.errors import PGTError
from pgt.plain_data import to_plain
from pgt.scale.case_runs import ScaleSettings
from pgt.scale.case_task import CaseTask

REPORT = "report.json"


@dataclass(frozen=True)
class ListOptions:
    """What holds for every case.

    Args:
        options: of the prediction.
        table: that lists the cases.
        named: whether the model names its structures, which only NRRD files keep.
        sha256: of the model's weights, by file.
    """

    options: PredictionOptions
    table: Path
    named: bool
    sha256: Mapping[str, str]

    @property
    def label(self) -> str:
        """The name of a case's label map."""
        return "label.seg.nrrd" if self.named else "label.nii.gz"


@dataclass(frozen=True)
class CasePrediction:
    """One case, with what holds for it."""

    image: Path
    options: ListOptions


def predict_list(table: Path, options: PredictionOptions, settings: ScaleSettings) -> None:
    """Run a table.

    Raises:
        InputError: the table cannot be used.
        CheckpointError: there is no such model.
        PGTError: as `pgt.commands.case_lists.run_list`.
    """
    from pgt.reference.reference_card import read_card
    from pgt.volume import Segment

    rows = read_case_table(table, needed=("case", "image"))
    card = read_card(options.model)
    named = any(
        Segment.numbered(value).name != name for value, name in zip(card.values, card.names, strict=True)
    )
    # Workers elsewhere have other working folders.
    found = replace(options, model=options.model.absolute())
    shared = ListOptions(found, table, named, weights_of(options.model))
    run_list(
        ListOrder(
            command="reference predict",
            table=table,
            rows=rows,
            prepare=prepare,
            options=shared,
            settings=settings,
            labels=tuple(shared.label for _ in rows),
        )
    )


def prepare(options: ListOptions, rows: Sequence[CaseRow]) -> list[CaseTask]:
    """The tasks of a table. Raises InputError where the list cannot be used."""
    from pgt.scale.case_list_checks import check_files

    check_files(options.table, [replace(row, label=None) for row in rows])
    return [_task(options, row) for row in rows]


def predict_case(case: CasePrediction, folder: Path) -> Mapping[str, Any]:
    """Segment one case; runs in a worker."""
    shared = case.options
    if weights_of(shared.options.model) != shared.sha256:
        raise PGTError(
            f"The model {shared.options.model} is another one on this worker than where the run began."
        )
    files = PredictionFiles(shared.options, case.image, folder / shared.label, None, folder / REPORT)
    summary = predict_files(lambda step: None, files)
    return {"summary": summary.sentence, "messages": list(summary.messages)}


def _task(options: ListOptions, row: CaseRow) -> CaseTask:
    case = CasePrediction(row.image.absolute(), options)
    left_out = ("model", "device")
    chosen = {name: value for name, value in to_plain(options.options).items() if name not in left_out}
    return CaseTask(
        case=row.case,
        function=predict_case,
        arguments=case,
        inputs={"image": case.image},
        settings={"command": "reference predict", **chosen, "sha256": dict(options.sha256)},
        outputs=(options.label, REPORT),
    )
