"""Hippocampi annotated in styles that are known: what the experiments on annotation styles run on.

The 180 real label maps of ``hippocampus_mr`` are taken for the truth. Some are changed the way the HyperSORT
paper changes its own (section 4.1), or redrawn by four raters of made habits; 150 train, 30 are kept out.
Who drew what depends on the seed alone, so every machine has the same cohorts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pgt.case_table import CaseRow
from pgt.volume import LabelMap, Segment, Volume
from pgt.volume_io import read_label_map, read_volume, write_label_map

from .real_data import data_folder

Task = Literal["perturbed", "raters"]
Labels = NDArray[np.uint8]

TRAINING_CASES = 150
PERTURBED_SHARE = 0.15
STRUCTURES = (Segment(1, "anterior", (0.9, 0.3, 0.2)), Segment(2, "posterior", (0.2, 0.5, 0.9)))

GROUPS: dict[Task, tuple[str, ...]] = {
    "perturbed": ("as drawn", "eroded", "dilated"),
    "raters": ("as drawn", "tight", "loose", "smooth and clipped"),
}

_SMOOTHING = 1.5
_CLIPPED_SLICES = 3


@dataclass(frozen=True, eq=False)
class StyledCase:
    """One hippocampus and one annotation of it.

    Args:
        name: of the case.
        image: its file.
        label: the file of the true label.
        group: one of `GROUPS`, which training is not told.
        voxels: by how many voxels the outline was moved, where the group leaves a choice.
    """

    name: str
    image: Path
    label: Path
    group: str
    voxels: int

    @cached_property
    def volume(self) -> Volume:
        """The image."""
        return read_volume(self.image)

    @cached_property
    def true(self) -> LabelMap:
        """The label as the data set has it."""
        return _labelled(read_label_map(self.label), lambda labels: labels)

    @cached_property
    def drawn(self) -> LabelMap:
        """The label that training is given."""
        return self.in_style(self.group, self.voxels)

    def in_style(self, group: str, voxels: int = 1) -> LabelMap:
        """The label as a rater of a group would have drawn it."""
        return _labelled(self.true, lambda labels: redrawn(labels, group, voxels))


@dataclass(frozen=True)
class Cohort:
    """Cases that train, and cases kept out, which nobody changed."""

    task: Task
    seed: int
    training: tuple[StyledCase, ...]
    kept_out: tuple[StyledCase, ...]

    @property
    def groups(self) -> list[str]:
        """Of the training cases."""
        return [case.group for case in self.training]


def cohort(task: Task, seed: int, folder: Path | None = None) -> Cohort:
    """Draw a cohort.

    Args:
        task: "perturbed": 15 % of the training labels, half of them eroded and half dilated, by 1 or 2
            voxels; "raters": every label is drawn by one of four raters of equal share.
        seed: decides who trains and who drew what.
        folder: that holds ``hippocampus_mr``.
    """
    hippocampi = (folder or data_folder()) / "hippocampus_mr"
    images = sorted((hippocampi / "images").glob("*.nii.gz"))
    random = np.random.default_rng(seed)
    order = random.permutation(len(images))
    groups = _groups(task, random)
    voxels = random.integers(1, 3, len(groups)) if task == "perturbed" else np.ones(len(groups), int)

    def case(place: int, group: str, moved: int) -> StyledCase:
        image = images[place]
        label = hippocampi / "labels" / image.name
        return StyledCase(image.name.split(".")[0], image, label, group, moved)

    training = tuple(
        case(place, group, int(moved))
        for place, group, moved in zip(order[: len(groups)], groups, voxels, strict=True)
    )
    as_drawn = GROUPS[task][0]
    kept_out = tuple(case(place, as_drawn, 0) for place in order[len(groups) :])
    return Cohort(task, seed, training, kept_out)


def write_rows(cases: tuple[StyledCase, ...], folder: Path) -> tuple[CaseRow, ...]:
    """Write the drawn labels as files, and return the lines of a table of cases."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for case in cases:
        path = folder / f"{case.name}.nii.gz"
        if not path.exists():
            write_label_map(case.drawn, path)
        rows.append(CaseRow(case.name, case.image, path, {"rater": case.group}))
    return tuple(rows)


def redrawn(labels: Labels, group: str, voxels: int) -> Labels:
    """Labels [i, j, k] of isotropic voxels, drawn as a group draws them."""
    if group == "as drawn":
        return labels
    if group in ("eroded", "tight"):
        return eroded(labels, voxels)
    if group in ("dilated", "loose"):
        return dilated(labels, voxels)
    return smooth_and_clipped(labels)


def eroded(labels: Labels, voxels: int) -> Labels:
    """The structures together shrunk at their outer surface; the border between them stays."""
    return np.where(ndimage.binary_erosion(labels > 0, iterations=voxels), labels, 0).astype(np.uint8)


def dilated(labels: Labels, voxels: int) -> Labels:
    """The structures together grown at their outer surface; new voxels join the nearest structure."""
    grown = ndimage.binary_dilation(labels > 0, iterations=voxels)
    return np.where(grown, _nearest(labels), 0).astype(np.uint8)


def smooth_and_clipped(labels: Labels) -> Labels:
    """A smoothed outer surface, and three slices cut off at both ends of the longest axis."""
    smooth = ndimage.gaussian_filter((labels > 0).astype(np.float32), _SMOOTHING) > 0.5
    result = np.where(smooth, _nearest(labels), 0).astype(np.uint8)
    axis = int(np.argmax([len(_occupied(labels, axis)) for axis in range(3)]))
    occupied = _occupied(result, axis)
    np.moveaxis(result, axis, 0)[[*occupied[:_CLIPPED_SLICES], *occupied[-_CLIPPED_SLICES:]]] = 0
    return result


def _groups(task: Task, random: np.random.Generator) -> list[str]:
    names = GROUPS[task]
    if task == "raters":
        return [names[number % len(names)] for number in random.permutation(TRAINING_CASES)]
    groups = [names[0]] * TRAINING_CASES
    changed = random.permutation(TRAINING_CASES)[: round(PERTURBED_SHARE * TRAINING_CASES / 2) * 2]
    for number, case in enumerate(changed):
        groups[case] = names[1 + number % 2]
    return groups


def _labelled(label_map: LabelMap, change: Callable[[Labels], Labels]) -> LabelMap:
    return LabelMap(change(label_map.voxels.astype(np.uint8)), label_map.geometry, STRUCTURES)


def _nearest(labels: Labels) -> Labels:
    places = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    return labels[tuple(places)]


def _occupied(labels: Labels, axis: int) -> NDArray[np.intp]:
    others = tuple(other for other in range(3) if other != axis)
    return np.flatnonzero((labels > 0).any(axis=others))
