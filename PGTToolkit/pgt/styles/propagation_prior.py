"""Both engines together: propagated slices that also listen to the segmentation in the rater's style.

Propagation knows what was drawn nearby, and less the farther away that is; the styled network knows what such
structures look like, everywhere alike. Their log-odds are mixed, with two weights for every structure, one
between its annotated slices and one beyond them. Which weights are right is seen on annotated slices that are
left out: where the style does not help, it gets none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import SparseAnnotation
from pgt.errors import InputError
from pgt.progress import Progress
from pgt.propagation.engine import PropagationResult, PropagationSettings, propagate
from pgt.styles.drawn_labels import with_drawn_slices
from pgt.styles.drawn_slices import matched_classes
from pgt.styles.inference import IsCancelled, Report, Segmenter, StyledSegmentation
from pgt.styles.style_from_slices import FittedStyle, fit_prepared
from pgt.styles.style_model import Latent, StyleModel
from pgt.volume import Volume

WEIGHTS = tuple(tenth / 10 for tenth in range(11))
LEAST_GAIN = 0.005
"""Dice by which a weight has to be better than none on the slices left out."""
MOST_BETWEEN = 0.6
"""A left-out slice lies at least twice as far from the nearest drawn one as those that are to be filled; that
flatters the style. Measured on hippocampi with 3 to 6 slices: 0.6 and 0.7 do better than 0.5 and 1."""
MOST_LEFT_OUT = 6
_LEAST_PROBABILITY = 1e-3

Odds = NDArray[np.float32]


@dataclass(frozen=True)
class StyleWeight:
    """How far a structure listens to its style, between its annotated slices or beyond them.

    Args:
        weight: of the style's log-odds; that of the propagation's is 1 less this.
        slices: annotated slices that were left out to find it.
        propagated: Dice on them by propagation alone.
        styled: by the style alone.
        joined: by both, with the weight.
    """

    weight: float
    slices: int
    propagated: float
    styled: float
    joined: float


@dataclass(frozen=True)
class StyleWeights:
    """Both weights of one structure."""

    between: StyleWeight
    beyond: StyleWeight


@dataclass(frozen=True, eq=False)
class StyledPropagation:
    """A propagation that listened to a style.

    Args:
        result: annotated slices are as they were drawn; ``uncertainty`` is that of both together.
        weights: by label value.
    """

    result: PropagationResult
    weights: Mapping[int, StyleWeights]

    @property
    def sentences(self) -> tuple[str, ...]:
        """For the user: how far each structure listened to the style."""
        return tuple(self._said(value, both) for value, both in self.weights.items())

    def _said(self, value: int, both: StyleWeights) -> str:
        name = self.result.label_map.segment(value).name
        between, beyond = both.between, both.beyond
        if not between.slices:
            return f"{name} was propagated alone: no slice could be left out to see whether its style helps."
        if not (between.weight or beyond.weight):
            return f"{name} was propagated alone: its style did not help on slices that were left out."
        best = between if between.weight else beyond
        return (
            f"{name} listened to its style, {between.weight:.0%} between drawn slices, {beyond.weight:.0%} "
            f"beyond; on slices that were left out Dice rose from {best.propagated:.2f} to {best.joined:.2f}."
        )


def propagate_with_style(
    volume: Volume,
    annotation: SparseAnnotation,
    model: StyleModel,
    latent: Latent,
    settings: PropagationSettings | None = None,
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> StyledPropagation:
    """Fill in the slices around and between the annotated ones, with a style as a further witness.

    Args:
        volume: the image.
        annotation: on its grid.
        model: a trained model; structures that it does not know are propagated alone.
        latent: the style, for example `pgt.styles.style_from_slices.FittedStyle.latent`.
        settings: of the propagation, and the device of both.
        progress: told now and then; the parts count one after another.
        cancelled: asked now and then.

    Raises:
        InputError: what `pgt.propagation.engine.propagate` or the segmentation refuses, or the model has no
            structure of the annotation.
        CheckpointError, DeviceError, Cancelled: as these two.
    """
    settings = settings or PropagationSettings()
    matched = matched_classes(model, annotation.label_map)
    result = propagate(volume, annotation, settings, progress=progress, cancelled=cancelled)
    styled = Segmenter(model, volume, settings.device).segment(latent, progress, cancelled)
    return join_style(volume, annotation, result, styled, matched, settings, progress, cancelled)


def propagate_in_own_style(
    volume: Volume,
    annotation: SparseAnnotation,
    model: StyleModel,
    settings: PropagationSettings | None = None,
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> tuple[StyledPropagation, FittedStyle]:
    """As `propagate_with_style`, in the style that the annotated slices themselves are drawn in."""
    settings = settings or PropagationSettings()
    matched = matched_classes(model, annotation.label_map)
    result = propagate(volume, annotation, settings, progress=progress, cancelled=cancelled)
    segmenter = Segmenter(model, volume, settings.device)
    fitted = fit_prepared(segmenter, annotation, progress=progress, cancelled=cancelled)
    styled = segmenter.segment(fitted.latent, progress, cancelled)
    joined = join_style(volume, annotation, result, styled, matched, settings, progress, cancelled)
    return joined, fitted


def join_style(
    volume: Volume,
    annotation: SparseAnnotation,
    result: PropagationResult,
    styled: StyledSegmentation,
    matched: Mapping[int, int],
    settings: PropagationSettings | None = None,
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> StyledPropagation:
    """As `propagate_with_style`, for a propagation and a segmentation that are there already.

    Args:
        result: of ``annotation`` with ``settings``.
        styled: of the same volume.
        matched: the style model's label value for each of the annotation's.
    """
    settings = replace(settings or PropagationSettings(), axis=result.axis)
    values = [value for value in annotation.labels if value in matched]
    style_odds = {value: _odds(styled.probability(matched[value])) for value in values}
    axis = result.axis
    seen: list[_LeftOut] = []
    chosen = left_out_slices(annotation, axis)
    for number, index in enumerate(chosen):
        progress(Progress(number, len(chosen), 0.0, f"Slice {index} left out"))
        without = _without(annotation, axis, index)
        if without is None:
            continue  # nothing else shows a label
        again = propagate(volume, without, settings, cancelled=cancelled, previous=result)
        seen.append(_LeftOut.of(annotation, again, index, values, style_odds))
    weights = {
        value: StyleWeights(
            _weight(value, [one for one in seen if value in one.truth], MOST_BETWEEN),
            _weight(value, [one for one in seen if one.is_last(annotation, axis, value)], 1.0),
        )
        for value in values
    }
    return StyledPropagation(_joined(annotation, result, style_odds, weights), weights)


def left_out_slices(annotation: SparseAnnotation, axis: int) -> list[int]:
    """The annotated slices to leave out: the first and the last of all, and at most a few in between."""
    indices = annotation.annotated(axis)
    if len(indices) <= MOST_LEFT_OUT:
        return list(indices)
    places = np.linspace(0, len(indices) - 1, MOST_LEFT_OUT).round().astype(int)
    return [indices[place] for place in places]


def _without(annotation: SparseAnnotation, axis: int, index: int) -> SparseAnnotation | None:
    """The annotation as if a slice had not been drawn; None where no label would be left."""
    slices = {
        value: {
            across: tuple(one for one in indices if (across, one) != (axis, index))
            for across, indices in by_axis.items()
        }
        for value, by_axis in annotation.slices.items()
    }
    try:
        return SparseAnnotation(annotation.label_map, slices)
    except InputError:
        return None


@dataclass(frozen=True, eq=False)
class _LeftOut:
    """What was drawn on a slice, and the log-odds of both for it, by label value."""

    index: int
    truth: Mapping[int, NDArray[np.bool_]]
    propagated: Mapping[int, Odds]
    styled: Mapping[int, Odds]

    @classmethod
    def of(
        cls,
        annotation: SparseAnnotation,
        again: PropagationResult,
        index: int,
        values: Sequence[int],
        style_odds: Mapping[int, Odds],
    ) -> _LeftOut:
        """Of the annotated slice ``index`` as it was filled in without it."""
        known = [value for value in values if index in annotation.slices[value].get(again.axis, ())]
        drawn = annotation.label_map.voxels.take(index, again.axis)
        labels = again.label_map.voxels.take(index, again.axis)
        doubt = np.asarray(again.uncertainty.take(index, again.axis))
        return cls(
            index,
            {value: drawn == value for value in known},
            {value: _propagated_odds(labels, doubt, value) for value in known},
            {value: np.asarray(style_odds[value].take(index, again.axis)) for value in known},
        )

    def is_last(self, annotation: SparseAnnotation, axis: int, value: int) -> bool:
        """Whether it is the first or the last slice on which a label is annotated."""
        indices = annotation.annotated(axis, value)
        return value in self.truth and self.index in (indices[0], indices[-1])


def _weight(value: int, seen: Sequence[_LeftOut], most: float) -> StyleWeight:
    """The weight with the best Dice on all these slices, at most ``most``; the smallest of equals."""
    scores = {}
    for weight in WEIGHTS:
        overlap = size = 0
        for one in seen:
            inside = _mixed(one.propagated[value], one.styled[value], weight) > 0
            truth = one.truth[value]
            overlap += 2 * int(np.count_nonzero(inside & truth))
            size += int(np.count_nonzero(inside)) + int(np.count_nonzero(truth))
        scores[weight] = overlap / size if size else 1.0
    best = max(WEIGHTS, key=lambda weight: (scores[weight], -weight))
    weight = 0.0
    if scores[best] >= scores[0.0] + LEAST_GAIN:
        weight = max(one for one in WEIGHTS if one <= min(best, most))
    return StyleWeight(weight, len(seen), scores[0.0], scores[1.0], scores[weight])


def _joined(
    annotation: SparseAnnotation,
    result: PropagationResult,
    style_odds: Mapping[int, Odds],
    weights: Mapping[int, StyleWeights],
) -> PropagationResult:
    """The propagation with the structures that listen to a style labelled anew; drawn slices stay."""
    listening = [
        value for value, both in weights.items() if both.between.weight > 0 or both.beyond.weight > 0
    ]
    if not listening:
        return result
    labels, doubt = result.label_map.voxels, result.uncertainty
    # Structures that do not listen keep their voxels; the others compete with the background for the rest.
    free = np.isin(labels, [0, *listening])
    voxels = np.where(free, 0, labels).astype(labels.dtype)
    most = np.full(labels.shape, -np.inf, np.float32)
    for value in listening:
        weight = _by_slice(annotation, result.axis, value, weights[value])
        odds = _mixed(_propagated_odds(labels, doubt, value), style_odds[value], weight)
        voxels[free & (odds > 0) & (odds > most)] = value
        np.maximum(most, odds, out=most)
    locked = with_drawn_slices(replace(result.label_map, voxels=voxels), annotation)
    # Of a structure, the chance that it is none; of the background, that it is the likeliest structure.
    wrong = np.where(free, 1 / (1 + np.exp(np.abs(most))), doubt).astype(np.float32)
    for index in result.annotated:
        if all(index in annotation.slices[v].get(result.axis, ()) for v in annotation.labels):
            place: tuple[Any, ...] = (*[slice(None)] * result.axis, index)
            wrong[place] = 0
    return replace(result, label_map=locked, uncertainty=wrong)


def _by_slice(annotation: SparseAnnotation, axis: int, value: int, weights: StyleWeights) -> Odds:
    """The weight on every slice, of a shape that spreads over the volume."""
    indices = annotation.annotated(axis, value)
    along = np.full(annotation.label_map.geometry.shape[axis], weights.beyond.weight, np.float32)
    if indices:
        along[indices[0] : indices[-1] + 1] = weights.between.weight
    return np.expand_dims(along, [other for other in (0, 1, 2) if other != axis])


def _mixed(propagated: Odds, styled: Odds, weight: float | Odds) -> Odds:
    return np.asarray((1 - weight) * propagated + weight * styled, np.float32)


def _propagated_odds(labels: NDArray[np.integer], doubt: NDArray[np.float32], value: int) -> Odds:
    """Log-odds of a label by a propagation's labels and uncertainty, the probability that they are wrong."""
    return _odds(np.where(labels == value, 1 - doubt, doubt))


def _odds(probability: NDArray[np.float32]) -> Odds:
    safe = np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.asarray(np.log(safe / (1 - safe)), np.float32)
