"""NIfTI files written byte by byte after the standard, so that no library stands between test and truth."""

from __future__ import annotations

import struct

import numpy as np

_TYPE_CODES = {np.dtype(np.int16): 4, np.dtype(np.float32): 16}


def nifti_file(voxels: np.ndarray, affine: np.ndarray, order: str = "<") -> bytes:
    """The content of a ``.nii`` file with an sform and no qform.

    Args:
        voxels: int16 or float32 array [i, j, k].
        affine: 4x4 IJK to RAS matrix.
        order: ``"<"`` for little, ``">"`` for big endian.
    """
    header = bytearray(352)
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}8h", header, 40, 3, *voxels.shape, 1, 1, 1, 1)
    struct.pack_into(f"{order}2h", header, 70, _TYPE_CODES[voxels.dtype], 8 * voxels.itemsize)
    struct.pack_into(f"{order}8f", header, 76, 1, *np.linalg.norm(affine[:3, :3], axis=0), 0, 0, 0, 0)
    struct.pack_into(f"{order}f", header, 108, len(header))
    header[123] = 2  # millimetres
    struct.pack_into(f"{order}2h", header, 252, 0, 1)
    struct.pack_into(f"{order}12f", header, 280, *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header) + voxels.astype(voxels.dtype.newbyteorder(order)).tobytes(order="F")
