"""Is the file as long as its header promises?

SimpleITK fills what is missing from a truncated NIfTI or a damaged compressed MetaImage with zeros and says
nothing, or prints a line that nobody sees. It reads a damaged gzip stream of an NRRD as if it were whole, and
does not notice that the end of an NRRD was not written. A label map cut in half must not pass for a whole
one, so the payload is measured here before an image is read and after one is written.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pgt.errors import InputError
from pgt.nifti import NIFTI_SUFFIXES, check_nifti

_CHUNK_BYTES = 1 << 22
_METAIMAGE_TYPE_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
    "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
_NRRD_TYPE_BYTES = {
    name: size
    for size, names in {
        1: ("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"),
        2: ("short", "short int", "signed short", "signed short int", "int16", "int16_t",
            "ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
        4: ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"),
        8: ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64",
            "int64_t", "ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t",
            "double"),
    }.items()
    for name in names
}  # fmt: skip


def check_complete(path: Path) -> None:
    """Refuse a NIfTI, MetaImage or NRRD file that lacks voxels.

    Raises:
        InputError: the file is empty, truncated, damaged within its compressed part, or has no valid header.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty.")
    name = path.name.lower()
    try:
        if name.endswith(NIFTI_SUFFIXES):
            check_nifti(path)
        elif name.endswith((".mha", ".mhd")):
            _check_metaimage(path)
        elif name.endswith(".nrrd"):
            _check_nrrd(path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is truncated or damaged.") from error


def _check_metaimage(path: Path) -> None:
    """A compressed MetaImage; SimpleITK itself refuses an uncompressed one that is too short."""
    with path.open("rb") as file:
        header = _metaimage_header(path, file)
        if header.get("CompressedData", "False").lower() != "true":
            return
        if header["ElementDataFile"] == "LOCAL":
            present = _inflated_bytes(file)
        else:
            try:
                with (path.parent / header["ElementDataFile"]).open("rb") as data:
                    present = _inflated_bytes(data)
            except OSError as error:
                raise InputError(f"{path} lacks its data file {header['ElementDataFile']}.") from error
    element = _METAIMAGE_TYPE_BYTES.get(header.get("ElementType", "").removeprefix("MET_"), 1)
    channels = int(header.get("ElementNumberOfChannels", "1"))
    expected = math.prod(int(size) for size in header.get("DimSize", "0").split()) * element * channels
    if present < expected:
        raise InputError(f"{path} is truncated: it holds {present} of {expected} bytes.")


def _metaimage_header(path: Path, file: BinaryIO) -> dict[str, str]:
    """The header's entries; leaves ``file`` at the first byte after it."""
    header: dict[str, str] = {}
    while "ElementDataFile" not in header:
        line = file.readline(_CHUNK_BYTES)
        name, separator, value = line.decode("latin-1").partition("=")
        if not separator:
            raise InputError(f"{path} is not a MetaImage file, or its header is damaged.")
        header[name.strip()] = value.strip()
    return header


def _check_nrrd(path: Path) -> None:
    """An NRRD with its voxels in the same file, gzip or raw; SimpleITK itself checks the others."""
    with path.open("rb") as file:
        header = _nrrd_header(path, file)
        element = _NRRD_TYPE_BYTES.get(header.get("type", ""))
        if element is None or {"data file", "datafile", "line skip", "byte skip"} & set(header):
            return
        if header.get("encoding") in ("gzip", "gz"):
            with gzip.GzipFile(fileobj=file) as voxels:
                present = sum(len(chunk) for chunk in _chunks(voxels))
        elif header.get("encoding") == "raw":
            present = path.stat().st_size - file.tell()
        else:
            return
    expected = math.prod(int(size) for size in header.get("sizes", "0").split()) * element
    if present < expected:
        raise InputError(f"{path} is truncated: it holds {present} of {expected} bytes.")


def _nrrd_header(path: Path, file: BinaryIO) -> dict[str, str]:
    """The header's fields, in lower case; leaves ``file`` at the first byte after the blank line."""
    if not file.readline(_CHUNK_BYTES).startswith(b"NRRD"):
        raise InputError(f"{path} is not an NRRD file.")
    header: dict[str, str] = {}
    while (line := file.readline(_CHUNK_BYTES)).strip():
        name, separator, value = line.decode("utf-8", "replace").partition(": ")
        if separator and not line.startswith(b"#"):
            header[name.strip().lower()] = value.strip().lower()
    if not line:
        raise InputError(f"{path} is truncated within its header.")
    return header


def _inflated_bytes(file: BinaryIO) -> int:
    inflater = zlib.decompressobj()
    total = sum(len(inflater.decompress(chunk)) for chunk in _chunks(file))
    if not inflater.eof:
        raise EOFError
    return total


def _chunks(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
