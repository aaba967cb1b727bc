"""Checksums as ``sha256sum -c`` reads them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from pgt.errors import InputError
from pgt.output_files import write_text

CHECKSUMS = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_CHUNK_BYTES = 1 << 22


def sha256_of(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    return digest.hexdigest()


def sha256_of_folder(folder: Path) -> str:
    """One SHA-256 for the files of a folder, whatever they are called."""
    digests = sorted(sha256_of(file) for file in folder.iterdir() if file.is_file())
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def write_checksums(folder: Path, sums: Mapping[str, str]) -> None:
    """Write ``SHA256SUMS`` into a folder; names are relative to it, with ``/`` on every system."""
    text = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    write_text(folder / CHECKSUMS, text, overwrite=True)


def read_checksums(folder: Path) -> dict[str, str]:
    """Checksum by name; empty where there is no list.

    Raises:
        InputError: the list is damaged.
    """
    path = folder / CHECKSUMS
    if not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _LINE.fullmatch(line)
        if not match:
            raise InputError(f"{path} is no list of checksums.")
        found[match[2]] = match[1]
    return found
