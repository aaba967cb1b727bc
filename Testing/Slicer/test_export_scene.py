"""Cases of the scene on their way to the worker: names, states, overlaps, transforms, DICOM series."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from conftest import DIRECTIONS, add_volume_node, rotation

from pgt.agreement.masks import CroppedMask
from pgt.agreement.reading_files import read_reading
from pgt.agreement.readings import DrawnSlices, Sitting
from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.volume import Volume
from pgt.volume_io import read_volume
from PGTToolkitLib import export_scene
from PGTToolkitLib.ledger_tags import write_ledger
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.scene import nodes_of

SHAPE = (20, 18, 12)


def block(start, size):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(first, first + count) for first, count in zip(start, size, strict=True))] = True
    return mask


LIVER, TUMOUR = block((3, 4, 2), (6, 6, 5)), block((5, 6, 4), (7, 6, 5))


@pytest.fixture
def drawn(scene, direction):
    """Two overlapping segments on a volume, one slice of the first annotated."""
    geometry = Geometry(SHAPE, (1.0, 1.2, 3.0), (5.0, -6.0, 7.0), tuple(map(tuple, direction.tolist())))
    voxels = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    image = add_volume_node(scene, Volume(voxels, geometry))
    image.SetName("7: CT, portal venous")
    masks = {"Liver": CroppedMask.of(LIVER), "Tumour": CroppedMask.of(TUMOUR)}
    node = add_segmentation(scene, "Drawn", geometry, masks)
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    segment = node.GetSegmentation().GetNthSegmentID(0)
    write_ledger(node, SliceLedger([SliceRecord(segment, 2, 3, SliceState.ANNOTATED, "Ada", "1")]))
    return node, image, geometry


def test_segmentations_take_part_under_names_of_their_own(scene, drawn):
    node, image, geometry = drawn
    second = add_segmentation(scene, "Second", geometry, {"Liver": CroppedMask.of(LIVER)})
    second.SetReferenceImageGeometryParameterFromVolumeNode(image)
    alone = add_segmentation(scene, "Alone", geometry, {"Liver": CroppedMask.of(LIVER)})
    assert export_scene.scene_cases(scene) == ()
    assert export_scene.add([node, second, alone], taken=["Alone"]) == 3
    assert export_scene.add([node]) == 0
    cases = export_scene.scene_cases(scene)
    assert [one.case for one in cases] == ["7_CT_portal_venous", "7_CT_portal_venous-2", "Alone-2"]
    assert [one.image for one in cases] == [image, image, None]
    export_scene.leave(second)
    assert [one.node for one in export_scene.scene_cases(scene)] == [node, alone]


@pytest.mark.parametrize("moved", [False, True])
def test_the_worker_reads_what_was_drawn(tmp_path, scene, drawn, moved):
    node, image, geometry = drawn
    world = geometry.ijk_to_ras
    if moved:
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation(10, 0, 30), (10, 20, 30)
        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        for one in (node, image):
            one.SetAndObserveTransformNodeID(transform.GetID())
        world = matrix @ world
    export_scene.add([node])
    (case,) = export_scene.scene_cases(scene)
    before = scene.GetNumberOfNodes()
    written = export_scene.write_case(case, tmp_path)
    assert scene.GetNumberOfNodes() == before
    volume = read_volume(written.image)
    np.testing.assert_allclose(volume.geometry.ijk_to_ras, world, atol=1e-5)
    np.testing.assert_array_equal(volume.voxels, slicer.util.arrayFromVolume(image).T)
    reading = read_reading(written.label, "case", Sitting("Ada"))
    np.testing.assert_allclose(reading.geometry.ijk_to_ras, world, atol=1e-5)
    np.testing.assert_array_equal(reading.masks["Liver"].full(), LIVER)
    np.testing.assert_array_equal(reading.masks["Tumour"].full(), TUMOUR)
    assert reading.drawn == {"Liver": DrawnSlices(2, (3,))}
    assert written.series is None


def test_a_series_is_handed_on_alone(tmp_path, scene, drawn, monkeypatch):
    node, image, _geometry = drawn
    stored = tmp_path / "database"
    stored.mkdir()
    files = [stored / name for name in ("a", "b")]
    for file in files:
        file.write_bytes(file.name.encode())
    image.SetAttribute("DICOM.instanceUIDs", "1.2.1 1.2.2")
    found = dict(zip(("1.2.1", "1.2.2"), map(str, files), strict=True))
    monkeypatch.setattr(
        slicer, "dicomDatabase", SimpleNamespace(fileForInstance=lambda uid: found.get(uid, "")), False
    )
    export_scene.add([node])
    (case,) = export_scene.scene_cases(scene)
    for name in ("alone", "mixed", "gone"):
        (tmp_path / name).mkdir()
    assert export_scene.write_case(case, tmp_path / "alone").series == stored
    (stored / "another series").write_bytes(b"")
    series = export_scene.write_case(case, tmp_path / "mixed").series
    assert sorted(file.read_bytes() for file in series.iterdir()) == [b"a", b"b"]
    files[0].unlink()
    assert export_scene.write_case(case, tmp_path / "gone").series is None


def test_what_cannot_be_exported_is_one_sentence(tmp_path, scene):
    geometry = Geometry(
        SHAPE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(map(tuple, DIRECTIONS["axial"].tolist()))
    )
    node = add_segmentation(scene, "Alone", geometry, {"Liver": CroppedMask.of(LIVER)})
    export_scene.add([node])
    (case,) = export_scene.scene_cases(scene)
    with pytest.raises(InputError, match="which image Alone was drawn on"):
        export_scene.write_case(case, tmp_path)
    image = add_volume_node(scene, Volume(np.zeros(SHAPE, np.int16), geometry))
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    node.GetSegmentation().RemoveAllSegments()
    with pytest.raises(InputError, match="no segment"):
        export_scene.write_case(export_scene.scene_cases(scene)[0], tmp_path)
    assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 1
