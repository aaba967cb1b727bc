"""A volume in, a label map out: the reference stage, and the propagation stage on top of it.

FLARE22 seed, section 2.2. *Reference*: every slice is segmented by both networks, whose results are summed.
*Propagation*: the masks of selected slices (`pgt.reference.selection`) are taken as if drawn and propagated
to all others, in both directions, with all of them in memory; where the networks have seen the other slices
as well, what they said there is weighed against what arrived (`pgt.reference.propagation_stage`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.propagation.engine import PropagationSettings
from pgt.reference.propagation_stage import Propagating, weighed
from pgt.reference.selection import Selection, SelectionSettings, select_slices, uniform_candidates
from pgt.reference.slice_opinions import IsCancelled, Report, SliceOpinions, opinions_on
from pgt.reference.slices import windowed_slices
from pgt.volume import LabelMap, Segment, Volume, color_of_value

if TYPE_CHECKING:
    from pgt.reference.reference_model import ReferenceModel
    from pgt.reference.slices import WindowedSlices

Stage = Literal["reference", "propagation"]

_NEXT_SLICES = 3
_APART = 3
"""Slices that are suggested for a rater lie at least this far apart: neighbours tell the same."""


@dataclass(frozen=True)
class PredictionSettings:
    """How to segment a volume.

    Args:
        stage: "reference" for the networks alone, "propagation" for the propagation stage after them.
        selection: which masks propagation starts with.
        weight: of what arrives by propagation against what the networks say, where there are both.
        propagation_model: a name or file, see `pgt models list`.
    """

    stage: Stage = "propagation"
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    weight: float = 0.5
    propagation_model: str = "default"

    def __post_init__(self) -> None:
        if self.stage not in ("reference", "propagation"):
            raise InputError(f"There is no stage {self.stage!r}; there are reference and propagation.")
        if not 0 <= self.weight <= 100:
            raise InputError(f"Propagation's weight lies between 0 and 100, not at {self.weight}.")


@dataclass(frozen=True, eq=False)
class PredictionReport:
    """What there is to say about a prediction; slices are indices along ``axis`` of the volume as given.

    Args:
        stage: what was done. "reference" also where nothing was found to propagate.
        axis: 0, 1 or 2, across the slices.
        candidates: slices that the networks looked at.
        selected: by label value, the slices whose masks were propagated.
        ends: by label value, the slices that were taken as known not to show it.
        next_slices: those a rater would put most voxels right on, most first.
        voxels: of each label.
        uncertainty: float32 [i, j, k], the probability that a voxel's label is wrong.
        device: where the networks ran.
        seconds: it took.
        messages: what the user should know.
    """

    stage: Stage
    axis: int
    candidates: tuple[int, ...]
    selected: dict[int, tuple[int, ...]]
    ends: dict[int, tuple[int, ...]]
    next_slices: tuple[int, ...]
    voxels: dict[int, int]
    uncertainty: NDArray[np.float32]
    device: str
    seconds: float
    messages: tuple[str, ...] = ()


def predict_volume(
    model: ReferenceModel,
    volume: Volume,
    settings: PredictionSettings = PredictionSettings(),
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> tuple[LabelMap, PredictionReport]:
    """Segment a volume of any orientation.

    Args:
        model: the trained networks; their device is used for propagation, too.
        volume: the image.
        settings: the stage and how it is done.
        progress: told after every few slices of each step.
        cancelled: asked before every few slices.

    Returns:
        A label map on the volume's grid, and a report.

    Raises:
        InputError: the image has intensities that are not finite.
        CheckpointError: the propagation model cannot be loaded.
        Cancelled: ``cancelled`` returned true.
    """
    began = time.monotonic()
    cut = windowed_slices(volume, model.card.plane, model.card.modality)
    size = len(cut.images)
    wanted = settings.selection.candidates if settings.stage == "propagation" else None
    opinions = opinions_on(model, cut, uniform_candidates(size, wanted), progress, cancelled)
    selection = Selection({}, {})
    messages: tuple[str, ...] = ()
    stage: Stage = "reference"
    if not opinions.labels.any():
        messages = (f"No structure was found on the {len(opinions.slices)} slices that were looked at.",)
        labels, doubt = opinions.spread(size)
    elif settings.stage == "reference":
        labels, doubt = opinions.spread(size)
    else:
        stage = "propagation"
        selection = _selected(model, opinions, settings.selection)
        carrier = Propagating(
            volume, opinions, segments_of(model), cut.turn, _engine(model, cut, settings), progress, cancelled
        )
        every = len(opinions.slices) == size and settings.selection.per_structure is None
        arrived = carrier.crossed(selection) if every else carrier.from_selected(selection)
        messages = arrived.messages
        labels, doubt = weighed(opinions, arrived, settings.weight, model.card.classes)
    label_map = LabelMap(np.ascontiguousarray(cut.turn.undo(labels)), volume.geometry, segments_of(model))

    def original(indices: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(cut.turn.index(index, size) for index in indices))

    report = PredictionReport(
        stage=stage,
        axis=cut.turn.axes[0],
        candidates=original(opinions.slices),
        selected={value: original(found) for value, found in selection.slices.items()},
        ends={value: original(found) for value, found in selection.ends.items()},
        next_slices=tuple(cut.turn.index(index, size) for index in _most_doubtful(doubt)),
        voxels={value: int(np.count_nonzero(labels == value)) for value in model.card.values},
        uncertainty=np.ascontiguousarray(cut.turn.undo(doubt)),
        device=model.device.type,
        seconds=time.monotonic() - began,
        messages=messages,
    )
    return label_map, report


def segments_of(model: ReferenceModel) -> tuple[Segment, ...]:
    """The segments of a model's label maps."""
    pairs = zip(model.card.values, model.card.names, strict=True)
    return tuple(Segment(value, name, color_of_value(value)) for value, name in pairs)


def _engine(model: ReferenceModel, cut: WindowedSlices, settings: PredictionSettings) -> PropagationSettings:
    """How the engine is asked to propagate."""
    return PropagationSettings(
        axis=cut.turn.axes[0],
        model=settings.propagation_model,
        device="cuda" if model.device.type == "cuda" else "cpu",
        modality=model.card.modality,
    )


def _selected(model: ReferenceModel, opinions: SliceOpinions, settings: SelectionSettings) -> Selection:
    areas = {value: np.count_nonzero(opinions.labels == value, axis=(1, 2)) for value in model.card.values}
    return select_slices(areas, opinions.slices, settings.per_structure)


def _most_doubtful(doubt: NDArray[np.float32]) -> list[int]:
    """The slices with most voxels expected wrong, most first, none beside another."""
    expected = doubt.sum(axis=(1, 2), dtype=np.float64)
    chosen: list[int] = []
    for index in np.argsort(-expected, kind="stable"):
        if len(chosen) == _NEXT_SLICES or expected[index] <= 0:
            break
        if all(abs(int(index) - other) >= _APART for other in chosen):
            chosen.append(int(index))
    return chosen


def report_of(report: PredictionReport) -> dict[str, Any]:
    """The report as JSON takes it."""
    described: dict[str, Any] = {
        name: getattr(report, name) for name in ("stage", "candidates", "next_slices", "device", "messages")
    }
    return {
        **described,
        "axis": "ijk"[report.axis],
        "selected": {str(value): list(found) for value, found in report.selected.items()},
        "ends": {str(value): list(found) for value, found in report.ends.items()},
        "labels": {str(value): {"voxels": count} for value, count in report.voxels.items()},
        "seconds": round(report.seconds, 3),
    }
