"""Which label values are which structure: studies count classes from 1, whatever the files' values are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.volume import LabelMap


@dataclass(frozen=True)
class StructureScheme:
    """Structures, and the label values that each of them is made of.

    Args:
        structures: label values by the structure's name, in the order of the classes 1, 2, ...; label values
            that none of them takes are background.

    Raises:
        InputError: there is no structure, a value is no label, or two structures share one.
    """

    structures: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        ordered = {name: tuple(values) for name, values in self.structures.items()}
        object.__setattr__(self, "structures", ordered)
        values = [value for taken in ordered.values() for value in taken]
        if not values or not all(ordered.values()):
            raise InputError("Every structure of a study needs a label value, and a study a structure.")
        if min(values) < 1 or len(set(values)) != len(values):
            raise InputError(
                f"Label values are whole numbers from 1, each of one structure, not {_words(ordered)}."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The structures, in the order of their classes."""
        return tuple(self.structures)

    @property
    def classes(self) -> tuple[int, ...]:
        """1, 2, ... as many as there are structures."""
        return tuple(range(1, len(self.structures) + 1))

    def only(self, names: Sequence[str]) -> StructureScheme:
        """The same with some of the structures, in this scheme's order."""
        return StructureScheme({name: self.structures[name] for name in self.names if name in names})

    def classes_of(self, voxels: NDArray[Any]) -> NDArray[np.uint8]:
        """The class of each voxel of an array of label values [i, j, k]."""
        classes = np.zeros(voxels.shape, dtype=np.uint8)
        for number, values in zip(self.classes, self.structures.values(), strict=True):
            classes[np.isin(voxels, values)] = number
        return classes

    def labelled(self, classes: NDArray[Any]) -> NDArray[np.integer]:
        """Label values for an array of classes; the first value of a structure made of several."""
        values = np.array([0, *(values[0] for values in self.structures.values())])
        return values.astype(np.min_scalar_type(int(values.max())))[classes]


def scheme_of(label_maps: Sequence[LabelMap]) -> StructureScheme:
    """Every label value that occurs in any of some label maps, by the name that the first file gives it."""
    names: dict[int, str] = {}
    for label_map in label_maps:
        for segment in label_map.segments:
            names.setdefault(segment.value, segment.name)
    ordered = {value: names[value] for value in sorted(names)}
    if len(set(ordered.values())) != len(ordered):
        ordered = {value: f"{name} ({value})" for value, name in ordered.items()}
    return StructureScheme({name: (value,) for value, name in ordered.items()})


def _words(structures: Mapping[str, tuple[int, ...]]) -> str:
    return "; ".join(f"{name}: {', '.join(map(str, values))}" for name, values in structures.items())
