"""What a segmentation holds before its labels are matched with those of other raters."""

from __future__ import annotations

from dataclasses import dataclass

from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import DrawnSlices, Sitting
from pgt.geometry import Geometry
from pgt.volume import Color


@dataclass(frozen=True, eq=False)
class Structure:
    """One segment, or one value of a label map.

    Args:
        key: what tells it from the others of its segmentation: segment ID, or the value as text.
        name: what the rater called it; empty where nobody named it.
        value: its label value; None where it has none of its own in the segmentation.
        terminology: Slicer's serialised terminology entry, empty if none.
        mask: its voxels.
        drawn: the slices that the rater drew, where a machine filled the others; None for all.
        color: red, green and blue from 0 to 1; None where nobody chose one.
    """

    key: str
    name: str
    value: int | None
    terminology: str
    mask: CroppedMask
    drawn: DrawnSlices | None = None
    color: Color | None = None


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The structures of one rater in one case; they may overlap.

    Args:
        title: what messages call it, such as the name of its file.
        geometry: the grid of the masks.
        structures: in the order of the segmentation.
        complete: whether the voxels answer for every label of the study, as a plain label map does: a value
            that it does not hold was looked for and found absent. A segmentation that lists its segments
            answers for these alone.
        note: what was done to it that a report has to tell.
    """

    title: str
    geometry: Geometry
    structures: tuple[Structure, ...]
    complete: bool
    note: str = ""


@dataclass(frozen=True, eq=False)
class RatedSegmentation:
    """A segmentation with whose it is: the case, and the rater in one session."""

    case: str
    sitting: Sitting
    segmentation: Segmentation
