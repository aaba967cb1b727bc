"""Which segment of one rater is which of another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgt.agreement.label_matching import folded, match_labels, terminology_key
from pgt.agreement.masks import CroppedMask
from pgt.agreement.structures import Segmentation, Structure
from pgt.errors import InputError
from pgt.geometry import Geometry

SHAPE = (4, 4, 4)
MASK = CroppedMask.of(np.ones(SHAPE, bool))
LIST = "Segmentation category and type - 3D Slicer General Anatomy list"
REGIONS = "Anatomic codes - DICOM master list"
LIVER = f"{LIST}~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~{REGIONS}~^^~^^"
LEBER = f"Andere Liste~SCT^123037004^Struktur~SCT^10200004^Leber~^^~{REGIONS}~^^~^^"
KIDNEY = f"{LIST}~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^24028007^Right~{REGIONS}~^^~^^"
OTHER_KIDNEY = KIDNEY.replace("SCT^24028007^Right", "SCT^7771000^Left")
TISSUE = f"{LIST}~SCT^85756007^Tissue~SCT^85756007^Tissue~^^~{REGIONS}~^^~^^"


def segmentation(*structures: Structure, title: str = "a.nrrd", complete: bool = False) -> Segmentation:
    return Segmentation(title, Geometry(SHAPE), structures, complete)


def named(name: str, value: int | None = None, terminology: str = "") -> Structure:
    return Structure(f"key of {name}", name, value, terminology, MASK)


def unnamed(*values: int) -> Segmentation:
    structures = (Structure(str(value), "", value, "", MASK) for value in values)
    return segmentation(*structures, title="plain.nii.gz", complete=True)


def table(*segmentations: Segmentation) -> dict[str, tuple[str | None, ...]]:
    return {line.label: line.keys for line in match_labels(segmentations)}


def test_names_match_whatever_their_case_and_blanks() -> None:
    found = table(
        segmentation(named("Left Kidney"), named("Liver")),
        segmentation(named("liver"), named(" left_kidney ")),
        segmentation(named("Spleen"), named("LEFT  KIDNEY")),
    )
    assert found == {
        "Left Kidney": ("key of Left Kidney", "key of  left_kidney ", "key of LEFT  KIDNEY"),
        "Liver": ("key of Liver", "key of liver", None),
        "Spleen": (None, None, "key of Spleen"),
    }


def test_terminology_matches_where_names_do_not() -> None:
    found = table(
        segmentation(named("Liver", terminology=LIVER)), segmentation(named("Leber", terminology=LEBER))
    )
    assert found == {"Liver": ("key of Liver", "key of Leber")}


def test_sides_are_not_confused() -> None:
    found = table(
        segmentation(named("kidney", terminology=KIDNEY)),
        segmentation(named("Niere", terminology=OTHER_KIDNEY)),
    )
    assert len(found) == 2


def test_what_slicer_gives_every_segment_matches_nothing() -> None:
    found = table(segmentation(named("a", terminology=TISSUE)), segmentation(named("b", terminology=TISSUE)))
    assert set(found) == {"a", "b"}
    assert terminology_key(TISSUE) == terminology_key("damaged") == terminology_key("") == ""


def test_a_term_that_one_rater_uses_twice_matches_nothing() -> None:
    found = table(
        segmentation(named("one", terminology=LIVER), named("two", terminology=LIVER)),
        segmentation(named("three", terminology=LEBER)),
    )
    assert set(found) == {"one", "two", "three"}


def test_labels_without_names_match_by_value() -> None:
    assert table(unnamed(1, 3), unnamed(3, 7)) == {"1": ("1", None), "3": ("3", "3"), "7": (None, "7")}


def test_a_label_without_a_name_takes_the_name_that_others_give_its_value() -> None:
    found = table(unnamed(1, 2), segmentation(named("Liver", 1), named("Spleen", 5)))
    assert found == {"Liver": ("1", "key of Liver"), "Spleen": (None, "key of Spleen"), "2": ("2", None)}


def test_a_value_of_two_names_is_refused() -> None:
    with pytest.raises(InputError, match=r"plain\.nii\.gz has a label 1 .*'Liver' and 'Spleen'"):
        table(unnamed(1), segmentation(named("Liver", 1)), segmentation(named("Spleen", 1)))


@pytest.mark.parametrize(("first", "second"), [("Liver", "Liver"), ("Liver", "LIVER "), ("a_b", "A  b")])
def test_names_that_clash_are_refused(first: str, second: str) -> None:
    with pytest.raises(InputError, match=r"a\.nrrd has (two segments named|segments)"):
        table(segmentation(named(first), named(second)))


@given(st.lists(st.lists(st.text("abAB _", min_size=1, max_size=4), max_size=5), max_size=4))
def test_every_segment_is_in_the_table_exactly_once(names: list[list[str]]) -> None:
    columns = [list({folded(name): name for name in column if folded(name)}.values()) for column in names]
    found = match_labels([segmentation(*map(named, column)) for column in columns])
    for number, column in enumerate(columns):
        keys = [line.keys[number] for line in found if line.keys[number] is not None]
        assert sorted(keys) == sorted(f"key of {name}" for name in column)
    assert len({folded(line.label) for line in found}) == len(found)
