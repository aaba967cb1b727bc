"""Morphological contour interpolation between annotated slices: Slicer's "Fill between slices".

ITK does the work (the package itk-morphologicalcontourinterpolation), with Slicer's settings. The filter has
been seen to corrupt the heap and abort its process, so it runs in a child process of its own: this module,
started as ``python -m pgt.propagation.contour_interpolation LABELS.npy AXIS RESULT.npy``. Whatever becomes of
the child, a result that it finished writing is good.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import Cancelled, PGTError

_MARGIN_VOXELS = 8
_POLL_SECONDS = 0.1
_MISSING_PACKAGE_STATUS = 3


def interpolate_contour(
    labels: NDArray[np.integer[Any]],
    axis: int,
    annotated: Mapping[int, Sequence[int]],
    *,
    cancelled: Callable[[], bool] | None = None,
    isolated: bool = True,
) -> NDArray[np.integer[Any]]:
    """Fill every label between its annotated slices by morphological contour interpolation.

    Nothing is filled before a label's first or after its last annotated slice, nor between an annotated slice
    and an annotated-empty one: contours alone say nothing about where a structure ends.

    Args:
        labels: integer label map [i, j, k]; only the annotated slices of each label are read.
        axis: 0, 1 or 2, the axis across the annotated slices.
        annotated: label value -> indices along the axis of its annotated slices, empty ones included.
        cancelled: asked about ten times a second; the work ends when it returns true.

        isolated: run the filter in a child process. False saves the second that the child takes to start, in
            a process that may be lost.

    Returns:
        A label map of the same shape and type. A label's own annotated slices hold it exactly as given.

    Raises:
        Cancelled: as asked for.
        PGTError: the filter is not installed, or its process failed.
    """
    values = sorted(annotated)
    drawn = _annotated_only(labels, axis, {value: annotated[value] for value in values})
    result = np.zeros_like(labels)
    if not drawn.any():
        return result
    box = _box_around(drawn)
    filled = _run_in_child(drawn[box], axis, cancelled) if isolated else _run_here(drawn[box], axis)
    result[box] = np.array([0, *values], dtype=labels.dtype)[filled]
    for place, value in enumerate(values, start=1):
        _respect_annotation(result, drawn == place, value, axis, sorted(annotated[value]))
    return result


def _annotated_only(
    labels: NDArray[np.integer[Any]], axis: int, annotated: Mapping[int, Sequence[int]]
) -> NDArray[np.int16]:
    """The labels, numbered from 1 in the order given, in their own annotated slices only.

    The filter needs int16: with uint8 it fails beyond 255 connected components.
    """
    drawn = np.zeros(labels.shape, np.int16)
    source, target = np.moveaxis(labels, axis, 0), np.moveaxis(drawn, axis, 0)
    for place, (value, indices) in enumerate(annotated.items(), start=1):
        for index in indices:
            target[index][source[index] == value] = place
    return drawn


def _box_around(drawn: NDArray[np.int16]) -> tuple[slice, ...]:
    box = []
    for axis, size in enumerate(drawn.shape):
        used = np.flatnonzero(drawn.any(axis=tuple(other for other in range(3) if other != axis)))
        first, last = int(used[0]) - _MARGIN_VOXELS, int(used[-1]) + _MARGIN_VOXELS
        box.append(slice(max(first, 0), min(last + 1, size)))
    return tuple(box)


def _respect_annotation(
    result: NDArray[np.integer[Any]], drawn: NDArray[np.bool_], value: int, axis: int, indices: Sequence[int]
) -> None:
    """Take the label out of gaps that touch an annotated-empty slice, and put its annotated slices back."""
    slices, truth = np.moveaxis(result, axis, 0), np.moveaxis(drawn, axis, 0)
    for before, after in pairwise(indices):
        if not (truth[before].any() and truth[after].any()):
            gap = slices[before + 1 : after]
            gap[gap == value] = 0
    for index in indices:
        slices[index][slices[index] == value] = 0
        slices[index][truth[index]] = value


def _run_in_child(
    drawn: NDArray[np.int16], axis: int, cancelled: Callable[[], bool] | None
) -> NDArray[np.int16]:
    with tempfile.TemporaryDirectory(prefix="pgt-contour-") as folder:
        request, answer = Path(folder, "labels.npy"), Path(folder, "result.npy")
        np.save(request, drawn)
        source_folder = str(Path(__file__).resolve().parents[2])
        search_path = os.pathsep.join(filter(None, [source_folder, os.environ.get("PYTHONPATH")]))
        with Path(folder, "messages.txt").open("w+", encoding="utf-8", errors="replace") as messages:
            child = subprocess.Popen(
                [sys.executable, "-m", "pgt.propagation.contour_interpolation", request, str(axis), answer],
                env={**os.environ, "PYTHONPATH": search_path},
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
            )
            status = _wait(child, cancelled)
            if answer.exists():
                result: NDArray[np.int16] = np.load(answer)
                return result
            messages.seek(0)
            raise PGTError(_failure(status, messages.read()))


def _wait(child: subprocess.Popen[bytes], cancelled: Callable[[], bool] | None) -> int:
    """The child's exit status. It never outlives this call."""
    try:
        while True:
            try:
                return child.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if cancelled is not None and cancelled():
                    raise Cancelled from None
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _failure(status: int, messages: str) -> str:
    if status == _MISSING_PACKAGE_STATUS:
        return (
            "Contour interpolation needs the Python package itk-morphologicalcontourinterpolation, "
            "which is not installed."
        )
    lines = messages.strip().splitlines()
    reason = f": {lines[-1]}" if lines else ""
    return f"Contour interpolation failed (exit status {status}){reason}"


def _run_here(drawn: NDArray[np.int16], axis: int) -> NDArray[np.int16]:
    """The filter itself.

    The concrete class is imported rather than ``itk.MorphologicalContourInterpolator`` because resolving that
    template loads all of ITK, which takes ten seconds.
    """
    import itk
    from itk.itkMorphologicalContourInterpolatorPython import itkMorphologicalContourInterpolatorISS3

    interpolator = itkMorphologicalContourInterpolatorISS3.New()
    interpolator.SetInput(itk.image_from_array(np.ascontiguousarray(drawn)))
    interpolator.SetAxis(drawn.ndim - 1 - axis)
    interpolator.SetUseDistanceTransform(False)
    interpolator.Update()
    return np.array(itk.array_from_image(interpolator.GetOutput()))


def _main(request: str, axis: str, answer: str) -> None:
    try:
        result = _run_here(np.load(request), int(axis))
    except ModuleNotFoundError:
        sys.exit(_MISSING_PACKAGE_STATUS)
    unfinished = Path(answer).with_suffix(".part.npy")
    np.save(unfinished, result)
    unfinished.replace(answer)
    # ITK's destructors are where the heap corruption has been seen.
    os._exit(0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
