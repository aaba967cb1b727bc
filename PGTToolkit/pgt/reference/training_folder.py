"""The folder that a reference model is trained in: what may happen to it, and what a failed training leaves.

Cheap to import: for a host that has another process train.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from pgt.errors import CheckpointError, InputError, OutputError
from pgt.reference.model_folder import CHECKPOINT, DESCRIPTION, FILES, PREPARED


def check_folder(folder: Path, resume: bool = False, force: bool = False) -> None:
    """Refuse a folder before anything is read.

    Args:
        folder: for the model.
        resume: a training that it holds is meant to go on.
        force: what it holds is meant to go.

    Raises:
        InputError: both were said.
        OutputError: there can be no such folder, or it holds a model or a training and neither was said.
        CheckpointError: it holds no training that could go on.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder for the model.")
    if not folder.exists() and not folder.absolute().parent.is_dir():
        raise OutputError(f"{folder} cannot be made: the folder {folder.parent} does not exist.")
    if resume and force:
        raise InputError("Either go on with the training (--resume) or begin it anew (--force).")
    if resume and not (folder / CHECKPOINT).exists():
        raise CheckpointError(f"{folder} holds no training that could go on: {CHECKPOINT} is missing.")
    held = [name for name in FILES if (folder / name).exists()]
    if held and not resume and not force:
        raise OutputError(
            f"{folder} holds a reference model or its training ({held[0]}); --resume goes on with it, "
            "--force begins anew."
        )


@contextlib.contextmanager
def tidied(folder: Path) -> Iterator[None]:
    """When training fails before anything was learnt, leave no half-made folder and no prepared slices."""
    made = not folder.exists()
    try:
        yield
    except BaseException:
        if not (folder / CHECKPOINT).exists():
            shutil.rmtree(folder if made else folder / PREPARED, ignore_errors=True)
            if not (folder / DESCRIPTION).exists():
                for name in FILES:
                    (folder / name).unlink(missing_ok=True)
        raise


def clear(folder: Path) -> None:
    """Remove the model or training that a folder holds, the description first: it is what makes a model."""
    for name in (DESCRIPTION, *FILES):
        (folder / name).unlink(missing_ok=True)
