"""From files to the slices that the networks train on, kept on disk in between.

Slices are kept with 8 bits a channel, as the FLARE22 paper's are (section 2.1: "divided by 255").
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError, OutputError
from pgt.geometry import Geometry
from pgt.output_files import whole_file
from pgt.reference.reference_card import ReferenceCard
from pgt.reference.settings import ReferenceSettings
from pgt.reference.slices import (
    Plane,
    anatomical_turn,
    plane_of_thickest_slices,
    relative_positions,
    windowed_slices,
)
from pgt.volume import LabelMap, Segment
from pgt.volume_io import read_geometry, read_label_map, read_volume

_FORMAT = 1
"""Counts up whenever prepared arrays change their meaning, so that older ones are made anew."""
_MOST_CLASSES = 254
_NUMBERED = re.compile(r"Segment_\d+")
"""What segments are called that nobody named."""

CaseProgress = Callable[[int, int], None]
"""Called with the number of cases done and of all."""


@dataclass(frozen=True)
class ReferenceCase:
    """One training case; ``label`` is None for an unlabelled one."""

    case: str
    image: Path
    label: Path | None = None


@dataclass(frozen=True, eq=False)
class PreparedSlices:
    """The slices of one case.

    Args:
        images: uint8 (slices, 3, rows, columns); 0 and 255 are the ends of each window.
        labels: uint8 (slices, rows, columns), the number of each pixel's class, 0 for background; None for an
            unlabelled case.
        classes: how many there are, background included.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None
    classes: int

    @property
    def positions(self) -> NDArray[np.float32]:
        """Where each slice lies along the axis."""
        return relative_positions(len(self.images))

    @cached_property
    def showing(self) -> tuple[NDArray[np.intp], ...]:
        """The slices that show each class, background excepted."""
        if self.labels is None:
            return ()
        counts = np.stack([np.bincount(plane.ravel(), minlength=self.classes) for plane in self.labels])
        return tuple(np.flatnonzero(counts[:, number]) for number in range(1, self.classes))


def check_cases(cases: Sequence[ReferenceCase]) -> None:
    """Refuse what can be refused before anything is read.

    Raises:
        InputError: no case is labelled, a case comes twice, or a file is missing.
    """
    if not any(case.label for case in cases):
        raise InputError("No case has a label map; the reference networks need at least one to learn from.")
    twice = sorted(name for name, count in Counter(case.case for case in cases).items() if count > 1)
    if twice:
        raise InputError(f"The case {', '.join(twice)} is listed more than once.")
    for case in cases:
        for path in (case.image, case.label):
            if path is not None and not path.exists():
                raise InputError(f"{path} (case {case.case}) does not exist.")


def plan_card(
    cases: Sequence[ReferenceCase],
    settings: ReferenceSettings,
    progress: CaseProgress = lambda done, total: None,
) -> ReferenceCard:
    """Look at the labelled cases: what is there to learn, and which way are the volumes cut.

    Args:
        cases: labelled and unlabelled ones.
        settings: how to train.
        progress: called after every labelled case.

    Raises:
        InputError: as `check_cases`; or a label map lies on another grid than its image, label maps give a
            value different names, or there is nothing to learn.
    """
    check_cases(cases)
    labelled = [case for case in cases if case.label]
    names: dict[int, tuple[str, Path]] = {}
    planes: Counter[Plane] = Counter()
    for number, case in enumerate(labelled):
        geometry = read_geometry(case.image)
        label_map = _read_labels(case, geometry)
        planes[plane_of_thickest_slices(geometry)] += 1
        assert case.label is not None
        for value, name in _names(label_map).items():
            known, source = names.get(value, ("", case.label))
            if known and name and known != name:
                raise InputError(
                    f"{source} calls label {value} {known!r}, {case.label} calls it {name!r}; the same "
                    "structure needs the same value in every label map."
                )
            names[value] = (known, source) if known else (name, case.label)
        progress(number + 1, len(labelled))
    values = settings.values or tuple(sorted(names))
    absent = [str(value) for value in values if value not in names]
    if absent:
        raise InputError(f"No label map has label {', '.join(absent)}.")
    if not values:
        raise InputError("The label maps are background everywhere; there is nothing to learn.")
    if len(values) > _MOST_CLASSES:
        raise InputError(f"A reference model learns at most {_MOST_CLASSES} labels, not {len(values)}.")
    return ReferenceCard(
        values,
        tuple(names[value][0] or Segment.numbered(value).name for value in values),
        planes.most_common(1)[0][0] if settings.plane == "auto" else settings.plane,
        settings.modality,
        settings.size,
    )


