"""Does propagation gain from the rater's style? On hippocampi that no training has seen.

A rater draws a few slices, as the data set has them or shifted by a voxel. The slices are propagated, the
style that was found on them segments the volume, and both are joined (`pgt.styles.propagation_prior`). Dice
with the rater's full label, over the slices that were not drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pgt.annotation import SparseAnnotation
from pgt.propagation.engine import PropagationSettings, propagate
from pgt.styles.drawn_slices import matched_classes
from pgt.styles.inference import Segmenter
from pgt.styles.propagation_prior import join_style
from pgt.styles.style_from_slices import fit_prepared
from pgt.styles.style_model import StyleModel
from pgt.volume import LabelMap

from .accuracy import dice
from .styles_data import StyledCase, cohort
from .styles_models import style_model

AXIS = 1
"""Coronal slices: hippocampi are drawn on them."""
CASES = 8
DRAWN = (3, 4, 6)
"""Slices that the rater draws, evenly from the first to the last sixth of the structures."""
SHIFTS = (("as drawn", 0), ("eroded", 1), ("dilated", 1))


@dataclass(frozen=True)
class Joined:
    """One structure of one volume, drawn on a few slices; Dice over the others.

    Args:
        between: weight of the style between the drawn slices.
        beyond: beyond them.
    """

    seed: int
    case: str
    shift: str
    slices: int
    label: int
    propagated: float
    styled: float
    joined: float
    between: float
    beyond: float


def joined(
    seed: int, model: StyleModel, case: StyledCase, group: str, voxels: int, count: int
) -> list[Joined]:
    """Every structure of one volume."""
    rater = case.in_style(group, voxels)
    occupied = np.flatnonzero((rater.voxels > 0).any(axis=(0, 2)))
    first, last = int(occupied[0]), int(occupied[-1])
    slices = sorted({round(first + (last - first) * share) for share in np.linspace(1 / 6, 5 / 6, count)})
    annotation = SparseAnnotation.from_label_map(rater, AXIS, slices)
    segmenter = Segmenter(model, case.volume, "cpu")
    styled = segmenter.segment(fit_prepared(segmenter, annotation).latent)
    settings = PropagationSettings(axis=AXIS, device="cpu")
    alone = propagate(case.volume, annotation, settings)
    matched = matched_classes(model, rater)
    both = join_style(case.volume, annotation, alone, styled, matched, settings)
    left = np.setdiff1d(np.arange(rater.voxels.shape[AXIS]), slices)

    def score(found: LabelMap, value: int) -> float:
        return dice(found.mask(value).take(left, AXIS), rater.mask(value).take(left, AXIS))

    return [
        Joined(
            seed, case.name, group, count, value,
            score(alone.label_map, value),
            score(styled.label_map, matched[value]),
            score(both.result.label_map, value),
            weights.between.weight,
            weights.beyond.weight,
        )
        for value, weights in both.weights.items()
    ]  # fmt: skip


def run(options: argparse.Namespace) -> list[Joined]:
    """Every seed, kept-out case, shift and number of slices."""
    torch.set_num_threads(1)
    results = []
    for seed in options.style_seeds:
        data = cohort("perturbed", seed)
        model = style_model(data, options.styles_cache)
        for case in data.kept_out[:CASES]:
            for group, voxels in SHIFTS:
                for count in DRAWN:
                    results += joined(seed, model, case, group, voxels, count)
    return results


def print_tables(results: Sequence[Joined]) -> None:
    """By shift and number of slices."""
    print("\nPropagation that listens to the rater's style: Dice on the slices not drawn, in %")
    head = ("shift", "slices", "n", "propagated", "styled", "joined")
    print("{:<10}{:>7}{:>5}{:>12}{:>8}{:>8}  worse than propagated".format(*head))
    for shift in [*dict.fromkeys(one.shift for one in results), "all"]:
        for count in DRAWN:
            some = [one for one in results if shift in (one.shift, "all") and one.slices == count]
            means = [100 * np.mean([getattr(one, name) for one in some]) for name in _NAMES]
            worse = np.mean([one.joined < one.propagated - 0.005 for one in some])
            print(
                f"{shift:<10}{count:>7}{len(some):>5}{means[0]:>12.1f}{means[1]:>8.1f}{means[2]:>8.1f}"
                f"  {worse:.0%} by more than half a point"
            )


_NAMES = ("propagated", "styled", "joined")
