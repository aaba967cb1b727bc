"""A view and the slices it shows, however volume and view lie; and what the panel lists."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from conftest import rotation

from pgt.annotation import SliceLedger, SliceRecord, SliceState
from PGTToolkitLib.review_cue import ReviewCue
from PGTToolkitLib.scene import ijk_to_world
from PGTToolkitLib.self_test import draw_and_propagate
from PGTToolkitLib.slice_lists import drawing_rows, next_to_draw, review_rows
from PGTToolkitLib.slice_views import patient_orientation, show_slice, shown_slice, view_axis
from PGTToolkitLib.uncertainty import HIGHEST_SHOWN, show_uncertainty, store_uncertainty, uncertainty_node

K = 2


@pytest.fixture
def view(scene):
    """A slice view of 300 mm."""
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    node = scene.AddNewNodeByClass("vtkMRMLSliceNode")
    node.SetFieldOfView(300, 300, 1)
    return node


def turn_to(view, volume, axis):
    """Turn a view so that it shows slices across an axis."""
    normal = np.linalg.inv(ijk_to_world(volume)[:3, :3])[axis]
    across = np.cross(normal, normal + np.array([1.0, 0.3, -0.2]))
    view.SetSliceToRASByNTP(*normal, *across, 0, 0, 0, 0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_view_shows_the_slice_it_was_sent_to(add_volume, view, direction, axis):
    volume = add_volume(direction=direction)
    turn_to(view, volume, axis)
    assert view_axis(view, volume).axis == axis
    assert not view_axis(view, volume).oblique
    for index in (0, 3, 15):
        show_slice(view, volume, axis, index)
        assert shown_slice(view, volume, axis) == index
        # The independent witness: every point of the view's plane lies in that slice.
        plane = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
        corner = plane @ np.array([37.0, -12.0, 0.0, 1.0])
        assert (np.linalg.inv(ijk_to_world(volume)) @ corner)[axis] == pytest.approx(index, abs=1e-6)


def test_a_moved_volume_is_followed(scene, add_volume, view):
    volume = add_volume()
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(0, 90, 0), (5, -9, 40)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    view.SetOrientation("Axial")
    assert view_axis(view, volume).axis == 2
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert view_axis(view, volume).axis == 0
    assert patient_orientation(volume, 0) == "axial"
    show_slice(view, volume, 0, 7)
    assert shown_slice(view, volume, 0) == 7


def test_a_turned_view_takes_the_nearest_slices_and_says_how_far(add_volume, view):
    volume = add_volume()
    tilt = np.radians(20)
    view.SetSliceToRASByNTP(0, np.sin(tilt), np.cos(tilt), 1, 0, 0, 0, 0, 0, 0)
    seen = view_axis(view, volume)
    assert (seen.axis, seen.oblique) == (2, True)
    assert seen.degrees == pytest.approx(20, abs=1e-4)


def test_outside_the_volume_no_slice_is_shown(add_volume, view):
    volume = add_volume()
    view.SetOrientation("Axial")
    view.JumpSliceByOffsetting(0, 0, 1000)
    assert shown_slice(view, volume, K) is None


def test_unreviewed_segments_lose_their_fill_and_get_it_back(add_volume, make_session):
    session = make_session(add_volume(), ("liver", "spleen"))
    display = session.segmentation_node.GetDisplayNode()
    ledger = SliceLedger([SliceRecord("liver", K, 5, SliceState.PROPAGATED, "shape", "")])
    cue = ReviewCue(session.segmentation_node)
    assert cue.update(ledger, K, 5) == ("liver",)
    assert not display.GetSegmentVisibility2DFill("liver")
    assert display.GetSegmentVisibility2DFill("spleen")
    display.SetSegmentVisibility2DFill("spleen", False)
    assert cue.update(ledger, K, 6) == ()
    assert display.GetSegmentVisibility2DFill("liver")
    assert not display.GetSegmentVisibility2DFill("spleen"), "the user's own choice was changed"
    cue.update(ledger, K, 5)
    cue.clear()
    assert display.GetSegmentVisibility2DFill("liver")


def test_uncertainty_lies_on_the_volume_and_over_it(scene, add_volume, make_session, direction):
    session = make_session(add_volume(direction=direction))
    layers = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    uncertainty = np.zeros(session.grid.shape, np.float32)
    uncertainty[3, 4, 5] = 0.374
    node = store_uncertainty(session.segmentation_node, session.volume_node, uncertainty)
    np.testing.assert_allclose(ijk_to_world(node), ijk_to_world(session.volume_node), atol=1e-9)
    assert slicer.util.arrayFromVolume(node).T[3, 4, 5] == 37
    assert node.GetDisplayNode().GetWindowLevelMax() == HIGHEST_SHOWN
    assert store_uncertainty(session.segmentation_node, session.volume_node, uncertainty) is node
    assert uncertainty_node(session.segmentation_node) is node
    show_uncertainty(session.segmentation_node, True)
    assert layers.GetForegroundVolumeID() == node.GetID()
    show_uncertainty(session.segmentation_node, False)
    assert layers.GetForegroundVolumeID() is None
    layers.SetForegroundVolumeID(session.volume_node.GetID())
    show_uncertainty(session.segmentation_node, False)
    assert layers.GetForegroundVolumeID() == session.volume_node.GetID()


def records(*states):
    return SliceLedger(
        SliceRecord("liver", K, index, state, "Ada", "1", confidence=confidence)
        for index, state, confidence in states
    )


def test_what_is_left_to_draw():
    ledger = records((4, SliceState.ANNOTATED, None), (9, SliceState.PROPAGATED, 0.5))
    rows = drawing_rows(ledger, "liver", K, planned=(2, 9))
    assert [(row.index, row.planned, row.annotated) for row in rows] == [
        (2, True, False),
        (4, False, True),
        (9, True, False),
    ]
    assert [next_to_draw(rows, shown) for shown in (None, 0, 2, 5, 9)] == [2, 2, 9, 9, 2]
    assert [next_to_draw(rows, shown, -1) for shown in (9, 5, 2)] == [2, 2, 9]
    assert next_to_draw([], 3) is None


def test_the_least_certain_is_reviewed_first():
    ledger = records(
        (1, SliceState.PROPAGATED, 0.9),
        (2, SliceState.REVIEWED, 0.1),
        (3, SliceState.PROPAGATED, 0.4),
        (4, SliceState.ANNOTATED, None),
    )
    ledger.mark(SliceRecord("spleen", K, 1, SliceState.PROPAGATED, "", "", confidence=0.2))
    rows = review_rows(ledger, K)
    assert [(row.index, row.confidence, row.segments) for row in rows] == [
        (1, 0.2, ("liver", "spleen")),
        (3, 0.4, ("liver",)),
        (2, 0.1, ()),
    ]


def test_the_self_test_of_the_module(scene):
    assert draw_and_propagate(scene) > 0.8
