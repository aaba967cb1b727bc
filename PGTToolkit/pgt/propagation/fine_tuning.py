"""Train the small network: from nothing on made volumes, or further on a user's own finished volumes.

A user's volumes are cut and scaled for training just as the engine does when it propagates, one structure at
a time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from pgt.case_table import CaseRow
from pgt.errors import CheckpointError, InputError
from pgt.planning import usual_axis
from pgt.propagation.checkpoints import InstalledModel, check_name, load_model, save_model, user_folder
from pgt.propagation.network import SliceNetwork
from pgt.propagation.regions import masks_to_working, region_around, to_working
from pgt.propagation.sampling import LabelledVolume
from pgt.propagation.training import TrainingSettings, TrainingStep, VolumeSource, made_volume, train
from pgt.propagation.turning import choose_turn
from pgt.propagation.windowing import choose_windowing
from pgt.volume import LabelMap, Volume
from pgt.volume_io import read_label_map, read_volume

SETTINGS = TrainingSettings(learning_rate=1e-4, checkpoint_minutes=0.5)
_LEAST_SIDE = min(SETTINGS.sizes)
_VOLUMES_KEPT = 8

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class FinishedCases:
    """Picks labelled structures of finished volumes at random: a `VolumeSource` for training."""

    cases: tuple[CaseRow, ...]

    def __call__(self, generator: np.random.Generator) -> LabelledVolume:
        """One structure of one case, with whatever else lies around it."""
        volume, label_map = read_finished(self.cases[int(generator.integers(len(self.cases)))])
        value = int(generator.choice(label_map.values))
        return structure_of(volume, label_map, value)


@lru_cache(maxsize=_VOLUMES_KEPT)
def _read_pair(image: Path, label: Path) -> tuple[Volume, LabelMap]:
    return read_volume(image), read_label_map(label)


def read_finished(case: CaseRow) -> tuple[Volume, LabelMap]:
    """The image and the finished label map of a case.

    Raises:
        InputError: a file cannot be used, the geometries differ, or nothing is labelled.
    """
    if case.label is None:
        raise InputError(f"The case {case.case} has no label map.")
    volume, label_map = _read_pair(case.image, case.label)
    difference = label_map.geometry.difference(volume.geometry)
    if difference:
        raise InputError(f"{case.label} does not lie on the grid of {case.image}: {difference}.")
    present = tuple(segment for segment in label_map.segments if label_map.mask(segment.value).any())
    if not present:
        raise InputError(f"{case.label} labels nothing.")
    return volume, replace(label_map, segments=present)


def structure_of(volume: Volume, label_map: LabelMap, value: int) -> LabelledVolume:
    """The surroundings of one structure at the resolution that the engine would look at it with."""
    axis = usual_axis(volume.geometry)
    turn = choose_turn(volume.voxels, volume.geometry.spacing, axis, label_map.voxels)
    image, labels = turn.apply(volume.voxels), turn.apply(label_map.voxels)
    region = region_around(labels == value)
    if region is None:
        raise InputError(f"The label map has no voxel of label {value}.")
    box = (slice(None), *region.box)
    intensities = _at_least(to_working(image[box].astype(np.float32), region), "edge")
    cut = labels[box]
    small = np.zeros(intensities.shape, np.uint8)
    for number, present in enumerate(_largest_labels(cut, value), start=1):
        small[_at_least(masks_to_working(cut == present, region), "constant")] = number
    slices_mm, rows_mm, columns_mm = (volume.geometry.spacing[place] for place in turn.axes)
    thickness = slices_mm / float(np.sqrt(rows_mm * columns_mm)) / region.factor
    channels = choose_windowing(volume.voxels).channels(intensities)
    return LabelledVolume(intensities, channels, small, thickness)


def fine_tune(
    cases: Sequence[CaseRow],
    name: str,
    model: str,
    hours: float,
    device: str,
    report: Callable[[TrainingStep], None],
    overwrite: bool = False,
) -> InstalledModel:
    """Train ``model`` on finished cases and keep it as a user's model called ``name``.

    An interrupted training lies in a hidden folder beside the models; called again, it goes on from there.

    Raises:
        InputError: a case cannot be used.
        CheckpointError: the model is not the small network of this project, or cannot be loaded.
        OutputError: a model of this name exists, or the disk refuses.
    """
    check_name(name, user_folder(), overwrite)
    for case in cases:
        read_finished(case)
    network = load_model(model, device)
    if not isinstance(network, SliceNetwork):
        raise CheckpointError(f"The model {model} is not the small network; only that can be trained here.")
    settings = replace(SETTINGS, hours=hours, device=device)
    details = {"fine_tuned_from": model, "cases": len(cases)}
    source = FinishedCases(tuple(cases))
    return _train_and_keep(
        network, source, settings, name, f"fine-tuned from {model}", details, report, overwrite
    )


def train_on_made_volumes(
    name: str, hours: float, device: str, report: Callable[[TrainingStep], None], overwrite: bool = False
) -> InstalledModel:
    """Train the small network from nothing on made volumes, as the default model was; no patient data.

    Raises:
        OutputError: a model of this name exists, or the disk refuses.
    """
    settings = TrainingSettings(hours=hours, device=device)
    said = "trained on made volumes (pgt models train --made)"
    return _train_and_keep(SliceNetwork(), made_volume, settings, name, said, {}, report, overwrite)


def _train_and_keep(
    network: SliceNetwork,
    source: VolumeSource,
    settings: TrainingSettings,
    name: str,
    said: str,
    details: dict[str, Any],
    report: Callable[[TrainingStep], None],
    overwrite: bool,
) -> InstalledModel:
    """Train, go on where an earlier training of this name was interrupted, and keep the model."""
    folder = user_folder() / f".training-{name}"
    last: list[TrainingStep] = []

    def follow(step: TrainingStep) -> None:
        last[:] = [step]
        report(step)

    trained = train(network, source, settings, folder, follow)
    details = {**details, "hours": settings.hours, "steps": last[0].step}
    installed = save_model(
        trained.to("cpu").eval(),
        name,
        source=said,
        details=details,
        overwrite=overwrite,
    )
    shutil.rmtree(folder, ignore_errors=True)
    return installed


def _largest_labels(labels: NDArray[np.integer[Any]], value: int) -> list[int]:
    """The labels of a cut-out that fit into a byte, the largest first, and ``value`` last."""
    values, counts = np.unique(labels[labels != 0], return_counts=True)
    ordered = [int(values[place]) for place in np.argsort(-counts, kind="stable")]
    return [*[other for other in ordered if other != value][:254], value]


def _at_least(planes: NDArray[Number], mode: Literal["edge", "constant"]) -> NDArray[Number]:
    """Slices padded so that the smallest training crop fits in."""
    rows, columns = (max(_LEAST_SIDE - size, 0) for size in planes.shape[-2:])
    padding = [(0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)]
    return np.pad(planes, padding, mode=mode) if rows or columns else planes
