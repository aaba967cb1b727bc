"""Do the styles of the map mean what they should? On 30 hippocampi that no training has seen.

HyperSORT was trained on labels of which 15 % were eroded or dilated (`Benchmarks.styles_recovery`). Segmented
in the style of each cluster's centre, a new volume should be smaller in the eroded style and larger in the
dilated one; the main style should be as good as a plain UNet that was trained on the true labels, and better
than one trained on the perturbed ones. All three networks are of the same size and trained for as many
epochs. A cluster is called eroded or dilated after the true group of most of its cases; nothing else is told.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pgt.styles.corrections import propose_correction
from pgt.styles.inference import Segmenter, segment
from pgt.styles.style_model import Latent, StyleModel

from .result_cache import DEFAULT_FOLDER
from .styles_data import GROUPS, Cohort, cohort
from .styles_models import plain_unet, style_map, style_model
from .styles_recovery import mean_dice

ORDER_GOAL = 0.95
DICE_MARGIN = 0.005
CORRECTION_GOAL = 0.90


@dataclass(frozen=True)
class Meaning:
    """What the styles of one training mean.

    Args:
        seed: of cohort and training.
        styles: of which groups a cluster was found; the order of volumes needs both.
        volumes: ml of every kept-out case by group, the smallest group first.
        ordered: share of kept-out cases whose volumes are in that order.
        dice: mean with the true labels of the kept-out cases, by network.
        corrections: for every perturbed training label the Dice with the true label, before and after.
        corrected: share of them that came closer.
    """

    seed: int
    styles: tuple[str, ...]
    volumes: tuple[dict[str, float], ...]
    ordered: float
    dice: dict[str, float]
    corrections: tuple[tuple[float, float], ...]
    corrected: float


def style_of_groups(data: Cohort, model: StyleModel) -> Mapping[str, Latent]:
    """The centre of the largest cluster, beside the main one, that is mostly made of each group."""
    group_of = dict(zip((case.name for case in data.training), data.groups, strict=True))
    found: dict[str, Latent] = {}
    for cluster in style_map(data, model).clusters:
        groups = [group_of[case] for case in cluster.cases]
        most = max(GROUPS[data.task], key=groups.count)
        if not cluster.is_main:
            found.setdefault(most, cluster.centre)
    return {group: found[group] for group in GROUPS[data.task][1:] if group in found}


def meaning(seed: int, cache: Path = DEFAULT_FOLDER) -> Meaning:
    """Measure one training."""
    data = cohort("perturbed", seed)
    model = style_model(data, cache)
    styles = {"main": model.main_style, **style_of_groups(data, model)}
    volumes, scores = [], []
    for case in data.kept_out:
        segmenter = Segmenter(model, case.volume, "cpu")
        found = {name: segmenter.segment(latent) for name, latent in styles.items()}
        volumes.append({name: sum(one.volumes_ml.values()) for name, one in found.items()})
        scores.append(mean_dice(case.true, found["main"].label_map))
    complete = len(styles) == len(GROUPS[data.task])
    in_order = [complete and one["eroded"] < one["main"] < one["dilated"] for one in volumes]
    corrections = tuple(_corrections(data, model))
    return Meaning(
        seed,
        tuple(styles),
        tuple(volumes),
        float(np.mean(in_order)),
        {"main style": float(np.mean(scores)), **_plain_dice(data, cache)},
        corrections,
        float(np.mean([after > before for before, after in corrections])),
    )


def _corrections(data: Cohort, model: StyleModel) -> list[tuple[float, float]]:
    """Dice with the true label of every perturbed label, and of what the main style proposes for it."""
    pairs = []
    for case in data.training:
        if case.group != GROUPS[data.task][0]:
            proposal = propose_correction(model, case.name, case.volume, case.drawn, device="cpu").proposal
            pairs.append((mean_dice(case.true, case.drawn), mean_dice(case.true, proposal)))
    return pairs


def _plain_dice(data: Cohort, cache: Path) -> dict[str, float]:
    trained_on = {
        "plain UNet, true labels": ("clean", [case.true for case in data.training]),
        "plain UNet, perturbed labels": ("drawn", [case.drawn for case in data.training]),
    }
    dice = {}
    for told, (name, labels) in trained_on.items():
        network = plain_unet(data, name, labels, cache).model
        found = [segment(network, case.volume, device="cpu").label_map for case in data.kept_out]
        cases = zip(data.kept_out, found, strict=True)
        dice[told] = float(np.mean([mean_dice(case.true, predicted) for case, predicted in cases]))
    return dice


def run(options: argparse.Namespace) -> list[Meaning]:
    """Every seed."""
    torch.set_num_threads(1)
    return [meaning(seed, options.styles_cache) for seed in options.style_seeds]


def print_tables(results: Sequence[Meaning]) -> None:
    """Every seed, the bad ones too."""
    print("\nWhat styles mean (30 hippocampi kept out of training)")
    for one in results:
        print(f"  seed {one.seed}: styles {', '.join(one.styles)}")
        means = {name: np.mean([volumes[name] for volumes in one.volumes]) for name in one.styles}
        told = ", ".join(f"{name} {volume:.2f} ml" for name, volume in means.items())
        print(f"      volumes in order in {one.ordered:.1%} (goal {ORDER_GOAL:.0%}); {told}")
        print("      Dice:", ", ".join(f"{name} {value:.4f}" for name, value in one.dice.items()))
        before, after = np.mean(one.corrections, axis=0)
        print(
            f"      corrections closer in {one.corrected:.1%} of {len(one.corrections)} "
            f"(goal {CORRECTION_GOAL:.0%}); Dice {before:.3f} -> {after:.3f}"
        )
