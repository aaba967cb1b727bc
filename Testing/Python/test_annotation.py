"""Slice states and the sparse label, against their rules."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgt.annotation import SliceLedger, SliceRecord, SliceState, SparseAnnotation
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.machine_names import machine_name, machine_parts
from pgt.propagation.checkpoints import find_model
from pgt.volume import LabelMap, Segment

ANNOTATED, PROPAGATED, REVIEWED = SliceState.ANNOTATED, SliceState.PROPAGATED, SliceState.REVIEWED


def record(state: SliceState = ANNOTATED, index: int = 4, axis: int = 2, **more: object) -> SliceRecord:
    return SliceRecord("liver", axis, index, state, "Ada", "Monday", **more)  # type: ignore[arg-type]


records = st.builds(
    SliceRecord,
    segment=st.sampled_from(["liver", "spleen", "Niere „links“"]),
    axis=st.integers(0, 2),
    index=st.integers(0, 5),
    state=st.sampled_from(SliceState),
    rater=st.text(max_size=5),
    session=st.text(max_size=5),
    empty=st.booleans(),
    machine=st.text(max_size=5),
    confidence=st.none() | st.floats(0, 1),
)


class TestLedger:
    @pytest.mark.parametrize(("first", "second"), list(product(SliceState, SliceState)))
    def test_nothing_but_an_annotation_replaces_an_annotation(
        self, first: SliceState, second: SliceState
    ) -> None:
        ledger = SliceLedger([record(first)])
        taken = ledger.mark(record(second, confidence=0.5))
        assert taken == (first is not ANNOTATED or second is ANNOTATED)
        assert ledger.state("liver", 2, 4) == (second if taken else first)

    def test_segments_axes_and_slices_are_apart(self) -> None:
        ledger = SliceLedger([record(index=7), record(index=2), record(axis=0), record(PROPAGATED, 3)])
        ledger.mark(SliceRecord("spleen", 2, 2, REVIEWED, "Ada", "Monday"))
        assert ledger.annotated("liver", 2) == (2, 7)
        assert ledger.annotated("liver", 0) == (4,)
        assert ledger.annotated("spleen", 2) == ()
        assert ledger.slices("spleen", 2, REVIEWED) == (2,)
        assert ledger.state("liver", 1, 4) is None
        assert ledger.segments == ("liver", "spleen")

    def test_a_confirmed_empty_slice_is_an_annotated_one(self) -> None:
        ledger = SliceLedger([record(empty=True)])
        assert ledger.annotated("liver", 2) == (4,)
        found = ledger.record("liver", 2, 4)
        assert found is not None
        assert found.empty

    def test_forgetting_reaches_as_far_as_asked(self) -> None:
        ledger = SliceLedger([record(index=1), record(index=2), record(axis=0, index=1)])
        ledger.forget("liver", 2, 1)
        assert ledger.annotated("liver", 2) == (2,)
        ledger.forget("liver", 2)
        assert [r.axis for r in ledger] == [0]
        ledger.forget("liver")
        assert len(ledger) == 0

    @given(st.lists(records, max_size=20))
    def test_text_and_back_is_the_same(self, entries: list[SliceRecord]) -> None:
        ledger = SliceLedger(entries)
        again = SliceLedger.from_json(ledger.to_json())
        assert again == ledger
        assert again.to_json() == ledger.to_json()

    @given(st.lists(records, max_size=20))
    def test_at_most_one_record_for_a_slice(self, entries: list[SliceRecord]) -> None:
        keys = [(r.segment, r.axis, r.index) for r in SliceLedger(entries)]
        assert keys == sorted(set(keys))
        drawn = {(r.segment, r.axis, r.index) for r in entries if r.state is ANNOTATED}
        ledger = SliceLedger(entries)
        assert all(ledger.state(*key) is ANNOTATED for key in drawn)

    def test_times_are_utc(self) -> None:
        assert record().time.endswith("+00:00")

    @pytest.mark.parametrize("change", [{"axis": 3}, {"index": -1}, {"confidence": 1.5}])
    def test_records_that_make_no_sense_are_refused(self, change: dict[str, float]) -> None:
        with pytest.raises(InputError):
            replace(record(), **change)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"schema": "other"}, "not written by PGT Toolkit"),
            ({"version": 2}, "have version 2; this PGT Toolkit reads version 1"),
            ({"records": 3}, "no list of records"),
            ({"records": [{"segment": "liver"}]}, "needs exactly the entries"),
        ],
    )
    def test_other_text_is_refused(self, change: dict[str, object], words: str) -> None:
        content = json.loads(SliceLedger([record()]).to_json()) | change
        with pytest.raises(InputError, match=words):
            SliceLedger.from_json(json.dumps(content))

    @pytest.mark.parametrize(
        ("entry", "value"),
        [("axis", "2"), ("axis", True), ("index", 1.5), ("state", "drawn"), ("confidence", 7), ("empty", 0)],
    )
    def test_wrong_entries_are_refused(self, entry: str, value: object) -> None:
        content = json.loads(SliceLedger([record()]).to_json())
        content["records"][0][entry] = value
        with pytest.raises(InputError):
            SliceLedger.from_json(json.dumps(content))

    @pytest.mark.parametrize("text", ["", "{", "[]", "null"])
    def test_what_is_no_ledger_at_all_is_refused(self, text: str) -> None:
        with pytest.raises(InputError):
            SliceLedger.from_json(text)


GRID = Geometry((6, 7, 8))


def label_map() -> LabelMap:
    """Label 1 on slices 2 and 5 of k, label 2 on slice 5, label 3 nowhere."""
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[1:4, 1:4, [2, 5]] = 1
    voxels[5, 5, 5] = 2
    return LabelMap(voxels, GRID, tuple(Segment.numbered(value) for value in (1, 2, 3)))


class TestSparseAnnotation:
    def test_every_drawn_slice_counts_for_every_label(self) -> None:
        annotation = SparseAnnotation.from_label_map(label_map(), 2)
        assert annotation.slices == {1: {2: (2, 5)}, 2: {2: (2, 5)}, 3: {2: (2, 5)}}
        assert annotation.labels == (1, 2)

    def test_listed_slices_count_and_no_others(self) -> None:
        annotation = SparseAnnotation.from_label_map(label_map(), 2, [7, 2, 2])
        assert annotation.annotated(2) == (2, 7)
        assert annotation.labels == (1,)
        known = annotation.known(2)
        assert known[:, :, [2, 7]].all()
        assert known.sum() == 2 * 6 * 7

    def test_several_axes_are_known_together(self) -> None:
        annotation = SparseAnnotation(label_map(), {1: {2: (2,), 0: (3,)}, 2: {1: (5,)}})
        known = annotation.known(1)
        expected = np.zeros(GRID.shape, bool)
        expected[:, :, 2] = expected[3] = True
        np.testing.assert_array_equal(known, expected)
        assert not annotation.known(3).any()
        assert annotation.annotated(0) == (3,)
        assert annotation.annotated(0, value=2) == ()
        assert annotation.labels == (1, 2)

    def test_the_axis_with_most_slices_is_found(self) -> None:
        annotation = SparseAnnotation(label_map(), {1: {2: (2,), 0: (1, 3)}})
        assert annotation.axis_with_most_slices == 0
        assert SparseAnnotation(label_map(), {1: {2: (2,), 0: (1,)}}).axis_with_most_slices == 2

    def test_a_ledger_gives_each_segment_its_own_slices(self) -> None:
        ledger = SliceLedger([record(index=2), record(index=6, empty=True), record(PROPAGATED, 5)])
        ledger.mark(SliceRecord("spleen", 0, 5, ANNOTATED, "Ada", "Monday"))
        annotation = SparseAnnotation.from_ledger(label_map(), ledger, {"liver": 1, "spleen": 2})
        assert annotation.slices == {1: {2: (2, 6)}, 2: {0: (5,)}}

    @pytest.mark.parametrize(
        ("slices", "words"),
        [
            ([], "No slice is annotated"),
            ([2, 8], "Slice 8 lies outside the volume: axis k has slices 0 to 7"),
            ([-1], "Slice -1 lies outside"),
            ([0, 1], "every segment is empty"),
        ],
    )
    def test_what_cannot_be_propagated_is_refused(self, slices: list[int], words: str) -> None:
        with pytest.raises(InputError, match=words):
            SparseAnnotation.from_label_map(label_map(), 2, slices)

    def test_empty_label_maps_and_unknown_axes_are_refused(self) -> None:
        empty = LabelMap(np.zeros(GRID.shape, np.uint8), GRID, (Segment.numbered(1),))
        with pytest.raises(InputError, match="No slice is annotated"):
            SparseAnnotation.from_label_map(empty, 2)
        with pytest.raises(InputError, match="There is no label: every segment is empty"):
            SparseAnnotation.from_label_map(replace(empty, segments=()), 2, [3])
        with pytest.raises(InputError, match="axis must be i, j or k"):
            SparseAnnotation.from_label_map(label_map(), 3)
        with pytest.raises(InputError, match="axis must be i, j or k"):
            SparseAnnotation(label_map(), {1: {5: (1,)}})


def test_what_filled_a_slice_is_kept_and_was_not_always() -> None:
    """Records of before it was kept are read, and records without it are written as they were then."""
    filled = record(PROPAGATED, 1, machine="network default sha256:" + "0" * 64)
    assert SliceLedger.from_json(SliceLedger([filled]).to_json()) == SliceLedger([filled])
    assert "machine" not in SliceLedger([record(PROPAGATED, 1)]).to_json()
    accepted = replace(filled, state=REVIEWED, rater="Ada")
    assert accepted.machine == filled.machine


def test_the_machine_of_an_installed_model_has_its_hash() -> None:
    sha256 = find_model("default").card().sha256
    name = machine_name("network", "default")
    assert name == f"network default sha256:{sha256}"
    assert machine_parts(name) == ("network default", sha256)
    assert machine_parts(machine_name("shape", None)) == ("shape", None)
    assert machine_parts(machine_name("network", "of somebody else")) == ("network of somebody else", None)
