"""The user's corrections to the table of labels.

:func:`.label_matching.match_labels` says which structure of one rater is which of another. A user mends that
by saying what a structure of some name is to be compared as, or that it is not to be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgt.agreement.label_matching import MatchedLabel, match_labels
from pgt.agreement.structures import Segmentation, Structure
from pgt.errors import InputError

LEFT_OUT = ""
"""What a structure is compared as that is not compared."""


@dataclass(frozen=True)
class FoundLabel:
    """One line of the table that a user mends.

    Args:
        name: what the structure is called where it was found.
        count: in how many segmentations it was found under that name.
        label: what it is compared as; empty where it is left out.
    """

    name: str
    count: int
    label: str


def found_labels(segmentations: Sequence[Segmentation], renamed: Mapping[str, str]) -> tuple[FoundLabel, ...]:
    """Every name that occurs, how often, and what it is compared as.

    Args:
        segmentations: of all raters, sessions and cases.
        renamed: the user's corrections: what structures of a name are compared as.

    Raises:
        InputError: names clash, see :func:`.label_matching.match_labels`.
    """
    counts: dict[str, int] = {}
    labels: dict[str, str] = {}
    for label in match_labels(segmentations):
        for structure in _structures_of(label, segmentations):
            name = called(structure)
            counts[name] = counts.get(name, 0) + 1
            labels.setdefault(name, renamed.get(name, label.label))
    return tuple(FoundLabel(name, counts[name], label) for name, label in labels.items())


def matched(segmentations: Sequence[Segmentation], renamed: Mapping[str, str]) -> tuple[MatchedLabel, ...]:
    """The table of labels as the user mended it.

    Raises:
        InputError: names clash, or two structures of one segmentation would be compared as the same label.
    """
    if not renamed:
        return match_labels(segmentations)
    lines: dict[str, dict[int, Structure]] = {}
    for line in match_labels(segmentations):
        for column, (key, segmentation) in enumerate(zip(line.keys, segmentations, strict=True)):
            if key is None:
                continue
            structure = next(one for one in segmentation.structures if one.key == key)
            label = renamed.get(called(structure), line.label)
            if label == LEFT_OUT:
                continue
            other = lines.setdefault(label, {}).setdefault(column, structure)
            if other is not structure:
                raise InputError(
                    f"{called(other)!r} and {called(structure)!r} of {segmentation.title} cannot both be "
                    f"compared as {label!r}."
                )
    return tuple(
        MatchedLabel(label, tuple(_key(found.get(column)) for column in range(len(segmentations))))
        for label, found in lines.items()
    )


def called(structure: Structure) -> str:
    """The structure's name, or its value where nobody named it."""
    return structure.name or str(structure.value)


def _structures_of(label: MatchedLabel, segmentations: Sequence[Segmentation]) -> list[Structure]:
    return [
        structure
        for key, segmentation in zip(label.keys, segmentations, strict=True)
        for structure in segmentation.structures
        if structure.key == key
    ]


def _key(structure: Structure | None) -> str | None:
    return None if structure is None else structure.key
