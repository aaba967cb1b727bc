"""Between :class:`~pgt.volume.Volume` and SimpleITK images.

SimpleITK counts positions in LPS and arrays as [k, j, i]; turning the signs of x and y and transposing
is all there is, so nothing is rounded.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from pgt.geometry import Geometry

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])

# SimpleITK has no such pixel types; the next larger type holds every value.
_WIDER_TYPES: dict[np.dtype[Any], np.dtype[Any]] = {
    np.dtype(bool): np.dtype(np.uint8),
    np.dtype(np.float16): np.dtype(np.float32),
}

_standard_error = threading.Lock()


def geometry_of(image: Any) -> Geometry:
    """The geometry of a 3D ``sitk.Image``, or of an ``sitk.ImageFileReader`` that has read a 3D header."""
    direction = np.array(image.GetDirection()).reshape(3, 3) * _LPS_TO_RAS[:, None]
    origin = np.array(image.GetOrigin()) * _LPS_TO_RAS
    return Geometry(image.GetSize(), image.GetSpacing(), tuple(origin), direction)


def voxels_of(image: sitk.Image) -> NDArray[Any]:
    """The voxels of a 3D SimpleITK image as an array [i, j, k] of its own."""
    voxels: NDArray[Any] = sitk.GetArrayFromImage(image).T
    return voxels


def image_of(voxels: NDArray[Any], geometry: Geometry) -> sitk.Image:
    """A SimpleITK image of an array [i, j, k] and its geometry."""
    voxels = voxels.astype(_WIDER_TYPES.get(voxels.dtype, voxels.dtype), copy=False)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(tuple(np.array(geometry.origin) * _LPS_TO_RAS))
    image.SetDirection((np.array(geometry.direction) * _LPS_TO_RAS[:, None]).ravel())
    return image


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what ITK's file libraries print off standard error.

    They write to the file descriptor itself, past ITK's warning switch and past ``sys.stderr``. What they
    have to say arrives as an exception as well, or is found by :mod:`pgt.file_integrity`.
    """
    with _standard_error, contextlib.ExitStack() as stack:
        try:
            kept = os.dup(2)
        except OSError:  # a windowed program may have no standard error
            yield
            return
        stack.callback(os.close, kept)
        stack.callback(os.dup2, kept, 2)
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
