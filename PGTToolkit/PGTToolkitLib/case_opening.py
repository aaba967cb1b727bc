"""A case of the Export panel in the views: from its files, or where it is in the scene already."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import slicer

from pgt.agreement.masks import CroppedMask
from pgt.annotation import SliceLedger
from pgt.errors import InputError
from pgt.export.case_state import CaseState, SegmentState
from pgt.geometry import Geometry
from pgt.volume import Volume
from PGTToolkitLib.boxes import bounding_box, shifted, start_of
from PGTToolkitLib.contour_comparison import jump_to
from PGTToolkitLib.export_scene import SceneCase
from PGTToolkitLib.ledger_tags import read_ledger, read_tag, write_ledger
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.sample_data import add_volume
from PGTToolkitLib.scene import ijk_to_ras, nodes_of, segment_ids
from PGTToolkitLib.segmentation_readings import own_grid

_ATTRIBUTE = "PGTToolkit.OpenedToExport"
_CONTENT_ATTRIBUTE = "PGTToolkit.OpenedContent"
_SEGMENTATION_SUFFIX = ".seg.nrrd"


def open_case(scene: slicer.vtkMRMLScene, state: CaseState, here: SceneCase | None = None) -> None:
    """Show a case on a slice that waits for review, else amid its first segment.

    One from files is read into the scene and takes the place of the one opened before, unless somebody has
    drawn on that. A ``.seg.nrrd`` file is saved back by the scene's own means.

    Args:
        scene: where to show it.
        state: the case.
        here: the segmentation of the scene that it is; None for one in files.

    Raises:
        InputError: its files cannot be read.
    """
    if here is not None:
        image, node = here.image, here.node
    else:
        image, node = _read(scene, state)
    for layers in nodes_of(scene, "vtkMRMLSliceCompositeNode"):
        layers.SetBackgroundVolumeID(image.GetID() if image is not None else None)
    if node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility(True)
    _go_to_open_slice(scene, node, state)


def opened_to_export(scene: slicer.vtkMRMLScene) -> str:
    """The case from files that is in the scene; empty without one."""
    for node in nodes_of(scene, "vtkMRMLSegmentationNode"):
        if node.GetAttribute(_ATTRIBUTE):
            return str(node.GetAttribute(_ATTRIBUTE))
    return ""


def _read(
    scene: slicer.vtkMRMLScene, state: CaseState
) -> tuple[slicer.vtkMRMLScalarVolumeNode | None, slicer.vtkMRMLSegmentationNode]:
    from pgt.export.scenes import at_hand
    from pgt.volume_io import read_volume

    volume: Volume | None = None
    with tempfile.TemporaryDirectory(prefix="pgt-") as scratch:
        if state.image is not None:
            with at_hand(state.image, Path(scratch)) as file:
                volume = read_volume(file)
        with at_hand(state.label, Path(scratch)) as file:
            _close_opened(scene)
            node = _read_label(scene, state, file)
    node.SetAttribute(_ATTRIBUTE, state.case)
    node.SetAttribute(_CONTENT_ATTRIBUTE, _content(node))
    if volume is None:
        return None, node
    image = add_volume(scene, volume, state.case)
    image.SetAttribute(_ATTRIBUTE, state.case)
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), image.GetID())
    return image, node


def _read_label(scene: slicer.vtkMRMLScene, state: CaseState, file: Path) -> slicer.vtkMRMLSegmentationNode:
    if file.name.endswith(_SEGMENTATION_SUFFIX):
        return _read_segmentation(scene, state, file)
    from pgt.export.segment_states import segment_identifier
    from pgt.volume_io import read_layers

    stored = read_layers(file)
    masks, identifiers = {}, []
    for layer in stored.layers:
        for segment in layer.segments:
            masks[segment.name] = CroppedMask.of(layer.mask(segment.value))
            identifiers.append(segment_identifier(segment, stored.named))
    node = add_segmentation(scene, _title(state), stored.layers[0].geometry, masks)
    new = dict(zip(identifiers, segment_ids(node), strict=True))
    write_ledger(node, SliceLedger(replace(one, segment=new[one.segment]) for one in state.records))
    return node


def _read_segmentation(
    scene: slicer.vtkMRMLScene, state: CaseState, file: Path
) -> slicer.vtkMRMLSegmentationNode:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(_title(state)))
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(file))
    if not storage.ReadData(node):
        scene.RemoveNode(node)
        raise InputError(f"{state.label} cannot be read as a segmentation.")
    node.CreateDefaultDisplayNodes()
    if not len(read_ledger(node)):
        # The list may name slice states beside a file that has none of its own.
        known = set(segment_ids(node))
        write_ledger(node, SliceLedger(one for one in state.records if one.segment in known))
    if not state.label.member:
        # One that lies in a packed scene cannot be saved back there.
        storage = scene.AddNode(storage)
        node.SetAndObserveStorageNodeID(storage.GetID())
    return node


def _title(state: CaseState) -> str:
    return f"{state.case} segmentation"


def _close_opened(scene: slicer.vtkMRMLScene) -> None:
    """Take the case opened before out of the scene; what somebody has drawn on stays."""
    kept = set()
    for node in nodes_of(scene, "vtkMRMLSegmentationNode"):
        case = node.GetAttribute(_ATTRIBUTE)
        if case and node.GetAttribute(_CONTENT_ATTRIBUTE) != _content(node):
            node.RemoveAttribute(_ATTRIBUTE)
            kept.add(case)
        elif case:
            storage = node.GetStorageNode()
            scene.RemoveNode(node)
            if storage is not None:
                scene.RemoveNode(storage)
    for node in nodes_of(scene, "vtkMRMLScalarVolumeNode"):
        case = node.GetAttribute(_ATTRIBUTE)
        if case in kept:
            node.RemoveAttribute(_ATTRIBUTE)
        elif case:
            scene.RemoveNode(node)


def _content(node: slicer.vtkMRMLSegmentationNode) -> str:
    """What tells whether somebody has drawn: a digest of all masks and slice states."""
    digest = hashlib.sha256()
    grid = own_grid(node)
    for segment_id in segment_ids(node):
        digest.update(f"{segment_id} {read_tag(node, segment_id)}".encode())
        part = grid.part(segment_id)
        box = bounding_box(part[1]) if part is not None else None
        if part is not None and box is not None:
            whole = shifted(box, start_of(part[0]))
            digest.update(repr(whole).encode())
            digest.update(np.ascontiguousarray(part[1][box]).tobytes())
    return digest.hexdigest()


def _go_to_open_slice(
    scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLSegmentationNode, state: CaseState
) -> None:
    segments = [one for one in state.segments if one.shown or one.has_states]
    if not segments:
        return
    # The segment with most slices that nobody has looked at, on its middle one of them.
    chosen = max(segments, key=lambda one: len(one.propagated))
    index = _middle(chosen.propagated or chosen.shown or chosen.annotated or chosen.reviewed)
    grid = own_grid(node)
    geometry = Geometry.from_ijk_to_ras(ijk_to_ras(grid.volume_node), grid.shape)
    part = grid.part(_segment_of(node, chosen))
    mask = CroppedMask.empty(grid.shape)
    if part is not None and part[1].any():
        box, voxels = part
        mask = CroppedMask(np.ascontiguousarray(voxels), tuple(side.start for side in box), grid.shape)
    jump_to(scene, geometry, [mask], chosen.axis, index)


def _segment_of(node: slicer.vtkMRMLSegmentationNode, segment: SegmentState) -> str:
    """The segment's ID in the scene, where one that came without an ID has another than in its file."""
    if segment.identifier in segment_ids(node):
        return segment.identifier
    return str(node.GetSegmentation().GetSegmentIdBySegmentName(segment.name))


def _middle(indices: tuple[int, ...]) -> int:
    return indices[len(indices) // 2]
