"""What to train and where the model goes; cheap to import, to make and to check."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pgt.case_table import CaseRow
from pgt.errors import CheckpointError, InputError, OutputError
from pgt.geometry import Vector
from pgt.styles.model_folder import CHECKPOINT, FILES, PLAN, PREPARED
from pgt.styles.training_settings import StyleTrainingSettings

SizeName = Literal["small", "factored", "published"]


@dataclass(frozen=True)
class TrainingOrder:
    """What to train.

    Args:
        rows: of the table.
        folder: for the model; made where missing.
        size: of the model.
        spacing: of the network's voxels in mm, towards right, anterior and superior; chosen by default.
        values: label values to learn; all by default.
        latent: dimensions of the latent vectors.
        settings: how to train; a device "auto" is chosen when training begins. For a training that goes on,
            only the device and how often to write checkpoints count.
        epochs: at most; by default as many as the number of cases asks for, or as the training began with.
        resume: go on with the training in the folder.
        force: begin anew in a folder that holds a model or a training.
    """

    rows: tuple[CaseRow, ...]
    folder: Path
    size: SizeName = "small"
    spacing: Vector | None = None
    values: tuple[int, ...] | None = None
    latent: int = 2
    settings: StyleTrainingSettings = field(default_factory=StyleTrainingSettings)
    epochs: int | None = None
    resume: bool = False
    force: bool = False


def check_order(order: TrainingOrder) -> None:
    """Refuse what can be refused before anything is read.

    Raises:
        InputError: the table lacks something, or the folder holds a model or training and it was not said
            what shall become of it.
        OutputError: there can be no such folder.
        CheckpointError: the folder holds no training that could go on.
    """
    check_rows(order.rows)
    folder = order.folder
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder for the model.")
    if not folder.exists() and not folder.absolute().parent.is_dir():
        raise OutputError(f"{folder} cannot be made: the folder {folder.parent} does not exist.")
    if order.epochs is not None and order.epochs < 1:
        raise InputError(f"The epochs must be at least 1, not {order.epochs}.")
    if order.resume and order.force:
        raise InputError("Either go on with the training (--resume) or begin it anew (--force).")
    if order.resume and not (folder / CHECKPOINT).exists():
        raise CheckpointError(f"{folder} holds no training that could go on: {CHECKPOINT} is missing.")
    held = [name for name in FILES if (folder / name).exists()]
    if held and not order.resume and not order.force:
        raise OutputError(
            f"{folder} holds a style model or its training ({held[0]}); --resume goes on with it, --force "
            "begins anew."
        )


def check_rows(rows: Sequence[CaseRow]) -> None:
    """Refuse a table that no style can be learnt from, by what it says itself. Raises InputError."""
    if len(rows) < 2:
        raise InputError("Styles are learnt by comparing cases; one case alone has none. List two or more.")
    without = [row.case for row in rows if row.label is None]
    if without:
        raise InputError(f"The table names no label map for {listed(without)}; every case needs one.")
    for row in rows:
        for path in (row.image, row.label):
            if path is not None and not path.exists():
                raise InputError(f"{path} (case {row.case}) does not exist.")


def listed(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


@contextlib.contextmanager
def tidied(order: TrainingOrder) -> Iterator[None]:
    """When training fails before anything was learnt, leave the folder as it was, or none half-made.

    Training does so by itself; this is for whoever trains in another process, which may be killed.
    """
    folder, prepared = order.folder, order.folder / PREPARED
    made = not folder.exists()
    held = {name for name in FILES if (folder / name).exists()}
    try:
        yield
    except BaseException:
        begun = (prepared / PLAN).exists()
        learnt = begun and (folder / CHECKPOINT).exists()
        # What was prepared stays with a checkpoint: both are needed to go on.
        if not learnt and not (held and not order.force):
            shutil.rmtree(folder if made else prepared, ignore_errors=True)
            for name in FILES if begun and not made else ():
                (folder / name).unlink(missing_ok=True)
        raise
