"""``pgt propagate --cases``: every case of a table, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgt.case_table import CaseRow, read_case_table
from pgt.commands.case_lists import ListOrder, run_list
from pgt.commands.choices import Axis, DeviceName, MethodName, slice_indices
from pgt.errors import InputError, PGTError
from pgt.scale.case_runs import ScaleSettings
from pgt.scale.case_task import CaseTask

REPORT = "report.json"
_OWN_COLUMNS = ("slices", "axis")


@dataclass(frozen=True)
class PropagationOptions:
    """What holds for every case, as in `pgt.commands.propagate.propagate`; a case's own columns come first.

    Args:
        uncertainty: name of the file for the uncertainty in each case's folder; None for none.
        model_sha256: of the weights that ``model`` means here; empty where no network is used.
        styles_sha256: of the style model; empty without one.
    """

    slices: tuple[int, ...] | None
    axis: int | None
    method: MethodName
    model: str
    device: DeviceName
    uncertainty: str | None
    styles: Path | None
    table: Path
    model_sha256: str = ""
    styles_sha256: str = ""


@dataclass(frozen=True)
class CasePropagation:
    """One case, with what holds for it."""

    image: Path
    annotation: Path
    slices: tuple[int, ...] | None
    axis: int | None
    label: str
    options: PropagationOptions


def propagate_list(table: Path, options: PropagationOptions, settings: ScaleSettings) -> None:
    """Run a table. Raises as `pgt.commands.case_lists.run_list`."""
    rows = read_case_table(table, needed=("case", "image", "label"))
    options = _found_from_anywhere(options)
    for row in rows:
        row_slices(table, row), row_axis(table, row)
    run_list(
        ListOrder(
            command="propagate",
            table=table,
            rows=rows,
            prepare=prepare,
            options=options,
            settings=settings,
            labels=tuple(label_name(row) for row in rows),
            left_out=_OWN_COLUMNS,
        )
    )


def prepare(options: PropagationOptions, rows: Sequence[CaseRow]) -> list[CaseTask]:
    """The tasks of a table. Raises InputError where the list cannot be used, CheckpointError for a model."""
    from pgt.scale.case_list_checks import check_files, check_label_names

    check_files(options.table, rows)
    check_label_names([row.label for row in rows if row.label])
    options = _with_hashes(options)
    return [_task(options, row) for row in rows]


def propagate_case(case: CasePropagation, folder: Path) -> Mapping[str, Any]:
    """Propagate one case; runs in a worker."""
    from pgt.commands.propagate import PropagationFiles, propagate_files

    options = case.options
    if _with_hashes(options) != options:
        raise PGTError(f"The model {options.model} is another one on this worker than where the run began.")
    report = folder / REPORT
    summary = propagate_files(
        lambda step: None,
        PropagationFiles(
            image=case.image,
            annotation=case.annotation,
            slices=case.slices,
            axis=case.axis,
            method=options.method,
            model=options.model,
            device=options.device,
            output=folder / case.label,
            uncertainty=folder / options.uncertainty if options.uncertainty else None,
            report=report,
            styles=options.styles,
        ),
    )
    return {"summary": summary.sentence, "messages": list(summary.messages)}


def label_name(row: CaseRow) -> str:
    """The name of a case's label map: of the annotation's kind, so that names of segments are kept."""
    named = row.label is not None and row.label.name.lower().endswith(".nrrd")
    return "label.seg.nrrd" if named else "label.nii.gz"


def row_slices(table: Path, row: CaseRow) -> tuple[int, ...] | None:
    """A case's own annotated slices: ``12,40,77`` or ``12 40 77``. Raises InputError."""
    text = row.others.get("slices", "")
    try:
        return slice_indices(",".join(text.replace(",", " ").replace(";", " ").split()) or None)
    except InputError as error:
        raise InputError(
            f"{table}, case {row.case}: slices are whole numbers from 0 such as 12 40 77, not {text!r}."
        ) from error


def row_axis(table: Path, row: CaseRow) -> int | None:
    """A case's own axis. Raises InputError."""
    text = row.others.get("axis", "").lower()
    if text and text not in {axis.value for axis in Axis}:
        raise InputError(f"{table}, case {row.case}: the axis is i, j or k, not {text!r}.")
    return Axis(text).number if text else None


def _task(options: PropagationOptions, row: CaseRow) -> CaseTask:
    assert row.label is not None
    axis = row_axis(options.table, row)
    slices = row_slices(options.table, row)
    case = CasePropagation(
        image=row.image.absolute(),
        annotation=row.label.absolute(),
        slices=options.slices if slices is None else slices,
        axis=options.axis if axis is None else axis,
        label=label_name(row),
        options=options,
    )
    return CaseTask(
        case=row.case,
        function=propagate_case,
        arguments=case,
        inputs={"image": case.image, "annotation": case.annotation},
        settings={
            "command": "propagate",
            "slices": case.slices,
            "axis": case.axis,
            "method": options.method,
            "model": options.model_sha256,
            "style model": options.styles_sha256,
            "uncertainty": options.uncertainty,
        },
        outputs=tuple(filter(None, (case.label, REPORT, options.uncertainty))),
    )


def _found_from_anywhere(options: PropagationOptions) -> PropagationOptions:
    """The options with absolute paths: workers elsewhere have other working folders."""
    model = Path(options.model)
    is_path = model.is_file() or (len(model.parts) > 1 and model.exists())
    return replace(
        options,
        model=str(model.absolute()) if is_path else options.model,
        styles=options.styles and options.styles.absolute(),
    )


def _with_hashes(options: PropagationOptions) -> PropagationOptions:
    """The options with the hashes of the models that they mean on this machine. Raises PGTError."""
    from pgt.propagation.checkpoints import sha256_of, weights_path

    model = styles = ""
    if options.method in ("auto", "network"):
        model = sha256_of(weights_path(options.model))
    if options.styles:
        from pgt.styles.model_card import read_card
        from pgt.styles.model_folder import WEIGHTS

        read_card(options.styles)
        styles = sha256_of(options.styles / WEIGHTS)
    return replace(options, model_sha256=model, styles_sha256=styles)
