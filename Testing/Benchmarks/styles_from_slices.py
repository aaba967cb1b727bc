"""Can three drawn slices tell a style? On 30 hippocampi that no training has seen.

A rater draws three slices of a volume, all outlines moved inwards or outwards by 1 or 2 voxels; from these
slices the style is found (`pgt.styles.style_from_slices`), and the volume is segmented in it. It counts
whether that is closer to the rater's full label than the main style is: over the whole volume, as the product
returns it, and over the slices that the rater did not draw.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pgt.annotation import SparseAnnotation
from pgt.styles.inference import Segmenter
from pgt.styles.style_from_slices import fit_prepared
from pgt.styles.style_model import Latent
from pgt.volume import LabelMap

from .accuracy import dice
from .styles_data import StyledCase, cohort
from .styles_models import style_map, style_model

SLICES = 3
AXIS = 1
"""Coronal slices: hippocampi are drawn on them."""
GOAL = 0.90
SHIFTS = (("eroded", 1), ("eroded", 2), ("dilated", 1), ("dilated", 2))


@dataclass(frozen=True)
class FromSlices:
    """One volume, drawn in one shifted style. Dice with the rater's full label, mean over the structures.

    Args:
        seed: of cohort and training.
        case: kept out of training.
        shift: how the rater draws.
        latent: the style that was found.
        main: Dice of the main style.
        styled: Dice of the style that was found.
        main_left: the same over the slices that were not drawn.
        styled_left: the same.
        seconds: to find the style.
    """

    seed: int
    case: str
    shift: str
    latent: tuple[float, ...]
    main: float
    styled: float
    main_left: float
    styled_left: float
    seconds: float


def drawn_slices(label_map: LabelMap) -> tuple[int, ...]:
    """Three slices at a quarter, a half and three quarters of the structures' extent."""
    others = tuple(axis for axis in range(3) if axis != AXIS)
    occupied = np.flatnonzero((label_map.voxels > 0).any(axis=others))
    first, last = int(occupied[0]), int(occupied[-1])
    return tuple(round(first + (last - first) * share) for share in (0.25, 0.5, 0.75))


def from_slices(
    seed: int, case: StyledCase, group: str, voxels: int, segmenter: Segmenter, centres: Sequence[Latent]
) -> FromSlices:
    """Find the style of one rater on one volume, and segment in it."""
    rater = case.in_style(group, voxels)
    slices = drawn_slices(rater)
    annotation = SparseAnnotation.from_label_map(rater, AXIS, slices)
    fitted = fit_prepared(segmenter, annotation, centres)
    main = segmenter.segment().label_map
    styled = segmenter.segment(fitted.latent).label_map
    left = np.setdiff1d(np.arange(rater.voxels.shape[AXIS]), slices)
    return FromSlices(
        seed, case.name, f"{group} by {voxels}", fitted.latent,
        _dice(rater, main), _dice(rater, styled), _dice(rater, main, left), _dice(rater, styled, left),
        fitted.seconds,
    )  # fmt: skip


def _dice(one: LabelMap, other: LabelMap, slices: np.ndarray | None = None) -> float:
    def part(label_map: LabelMap, value: int) -> np.ndarray:
        mask = label_map.mask(value)
        return mask if slices is None else mask.take(slices, axis=AXIS)

    return float(np.mean([dice(part(one, value), part(other, value)) for value in one.values]))


def run(options: argparse.Namespace) -> list[FromSlices]:
    """Every seed, kept-out case and shift."""
    torch.set_num_threads(1)
    results = []
    for seed in options.style_seeds:
        data = cohort("perturbed", seed)
        model = style_model(data, options.styles_cache)
        centres = [cluster.centre for cluster in style_map(data, model).clusters]
        for case in data.kept_out:
            segmenter = Segmenter(model, case.volume, "cpu")
            for group, voxels in SHIFTS:
                results.append(from_slices(seed, case, group, voxels, segmenter, centres))
    return results


def print_tables(results: Sequence[FromSlices]) -> None:
    """Every seed and shift, the bad ones too."""
    print(f"\nA style from {SLICES} drawn slices: closer to the rater than the main style (goal {GOAL:.0%})")
    for seed in dict.fromkeys(one.seed for one in results):
        of_seed = [one for one in results if one.seed == seed]
        for shift in [*dict.fromkeys(one.shift for one in of_seed), "all"]:
            some = [one for one in of_seed if shift in (one.shift, "all")]
            whole = np.mean([one.styled > one.main for one in some])
            left = np.mean([one.styled_left > one.main_left for one in some])
            seconds = np.median([one.seconds for one in some])
            main, styled = (
                float(np.mean([getattr(one, name) for one in some])) for name in ("main", "styled")
            )
            print(
                f"  seed {seed}, {shift:12s}: {whole:.1%} of {len(some)} ({left:.1%} on the slices "
                f"not drawn); Dice {main:.3f} -> {styled:.3f}; {seconds:.1f} s"
            )
