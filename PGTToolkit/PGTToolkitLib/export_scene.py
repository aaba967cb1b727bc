"""Segmentations of the scene as cases to export: which take part, and how they reach the worker's files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer

from pgt.errors import InputError, OutputError
from pgt.geometry import Geometry
from pgt.volume import Volume
from PGTToolkitLib.scene import ijk_to_world, nodes_of, segment_ids, shape_of, transform_to_world, volume_of
from PGTToolkitLib.segmentation_readings import drawn_on

_CASE_ATTRIBUTE = "PGTToolkit.ExportCase"
_KIND = "vtkMRMLSegmentationNode"
_INSTANCES_ATTRIBUTE = "DICOM.instanceUIDs"

_LABEL_FILE = "label.seg.nrrd"
_IMAGE_FILE = "image.nrrd"
_SERIES_FOLDER = "series"


@dataclass(frozen=True, eq=False)
class SceneCase:
    """A segmentation that takes part.

    Args:
        case: its name in the export.
        node: the segmentation.
        image: what it was drawn on; None where that is not known.
    """

    case: str
    node: slicer.vtkMRMLSegmentationNode
    image: slicer.vtkMRMLScalarVolumeNode | None


@dataclass(frozen=True)
class WrittenCase:
    """A case of the scene in files.

    Args:
        image: its image.
        label: its segmentation, with slice states, overlapping segments and terminology.
        series: folder of the DICOM series that the image came from; None without one.
    """

    image: Path
    label: Path
    series: Path | None = None


def scene_cases(scene: slicer.vtkMRMLScene) -> tuple[SceneCase, ...]:
    """The segmentations that take part, in the order in which they were added to the scene."""
    return tuple(
        SceneCase(node.GetAttribute(_CASE_ATTRIBUTE), node, drawn_on(node))
        for node in nodes_of(scene, _KIND)
        if node.GetAttribute(_CASE_ATTRIBUTE)
    )


def add(nodes: Iterable[slicer.vtkMRMLSegmentationNode], taken: Iterable[str] = ()) -> int:
    """Let segmentations take part that do not yet.

    Args:
        nodes: the segmentations.
        taken: names of cases that others have, such as those of a list.

    Returns:
        How many are new.
    """
    added = 0
    for node in nodes:
        if not node.GetAttribute(_CASE_ATTRIBUTE):
            names = {one.case for one in scene_cases(node.GetScene())} | set(taken)
            node.SetAttribute(_CASE_ATTRIBUTE, _free(_case_name(node), names))
            added += 1
    return added


def leave(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Let a segmentation take part no more; nothing else of it changes."""
    node.RemoveAttribute(_CASE_ATTRIBUTE)


def write_case(one: SceneCase, folder: Path) -> WrittenCase:
    """Write a case into an empty folder, in world RAS, for the worker to read.

    Args:
        one: the case.
        folder: where; it must exist.

    Raises:
        InputError: the image is not known, has no voxels or is no grey image; the segmentation has no segment
            or cannot be turned into voxels; or it lies under a deformable transform.
        OutputError: the files cannot be written.
    """
    if one.image is None:
        raise InputError(f"Nobody can tell which image {one.node.GetName()} was drawn on.")
    label, image = folder / _LABEL_FILE, folder / _IMAGE_FILE
    _write_segmentation(one.node, label)
    _write_image(one.image, image)
    return WrittenCase(image, label, _series(one.image, folder / _SERIES_FOLDER))


def series_files(image: slicer.vtkMRMLScalarVolumeNode) -> tuple[Path, ...]:
    """The files of the DICOM series that an image was loaded from; none where that is not known."""
    database = getattr(slicer, "dicomDatabase", None)
    instances = (image.GetAttribute(_INSTANCES_ATTRIBUTE) or "").split()
    if database is None or not instances:
        return ()
    files = [Path(database.fileForInstance(instance)) for instance in instances]
    return tuple(files) if all(file.is_file() for file in files) else ()


def _write_segmentation(node: slicer.vtkMRMLSegmentationNode, path: Path) -> None:
    if not segment_ids(node):
        raise InputError(f"{node.GetName()} has no segment.")
    transform_to_world(node)  # raises where it is deformable
    copy = slicer.vtkMRMLSegmentationNode()
    copy.SetName(node.GetName())
    copy.GetSegmentation().DeepCopy(node.GetSegmentation())
    if not copy.CreateBinaryLabelmapRepresentation():
        raise InputError(f"{node.GetName()} cannot be turned into voxels.")
    copy.GetSegmentation().SetSourceRepresentationName("Binary labelmap")
    if node.GetParentTransformNode() is not None:
        # Turns the grid that was drawn on as well, so that slice states still fit.
        copy.GetSegmentation().ApplyLinearTransform(_transform(node))
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    if not storage.WriteData(copy):
        raise OutputError(f"{path} cannot be written.")


def _transform(node: slicer.vtkMRMLTransformableNode) -> slicer.vtkTransform:
    import vtk

    transform = vtk.vtkTransform()
    transform.SetMatrix(slicer.util.vtkMatrixFromArray(transform_to_world(node)))
    return transform


def _write_image(image: slicer.vtkMRMLScalarVolumeNode, path: Path) -> None:
    from pgt.volume_io import write_volume

    world = Geometry.from_ijk_to_ras(ijk_to_world(image), shape_of(image))
    write_volume(Volume(np.ascontiguousarray(volume_of(image).voxels), world), path)


def _series(image: slicer.vtkMRMLScalarVolumeNode, own: Path) -> Path | None:
    """A folder that holds the image's series and nothing else."""
    files = series_files(image)
    if not files:
        return None
    parents = {file.parent for file in files}
    if len(parents) == 1:
        (parent,) = parents
        if set(parent.iterdir()) == set(files):
            return parent
    own.mkdir()
    for number, file in enumerate(files):
        shutil.copyfile(file, own / f"{number:05}.dcm")
    return own


def _case_name(node: slicer.vtkMRMLSegmentationNode) -> str:
    """As its image, for that is what the case is; characters that a file's name cannot have give way."""
    image = drawn_on(node)
    name = image.GetName() if image is not None else node.GetName()
    return re.sub(r"[^\w.-]+", "_", name).strip("._-") or "case"


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
