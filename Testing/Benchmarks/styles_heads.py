"""Are factored heads as good as the published ones? HyperSORT with each, on the same perturbed hippocampi.

Network, cases, their order and the initial weights' seed are the same; only the heads of the hyper-network
differ: published ones keep 50 numbers for every weight of the UNet, factored ones 8 or 4. What is compared is
what `Benchmarks.styles_recovery` and `Benchmarks.styles_meaning` ask of the styles. What the heads cost is
in `Benchmarks.styles_cost`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from pgt.styles.inference import Segmenter
from pgt.styles.style_model import StyleModel

from .result_cache import DEFAULT_FOLDER
from .styles_data import GROUPS, Cohort, cohort
from .styles_meaning import style_of_groups
from .styles_models import OTHER_RANKS, RANK, Rank, style_map, style_model
from .styles_recovery import area_for_perturbed, cluster_names, mean_dice


@dataclass(frozen=True)
class HeadsQuality:
    """What one training learnt.

    Args:
        heads: "published" or the rank of factored ones.
        seed: of cohort and training.
        parameters: of the hyper-network.
        seconds: of the training.
        rand_index: adjusted Rand index of the clusters.
        suspicion: area under the curve for perturbed labels.
        dice: mean over the kept-out cases by style, with the label that a rater of that style draws who moves
            outlines by one voxel; of the main style, with the true label.
    """

    heads: str
    seed: int
    parameters: int
    seconds: float
    rand_index: float
    suspicion: float
    dice: dict[str, float]


def heads_quality(rank: Rank, seed: int, cache: Path = DEFAULT_FOLDER) -> HeadsQuality:
    """Train, or take from the cache, and compare with the truth."""
    data = cohort("perturbed", seed)
    model = style_model(data, cache, rank)
    found = style_map(data, model)
    scores = {suspect.case: suspect.score for suspect in found.suspects}
    return HeadsQuality(
        f"rank {rank}" if rank else "published",
        seed,
        sum(parameter.numel() for parameter in model.hypernetwork.parameters()),
        float(model.training["seconds"]),
        float(adjusted_rand_score(data.groups, cluster_names(data, found))),
        area_for_perturbed(data, [scores[case.name] for case in data.training]),
        _dice(data, model),
    )


def _dice(data: Cohort, model: StyleModel) -> dict[str, float]:
    styles = {GROUPS[data.task][0]: model.main_style, **style_of_groups(data, model)}
    scores: dict[str, list[float]] = {group: [] for group in styles}
    for case in data.kept_out:
        segmenter = Segmenter(model, case.volume, "cpu")
        for group, latent in styles.items():
            scores[group].append(mean_dice(case.in_style(group), segmenter.segment(latent).label_map))
    return {group: float(np.mean(values)) for group, values in scores.items()}


def run(options: argparse.Namespace) -> list[HeadsQuality]:
    """Every kind of heads and seed."""
    torch.set_num_threads(1)
    ranks = (RANK, *OTHER_RANKS)
    return [heads_quality(rank, seed, options.styles_cache) for seed in options.style_seeds for rank in ranks]


def print_tables(results: Sequence[HeadsQuality]) -> None:
    """A line for each training."""
    print("\nHeads of the hyper-network: what each learns on perturbed hippocampi")
    for one in results:
        dice = ", ".join(f"{group} {value:.4f}" for group, value in one.dice.items())
        print(
            f"  seed {one.seed}, {one.heads:<10}{one.parameters:>10,} parameters, "
            f"{one.seconds / 60:.1f} min: Rand index {one.rand_index:.3f}, suspicion {one.suspicion:.4f}; "
            f"Dice {dice}"
        )
