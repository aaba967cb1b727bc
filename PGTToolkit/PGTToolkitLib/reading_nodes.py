"""Which segmentations of the scene are readings, and whose: kept with each segmentation."""

from __future__ import annotations

import fnmatch
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import Enum

import slicer

from pgt.agreement.readings import FIRST_SESSION, Sitting
from pgt.errors import InputError
from PGTToolkitLib.ledger_tags import read_ledger
from PGTToolkitLib.scene import nodes_of

_READING_ATTRIBUTE = "PGTToolkit.Reading"
_KIND = "vtkMRMLSegmentationNode"


class Role(Enum):
    """What a reading is in a comparison; the values are those of a case list."""

    RATER = "rater"
    REFERENCE = "reference"
    MODEL = "candidate"


@dataclass(frozen=True)
class ReadingEntry:
    """Whose a segmentation is.

    Args:
        rater: name or pseudonym.
        session: which sitting; a second one tells intra-rater agreement.
        blinded: whether the rater did not see earlier sessions when drawing this one.
        role: a rater, the reference, or a model.
    """

    rater: str
    session: str = FIRST_SESSION
    blinded: bool = True
    role: Role = Role.RATER

    @property
    def sitting(self) -> Sitting:
        """Rater and session as the core has them."""
        return Sitting(self.rater, self.session)


Entered = tuple[tuple["slicer.vtkMRMLSegmentationNode", ReadingEntry], ...]


def entered(scene: slicer.vtkMRMLScene) -> Entered:
    """The readings of the scene, in the order in which their segmentations were added."""
    found = []
    for node in nodes_of(scene, _KIND):
        entry = entry_of(node)
        if entry is not None:
            found.append((node, entry))
    return tuple(found)


def entry_of(node: slicer.vtkMRMLSegmentationNode) -> ReadingEntry | None:
    """Whose a segmentation is; None where it takes no part.

    Raises:
        InputError: the entry was damaged, or written by a later version.
    """
    text = node.GetAttribute(_READING_ATTRIBUTE)
    if not text:
        return None
    try:
        content = json.loads(text)
        return ReadingEntry(**{**content, "role": Role(content["role"])})
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"Whose reading {node.GetName()} is cannot be read: {error!r}.") from error


def enter(node: slicer.vtkMRMLSegmentationNode, entry: ReadingEntry) -> None:
    """Let a segmentation take part, or change whose it is."""
    content = {**asdict(entry), "role": entry.role.value}
    node.SetAttribute(_READING_ATTRIBUTE, json.dumps(content, ensure_ascii=False))


def leave(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Let a segmentation take part no more; nothing else of it changes."""
    node.RemoveAttribute(_READING_ATTRIBUTE)


def add(nodes: Iterable[slicer.vtkMRMLSegmentationNode]) -> int:
    """Let segmentations take part that do not yet, under a rater and session that nobody has; how many."""
    added = 0
    for node in nodes:
        if entry_of(node) is None:
            enter(node, _free(suggested(node), node.GetScene()))
            added += 1
    return added


def suggested(node: slicer.vtkMRMLSegmentationNode) -> ReadingEntry:
    """Who drew most slices of a segmentation, and when; where nobody is known, its name."""
    signed = Counter(
        (one.rater, one.session) for one in read_ledger(node) if one.rater and one.confidence is None
    )
    if not signed:
        return ReadingEntry(node.GetName())
    (rater, session), _count = signed.most_common(1)[0]
    return ReadingEntry(rater, session or FIRST_SESSION)


def named_like(scene: slicer.vtkMRMLScene, pattern: str) -> tuple[slicer.vtkMRMLSegmentationNode, ...]:
    """The segmentations whose name holds a text, or fits a pattern with ``*`` and ``?``, in any case."""
    wanted = pattern.strip().casefold()
    if not set(wanted) & set("*?["):
        wanted = f"*{wanted}*"
    return tuple(
        node for node in nodes_of(scene, _KIND) if fnmatch.fnmatchcase(node.GetName().casefold(), wanted)
    )


def _free(entry: ReadingEntry, scene: slicer.vtkMRMLScene) -> ReadingEntry:
    """The entry, with the next session where the rater has that one already."""
    taken = {other.sitting for _node, other in entered(scene)}
    number = 1
    while entry.sitting in taken:
        number += 1
        entry = replace(entry, session=str(number))
    return entry


def check(readings: Entered) -> None:
    """Raise InputError where two segmentations are said to be one rater's in one session, or roles clash."""
    if len(readings) < 2:
        raise InputError("Add two segmentations or more to compare.")
    holders: dict[Sitting, str] = {}
    roles: dict[str, Role] = {}
    for node, entry in readings:
        if not entry.rater:
            raise InputError(f"Say who drew {node.GetName()}.")
        other = holders.setdefault(entry.sitting, node.GetName())
        if other != node.GetName():
            raise InputError(
                f"{other} and {node.GetName()} are both said to be of {entry.rater}, session "
                f"{entry.session}; give one of them another session."
            )
        if roles.setdefault(entry.rater, entry.role) is not entry.role:
            raise InputError(f"{entry.rater} has two roles; a rater has the same in every session.")
    if sum(role is Role.REFERENCE for role in roles.values()) > 1:
        raise InputError("Two raters are called the reference; there can be one.")


def remarks(readings: Entered) -> tuple[str, ...]:
    """What the reader of a report has to know of how it was drawn."""
    counts = Counter(entry.rater for _node, entry in readings)
    seen = [entry for _node, entry in readings if counts[entry.rater] > 1 and not entry.blinded]
    return tuple(
        f"{entry.rater} was not blinded in session {entry.session}: having seen the other session makes "
        "intra-rater agreement look better than it is."
        for entry in seen
    )
