"""What SimpleITK does not tell about a NIfTI file: that voxels are missing, and which were not finite.

Of a truncated file it makes a volume padded with zeros, and it turns NaN and infinities into zero, both in
silence. So the header is read here as well, just far enough to measure the file and to find those voxels.
"""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError

_CHUNK_BYTES = 1 << 22
_GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_HEADER = 540
_FLOAT_TYPES = {16: "f4", 64: "f8"}


@dataclass(frozen=True)
class NiftiLayout:
    """How the voxels are stored.

    Args:
        offset: bytes before the first voxel.
        voxel_bytes: bytes of all voxels.
        float_type: number type of voxels stored as real floating point numbers, None for any others.
    """

    offset: int
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
            for chunk in _chunks(file):
                usable = len(chunk) - len(chunk) % layout.float_type.itemsize
                numbers = np.frombuffer(chunk[:usable], layout.float_type)
                found = np.flatnonzero(~np.isfinite(numbers))
                places.append(found + start)
                values.append(numbers[found].astype(np.float64))
                start += numbers.size
            voxel_count = layout.voxel_bytes // layout.float_type.itemsize
            inside = np.concatenate(places) < voxel_count
            return np.concatenate(places)[inside], np.concatenate(values)[inside]
    return places[0], values[0]


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
    """The layout by the NIfTI-1 or NIfTI-2 header; leaves ``file`` at the first voxel."""
    header = file.read(_LONGEST_HEADER)
    for order in "<>":
        size = struct.unpack(f"{order}i", header[:4])[0] if len(header) > 4 else 0
        if size == 348 <= len(header):
            dimensions = struct.unpack(f"{order}8h", header[40:56])
            number_type, bits = struct.unpack(f"{order}2h", header[70:74])
            (offset,) = struct.unpack(f"{order}f", header[108:112])
        elif size == 540 <= len(header):
            number_type, bits = struct.unpack(f"{order}2h", header[12:16])
            dimensions = struct.unpack(f"{order}8q", header[16:80])
            (offset,) = struct.unpack(f"{order}q", header[168:176])
        else:
            continue
        if 1 <= dimensions[0] <= 7 and math.isfinite(offset) and offset >= 0:
            file.seek(int(offset))
            float_type = _FLOAT_TYPES.get(number_type)
            return NiftiLayout(
                offset=int(offset),
                voxel_bytes=math.prod(dimensions[1 : dimensions[0] + 1]) * bits // 8,
                float_type=np.dtype(order + float_type) if float_type else None,
            )
    raise InputError(f"{path} is not a NIfTI file, or its header is damaged.")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
