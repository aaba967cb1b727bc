"""Outputs that are whole or absent: written beside their place, then renamed.

Whatever goes wrong in between, an existing file stays as it was and nothing half-written is left.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from pgt.errors import InputError, OutputError


def check_output(path: str | Path, overwrite: bool = False) -> Path:
    """Make sure that ``path`` may be written; worth calling before long work, too.

    Raises:
        OutputError: the file exists and must not be overwritten, or its folder is missing or write-protected.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path} cannot be written: it is a folder.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already and was left as it is.")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: the folder {path.parent} does not exist.")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path} cannot be written: the folder {path.parent} is write-protected.")
    return path


@contextlib.contextmanager
def whole_file(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A path to write to that becomes ``path`` when the block ends well, and vanishes when it does not.

    The path given to the block lies in the same folder and ends like ``path``, so that writers that choose a
    format by the file name choose the same.

    Raises:
        OutputError: as :func:`check_output`, or the disk is full, or the system refuses to write.
    """
    path = check_output(path, overwrite)
    beside = path.with_name(f".pgt-{uuid.uuid4().hex}-partial{_all_suffixes(path)}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {_reason(error)}.") from error
    except InputError as error:
        raise OutputError(str(error).replace(str(beside), str(path))) from error
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str, overwrite: bool = False) -> None:
    """Write UTF-8 text, whole or not at all."""
    with whole_file(path, overwrite) as beside:
        beside.write_text(text, encoding="utf-8")


def _all_suffixes(path: Path) -> str:
    """Everything from the first dot of a name such as ``case.seg.nrrd``."""
    return "".join(path.suffixes)


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "the disk is full"
    return (error.strerror or str(error)).lower()
