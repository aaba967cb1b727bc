"""Which slices of a volume the masks are taken from that propagation starts with (FLARE22 seed, section 2.2).

Two steps: candidates spread evenly over the axis are segmented, then those are kept on which a structure is
largest. A structure's extent is cut into as many parts as slices are wanted, and the largest slice of each
part is taken: the very largest ones would lie side by side and tell the same. Specks, which a network may see
far from where the structure is, are not taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError

_SPECK = 0.1
"""Masks below this part of the structure's largest area are not propagated."""


@dataclass(frozen=True)
class SelectionSettings:
    """How slices are selected.

    Args:
        candidates: how many evenly spread slices are segmented to choose from; None for every slice.
        per_structure: how many slices are taken for each structure; None for every candidate showing it.
    """

    candidates: int | None = None
    per_structure: int | None = None

    def __post_init__(self) -> None:
        if self.candidates is not None and self.candidates < 1:
            raise InputError(f"At least one slice must be a candidate, not {self.candidates}.")
        if self.per_structure is not None and self.per_structure < 1:
            raise InputError(f"At least one slice must be taken for a structure, not {self.per_structure}.")


@dataclass(frozen=True)
class Selection:
    """The slices whose masks propagation starts with; indices along the axis, ascending.

    Args:
        slices: by label value, those on which the structure is drawn.
        ends: by label value, those taken as known not to show it: the nearest candidate beyond either end
            of the structure. Propagation stops there.
    """

    slices: Mapping[int, tuple[int, ...]]
    ends: Mapping[int, tuple[int, ...]]

    @property
    def drawn(self) -> tuple[int, ...]:
        """All slices whose masks are used."""
        return tuple(sorted({index for indices in self.slices.values() for index in indices}))

    def annotated(self) -> dict[int, tuple[int, ...]]:
        """What is known of each structure: all masks that are used, its own or another's, and its ends."""
        return {
            value: tuple(sorted({*self.drawn, *self.ends[value]}))
            for value, indices in self.slices.items()
            if indices
        }


def uniform_candidates(size: int, number: int | None) -> tuple[int, ...]:
    """``number`` slices of ``size``, evenly spread with half an interval free at either end.

    None, or at least as many as there are, takes all.
    """
    if number is None or number >= size:
        return tuple(range(size))
    return tuple(int((2 * place + 1) * size // (2 * number)) for place in range(number))


def select_slices(
    areas: Mapping[int, Sequence[int] | NDArray[np.int64]],
    candidates: Sequence[int],
    per_structure: int | None,
) -> Selection:
    """The second step: from the structures' areas on the candidates to the slices that are used.

    Args:
        areas: for each label value the number of its voxels on each candidate.
        candidates: ascending indices along the axis, as many as there are areas.
        per_structure: how many slices are taken for each structure; None for all that show it.
    """
    indices = np.asarray(candidates, dtype=np.int64)
    slices: dict[int, tuple[int, ...]] = {}
    ends: dict[int, tuple[int, ...]] = {}
    for value, given in areas.items():
        area = np.asarray(given)
        shown = np.flatnonzero(area > 0)
        if not shown.size:
            slices[value] = ends[value] = ()
            continue
        chosen = _largest_of_parts(area, shown, per_structure)
        beyond = [place for place in (shown[0] - 1, shown[-1] + 1) if 0 <= place < len(indices)]
        slices[value] = tuple(int(indices[place]) for place in chosen)
        ends[value] = tuple(int(indices[place]) for place in beyond)
    return Selection(slices, ends)


def _largest_of_parts(
    area: NDArray[np.int64], shown: NDArray[np.int64], wanted: int | None
) -> NDArray[np.int64]:
    """Places among the candidates: of each part of those that show the structure, the one with most of it."""
    if wanted is None or wanted >= len(shown):
        return shown
    worthy = shown[area[shown] >= _SPECK * area.max()]
    parts = np.array_split(worthy, min(wanted, len(worthy)))
    return np.array([_middle_of_largest(area, part) for part in parts], dtype=np.int64)


def _middle_of_largest(area: NDArray[np.int64], part: NDArray[np.int64]) -> int:
    """The place of the largest area; among equals the middle one, so that no end is preferred."""
    largest = part[area[part] == area[part].max()]
    return int(largest[len(largest) // 2])
