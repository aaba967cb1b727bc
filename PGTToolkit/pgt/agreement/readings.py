"""A reading: what one rater drew in one case, in one session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgt.agreement.masks import CroppedMask
from pgt.errors import InputError
from pgt.geometry import Geometry

FIRST_SESSION = "1"


@dataclass(frozen=True, order=True)
class Sitting:
    """One rater in one session; two sittings of one rater tell intra-rater agreement."""

    rater: str
    session: str = FIRST_SESSION

    def __str__(self) -> str:
        return self.rater if self.session == FIRST_SESSION else f"{self.rater} (session {self.session})"


@dataclass(frozen=True)
class DrawnSlices:
    """The slices that a rater drew or confirmed empty, along one axis. What lies between a machine filled."""

    axis: int
    indices: tuple[int, ...]

    def and_also(self, other: DrawnSlices) -> DrawnSlices:
        """The slices that are drawn in both.

        Raises:
            InputError: they count along different axes.
        """
        if self.axis != other.axis:
            raise InputError("One rater drew slices across another axis than the other; they share no slice.")
        return DrawnSlices(self.axis, tuple(sorted(set(self.indices) & set(other.indices))))


@dataclass(frozen=True, eq=False)
class Reading:
    """One rater's segmentation of one case in one session.

    Args:
        case: the case's name.
        sitting: who drew it, in which session.
        geometry: the grid that the masks lie on.
        masks: the structures by label name. Structures may overlap. An empty mask says that the rater looked
            and found the structure absent; a label that is not there at all says that it is missing.
        drawn: for labels of which a rater drew only some slices, which ones; only these are compared. Labels
            left out were drawn by the rater on every slice.
        note: what was done to the reading that a report has to tell (resampled, for example).
    """

    case: str
    sitting: Sitting
    geometry: Geometry
    masks: Mapping[str, CroppedMask]
    drawn: Mapping[str, DrawnSlices] = field(default_factory=dict)
    note: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the rater was asked for, in the order of the segmentation."""
        return tuple(self.masks)
