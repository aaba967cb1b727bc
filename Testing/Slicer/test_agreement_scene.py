"""Readings of the scene as the core compares them, and whose they are, on grids turned every way."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from conftest import rotation

from pgt.agreement.grids import on_grid
from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import DrawnSlices
from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.errors import InputError
from pgt.geometry import Geometry
from PGTToolkitLib import reading_nodes
from PGTToolkitLib.ledger_tags import write_ledger
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.reading_nodes import ReadingEntry, Role
from PGTToolkitLib.scene import segment_ids
from PGTToolkitLib.segmentation_readings import own_grid, segmentation_of

OBLIQUE = Geometry(
    (30, 26, 14), (0.9, 1.3, 2.5), (12.0, -40.0, 3.0), tuple(map(tuple, rotation(20, -15, 35).tolist()))
)
FLIPPED = Geometry((30, 26, 14), (1, 1, 3), (5, 5, 5), ((-1, 0, 0), (0, 1, 0), (0, 0, -1)))
SAGITTAL = Geometry((30, 26, 14), (1, 1, 3), (0, 0, 0), ((0, 0, 1), (1, 0, 0), (0, 1, 0)))


def blob(geometry, radius=7.0, centre=(14, 12, 6)):
    indices = np.indices(geometry.shape)
    distance = sum(((indices[axis] - centre[axis]) * geometry.spacing[axis]) ** 2 for axis in range(3))
    return CroppedMask.of(distance <= radius**2)


def reading(scene, geometry=OBLIQUE, radius=7.0, name="Ada", label="Liver"):
    return add_segmentation(scene, name, geometry, {label: blob(geometry, radius)})


@pytest.mark.parametrize("geometry", [OBLIQUE, FLIPPED, SAGITTAL])
def test_masks_come_back_on_their_grid(scene, geometry):
    cyst = blob(geometry, 3.0, (8, 8, 6))
    node = add_segmentation(scene, "Ada", geometry, {"Liver": blob(geometry), "Cyst": cyst})
    found = segmentation_of(node)
    assert found.geometry.difference(geometry) is None
    assert [one.name for one in found.structures] == ["Liver", "Cyst"]
    np.testing.assert_array_equal(found.structures[0].mask.full(), blob(geometry).full())
    np.testing.assert_array_equal(found.structures[1].mask.full(), cyst.full())
    assert found.structures[0].drawn is None


def test_a_transform_above_the_segmentation_counts(scene):
    node = reading(scene)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(10, 20, 30), [5, -7, 11]
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    found = segmentation_of(node)
    np.testing.assert_allclose(found.geometry.ijk_to_ras, matrix @ OBLIQUE.ijk_to_ras, atol=1e-6)
    np.testing.assert_array_equal(found.structures[0].mask.full(), blob(OBLIQUE).full())


def test_a_segmentation_without_a_known_image_has_the_grid_of_its_voxels(scene):
    node = reading(scene)
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    node.GetSegmentation().SetConversionParameter(name, "")
    found = segmentation_of(node)
    mask = found.structures[0].mask
    assert mask.count == blob(OBLIQUE).count
    assert found.geometry.shape == mask.voxels.shape
    np.testing.assert_array_equal(
        on_grid(found, OBLIQUE, "it").structures[0].mask.full(), blob(OBLIQUE).full()
    )


def test_empty_segments_are_found_absent(scene):
    node = add_segmentation(scene, "Ada", OBLIQUE, {"Liver": CroppedMask.empty(OBLIQUE.shape)})
    (structure,) = segmentation_of(node).structures
    assert structure.mask.is_empty
    assert structure.mask.shape == OBLIQUE.shape


def test_terminology_and_color_are_read(scene):
    node = reading(scene)
    segment = node.GetSegmentation().GetNthSegment(0)
    entry = "Segmentation category~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~Anatomic~^^~^^"
    segment.SetTag(segment.GetTerminologyEntryTagName(), entry)
    segment.SetColor(0.25, 0.5, 0.75)
    (structure,) = segmentation_of(node).structures
    assert structure.terminology == entry
    assert structure.color == (0.25, 0.5, 0.75)


def ledger_of(node, annotated, propagated):
    (segment,) = segment_ids(node)
    states = [(index, SliceState.ANNOTATED) for index in annotated]
    states += [(index, SliceState.PROPAGATED) for index in propagated]
    return SliceLedger(
        SliceRecord(
            segment=segment, axis=2, index=index, state=state, rater="Ada" if state is SliceState.ANNOTATED
            else "network", session="2", time="2026-01-01T00:00:00.000+00:00", empty=False,
            confidence=None if state is SliceState.ANNOTATED else 0.9,
        )
        for index, state in states
    )  # fmt: skip


def test_only_slices_that_a_rater_drew_count(scene):
    node = reading(scene)
    write_ledger(node, ledger_of(node, (4, 6, 8), (5, 7)))
    (structure,) = segmentation_of(node).structures
    assert structure.drawn == DrawnSlices(2, (4, 6, 8))


def test_slice_states_of_another_grid_are_refused(scene):
    node = reading(scene)
    write_ledger(node, ledger_of(node, (4, 6, 8), (5,)))
    coarse = slicer.vtkOrientedImageData()
    coarse.SetSpacing(4, 4, 4)
    coarse.SetDimensions(30, 30, 30)
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    node.GetSegmentation().SetConversionParameter(
        name, slicer.vtkSegmentationConverter.SerializeImageGeometry(coarse)
    )
    with pytest.raises(InputError, match="Ada was moved to another grid"):
        segmentation_of(node)


def test_names_alone_take_no_voxels(scene):
    (structure,) = segmentation_of(reading(scene), with_voxels=False).structures
    assert (structure.name, structure.mask.is_empty) == ("Liver", True)


def test_nothing_to_read_is_said(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nobody")
    with pytest.raises(InputError, match="Nobody has no segment"):
        segmentation_of(node)
    node.GetSegmentation().AddEmptySegment("", "Liver")
    with pytest.raises(InputError, match="neither voxels nor a grid"):
        own_grid(node)


def test_who_drew_is_suggested_from_the_slices(scene):
    signed, named = reading(scene, name="case 7"), reading(scene, name="Ben")
    write_ledger(signed, ledger_of(signed, (4, 6), (5,)))
    assert reading_nodes.suggested(signed) == ReadingEntry("Ada", "2")
    assert reading_nodes.suggested(named) == ReadingEntry("Ben")


def test_a_second_segmentation_of_a_rater_is_another_session(scene):
    nodes = [reading(scene, name="case 7"), reading(scene, name="case 7 again")]
    for node in nodes:
        write_ledger(node, ledger_of(node, (4, 6), (5,)))
    assert reading_nodes.add([*nodes, nodes[0]]) == 2
    assert [entry.session for _node, entry in reading_nodes.entered(scene)] == ["2", "3"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("ada", ["Ada 1", "ada_2"]), ("*2", ["ada_2", "Ben 2"]), ("B*", ["Ben 2"]), ("", None), ("Cid", [])],
)
def test_segmentations_are_chosen_by_name(scene, pattern, found):
    names = ["Ada 1", "ada_2", "Ben 2"]
    for name in names:
        reading(scene, name=name)
    matching = [node.GetName() for node in reading_nodes.named_like(scene, pattern)]
    assert matching == (names if found is None else found)


def test_whose_a_reading_is_survives_a_saved_scene(scene, tmp_path):
    node = reading(scene, name="Ada again")
    entry = ReadingEntry('Ada "A" | Ü', "2", blinded=False, role=Role.MODEL)
    reading_nodes.enter(node, entry)
    bundle = str(tmp_path / "case.mrb")
    assert scene.WriteToMRB(bundle, None)
    scene.Clear(0)
    assert scene.ReadFromMRB(bundle, True)
    ((again, found),) = reading_nodes.entered(scene)
    assert (again.GetName(), found) == ("Ada again", entry)
    reading_nodes.leave(again)
    assert reading_nodes.entered(scene) == ()


def test_clashes_are_named(scene):
    ada, ben = reading(scene, name="Ada"), reading(scene, name="Ben")
    reading_nodes.enter(ada, ReadingEntry("Ada"))
    with pytest.raises(InputError, match="two segmentations or more"):
        reading_nodes.check(reading_nodes.entered(scene))
    reading_nodes.enter(ben, ReadingEntry("Ada"))
    with pytest.raises(InputError, match="Ada and Ben are both said to be of Ada, session 1"):
        reading_nodes.check(reading_nodes.entered(scene))
    reading_nodes.enter(ben, ReadingEntry("Ada", "2", role=Role.MODEL))
    with pytest.raises(InputError, match="Ada has two roles"):
        reading_nodes.check(reading_nodes.entered(scene))
    reading_nodes.enter(ben, ReadingEntry("", "2"))
    with pytest.raises(InputError, match="Say who drew Ben"):
        reading_nodes.check(reading_nodes.entered(scene))


def test_a_rater_who_was_not_blinded_is_remarked(scene):
    for session, blinded in (("1", True), ("2", False)):
        reading_nodes.enter(reading(scene, name=f"Ada {session}"), ReadingEntry("Ada", session, blinded))
    reading_nodes.enter(reading(scene, name="Ben"), ReadingEntry("Ben", blinded=False))
    (remark,) = reading_nodes.remarks(reading_nodes.entered(scene))
    assert remark.startswith("Ada was not blinded in session 2")


def test_a_new_segmentation_keeps_looks_and_grid(scene):
    model = vtk.reference("")
    first = reading(scene)
    segment = first.GetSegmentation().GetNthSegment(0)
    segment.SetColor(0.1, 0.2, 0.3)
    segment.SetTag(segment.GetTerminologyEntryTagName(), "a~b^c^d~e^f^g~^^~h~^^~^^")
    node = add_segmentation(scene, "Consensus", OBLIQUE, {"Liver": blob(OBLIQUE)}, {"Liver": segment})
    made = node.GetSegmentation().GetNthSegment(0)
    assert made.GetColor() == (0.1, 0.2, 0.3)
    assert made.GetTag(made.GetTerminologyEntryTagName(), model)
    assert str(model) == "a~b^c^d~e^f^g~^^~h~^^~^^"
