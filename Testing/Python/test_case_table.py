"""The table of cases that several commands read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgt.case_table import read_case_table
from pgt.errors import InputError


def table(folder: Path, text: str) -> Path:
    path = folder / "CASES.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_in_any_order_and_any_more(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "\ufeffrater, label ,case,image\nAB,sub/a_seg.nrrd,a,sub/a.nrrd\n,,b,/data/b.nrrd\n",
    )
    first, second = read_case_table(path)
    assert (first.case, first.image, first.label) == (
        "a",
        tmp_path / "sub/a.nrrd",
        tmp_path / "sub/a_seg.nrrd",
    )
    assert first.others == {"rater": "AB"}
    assert (second.image, second.label) == (Path("/data/b.nrrd"), None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks the column case, image"),
        ("case,label\na,b\n", "lacks the column image"),
        ("case,image\n", "lists no case"),
        ("case,image\na,a.nrrd\nb,\n", "line 3: the entry for image"),
        ("case,image\na,a.nrrd\na,b.nrrd\n", "a more than once"),
        ("case,image\nonly\n", "image"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = table(tmp_path, text)
    with pytest.raises(InputError, match=said) as caught:
        read_case_table(path)
    assert str(path) in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv"):
        read_case_table(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match=r"binary\.csv"):
        read_case_table(tmp_path / "binary.csv")


def test_a_command_may_need_labels(tmp_path: Path) -> None:
    path = table(tmp_path, "case,image,label\na,a.nrrd,\n")
    with pytest.raises(InputError, match="label"):
        read_case_table(path, needed=("case", "image", "label"))
