"""What several raters say of every voxel, on the part of the volume that any of them marked.

Where raters drew only some slices, only the slices that all of them drew count: on any other slice one of
them has not spoken, and silence is not background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import Box, CroppedMask, Mask, common_box
from pgt.agreement.peak import session_order
from pgt.agreement.readings import DrawnSlices, Reading
from pgt.errors import InputError

NOWHERE: Box = (slice(0, 0), slice(0, 0), slice(0, 0))


@dataclass(frozen=True, eq=False)
class Votes:
    """The marks of all raters on one structure.

    Args:
        marks: boolean array [rater, i, j, k] on the box.
        box: where the marks lie in the volume; empty where nobody marked anything.
        slices: the slices that all raters drew, to which the marks are cut down; None where all drew all.
    """

    marks: NDArray[np.bool_]
    box: Box
    slices: DrawnSlices | None = None

    @property
    def counts(self) -> NDArray[np.uint16]:
        """How many raters marked each voxel of the box."""
        return self.marks.sum(axis=0, dtype=np.uint16)

    @property
    def disputed(self) -> Mask:
        """The voxels of the box that some raters marked and others did not."""
        return np.logical_and(self.marks.any(axis=0), ~self.marks.all(axis=0))

    def on_counted_slices(self, voxels: Mask) -> Mask:
        """The voxels of the box that lie on slices which all raters drew."""
        return voxels if self.slices is None else voxels & _on_slices(self.slices, self.box)


def collect_votes(
    masks: Sequence[CroppedMask], drawn: Sequence[DrawnSlices | None] | None = None, margin: int = 0
) -> Votes:
    """Put the raters' masks of one structure beside each other.

    Args:
        masks: one a rater, of volumes of the same shape.
        drawn: for each rater the slices drawn, None for all of them; left out, all drew everything.
        margin: how many voxels of background to add around the marks, as far as the volume goes.

    Raises:
        InputError: the masks' volumes differ in shape, or the raters drew no slice in common.
    """
    shapes = {mask.shape for mask in masks}
    if len(shapes) > 1:
        sizes = " and ".join("x".join(map(str, shape)) for shape in sorted(shapes))
        raise InputError(f"The raters' masks lie on grids of different sizes: {sizes} voxels.")
    slices = drawn_by_all(drawn) if drawn is not None else None
    box = common_box(masks)
    if box is None:
        return Votes(np.zeros((len(masks), 0, 0, 0), dtype=bool), NOWHERE, slices)
    i, j, k = (
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, size in zip(box, masks[0].shape, strict=True)
    )
    box = (i, j, k)
    marks = np.stack([mask.within(box) for mask in masks])
    if slices is not None:
        marks &= _on_slices(slices, box)
    return Votes(marks, box, slices)


def drawn_by_all(drawn: Sequence[DrawnSlices | None]) -> DrawnSlices | None:
    """The slices that all raters drew; None where every rater drew all slices.

    Raises:
        InputError: there is no such slice, or they drew across different axes.
    """
    common: DrawnSlices | None = None
    for slices in drawn:
        if slices is not None:
            common = slices if common is None else common.and_also(slices)
    if common is not None and not common.indices:
        raise InputError("The raters drew no slice in common, so nothing can be compared.")
    return common


def first_sessions(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """One reading for each rater and case, that of the first session, in the order given.

    A rater who drew a case twice has one voice in it.
    """
    first: dict[tuple[str, str], Reading] = {}
    for reading in readings:
        key = (reading.case, reading.sitting.rater)
        if key not in first or session_order(reading.sitting) < session_order(first[key].sitting):
            first[key] = reading
    return tuple(reading for reading in readings if first[(reading.case, reading.sitting.rater)] is reading)


def _on_slices(slices: DrawnSlices, box: Box) -> Mask:
    """Of the box's slices along the drawn axis those that were drawn; broadcasts against the box."""
    part = box[slices.axis]
    wanted = np.isin(np.arange(part.start, part.stop), slices.indices)
    return wanted.reshape([-1 if axis == slices.axis else 1 for axis in range(3)])
