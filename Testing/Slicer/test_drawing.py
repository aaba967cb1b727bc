"""Drawing marks slices by itself; undo takes the marks back; nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from pgt.annotation import SliceState
from pgt.errors import InputError
from PGTToolkitLib.ledger_tags import LEDGER_TAG

K = 2


def square(shape=(24, 20), start=(5, 5), size=6):
    mask = np.zeros(shape, bool)
    mask[start[0] : start[0] + size, start[1] : start[1] + size] = True
    return mask


def states(session, segment="liver"):
    return {(r.axis, r.index): r.state for r in session.ledger if r.segment == segment}


def test_a_stroke_marks_its_slice(add_volume, make_session, pen_for, direction):
    session = make_session(add_volume(direction=direction))
    pen_for(session).draw_slice("liver", K, 7, square())
    drawn = session.take_edits(K)
    assert [(r.segment, r.axis, r.index, r.rater, r.session) for r in drawn.records] == [
        ("liver", K, 7, "Ada", "Monday")
    ]
    assert drawn.unclear == ()
    assert states(session) == {(K, 7): SliceState.ANNOTATED}
    assert not session.ledger.record("liver", K, 7).empty
    assert session.take_edits(K).records == ()


@pytest.mark.parametrize(("axis", "shape"), [(0, (20, 16)), (1, (24, 16)), (2, (24, 20))])
def test_the_axis_is_the_one_that_was_drawn_across(add_volume, make_session, pen_for, axis, shape):
    session = make_session(add_volume())
    pen_for(session).draw_slice("liver", axis, 3, square(shape))
    session.take_edits(K)
    assert states(session) == {(axis, 3): SliceState.ANNOTATED}


def test_a_line_counts_for_the_axis_the_rater_works_along(add_volume, make_session, pen_for):
    session = make_session(add_volume())
    pen_for(session).paint("liver", np.ones((1, 6, 1), bool), (4, 5, 9))
    session.take_edits(preferred_axis=0)
    assert states(session) == {(0, 4): SliceState.ANNOTATED}


def test_an_edit_in_depth_marks_nothing_and_says_so(add_volume, make_session, pen_for):
    session = make_session(add_volume())
    pen_for(session).paint("liver", np.ones((4, 4, 3), bool), (4, 5, 6))
    drawn = session.take_edits(K)
    assert drawn.records == ()
    assert [(edit.segment, edit.box[K]) for edit in drawn.unclear] == [("liver", slice(6, 9))]
    assert states(session) == {}


def test_painting_over_a_neighbour_marks_only_what_was_painted(add_volume, make_session, pen_for):
    session = make_session(add_volume(), ("liver", "spleen"))
    pen = pen_for(session)
    pen.draw_slice("spleen", K, 7, square(start=(8, 5)))
    session.take_edits(K)
    pen.draw_slice("liver", K, 7, square())
    assert [record.segment for record in session.take_edits(K).records] == ["liver"]


def test_erasing_the_last_voxel_leaves_an_annotated_empty_slice(add_volume, make_session, pen_for):
    session = make_session(add_volume())
    pen = pen_for(session)
    pen.draw_slice("liver", K, 7, square())
    session.take_edits(K)
    pen.erase("liver", np.ones((24, 20, 1), bool), (0, 0, 7))
    (record,) = session.take_edits(K).records
    assert record.empty
    assert session.ledger.annotated("liver", K) == (7,)


def test_undo_and_redo_move_voxels_and_marks_together(add_volume, make_session, pen_for):
    session = make_session(add_volume())
    pen = pen_for(session)
    pen.draw_slice("liver", K, 3, square())
    session.take_edits(K)
    pen.draw_slice("liver", K, 9, square())
    session.take_edits(K)
    pen.history.RestorePreviousState()
    assert session.take_edits(K).records == ()
    assert states(session) == {(K, 3): SliceState.ANNOTATED}
    assert not session.grid.mask("liver")[:, :, 9].any()
    pen.history.RestoreNextState()
    assert session.take_edits(K).records == ()
    assert states(session) == {(K, 3): SliceState.ANNOTATED, (K, 9): SliceState.ANNOTATED}
    assert session.grid.mask("liver")[:, :, 9].any()


def test_confirming_an_absent_segment(add_volume, make_session):
    session = make_session(add_volume())
    record = session.confirm("liver", K, 12)
    assert record.empty
    assert session.ledger.annotated("liver", K) == (12,)


def test_accepting_takes_over_what_a_machine_filled(add_volume, make_session, pen_for):
    from pgt.annotation import SliceRecord

    session = make_session(add_volume())
    pen_for(session).draw_slice("liver", K, 4, square())
    session.take_edits(K)
    for index, confidence in ((3, 0.95), (4, 0.9), (5, 0.6)):
        session.mark(
            [SliceRecord("liver", K, index, SliceState.PROPAGATED, "shape", "", confidence=confidence)]
        )
    assert states(session)[(K, 4)] is SliceState.ANNOTATED
    assert session.accept_above(0.8) == 1
    assert session.accept(K, 5) == 1
    assert session.accept(K, 5) == 0
    assert states(session)[(K, 3)] is SliceState.REVIEWED
    assert session.ledger.record("liver", K, 5).rater == "Ada"


def test_a_propagated_slice_is_not_confirmed_by_mistake(add_volume, make_session, pen_for):
    from pgt.annotation import SliceRecord

    session = make_session(add_volume())
    pen_for(session).draw_slice("liver", K, 4, square())
    session.mark([SliceRecord("liver", K, 4, SliceState.PROPAGATED, "shape", "")])
    with pytest.raises(InputError, match="accept it"):
        session.confirm("liver", K, 4)


def test_the_states_go_with_a_copied_segment(scene, add_volume, make_session, pen_for):
    session = make_session(add_volume(), ("liver",))
    pen_for(session).draw_slice("liver", K, 4, square())
    session.take_edits(K)
    other = make_session(session.volume_node, ())
    other.segmentation_node.GetSegmentation().CopySegmentFromSegmentation(
        session.segmentation_node.GetSegmentation(), "liver"
    )
    assert other.ledger.annotated("liver", K) == (4,)


def test_damaged_states_are_named(add_volume, make_session):
    session = make_session(add_volume())
    session.segmentation_node.GetSegmentation().GetSegment("liver").SetTag(LEDGER_TAG, "{broken")
    with pytest.raises(InputError, match="slice states of segment liver cannot be read"):
        _ = session.ledger


def test_a_name_with_slicers_separator_survives(add_volume, make_session):
    from PGTToolkitLib.session import Identity

    session = make_session(add_volume())
    session.identity = Identity('A|B: "c" é', "x|y")
    session.confirm("liver", K, 1)
    assert "|" not in _tag(session)
    assert session.ledger.record("liver", K, 1).rater == 'A|B: "c" é'


def _tag(session):
    from PGTToolkitLib.ledger_tags import read_tag

    return read_tag(session.segmentation_node, "liver")
