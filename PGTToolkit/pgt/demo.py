"""The main job from end to end, on a made volume or on the user's own, told on one page.

On the made volume the truth is known: a few of its slices are kept as the annotation, everything else is
propagated and then compared, also with what shape and contour interpolation make of the same slices.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pgt import __version__, demo_files
from pgt.annotation import AXIS_NAMES, SparseAnnotation
from pgt.geometry import Geometry, Shape
from pgt.output_files import write_text
from pgt.page import Page, Picture, SlicePoint, StructureScore
from pgt.pictures import Scene, picture_of_planes, picture_of_slices, picture_of_uncertainty, png_bytes
from pgt.planning import plan_slices
from pgt.progress import Progress
from pgt.propagation.engine import PropagationResult, PropagationSettings, propagate
from pgt.propagation.report import report_of
from pgt.sample_volume import make_sample
from pgt.volume import LabelMap, Volume
from pgt.volume_io import write_label_map, write_volume

MADE_SLICES = 6
SHOWN_SLICES = 8
_PEERS: dict[Literal["shape", "contour"], str] = {
    "shape": "Shape interpolation",
    "contour": "Contour interpolation",
}


@dataclass(frozen=True, eq=False)
class Case:
    """A volume with its annotated slices, and the truth where it is known."""

    title: str
    origin: str
    volume: Volume
    annotation: SparseAnnotation
    axis: int
    truth: LabelMap | None = None

    @property
    def annotated(self) -> tuple[int, ...]:
        """The annotated slices of the axis."""
        return self.annotation.annotated(self.axis)


def made_case(shape: Shape = (160, 128, 80), seed: int = 0) -> Case:
    """The made volume, annotated on a few planned slices."""
    volume, truth = make_sample(shape, seed)
    axis = 2
    drawn = np.flatnonzero(truth.voxels.any(axis=(0, 1)))
    plan = plan_slices(volume.geometry, axis, count=MADE_SLICES, extent=(int(drawn[0]), int(drawn[-1])))
    voxels = np.zeros_like(truth.voxels)
    voxels[:, :, list(plan.slices)] = truth.voxels[:, :, list(plan.slices)]
    annotation = SparseAnnotation.from_label_map(replace(truth, voxels=voxels), axis, plan.slices)
    return Case("PGT Toolkit: a made abdominal CT", "made by this project", volume, annotation, axis, truth)


def run_demo(
    case: Case, folder: Path, settings: PropagationSettings, show: Callable[[int, int, str], None]
) -> str:
    """Propagate a case and write the files of `demo_files`.

    Args:
        case: what to propagate.
        folder: an existing folder.
        settings: how; the axis is the case's.
        show: called with steps done, steps in all (0 when unknown) and what is being done.

    Returns:
        What was done and what came of it, in a few sentences.
    """

    def report(progress: Progress) -> None:
        show(progress.done, progress.total, progress.message)

    settings = replace(settings, axis=case.axis)
    result = propagate(case.volume, case.annotation, settings, progress=report)
    peers: dict[str, LabelMap] = {}
    if case.truth:
        for method, name in _PEERS.items():
            show(0, 0, f"{name}, for comparison")
            peers[name] = propagate(case.volume, case.annotation, replace(settings, method=method)).label_map
    show(0, 0, "Drawing pictures and writing files")
    _write_volumes(case, result, folder)
    pictures = _pictures(case, result)
    for name, picture in pictures.items():
        (folder / name).write_bytes(picture.png)
    page = _page(case, result, peers, pictures)
    write_text(folder / demo_files.PAGE, page.html())
    return page.lead


def dice(truth: NDArray[np.bool_], result: NDArray[np.bool_]) -> float | None:
    """Dice of two masks; None when both are empty."""
    together = int(truth.sum()) + int(result.sum())
    return 2 * int((truth & result).sum()) / together if together else None


def _write_volumes(case: Case, result: PropagationResult, folder: Path) -> None:
    write_label_map(result.label_map, folder / "label_map.nii.gz")
    write_label_map(result.label_map, folder / "label_map.seg.nrrd")
    write_volume(Volume(result.uncertainty, case.volume.geometry), folder / "uncertainty.nii.gz")
    write_text(folder / "report.json", json.dumps(report_of(result), indent=1) + "\n")
    if case.truth:
        write_volume(case.volume, folder / "image.nii.gz")
        write_label_map(case.annotation.label_map, folder / "annotation.nii.gz")
        write_label_map(case.truth, folder / "truth.nii.gz")


def _pictures(case: Case, result: PropagationResult) -> dict[str, Picture]:
    confidence = {s.index: s.confidence for s in result.slices if s.index not in case.annotated}
    scene = Scene(case.volume, result.label_map, case.axis, case.annotated, confidence)
    return {
        "planes.png": Picture(
            png_bytes(picture_of_planes(scene)),
            "The three planes, each through the slice with most structures. Yellow: annotated slices.",
        ),
        "slices.png": Picture(
            png_bytes(picture_of_slices(scene, _telling_slices(case, result))),
            "Annotated slices (framed, solid contours) and, from the middle of the gaps between them, "
            "propagated slices (dashed contours) with their confidence.",
        ),
        "uncertainty.png": Picture(
            png_bytes(picture_of_uncertainty(scene, result.uncertainty)),
            "Where the propagation is unsure: bright rims and patches are the places to look at first.",
        ),
    }


def _telling_slices(case: Case, result: PropagationResult) -> list[int]:
    """Annotated slices and the middles between them, `SHOWN_SLICES` at most, the outermost left out."""
    marks = list(case.annotated)
    middles = [(first + last) // 2 for first, last in pairwise(marks) if last - first > 1]
    if len(marks) == 1:
        middles = [s.index for s in result.slices if s.index != marks[0]][:: max(1, len(result.slices) // 4)]
    chosen = sorted({*marks, *middles})
    surplus = max(len(chosen) - SHOWN_SLICES, 0)
    return chosen[surplus // 2 : surplus // 2 + SHOWN_SLICES]


def _page(
    case: Case, result: PropagationResult, peers: Mapping[str, LabelMap], pictures: Mapping[str, Picture]
) -> Page:
    scores = _scores(case, {"PGT Toolkit": result.label_map, **peers}) if case.truth else []
    return Page(
        title=case.title,
        lead=_lead(case, result, scores),
        steps=_steps(case, result),
        pictures=list(pictures.values()),
        slices=_slice_points(case, result),
        axis=case.axis,
        next_slice=result.next_slice,
        facts=_facts(case, result),
        files={**demo_files.RESULTS, **(demo_files.MADE_VOLUME if case.truth else {})},
        scores=scores,
        score_note=(
            "Dice over the slices that were not annotated, all three methods from the same annotated slices; "
            "the best of a row is bold. A made volume has cleaner edges than a patient's: see the benchmarks "
            "for real data."
        ),
        messages=result.messages,
    )


def _scores(case: Case, results: Mapping[str, LabelMap]) -> list[StructureScore]:
    truth = case.truth
    assert truth is not None
    others = np.setdiff1d(np.arange(truth.geometry.shape[case.axis]), case.annotated)
    maps = {name: np.take(label_map.voxels, others, axis=case.axis) for name, label_map in results.items()}
    hidden = np.take(truth.voxels, others, axis=case.axis)
    return [
        StructureScore(
            name=segment.name,
            color=segment.color,
            millilitres=int(truth.mask(segment.value).sum()) * truth.geometry.voxel_volume / 1000,
            dice={
                name: dice(hidden == segment.value, voxels == segment.value) for name, voxels in maps.items()
            },
        )
        for segment in truth.segments
    ]


def _slice_points(case: Case, result: PropagationResult) -> list[SlicePoint]:
    return [
        SlicePoint(s.index, s.state, s.confidence, _slice_dice(case, result, s.index)) for s in result.slices
    ]


def _slice_dice(case: Case, result: PropagationResult, index: int) -> float | None:
    """Mean Dice of the structures of one slice, None where the truth is not known."""
    if case.truth is None:
        return None
    truth = np.take(case.truth.voxels, index, axis=case.axis)
    labels = np.take(result.label_map.voxels, index, axis=case.axis)
    values = [dice(truth == value, labels == value) for value in case.truth.values]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _lead(case: Case, result: PropagationResult, scores: list[StructureScore]) -> str:
    filled = sum(1 for s in result.slices if s.index not in case.annotated)
    lead = (
        f"From {len(case.annotated)} annotated slices PGT Toolkit filled in {filled} more, "
        f"{len(result.label_map.segments)} structures, in {result.seconds:.1f} seconds on {result.device}."
    )
    for column in scores[0].dice if scores else ():
        known = [value for score in scores if (value := score.dice[column]) is not None]
        lead += f" {column}: mean Dice {sum(known) / len(known):.3f}."
    return lead


def _steps(case: Case, result: PropagationResult) -> list[str]:
    name, size = AXIS_NAMES[case.axis], case.volume.geometry.shape[case.axis]
    listed = ", ".join(str(index) for index in case.annotated)
    drawn = "kept from the truth as the annotation" if case.truth else "read from the annotation"
    return [
        f"Volume {case.origin}: {_grid(case.volume.geometry)}.",
        f"Slices {name} = {listed} of 0 to {size - 1} {drawn}; every other voxel was hidden.",
        f"Propagated with {_how(result)}. The annotated slices are locked: not one of their voxels changes.",
    ]


def _facts(case: Case, result: PropagationResult) -> dict[str, str]:
    geometry = case.volume.geometry
    packages = ("torch", "SimpleITK", "numpy", "scipy")
    return {
        "Image": case.origin,
        "Grid": _grid(geometry),
        "Orientation of i, j, k": f"{geometry.orientation}{'' if _is_straight(geometry) else ', oblique'}",
        "Annotated slices": f"{AXIS_NAMES[case.axis]} = {', '.join(map(str, case.annotated))}",
        "How": _how(result),
        "Time": f"{result.seconds:.1f} s",
        "Versions": f"pgt {__version__}, Python {platform.python_version()}, "
        + ", ".join(f"{package} {metadata.version(package)}" for package in packages),
    }


def _how(result: PropagationResult) -> str:
    model = f", model {result.model}" if result.model else ""
    return f"method {result.method}{model}, on {result.device}"


def _grid(geometry: Geometry) -> str:
    sizes = "×".join(str(size) for size in geometry.shape)
    spacing = "×".join(f"{mm:.3g}" for mm in geometry.spacing)
    return f"{sizes} voxels of {spacing} mm"


def _is_straight(geometry: Geometry) -> bool:
    return bool(np.allclose(np.abs(geometry.direction).max(axis=0), 1, atol=1e-4))
