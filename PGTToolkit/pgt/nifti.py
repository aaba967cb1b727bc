"""What SimpleITK does not tell about a NIfTI file: that voxels are missing, and which were not finite.

Of a truncated file it makes a volume padded with zeros, it turns NaN and infinities into zero, and asked for
``a.nii.gz`` it reads ``a.nii`` if there is one, all in silence. So the header is read here as well, just far
enough to measure the file and to find those voxels, and a file with such a neighbour is read from elsewhere.
"""

from __future__ import annotations

import gzip
import math
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError

NIFTI_SUFFIXES = (".nii.gz", ".nii")

_NEIGHBOUR_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz")
_CHUNK_BYTES = 1 << 22
_GZIP_MAGIC = b"\x1f\x8b"
_HEADER_BYTES = 348
_NIFTI2_HEADER_BYTES = 540
_FLOAT_TYPES = {16: "f4", 64: "f8"}


@dataclass(frozen=True)
class NiftiLayout:
    """How the voxels are stored.

    Args:
        voxel_bytes: bytes of all voxels.
        float_type: number type of voxels stored as real floating point numbers, None for any others.
    """

    voxel_bytes: int
    float_type: np.dtype[Any] | None


def check_nifti(path: Path) -> None:
    """Refuse a file that is shorter than its header says.

    Raises:
        InputError: the header is damaged or voxels are missing.
        EOFError, zlib.error, gzip.BadGzipFile: the compressed part is cut or damaged.
    """
    with _unpacked(path) as file:
        layout = _layout(path, file)
        # To the very end, so that the checksum is compared as well.
        present = sum(len(chunk) for chunk in _chunks(file))
    if present < layout.voxel_bytes:
        raise InputError(f"{path} is truncated: it holds {present} of {layout.voxel_bytes} bytes of voxels.")


def unfinite_voxels(path: Path) -> tuple[NDArray[np.int64], NDArray[np.floating[Any]]]:
    """NaN and infinite voxels of a file: their places in the file's order, i fastest, and their values."""
    places, values = [np.empty(0, np.int64)], [np.empty(0, np.float64)]
    with _unpacked(path) as file:
        layout = _layout(path, file)
        if layout.float_type is not None:
            start = 0
            for chunk in _chunks(file, layout.voxel_bytes):
                numbers = np.frombuffer(chunk, layout.float_type)
                found = np.flatnonzero(~np.isfinite(numbers))
                places.append(found + start)
                values.append(numbers[found].astype(np.float64))
                start += numbers.size
    return np.concatenate(places), np.concatenate(values)


@contextmanager
def without_neighbours(path: Path) -> Iterator[Path]:
    """A path at which SimpleITK finds this file and not another of nearly the same name."""
    suffix = next((suffix for suffix in NIFTI_SUFFIXES if path.name.lower().endswith(suffix)), "")
    stem = path.name[: len(path.name) - len(suffix)]
    neighbours = {path.with_name(stem + other) for other in _NEIGHBOUR_SUFFIXES} - {path}
    if not suffix or not any(neighbour.exists() for neighbour in neighbours):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="pgt-") as folder:
        elsewhere = Path(folder) / f"image{suffix}"
        try:
            elsewhere.symlink_to(path.absolute())
        except OSError:  # Windows grants links to developers only
            shutil.copyfile(path, elsewhere)
        yield elsewhere


@contextmanager
def _unpacked(path: Path) -> Iterator[BinaryIO]:
    """The file's content, decompressed if it is compressed, whatever its name says."""
    with path.open("rb") as packed:
        compressed = packed.read(2) == _GZIP_MAGIC
        packed.seek(0)
        if not compressed:
            yield packed
            return
        with gzip.open(packed) as file:
            yield cast(BinaryIO, file)


def _layout(path: Path, file: BinaryIO) -> NiftiLayout:
    """The layout by the header; leaves ``file`` at the first voxel."""
    header = file.read(_HEADER_BYTES)
    for order in "<>":
        size = struct.unpack(f"{order}i", header[:4])[0] if len(header) == _HEADER_BYTES else 0
        if size == _NIFTI2_HEADER_BYTES:
            raise InputError(f"{path} is NIfTI-2, which is not supported; save it as NIfTI-1 or NRRD.")
        if size != _HEADER_BYTES:
            continue
        dimensions = struct.unpack(f"{order}8h", header[40:56])
        number_type, bits = struct.unpack(f"{order}2h", header[70:74])
        (offset,) = struct.unpack(f"{order}f", header[108:112])
        if 1 <= dimensions[0] <= 7 and math.isfinite(offset) and offset >= 0:
            file.seek(int(offset))
            float_type = _FLOAT_TYPES.get(number_type)
            return NiftiLayout(
                voxel_bytes=math.prod(dimensions[1 : dimensions[0] + 1]) * bits // 8,
                float_type=np.dtype(order + float_type) if float_type else None,
            )
    raise InputError(f"{path} is not a NIfTI file, or its header is damaged.")


def _chunks(file: BinaryIO, limit: int | None = None) -> Iterator[bytes]:
    """The rest of a file, or its next ``limit`` bytes, in pieces of whole voxels."""
    while chunk := file.read(_CHUNK_BYTES if limit is None else min(_CHUNK_BYTES, limit)):
        limit = None if limit is None else limit - len(chunk)
        yield chunk
