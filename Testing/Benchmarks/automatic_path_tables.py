"""What the benchmark of the automatic path came to: tables on the terminal, and a log of every figure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .automatic_path import (
    ALONE,
    CROSS,
    EVERY_LABEL,
    KEPT_OUT,
    LONGER,
    SEEN,
    STAGES,
    STRUCTURES,
    SUPERVISED,
    Outcome,
    PseudoLabelScore,
    Score,
)


def print_tables(outcome: Outcome) -> None:
    """What the three questions came to."""
    from pgt.agreement.bootstrap import confidence_that_greater, mean_estimate

    steps = outcome.settings["iterations"]
    print(f"\nAutomatic path on hippocampi: {KEPT_OUT} cases kept out, {steps} steps, Dice in %")
    print(
        f"{'training':<35}{'stage':<29}{'seed':<6}{'anterior':>9}{'posterior':>10}{'mean':>7}  95 % interval"
    )
    for key in dict.fromkeys((one.training, one.stage, one.seed) for one in outcome.scores):
        some = [one for one in outcome.scores if (one.training, one.stage, one.seed) == key]
        means = [100 * np.mean([getattr(one, name) for one in some]) for name in STRUCTURES.values()]
        whole = mean_estimate([100 * one.dice for one in some])
        print(
            f"{key[0]:<35}{key[1]:<29}{key[2]:<6}{means[0]:>9.1f}{means[1]:>10.1f}{whole.value:>7.1f}"
            f"  {whole.lower:.1f} to {whole.upper:.1f}"
        )
    comparisons = (
        ((CROSS, STAGES[0]), (SUPERVISED, STAGES[0])),
        ((CROSS, STAGES[0]), (LONGER, STAGES[0])),
        ((EVERY_LABEL, STAGES[0]), (SUPERVISED, STAGES[0])),
        ((CROSS, SEEN), (SUPERVISED, SEEN)),
        *(((CROSS, name), (SUPERVISED, name)) for name in ALONE),
        ((CROSS, STAGES[1]), (CROSS, STAGES[0])),
        ((CROSS, STAGES[2]), (CROSS, STAGES[0])),
    )
    for one, other in comparisons:
        first, second = by_case(outcome.scores, *one), by_case(outcome.scores, *other)
        gain = mean_estimate([100 * (a - b) for a, b in zip(first, second, strict=True)])
        sure = confidence_that_greater(first, second)
        print(
            f"{one[0]}, {one[1]} against {other[0]}, {other[1]}: {gain.value:+.1f} points "
            f"({gain.lower:+.1f} to {gain.upper:+.1f}), greater with confidence {sure:.3f}"
        )
    for number in dict.fromkeys(one.round for one in outcome.pseudo_labels):
        those = [one for one in outcome.pseudo_labels if one.round == number]
        parts = [[one.dice for one in those if one.accepted is accepted] for accepted in (True, False)]
        said = [f"{len(part)} with mean Dice {np.mean(part):.3f}" if part else "none" for part in parts]
        print(
            f"Round {number}: accepted {said[0]}, rejected {said[1]}; score and Dice to the truth correlate "
            f"with {rank_correlation(those):.2f} (Spearman)"
        )


def by_case(scores: Sequence[Score], training: str, stage: str) -> list[float]:
    """Mean Dice of each kept-out case over structures and seeds."""
    some = [one for one in scores if (one.training, one.stage) == (training, stage)]
    cases = sorted({one.case for one in some})
    return [float(np.mean([one.dice for one in some if one.case == case])) for case in cases]


def rank_correlation(labels: Sequence[PseudoLabelScore]) -> float:
    """Of what the models said and the truth."""
    from scipy.stats import spearmanr

    return float(spearmanr([one.score for one in labels], [one.dice for one in labels]).statistic)


def write_log(outcome: Outcome, path: Path) -> None:
    """Every figure as a line of a table: the log that is kept with the documentation."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["what", "training", "seed", "stage", "case", "value", "detail"])
        for name, seconds in outcome.training_seconds.items():
            writer.writerow(["training seconds", name, "", "", "", seconds, ""])
        for one in outcome.scores:
            detail = f"anterior {one.anterior:.4f} posterior {one.posterior:.4f}"
            row = [one.training, one.seed, one.stage, one.case, f"{one.dice:.4f}", detail]
            writer.writerow(["Dice", *row])
        for label in outcome.pseudo_labels:
            detail = (
                f"round {label.round} score {label.score:.4f} {'accepted' if label.accepted else 'rejected'}"
            )
            writer.writerow(["pseudo-label Dice", CROSS, "", "", label.case, f"{label.dice:.4f}", detail])