def prepare_case(case: ReferenceCase, card: ReferenceCard) -> PreparedSlices:
    """Read a case and cut it into slices.

    Raises:
        InputError: a file cannot be read, the two are on different grids, or an intensity is not finite.
    """
    volume = read_volume(case.image)
    try:
        cut = windowed_slices(volume, card.plane, card.modality)
    except InputError as error:
        raise InputError(f"{case.image} (case {case.case}) cannot be used. {error}") from error
    images = np.rint((cut.images + 1) * 127.5).astype(np.uint8)
    if case.label is None:
        return PreparedSlices(images, None, card.classes)
    label_map = _read_labels(case, volume.geometry)
    turned = anatomical_turn(volume.geometry, card.plane).apply(label_map.voxels)
    labels = np.zeros(turned.shape, np.uint8)
    for number, value in enumerate(card.values, start=1):
        labels[turned == value] = number
    return PreparedSlices(images, labels, card.classes)


def prepare_cases(
    cases: Sequence[ReferenceCase],
    card: ReferenceCard,
    cache: Path,
    progress: CaseProgress = lambda done, total: None,
) -> tuple[PreparedSlices, ...]:
    """Read and cut cases, or take them from where they were kept; slices are read from disk when needed.

    Args:
        cases: labelled and unlabelled ones.
        card: of the model that they shall train.
        cache: a folder, made where missing.
        progress: called after every case.

    Raises:
        InputError: as `prepare_case`.
        OutputError: the folder cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{cache} cannot be written: {error.strerror}.") from error
    prepared = []
    for number, case in enumerate(cases):
        prepared.append(_kept(case, card, cache))
        progress(number + 1, len(cases))
    return tuple(prepared)


def fingerprint(cases: Sequence[ReferenceCase]) -> str:
    """Changes whenever a case or one of its files does."""
    content = [[case.case, _state(case.image), _state(case.label)] for case in cases]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _kept(case: ReferenceCase, card: ReferenceCard, cache: Path) -> PreparedSlices:
    described: list[Any] = [_FORMAT, card.values, card.plane, card.modality]
    content = [*described, str(case.image.resolve()), _state(case.image), _state(case.label)]
    # Named by a key, since a case's name may be a patient's.
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
    paths = cache / f"{key}-images.npy", cache / f"{key}-labels.npy"
    images, labels = _stored(paths[0], 4), _stored(paths[1], 3) if case.label else None
    if images is None or (case.label and labels is None):
        made = prepare_case(case, card)
        for path, array in zip(paths, (made.images, made.labels), strict=True):
            if array is not None:
                with whole_file(path, overwrite=True) as beside, beside.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
        return made
    return PreparedSlices(images, labels, card.classes)


def _stored(path: Path, dimensions: int) -> NDArray[np.uint8] | None:
    """An array that was kept, read from disk as it is used; None where it is absent or damaged."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.dtype == np.uint8 and array.ndim == dimensions else None


def _state(path: Path | None) -> list[Any]:
    """What changes when a file, or one in a folder of DICOM files, is written anew."""
    if path is None:
        return []
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = [(file.name, file.stat()) for file in files]
    return [[name, state.st_size, state.st_mtime_ns] for name, state in states]


def _read_labels(case: ReferenceCase, geometry: Geometry) -> LabelMap:
    """The label map of a labelled case, which lies on the grid of its image."""
    assert case.label is not None
    label_map = read_label_map(case.label)
    difference = label_map.geometry.difference(geometry)
    if difference:
        raise InputError(
            f"{case.label} does not lie on the grid of {case.image} (case {case.case}): {difference}."
        )
    return label_map


def _names(label_map: LabelMap) -> Mapping[int, str]:
    """Names of the labels that occur, by value; empty text where the file names none."""
    present = set(np.unique(label_map.voxels).tolist()) - {0}
    named = {one.value: one.name for one in label_map.segments if not _NUMBERED.fullmatch(one.name)}
    return {value: named.get(value, "") for value in sorted(present)}
