"""Going to a comparison: the case, the two readings as outlines, and the slice where they differ most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import slicer

from pgt.agreement.label_renaming import matched
from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import Sitting
from pgt.agreement.results import PairScores
from pgt.agreement.structures import Segmentation, Structure
from pgt.errors import InputError
from PGTToolkitLib.agreement_runner import opened_case, opened_readings
from PGTToolkitLib.contour_comparison import ContourComparison, Shown, jump_to, worst_slice
from PGTToolkitLib.reading_nodes import entered
from PGTToolkitLib.segmentation_readings import segmentation_of


@dataclass(frozen=True)
class SeenCase:
    """What the views show.

    Args:
        pair: the comparison.
        axis: 0, 1 or 2 for a slice across i, j or k of the first reading's grid.
        index: the slice; None where the two do not differ.
    """

    pair: PairScores
    axis: int
    index: int | None


class CaseInView:
    """Shows comparisons, one at a time."""

    def __init__(self) -> None:
        self._contours = ContourComparison()
        self.seen: SeenCase | None = None

    def is_at_hand(self, scene: slicer.vtkMRMLScene, pair: PairScores, listed: bool) -> bool:
        """Whether the case is in the scene; one of a case list has to be opened first."""
        return not listed or opened_case(scene) == pair.case

    def show(
        self, scene: slicer.vtkMRMLScene, pair: PairScores, renamed: Mapping[str, str], listed: bool
    ) -> SeenCase:
        """Outline both readings of a comparison and go to the slice where they differ most.

        Args:
            scene: where the segmentations are.
            pair: the comparison.
            renamed: the user's corrections to the labels.
            listed: whether it is of a case list, whose case was opened.

        Raises:
            InputError: a reading is in the scene no more.
        """
        nodes = [self._node(scene, sitting, listed) for sitting in (pair.a, pair.b)]
        segmentations = [segmentation_of(node) for node in nodes]
        # The segments of an opened case have the names that they were compared under.
        labels = matched(segmentations, {} if listed else renamed)
        line = next((one for one in labels if one.label == pair.label and None not in one.keys), None)
        if line is None:
            raise InputError(f"{pair.label} is no more in the segmentations of {pair.a} and {pair.b}.")
        keys = [str(key) for key in line.keys]
        first, second = self._on_one_grid(segmentations, keys)
        axis = first.drawn.axis if first.drawn is not None else _usual_axis(segmentations[0])
        index = worst_slice(first.mask, second.mask, axis)
        self._contours.show(scene, Shown(nodes[0], keys[0]), Shown(nodes[1], keys[1]))
        if index is not None:
            masks = [_on_slice(one.mask, axis, index) for one in (first, second)]
            jump_to(scene, segmentations[0].geometry, masks, axis, index)
        self.seen = SeenCase(pair, axis, index)
        return self.seen

    def clear(self) -> None:
        """Give the segmentations their looks back."""
        self._contours.clear()
        self.seen = None

    def _node(
        self, scene: slicer.vtkMRMLScene, sitting: Sitting, listed: bool
    ) -> slicer.vtkMRMLSegmentationNode:
        if listed:
            found = opened_readings(scene).get(str(sitting))
        else:
            found = next((node for node, entry in entered(scene) if entry.sitting == sitting), None)
        if found is None:
            raise InputError(f"The segmentation of {sitting} is in the scene no more.")
        return found

    def _on_one_grid(self, segmentations: list[Segmentation], keys: list[str]) -> tuple[Structure, Structure]:
        from pgt.agreement.grids import on_grid

        first = segmentations[0]
        second = on_grid(segmentations[1], first.geometry, first.title)
        return _structure(first, keys[0]), _structure(second, keys[1])


def _structure(segmentation: Segmentation, key: str) -> Structure:
    return next(one for one in segmentation.structures if one.key == key)


def _usual_axis(segmentation: Segmentation) -> int:
    from pgt.planning import usual_axis

    return usual_axis(segmentation.geometry)


def _on_slice(mask: CroppedMask, axis: int, index: int) -> CroppedMask:
    """The part of a mask on one slice."""
    full = mask.box[axis] if not mask.is_empty else slice(0, 0)
    if not full.start <= index < full.stop:
        return CroppedMask.empty(mask.shape)
    sides = [slice(None)] * 3
    sides[axis] = slice(index - full.start, index - full.start + 1)
    part = CroppedMask.of(mask.voxels[tuple(sides)])
    if part.is_empty:
        return CroppedMask.empty(mask.shape)
    start = [one + first for one, first in zip(part.start, mask.start, strict=True)]
    start[axis] = index
    return CroppedMask(part.voxels, (start[0], start[1], start[2]), mask.shape)
