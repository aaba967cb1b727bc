"""The label that several models together give a volume, and how certain they are of it.

FLARE22 seed, "Pseudo labeling with Uncertainty Estimation": the models' probabilities are averaged, the
likeliest class is the pseudo-label, and equation 1 (`pgt.reference.consensus_score`) says how far each model
by itself agrees with it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgt.errors import InputError
from pgt.progress import Progress
from pgt.reference.consensus_score import ConsensusScore, consensus_score
from pgt.reference.prediction import segments_of
from pgt.reference.slice_opinions import IsCancelled, Report, batches, label_values
from pgt.reference.slices import windowed_slices
from pgt.volume import LabelMap, Volume

if TYPE_CHECKING:
    from pgt.reference.reference_model import ReferenceModel
    from pgt.reference.slices import WindowedSlices


@dataclass(frozen=True, eq=False)
class PseudoLabel:
    """A volume labelled by several models.

    Args:
        label_map: the aggregate of all models, on the volume's grid.
        score: how far the models agree with it.
    """

    label_map: LabelMap
    score: ConsensusScore


def pseudo_label(
    models: Sequence[ReferenceModel],
    volume: Volume,
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> PseudoLabel:
    """Label a volume by several models.

    Args:
        models: two or more, of the same structures, plane and modality.
        volume: of any orientation.
        progress: told after every few slices.
        cancelled: asked before every few slices.

    Raises:
        InputError: there are too few models, or they do not segment the same; or the image has intensities
            that are not finite.
        Cancelled: ``cancelled`` returned true.
    """
    check_models(models)
    card = models[0].card
    cut = windowed_slices(volume, card.plane, card.modality)
    outputs, aggregate = _outputs(models, cut, progress, cancelled)
    score = consensus_score(outputs, aggregate, card.values, axis=0)
    voxels = np.ascontiguousarray(cut.turn.undo(aggregate))
    return PseudoLabel(LabelMap(voxels, volume.geometry, segments_of(models[0])), score)


def check_models(models: Sequence[ReferenceModel]) -> None:
    """Refuse models whose outputs cannot be compared. Raises InputError."""
    if len(models) < 2:
        raise InputError("Agreement of models needs two models or more.")
    first = models[0].card
    for other in (model.card for model in models[1:]):
        same = (other.values, other.names, other.plane, other.modality)
        if same != (first.values, first.names, first.plane, first.modality):
            raise InputError(
                "The models do not segment the same structures in the same plane; they cannot label together."
            )


def _outputs(
    models: Sequence[ReferenceModel], cut: WindowedSlices, progress: Report, cancelled: IsCancelled
) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    """Label values (slices, rows, columns) of every model, and those of their averaged probabilities."""
    values = label_values(models[0])
    count, _, rows, columns = cut.images.shape
    outputs = [np.zeros((count, rows, columns), values.dtype) for _ in models]
    aggregate = np.zeros((count, rows, columns), values.dtype)
    began = time.monotonic()
    for part, chosen in batches(cut, range(count), cancelled):
        total: NDArray[np.float32] | None = None
        for model, output in zip(models, outputs, strict=True):
            found = model.probabilities(cut.images[chosen], cut.positions[chosen])
            output[part] = values[found.argmax(axis=1)]
            total = found if total is None else total + found
        assert total is not None  # there are models, check_models
        aggregate[part] = values[total.argmax(axis=1)]
        progress(Progress(part.stop, count, time.monotonic() - began, f"{part.stop} of {count} slices"))
    return outputs, aggregate
