"""Contour interpolation by ITK: what it fills, what it must leave, and that its process is never this one."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pgt.errors import Cancelled, PGTError
from pgt.propagation.contour_interpolation import interpolate_contour

pytest.importorskip("itk", reason="the package itk-morphologicalcontourinterpolation is not installed")

not_on_windows = pytest.mark.skipif(sys.platform == "win32", reason="starts a shell script")

SLICES, ROWS, COLUMNS = np.mgrid[:21, :48, :56]
CYLINDER = (ROWS - 20) ** 2 + (COLUMNS - 22) ** 2 < 60
LEANING = (ROWS - 34) ** 2 + (COLUMNS - 16 - SLICES) ** 2 < 45


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_fills_several_labels_across_any_axis(axis: int) -> None:
    labels = np.moveaxis(np.where(CYLINDER, 3, 0) + np.where(LEANING & ~CYLINDER, 700, 0), 0, axis)
    annotated = {3: (0, 20), 700: (0, 7, 14, 20)}
    filled = interpolate_contour(labels, axis, annotated)
    assert filled.dtype == labels.dtype
    assert dice(filled == 3, labels == 3) == 1
    assert dice(filled == 700, labels == 700) > 0.94
    for value, indices in annotated.items():
        for index in indices:
            drawn = np.take(labels, index, axis) == value
            np.testing.assert_array_equal(np.take(filled, index, axis) == value, drawn)


def test_reads_a_label_on_its_own_annotated_slices_only() -> None:
    labels = np.where(CYLINDER, 1, 0) + np.where(LEANING & ~CYLINDER, 2, 0)
    scribbled = labels.copy()
    scribbled[5][labels[5] == 2] = 0
    scribbled[10] = 1
    annotated = {1: (0, 20), 2: (0, 9, 20)}
    np.testing.assert_array_equal(
        interpolate_contour(scribbled, 0, annotated), interpolate_contour(labels, 0, annotated)
    )


def test_leaves_what_contours_cannot_tell() -> None:
    labels = np.where(CYLINDER, 1, 0)
    labels[10] = 0
    filled = interpolate_contour(labels, 0, {1: (3, 6, 10, 14, 17)})
    used = np.flatnonzero(filled.any(axis=(1, 2)))
    assert used.tolist() == [3, 4, 5, 6, 14, 15, 16, 17]


def test_many_small_pieces() -> None:
    labels = np.zeros((9, 100, 100), np.uint8)
    for row, column in np.ndindex(20, 20):
        labels[:, 5 * row : 5 * row + 3, 5 * column : 5 * column + 3] = 1
    filled = interpolate_contour(labels, 0, {1: (0, 8)})
    np.testing.assert_array_equal(filled, labels)


def test_nothing_drawn_stays_nothing() -> None:
    assert not interpolate_contour(np.zeros((4, 5, 6), np.int16), 2, {1: (0, 5)}).any()


def test_cancelling_ends_the_child() -> None:
    started = time.monotonic()
    with pytest.raises(Cancelled):
        interpolate_contour(CYLINDER.astype(np.uint8), 0, {1: (0, 20)}, cancelled=lambda: True)
    assert time.monotonic() - started < 1


def python_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have a shell script start in place of the child's interpreter."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


@not_on_windows
def test_a_child_that_dies_is_reported_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_that(tmp_path, monkeypatch, "echo 'corrupted size vs. prev_size' >&2; kill -ABRT $$")
    with pytest.raises(PGTError, match=r"^Contour interpolation failed .*: corrupted size vs. prev_size$"):
        interpolate_contour(CYLINDER.astype(np.uint8), 0, {1: (0, 20)})


@not_on_windows
def test_a_result_finished_before_the_child_died_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_that(tmp_path, monkeypatch, f'"{sys.executable}" "$@"; kill -ABRT $$')
    filled = interpolate_contour(CYLINDER.astype(np.uint8), 0, {1: (0, 20)})
    np.testing.assert_array_equal(filled, CYLINDER)
