"""Readings from files: what counts, what is matched, and on which grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geometries import DIRECTIONS
from hypothesis import given
from hypothesis import strategies as st
from reading_cases import GRID, box, ledger_tag, named, write_labels, write_layers, write_named

from pgt.agreement.grids import placed
from pgt.agreement.masks import CroppedMask
from pgt.agreement.reading_files import read_reading, read_readings, read_segmentation
from pgt.agreement.reading_table import ReadingFile, read_reading_table
from pgt.agreement.readings import DrawnSlices, Sitting
from pgt.annotation import SliceState
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.resampling import resampled
from pgt.volume import LabelMap

LIVER, TUMOUR = box((2, 3, 1), (12, 14, 13)), box((6, 8, 4), (15, 12, 9))
A, P, F = SliceState.ANNOTATED, SliceState.PROPAGATED, SliceState.REVIEWED


def files(*paths: Path, case: str = "case") -> list[ReadingFile]:
    return [ReadingFile(case, Sitting(path.name.split(".")[0]), path) for path in paths]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_label_map_of_any_format_and_orientation(tmp_path: Path, suffix: str, direction: str) -> None:
    grid = replace(GRID, direction=DIRECTIONS[direction])
    path = write_labels(tmp_path / f"a{suffix}", {2: LIVER, 7: TUMOUR & ~LIVER}, grid)
    reading = read_reading(path, "x", Sitting("a"))
    assert reading.geometry.difference(grid) is None
    # NRRD keeps names, and what nobody named is called Segment_<value> there.
    names = ("Segment_2", "Segment_7") if suffix == ".nrrd" else ("2", "7")
    assert reading.labels == names
    np.testing.assert_array_equal(reading.masks[names[0]].full(), LIVER)
    np.testing.assert_array_equal(reading.masks[names[1]].full(), TUMOUR & ~LIVER)
    assert not reading.drawn
    assert not reading.note


def test_large_values_are_labels_too(tmp_path: Path) -> None:
    voxels = LIVER * np.uint32(3_000_000_000)
    from pgt.volume_io import write_label_map

    write_label_map(LabelMap.from_voxels(voxels, GRID), tmp_path / "a.nii.gz")
    reading = read_reading(tmp_path / "a.nii.gz", "x", Sitting("a"))
    np.testing.assert_array_equal(reading.masks["3000000000"].full(), LIVER)


def test_segments_may_overlap(tmp_path: Path) -> None:
    path = write_layers(tmp_path / "a.seg.nrrd", {"Liver": LIVER, "Tumour": TUMOUR})
    reading = read_reading(path, "x", Sitting("a"))
    np.testing.assert_array_equal(reading.masks["Liver"].full(), LIVER)
    np.testing.assert_array_equal(reading.masks["Tumour"].full(), TUMOUR)
    assert (LIVER & TUMOUR).any()


def test_a_segment_without_voxels_was_looked_for(tmp_path: Path) -> None:
    path = write_named(tmp_path / "a.seg.nrrd", named("Liver", "Tumour"), [LIVER, np.zeros_like(LIVER)])
    other = write_named(tmp_path / "b.seg.nrrd", named("Liver"), [LIVER])
    first, second = read_readings(files(path, other))
    assert first.masks["Tumour"].is_empty
    assert "Tumour" not in second.masks


def test_a_plain_label_map_without_a_value_says_absent(tmp_path: Path) -> None:
    one = write_labels(tmp_path / "a.nii.gz", {1: LIVER, 2: TUMOUR & ~LIVER})
    two = write_labels(tmp_path / "b.nii.gz", {1: LIVER})
    nothing = write_labels(tmp_path / "c.nii.gz", {})
    readings = read_readings(files(one, two, nothing))
    assert [reading.labels for reading in readings] == [("1", "2")] * 3
    assert [reading.masks["2"].is_empty for reading in readings] == [False, True, True]


def test_a_label_that_nobody_drew_in_a_case_says_nothing_there(tmp_path: Path) -> None:
    one = write_labels(tmp_path / "a.nii.gz", {1: LIVER})
    two = write_labels(tmp_path / "b.nii.gz", {1: LIVER, 2: TUMOUR & ~LIVER})
    readings = read_readings(
        [
            *files(one, two, case="x"),
            *(replace(f, case="y") for f in files(one, one)[:1]),
            ReadingFile("y", Sitting("b"), one),
        ]
    )
    assert [reading.labels for reading in readings] == [("1", "2"), ("1", "2"), ("1",), ("1",)]


def test_only_annotated_slices_are_drawn(tmp_path: Path) -> None:
    states = {3: A, 5: A, 4: P, 6: F, 9: A}
    path = write_layers(
        tmp_path / "a.seg.nrrd", {"Liver": LIVER, "Tumour": TUMOUR}, tags={"Liver": ledger_tag("S0", states)}
    )
    reading = read_reading(path, "x", Sitting("a"))
    assert reading.drawn == {"Liver": DrawnSlices(2, (3, 5, 9))}


def test_the_axis_of_annotated_slices_is_the_one_with_most_or_the_one_asked_for(tmp_path: Path) -> None:
    from pgt.annotation import SliceLedger, SliceRecord

    ledger = SliceLedger(
        [SliceRecord("S0", 0, index, A, "ann", "1") for index in (3, 4, 9)]
        + [SliceRecord("S0", 2, 5, A, "ann", "1"), SliceRecord("S0", 2, 6, P, "ann", "1")]
    )
    tag = f"PGTToolkit.SliceStates:{ledger.to_json()}|"
    path = write_layers(tmp_path / "a.seg.nrrd", {"Liver": LIVER}, tags={"Liver": tag})
    assert read_segmentation(path).structures[0].drawn == DrawnSlices(0, (3, 4, 9))
    assert read_segmentation(path, axis=2).structures[0].drawn == DrawnSlices(2, (5,))


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        (dict.fromkeys(range(1, 13), A), True),
        ({k: A for k in range(1, 13) if k != 6}, False),
        ({**dict.fromkeys(range(1, 13), A), 13: P}, False),
        (dict.fromkeys(range(0, 13), A), False),
    ],
)
def test_a_structure_drawn_by_hand_from_end_to_end_is_compared_whole(
    tmp_path: Path, states: dict[int, SliceState], whole: bool
) -> None:
    path = write_layers(tmp_path / "a.seg.nrrd", {"Liver": LIVER}, tags={"Liver": ledger_tag("S0", states)})
    assert (not read_reading(path, "x", Sitting("a")).drawn) is whole


def test_damaged_slice_states_are_refused(tmp_path: Path) -> None:
    path = write_layers(
        tmp_path / "a.seg.nrrd", {"Liver": LIVER}, tags={"Liver": "PGTToolkit.SliceStates:{broken|"}
    )
    with pytest.raises(InputError, match=r"a\.seg\.nrrd cannot be used: The slice states"):
        read_segmentation(path)


def moved(geometry: Geometry, by: tuple[float, float, float]) -> Geometry:
    return replace(geometry, origin=tuple(np.add(geometry.origin, by)))


@given(
    direction=st.sampled_from(sorted(DIRECTIONS)),
    spacing=st.tuples(*[st.floats(0.6, 2.5)] * 3),
    shift=st.tuples(*[st.floats(-6, 6)] * 3),
)
def test_a_structure_on_another_grid_is_what_resampling_everything_gives(
    direction: str, spacing: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    wanted = moved(Geometry((17, 15, 19), spacing, GRID.origin, DIRECTIONS[direction]), shift)
    everything = resampled(LabelMap.from_voxels(LIVER.astype(np.uint8), GRID), wanted)
    found = placed(CroppedMask.of(LIVER), GRID, wanted)
    np.testing.assert_array_equal(found.full(), everything.voxels != 0)


def test_a_crop_of_the_same_grid_is_compared_voxel_by_voxel(tmp_path: Path) -> None:
    one = write_labels(tmp_path / "a.nrrd", {1: LIVER})
    crop = GRID.cropped((1, 2, 0), (14, 13, 14))
    two = write_labels(tmp_path / "b.nrrd", {1: LIVER[1:15, 2:15, 0:14]}, crop)
    first, second = read_readings(files(one, two))
    assert second.geometry.difference(GRID) is None
    np.testing.assert_array_equal(second.masks["Segment_1"].full(), first.masks["Segment_1"].full())
    assert "b.nrrd was resampled to the grid of a.nrrd by nearest neighbour (shape" in second.note
    assert not first.note


def test_the_reference_gives_the_grid(tmp_path: Path) -> None:
    fine = Geometry((40, 36, 16), (0.5, 0.5, 2.0), (-12.25, 6.75, 40.0))
    one = write_labels(tmp_path / "a.nii.gz", {1: LIVER})
    reference = write_labels(tmp_path / "r.nii.gz", {1: np.repeat(np.repeat(LIVER, 2, 0), 2, 1)}, fine)
    readings = read_readings(files(one, reference), reference="r")
    assert all(reading.geometry.difference(fine) is None for reading in readings)
    np.testing.assert_array_equal(readings[0].masks["1"].full(), readings[1].masks["1"].full())


def test_what_lies_outside_the_other_grid_is_counted(tmp_path: Path) -> None:
    one = write_labels(tmp_path / "a.nii.gz", {1: LIVER})
    shifted = moved(GRID, (-6.0, 0.0, 0.0))
    two = write_labels(tmp_path / "b.nii.gz", {1: LIVER}, shifted)
    _, second = read_readings(files(one, two))
    # Four of the ten columns i = 2..11 now lie at i = -4..-1.
    assert "40 % of its labelled voxels lie outside" in second.note
    assert second.masks["1"].count == 0.6 * LIVER.sum()


@pytest.mark.parametrize("shift", [(500.0, 0, 0), (0, 18.0, 0), (0, 0, -40.0)])
def test_grids_that_share_no_space_are_refused(tmp_path: Path, shift: tuple[float, float, float]) -> None:
    one = write_labels(tmp_path / "a.nii.gz", {1: LIVER})
    two = write_labels(tmp_path / "b.nii.gz", {1: LIVER}, moved(GRID, shift))
    with pytest.raises(InputError, match=r"b\.nii\.gz and a\.nii\.gz do not overlap in space \(origin"):
        read_readings(files(one, two))


def test_a_turned_grid_that_passes_by_is_refused(tmp_path: Path) -> None:
    one = write_labels(tmp_path / "a.nii.gz", {1: LIVER})
    far = Geometry((10, 10, 10), (1, 1, 1), (12.0, 34.0, 45.0), DIRECTIONS["oblique"])
    two = write_labels(tmp_path / "b.nii.gz", {1: np.ones((10, 10, 10), bool)}, far)
    with pytest.raises(InputError, match="do not overlap in space"):
        read_readings(files(one, two))


def test_structures_that_all_lie_outside_are_refused(tmp_path: Path) -> None:
    one = write_labels(tmp_path / "a.nii.gz", {1: LIVER})
    two = write_labels(tmp_path / "b.nii.gz", {1: box((0, 0, 0), (3, 3, 3))}, moved(GRID, (-12.0, 0.0, 0.0)))
    with pytest.raises(
        InputError, match=r"Every structure of b\.nii\.gz lies outside the grid of a\.nii\.gz"
    ):
        read_readings(files(one, two))


def test_annotated_slices_follow_to_a_flipped_grid(tmp_path: Path) -> None:
    states = {3: A, 4: P, 5: A}
    one = write_layers(tmp_path / "a.seg.nrrd", {"Liver": LIVER})
    flipped = GRID.flipped(2).permuted((2, 0, 1))
    voxels = np.flip(LIVER, 2).transpose(2, 0, 1)
    two = write_layers(
        tmp_path / "b.seg.nrrd",
        {"Liver": voxels},
        flipped,
        tags={"Liver": ledger_tag("S0", {15 - k: state for k, state in states.items()}, axis=0)},
    )
    first, second = read_readings(files(one, two))
    np.testing.assert_array_equal(second.masks["Liver"].full(), first.masks["Liver"].full())
    assert second.drawn == {"Liver": DrawnSlices(2, (3, 5))}


@pytest.mark.parametrize(
    "grid",
    [
        replace(GRID, spacing=(1.0, 1.0, 1.0)),
        moved(GRID, (0.0, 0.0, 0.7)),
        replace(GRID, direction=DIRECTIONS["oblique"]),
    ],
)
def test_annotated_slices_without_counterpart_are_refused(tmp_path: Path, grid: Geometry) -> None:
    one = write_layers(tmp_path / "a.seg.nrrd", {"Liver": LIVER})
    tag = ledger_tag("S0", {3: A, 4: P, 5: A})
    two = write_layers(tmp_path / "b.seg.nrrd", {"Liver": LIVER}, grid, tags={"Liver": tag})
    with pytest.raises(InputError, match=r"Only some slices of b\.seg\.nrrd are annotated"):
        read_readings(files(one, two))


@pytest.mark.parametrize(
    ("first", "second"), [({1: LIVER}, {2: LIVER}), ({}, {})], ids=["other values", "nothing"]
)
def test_no_common_label_is_refused(
    tmp_path: Path, first: dict[int, np.ndarray], second: dict[int, np.ndarray]
) -> None:
    one, two = write_labels(tmp_path / "a.nii.gz", first), write_labels(tmp_path / "b.nii.gz", second)
    with pytest.raises(
        InputError, match=r"No (two segmentations .* in common|structure is labelled) .*a\.nii"
    ):
        read_readings(files(one, two))


def test_labels_shared_across_cases_alone_are_not_common(tmp_path: Path) -> None:
    one = write_named(tmp_path / "a.seg.nrrd", named("Liver"), [LIVER])
    two = write_named(tmp_path / "b.seg.nrrd", named("Spleen"), [TUMOUR])
    with pytest.raises(InputError, match="label in common"):
        read_readings([*files(one, two, case="x"), *files(one, case="y")])


TABLE = """case,rater,session,file,label,role,image
x,ann,,x/ann.nii.gz,,,x/ct.nii.gz
x,ann,2,x/ann2.nii.gz,,,
x,ben,1,x/ben.nii.gz,,rater,
x,truth,,x/truth.nii.gz,,Reference,
y,net,,y/net_a.nii.gz,a,candidate,
y,net,,y/net_b.nii.gz,b,candidate,
"""


def test_a_table_of_readings(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    table = read_reading_table(tmp_path / "t.csv")
    assert [(f.case, str(f.sitting), f.label) for f in table.files] == [
        ("x", "ann", ""), ("x", "ann (session 2)", ""), ("x", "ben", ""), ("x", "truth", ""),
        ("y", "net", "a"), ("y", "net", "b"),
    ]  # fmt: skip
    assert table.files[0].path == tmp_path / "x/ann.nii.gz"
    assert (table.reference, table.candidates) == ("truth", ("net",))
    assert table.images == {"x": tmp_path / "x/ct.nii.gz"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case,rater\nx,ann\n", "lacks the column file"),
        ("case,rater,file\n", "lists no case"),
        ("case,rater,file\nx,,a.nrrd\n", "line 2: the entry for rater is missing"),
        ("case,rater,file\nx,ann,a.nrrd\nx,ann,b.nrrd\n", "line 3: ann has a reading of case x already"),
        (
            "case,rater,file,label\nx,ann,a.nrrd,l\nx,ann,b.nrrd,l\n",
            "ann has a reading of l of case x already",
        ),
        (
            "case,rater,file,label\nx,ann,a.nrrd,l\nx,ann,b.nrrd,\n",
            "line 3: ann has a reading of case x already",
        ),
        ("case,rater,file,role\nx,ann,a.nrrd,judge\n", "line 2: the role is 'judge'"),
        (
            "case,rater,file,role\nx,ann,a.nrrd,\ny,ann,b.nrrd,reference\n",
            "ann is reference here and rater on",
        ),
        ("case,rater,file,role\nx,a,a.nrrd,reference\nx,b,b.nrrd,reference\n", "a and b as reference"),
        ("case,rater,file,image\nx,a,a.nrrd,1.nrrd\nx,b,b.nrrd,2.nrrd\n", "line 3: case x has another image"),
    ],
)
def test_tables_that_make_no_sense_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=r"t\.csv") as refused:
        read_reading_table(tmp_path / "t.csv")
    assert said in str(refused.value)


def test_one_file_for_each_structure(tmp_path: Path) -> None:
    names = {"liver": LIVER, "tumour": TUMOUR, "cyst": np.zeros_like(LIVER)}
    rows = []
    for rater in ("ann", "ben"):
        for name, mask in names.items():
            write_labels(tmp_path / f"{rater}_{name}.nii.gz", {1: mask})
            rows.append(ReadingFile("x", Sitting(rater), tmp_path / f"{rater}_{name}.nii.gz", name))
    for reading in read_readings(rows):
        assert reading.labels == tuple(names)
        for name, mask in names.items():
            np.testing.assert_array_equal(reading.masks[name].full(), mask)


def test_a_file_of_several_structures_is_not_one(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "a.nii.gz", {1: LIVER, 2: TUMOUR & ~LIVER})
    with pytest.raises(InputError, match=r"a\.nii\.gz was given as the structure 'liver' alone"):
        read_segmentation(path, label="liver")


def test_one_rater_s_files_of_a_session_lie_on_one_grid(tmp_path: Path) -> None:
    one = write_labels(tmp_path / "a.nii.gz", {1: LIVER})
    two = write_labels(tmp_path / "b.nii.gz", {1: LIVER}, moved(GRID, (1.0, 0, 0)))
    with pytest.raises(InputError, match=r"b\.nii\.gz does not lie on the grid of a\.nii\.gz"):
        read_readings(
            [ReadingFile("x", Sitting("ann"), one, "l"), ReadingFile("x", Sitting("ann"), two, "t")]
        )
