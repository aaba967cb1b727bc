"""What is known of one case before it is exported: its files, its segments and how their slices came about.

All of it is plain data, so that it can be sent to a worker and kept in a scene (`pgt.plain_data`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.volume import Color


@dataclass(frozen=True)
class CaseFile:
    """A file, or one inside a scene that Slicer packed.

    Args:
        path: the file; for one inside a packed scene the ``.mrb`` file.
        member: its name inside the packed scene, empty for a file of its own.
    """

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """The name that tells the format."""
        return (self.member or self.path.name).rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)


@dataclass(frozen=True)
class SegmentState:
    """One segment, and the states of its slices along the axis that most of them are on.

    Args:
        identifier: segment ID; of a label map without names the label value as text.
        name: what it is called in its file, before any renaming.
        value: its value in its layer.
        layer: number of the layer it is stored in.
        terminology: Slicer's serialised entry, empty if none.
        color: red, green and blue from 0 to 1.
        axis: 0, 1 or 2; the axis that the slices below count along.
        shown: ascending indices of the slices that show it.
        annotated: of those that a rater drew or confirmed empty.
        propagated: of those that a machine filled and nobody accepted.
        reviewed: of those that a machine filled and a rater accepted.
    """

    identifier: str
    name: str
    value: int
    layer: int
    terminology: str
    color: Color
    axis: int
    shown: tuple[int, ...]
    annotated: tuple[int, ...] = ()
    propagated: tuple[int, ...] = ()
    reviewed: tuple[int, ...] = ()

    @property
    def has_states(self) -> bool:
        """Whether anything is recorded of its slices."""
        return bool(self.annotated or self.propagated or self.reviewed)

    @property
    def is_reviewed(self) -> bool | None:
        """Whether a rater drew or accepted every slice that shows it; None where nothing is recorded."""
        if not self.has_states:
            return None
        return not self.propagated and set(self.shown) <= {*self.annotated, *self.reviewed}


@dataclass(frozen=True)
class CaseAgreement:
    """How far raters agreed on a case.

    Args:
        value: 0 to 1, the mean over ``pairs`` comparisons.
        metric: what was measured, "dice" from an agreement report; "given" from the case list.
        pairs: comparisons (two raters, one label) that it is the mean of.
    """

    value: float
    metric: str
    pairs: int


@dataclass(frozen=True)
class CaseSuspicion:
    """What a style model finds of a case's label.

    Args:
        suspicious: whether it is unusual.
        suggestion: what it may be, in words; empty where the case list alone says so.
        score: how unusual, None where the case list alone says so.
    """

    suspicious: bool
    suggestion: str = ""
    score: float | None = None


@dataclass(frozen=True)
class CaseState:
    """One case of the list.

    Args:
        case: its name, which its files will be called by. It must be a pseudonym.
        label: the segmentation.
        image: the image that it was drawn on, None if the list names none.
        series: folder of the DICOM series that it was drawn on, None if the list names none.
        segments: in the order of the file.
        records: the slice states of all segments, by segment identifier.
        overlapping: whether two segments claim one voxel.
        named: whether the file names its segments.
        rater: who answers for the label, "" if unknown.
        session: the sitting, "" if unknown.
        style: name of the annotation style, "" if unknown.
        agreement: of raters, None if unknown.
        suspicion: None if no style model looked.
        group: cases of one group stay together in folds and splits; "" for a group of its own.
        testing: kept out of training.
        said_reviewed: what the list's column says for cases without slice states, None if nothing.
    """

    case: str
    label: CaseFile
    image: CaseFile | None = None
    series: Path | None = None
    segments: tuple[SegmentState, ...] = ()
    records: tuple[SliceRecord, ...] = ()
    overlapping: bool = False
    named: bool = True
    rater: str = ""
    session: str = ""
    style: str = ""
    agreement: CaseAgreement | None = None
    suspicion: CaseSuspicion | None = None
    group: str = ""
    testing: bool = False
    said_reviewed: bool | None = None

    @property
    def ledger(self) -> SliceLedger:
        """The slice states of all segments."""
        return SliceLedger(self.records)

    @property
    def is_reviewed(self) -> bool | None:
        """Whether a rater drew or accepted every slice that shows a segment; None where nobody says.

        Of segments with slice states beside others without, those without count as drawn.
        """
        known = [one.is_reviewed for one in self.segments if one.has_states]
        return all(known) if known else self.said_reviewed

    def slices(self, state: SliceState) -> int:
        """How many slices (segment by segment) are in a state."""
        return sum(record.state is state for record in self.records)

    @property
    def raters(self) -> tuple[str, ...]:
        """Who drew or accepted slices, and who answers for the label, sorted."""
        drawn = {record.rater for record in self.records if record.state is not SliceState.PROPAGATED}
        return tuple(sorted({*drawn, self.rater} - {""}))
