"""Reading and writing images and label maps.

NIfTI (``.nii``, ``.nii.gz``), NRRD (``.nrrd``, ``.nhdr``, and ``.seg.nrrd`` with Slicer's segments),
MetaImage (``.mha``, ``.mhd``) and, for reading images, a folder with one DICOM series.

NRRD and MetaImage give the geometry back to the last digit. NIfTI keeps it in float32: directions and
spacing come back within 1e-7 of their size, the origin within 1e-4 mm at 1 m from the scanner's centre, and
what was read from NIfTI is written to NIfTI without further loss.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from pgt.annotation import SliceLedger
from pgt.dicom_series import is_dicom, read_series, series_geometry
from pgt.errors import InputError, OutputError
from pgt.file_integrity import check_complete
from pgt.geometry import Geometry
from pgt.itk_images import geometry_of, image_of, quiet_libraries, voxels_of
from pgt.nifti import NIFTI_SUFFIXES, unfinite_voxels, without_neighbours
from pgt.output_files import whole_file
from pgt.resampling import placed_on
from pgt.segmentation_nrrd import (
    has_segments,
    merged_layers,
    metadata_of,
    metadata_of_layers,
    reference_geometry,
    separate_layers,
    stored_segments,
)
from pgt.volume import LabelMap, Volume

READABLE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
WRITABLE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")

_log = logging.getLogger(__name__)

_LABEL_TYPES = (np.uint8, np.uint16, np.uint32)


@dataclass(frozen=True, eq=False)
class LayeredSegmentation:
    """A segmentation whose segments may overlap.

    Args:
        layers: label maps on one grid, each with its own segments; a value may occur in several layers.
        named: whether the file names its segments, so that a segment without voxels is there as well.
        slice_states: slice states of segments by segment ID, for those that have any.
    """

    layers: tuple[LabelMap, ...]
    named: bool
    slice_states: Mapping[str, SliceLedger]


def read_volume(path: str | Path) -> Volume:
    """Read a scalar image.

    Args:
        path: an image file, or a folder that holds one DICOM series.

    Returns:
        The image in the type that the file stores, rescale slopes of DICOM and NIfTI applied. NaN becomes
        the smallest finite value and an infinite voxel the smallest or largest, with a logged warning.

    Raises:
        InputError: the path is missing, damaged, truncated, of an unknown format, 2D, 4D or in colour.
    """
    path = Path(path)
    if is_dicom(path):
        volume = read_series(path)
        return Volume(_finite(path, volume.voxels), volume.geometry)
    image = _read_image(path)
    return Volume(_finite(path, _scalars(path, image)), geometry_of(image))


def read_geometry(path: str | Path) -> Geometry:
    """The geometry of an image from its header; missing voxels are only found by :func:`read_volume`.

    Raises:
        InputError: the path is missing, of an unknown format, 2D or 4D, or its header is damaged.
    """
    path = Path(path)
    if is_dicom(path):
        return series_geometry(path)
    _check_format(path)
    reader = sitk.ImageFileReader()
    try:
        with quiet_libraries(), without_neighbours(path) as alone:
            reader.SetFileName(str(alone))
            reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(_reading_failed(path, error)) from error
    if reader.GetDimension() != 3:
        return geometry_of(_read_image(path))
    return _named(path, reader)


def read_label_map(path: str | Path) -> LabelMap:
    """Read a label map, with Slicer's segments where the file has them.

    A ``.seg.nrrd`` that Slicer cropped to its segments comes back on the geometry it was drawn on. Segments
    in several layers become one label map if they do not overlap; where two layers use the same value, the
    segments are numbered from 1 in their order.

    Args:
        path: an image file.

    Returns:
        Labels in the smallest unsigned integer type that holds them.

    Raises:
        InputError: as :func:`read_volume`; or the file holds fractions or negative numbers, or its segments
            overlap.
    """
    path = Path(path)
    image, metadata = _read_labelled_image(path)
    if has_segments(metadata):
        return _read_segmentation(path, image, metadata)
    return LabelMap.from_voxels(_labels(path, _scalars(path, image)), geometry_of(image))


def read_layers(path: str | Path) -> LayeredSegmentation:
    """Read a segmentation whose segments may overlap, with the slice states that PGT Toolkit keeps in it.

    Args:
        path: an image file, as for :func:`read_label_map`.

    Returns:
        One layer for a plain label map, all layers of a ``.seg.nrrd``, on the geometry it was drawn on.

    Raises:
        InputError: as :func:`read_volume`; or the file holds fractions or negative numbers, entries that
            contradict each other, or slice states that are damaged.
    """
    path = Path(path)
    image, metadata = _read_labelled_image(path)
    if not has_segments(metadata):
        label_map = LabelMap.from_voxels(_labels(path, _scalars(path, image)), geometry_of(image))
        return LayeredSegmentation((label_map,), named=False, slice_states={})
    try:
        stored = stored_segments(metadata)
        layers = tuple(
            LabelMap(voxels, geometry_of(image), segments)
            for voxels, segments in separate_layers(_layers(path, image), stored)
        )
        states = {
            one.segment.identifier: SliceLedger.from_json(one.slice_states)
            for one in stored
            if one.slice_states
        }
    except InputError as error:
        raise InputError(f"{path} cannot be used: {str(error).removesuffix('.')}.") from error
    placed = _where_drawn(layers, metadata)
    if placed is None and states:
        raise InputError(f"{path} reaches beyond the volume that its slice states belong to.")
    return LayeredSegmentation(placed or layers, named=True, slice_states=states)


def write_volume(volume: Volume, path: str | Path, overwrite: bool = False) -> None:
    """Write an image, whole or not at all.

    Args:
        volume: the image; its number type is kept (bool becomes uint8, float16 float32).
        path: the suffix chooses the format, see ``WRITABLE_SUFFIXES``.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: the file exists, the folder is missing, the disk is full, or the suffix is unknown.
    """
    _write_image(image_of(volume.voxels, volume.geometry), Path(path), overwrite)


def write_label_map(label_map: LabelMap, path: str | Path, overwrite: bool = False) -> None:
    """Write a label map, whole or not at all, in the smallest unsigned type that holds it.

    A NRRD file keeps names, colours and terminology of the segments so that 3D Slicer shows them; give it a
    name ending in ``.seg.nrrd`` for Slicer to know. Other formats keep the label values alone.

    Raises:
        OutputError: as :func:`write_volume`.
    """
    path = Path(path)
    image = image_of(_labels(path, label_map.voxels), label_map.geometry)
    if path.name.lower().endswith(".nrrd"):
        for key, value in metadata_of(label_map).items():
            image.SetMetaData(key, value)
    _write_image(image, path, overwrite)


def write_layers(
    layers: Sequence[LabelMap],
    path: str | Path,
    slice_states: Mapping[str, SliceLedger],
    overwrite: bool = False,
) -> None:
    """Write a segmentation whose segments may overlap, with slice states, as a ``.seg.nrrd``.

    Args:
        layers: label maps on one grid, each with its own segments, which have identifiers.
        path: of the file.
        slice_states: of segments by segment ID.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: as :func:`write_volume`.
    """
    path = Path(path)
    labels = [_labels(path, layer.voxels) for layer in layers]
    common = np.result_type(*labels)
    images = [image_of(one.astype(common, copy=False), layers[0].geometry) for one in labels]
    image = sitk.Compose(images) if len(images) > 1 else images[0]
    states = {identifier: ledger.to_json() for identifier, ledger in slice_states.items()}
    for key, value in metadata_of_layers(layers, states).items():
        image.SetMetaData(key, value)
    _write_image(image, path, overwrite)


def write_fields(
    fields: Sequence[NDArray[Any]], geometry: Geometry, path: str | Path, overwrite: bool = False
) -> None:
    """Write several numbers a voxel as the components of one image; a single one as a scalar image.

    Args:
        fields: arrays [i, j, k] of one number type.
        geometry: of all of them.
        path: as for :func:`write_volume`, and the same errors.
    """
    images = [image_of(field, geometry) for field in fields]
    _write_image(sitk.Compose(images) if len(images) > 1 else images[0], Path(path), overwrite)


def _read_image(path: Path) -> sitk.Image:
    """A 3D image; a last axis of size one, as for a series with one time point, is dropped."""
    _check_format(path)
    _check_whole(path)
    try:
        with quiet_libraries(), without_neighbours(path) as alone:
            image = sitk.ReadImage(str(alone))
    except RuntimeError as error:
        raise InputError(_reading_failed(path, error)) from error
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[(slice(None),) * (image.GetDimension() - 1) + (0,)]
    if image.GetDimension() != 3:
        kind = "a single 2D image" if image.GetDimension() == 2 else f"{image.GetDimension()}D"
        raise InputError(f"{path} is {kind} (size {'x'.join(map(str, image.GetSize()))}), not a 3D volume.")
    _named(path, image)
    return image


def _check_format(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    if not path.name.lower().endswith(READABLE_SUFFIXES):
        raise InputError(
            f"{path} is of an unknown format; known are {', '.join(READABLE_SUFFIXES)} and DICOM."
        )


def _check_whole(path: Path) -> None:
    try:
        check_complete(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error


def _reading_failed(path: Path, error: RuntimeError) -> str:
    text = str(error)
    if "orthonormal" in text:
        return f"{path} has axes that are not perpendicular (sheared, or a tilted CT gantry)."
    if re.search(r"expected .* but received|got only|hit end", text):
        return f"{path} is truncated."
    return f"{path} is damaged, or not of the format that its name says."


def _named(path: Path, image: Any) -> Geometry:
    """The geometry of an image or reader; an error names the file."""
    try:
        return geometry_of(image)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _scalars(path: Path, image: sitk.Image) -> NDArray[Any]:
    """The voxels [i, j, k] of an image with one real number each, NaN and infinities as they were stored."""
    components = image.GetNumberOfComponentsPerPixel()
    if components > 1 or "complex" in image.GetPixelIDTypeAsString():
        kind = "complex numbers" if components == 1 else f"{components} values a voxel (colour or vectors)"
        raise InputError(f"{path} holds {kind}; a scalar image is needed.")
    voxels = voxels_of(image)
    if path.name.lower().endswith(NIFTI_SUFFIXES) and np.issubdtype(voxels.dtype, np.floating):
        places, values = unfinite_voxels(path)
        voxels.T.reshape(-1)[places] = values
    return voxels


def _finite(path: Path, voxels: NDArray[Any]) -> NDArray[Any]:
    """The voxels with NaN and infinities replaced by finite values of the image."""
    if not np.issubdtype(voxels.dtype, np.floating):
        return voxels
    finite = np.isfinite(voxels)
    bad = voxels.size - int(np.count_nonzero(finite))
    if not bad:
        return voxels
    if bad == voxels.size:
        raise InputError(f"{path} holds no finite number.")
    smallest, largest = voxels[finite].min(), voxels[finite].max()
    # No file name: logs must not hold what may be a patient's name.
    _log.warning("%d NaN or infinite voxels of an image were replaced by finite ones.", bad)
    return np.nan_to_num(voxels, copy=False, nan=smallest, posinf=largest, neginf=smallest)


def _labels(path: Path, voxels: NDArray[Any]) -> NDArray[Any]:
    """Whole, non-negative numbers in the smallest unsigned type."""
    if not np.issubdtype(voxels.dtype, np.integer) and not all(
        np.array_equal(plane, np.rint(plane)) for plane in voxels.T
    ):
        raise InputError(f"{path} is no label map: it holds numbers that are not whole.")
    smallest, largest = voxels.min(), voxels.max()
    if smallest < 0:
        raise InputError(f"{path} is no label map: it holds negative values (down to {smallest:g}).")
    for label_type in _LABEL_TYPES:
        if largest <= np.iinfo(label_type).max:
            return voxels.astype(label_type, copy=False)
    raise InputError(f"{path} is no label map: it holds values up to {largest:g}.")


def _read_labelled_image(path: Path) -> tuple[sitk.Image, Mapping[str, str]]:
    """An image and what it says of segments."""
    if is_dicom(path):
        raise InputError(f"{path} is DICOM; a label map must be a NIfTI, NRRD or MetaImage file.")
    image = _read_image(path)
    keys = [key for key in image.GetMetaDataKeys() if key.startswith("Segment")]
    return image, {key: image.GetMetaData(key) for key in keys}


def _layers(path: Path, image: sitk.Image) -> tuple[NDArray[Any], ...]:
    """The label arrays [i, j, k] of a segmentation."""
    layers = sitk.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() == 1:
        layers = layers[..., np.newaxis]
    return tuple(_labels(path, layers[..., n].T) for n in range(layers.shape[-1]))


def _read_segmentation(path: Path, image: sitk.Image, metadata: Mapping[str, str]) -> LabelMap:
    try:
        voxels, segments = merged_layers(_layers(path, image), stored_segments(metadata))
        label_map = LabelMap(voxels, geometry_of(image), segments)
    except InputError as error:
        raise InputError(f"{path} cannot be used: {str(error).removesuffix('.')}.") from error
    placed = _where_drawn((label_map,), metadata)
    return placed[0] if placed else label_map


def _where_drawn(layers: tuple[LabelMap, ...], metadata: Mapping[str, str]) -> tuple[LabelMap, ...] | None:
    """Layers that Slicer cropped, on the geometry they were drawn on; None where they do not fit on it."""
    drawn_on = reference_geometry(metadata)
    if drawn_on is None or drawn_on.shape == layers[0].geometry.shape:
        return layers
    placed = [placed_on(layer, drawn_on) for layer in layers]
    return None if None in placed else tuple(layer for layer in placed if layer is not None)


def _write_image(image: sitk.Image, path: Path, overwrite: bool) -> None:
    if not path.name.lower().endswith(WRITABLE_SUFFIXES):
        raise OutputError(f"{path} cannot be written: its name must end in {', '.join(WRITABLE_SUFFIXES)}.")
    with whole_file(path, overwrite) as beside:
        try:
            with quiet_libraries():
                sitk.WriteImage(image, str(beside), useCompression=True)
            check_complete(beside)  # on a full disk SimpleITK writes half a NIfTI file and says nothing
        except (RuntimeError, InputError) as error:
            raise OutputError(f"{path} cannot be written: the disk is full or does not answer.") from error
