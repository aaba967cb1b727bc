"""Reading and writing images and label maps: NIfTI, NRRD, ``.seg.nrrd``, MetaImage, DICOM series folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from pgt.errors import InputError, OutputError
from pgt.itk_images import geometry_of, image_of, voxels_of
from pgt.volume import LabelMap, Volume


def read_volume(path: str | Path) -> Volume:
    """Read an image."""
    image = _read(Path(path))
    return Volume(voxels_of(image), geometry_of(image))


def read_label_map(path: str | Path) -> LabelMap:
    """Read a label map."""
    image = _read(Path(path))
    voxels = voxels_of(image)
    if not np.issubdtype(voxels.dtype, np.integer):
        voxels = np.rint(voxels).astype(np.int32)
    return LabelMap.from_voxels(voxels, geometry_of(image))


def write_volume(volume: Volume, path: str | Path, overwrite: bool = False) -> None:
    """Write an image."""
    _write(image_of(volume.voxels, volume.geometry), Path(path), overwrite)


def write_label_map(label_map: LabelMap, path: str | Path, overwrite: bool = False) -> None:
    """Write a label map."""
    _write(image_of(label_map.voxels, label_map.geometry), Path(path), overwrite)


def _read(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read.") from error


def _write(image: sitk.Image, path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already.")
    sitk.WriteImage(image, str(path), useCompression=True)
