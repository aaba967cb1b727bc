"""Which segment of one rater is which of another.

Segments match by name, then by terminology entry; labels that nobody named match by value. The result is a
table that a user can mend before anything is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pgt.agreement.structures import Segmentation, Structure
from pgt.errors import InputError

# Slicer gives every new segment this type; it tells nothing apart.
_UNSPECIFIC_TYPE = "SCT^85756007^Tissue"


@dataclass(frozen=True)
class MatchedLabel:
    """One line of the table.

    Args:
        label: what the structure is called in results.
        keys: for each segmentation, in their order, the key of its structure; None where it has none.
    """

    label: str
    keys: tuple[str | None, ...]

    @property
    def count(self) -> int:
        """How many segmentations have the structure."""
        return sum(key is not None for key in self.keys)


def folded(name: str) -> str:
    """A name as it is compared: letters' case, underscores and repeated blanks do not count."""
    return " ".join(name.replace("_", " ").casefold().split())


def terminology_key(entry: str) -> str:
    """What two terminology entries must share to mean the same: type, modifier and region, by code.

    Args:
        entry: Slicer's serialised entry: context, category, type, modifier, region context, region and
            region modifier, separated by ``~``, each code as scheme, value and meaning separated by ``^``.

    Returns:
        Text to compare; empty for an entry that is missing, damaged or Slicer's unspecific "Tissue".
    """
    parts = entry.split("~")
    if len(parts) != 7:
        return ""
    codes = ["^".join(part.split("^")[:2]) for part in (parts[2], parts[3], parts[5], parts[6])]
    if parts[2] == _UNSPECIFIC_TYPE and not codes[2].strip("^"):
        return ""
    return "~".join(codes) if codes[0].strip("^") else ""


def match_labels(segmentations: Sequence[Segmentation]) -> tuple[MatchedLabel, ...]:
    """Match the structures of several segmentations.

    Args:
        segmentations: of all raters, sessions and cases.

    Returns:
        One line for each structure that any of them has, in order of first appearance. A name is kept as
        it was first written; a label without name is called by its value.

    Raises:
        InputError: two structures of one segmentation have names that fold to the same, or a label without
            name has a value that raters use for different structures.
    """
    rows: list[_Row] = []
    for column, segmentation in enumerate(segmentations):
        _check_names(segmentation)
        for structure in segmentation.structures:
            if structure.name:
                _row_of_name(rows, structure.name).take(column, structure)
    rows = _joined_by_terminology(rows)
    for column, segmentation in enumerate(segmentations):
        for structure in segmentation.structures:
            if not structure.name:
                _row_of_value(rows, structure, segmentation.title).take(column, structure)
    return tuple(row.as_label(len(segmentations)) for row in rows)


@dataclass
class _Row:
    label: str
    found: dict[int, Structure] = field(default_factory=dict)

    def take(self, column: int, structure: Structure) -> None:
        self.found[column] = structure

    @property
    def terminology(self) -> str:
        """The entry that all of the line's structures share, empty where they share none."""
        keys = {terminology_key(structure.terminology) for structure in self.found.values()}
        return keys.pop() if len(keys) == 1 else ""

    @property
    def values(self) -> set[int | None]:
        return {structure.value for structure in self.found.values()}

    def as_label(self, columns: int) -> MatchedLabel:
        keys = (self.found[column].key if column in self.found else None for column in range(columns))
        return MatchedLabel(self.label, tuple(keys))


def _check_names(segmentation: Segmentation) -> None:
    first: dict[str, str] = {}
    for structure in segmentation.structures:
        if not structure.name:
            continue
        name = folded(structure.name)
        if name in first:
            one, other = first[name], structure.name
            clash = f"two segments named {one!r}" if one == other else f"segments {one!r} and {other!r}"
            raise InputError(
                f"{segmentation.title} has {clash}, which cannot be told apart by name; rename one of them."
            )
        first[name] = structure.name


def _row_of_name(rows: list[_Row], name: str) -> _Row:
    for row in rows:
        if folded(row.label) == folded(name):
            return row
    rows.append(_Row(name))
    return rows[-1]


def _joined_by_terminology(rows: list[_Row]) -> list[_Row]:
    """Lines whose structures mean the same, where no segmentation has both and none has it twice."""
    counts = [Counter(row.terminology for row in rows if column in row.found) for column in _columns(rows)]
    joined: list[_Row] = []
    for row in rows:
        entry = row.terminology
        same = [other for other in joined if entry and other.terminology == entry]
        unique = all(count[entry] <= 1 for count in counts)
        if same and unique and not set(same[0].found) & set(row.found):
            same[0].found.update(row.found)
        else:
            joined.append(row)
    return joined


def _columns(rows: list[_Row]) -> list[int]:
    return sorted({column for row in rows for column in row.found})


def _row_of_value(rows: list[_Row], structure: Structure, title: str) -> _Row:
    same = [row for row in rows if structure.value in row.values]
    if len(same) > 1:
        raise InputError(
            f"{title} has a label {structure.value} without a name, and that value stands for "
            f"{' and '.join(repr(row.label) for row in same)} elsewhere; name its labels to tell which it is."
        )
    if same:
        return same[0]
    rows.append(_Row(str(structure.value)))
    return rows[-1]
