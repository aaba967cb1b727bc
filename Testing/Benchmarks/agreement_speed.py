"""What it costs to compare raters, beside DeepMind's surface-distance and MONAI on the same pairs.

A volume of 512×512×300 voxels is made, in which five raters outline ten organs from an adrenal gland to
lungs, each with a hand of its own; all pairs are compared. The peers get each pair cropped to the box around
it, as ours does by itself, and compute what they have of the metrics: Dice, NSD, HD, HD95 and ASSD. Ours
computes all default metrics and the intervals over cases. Each is a process of its own, so that its peak
memory is its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from .agreement_run import CONTENDERS
from .cost import in_child

SECONDS_BUDGET = 60.0
TIMES_FASTER = 5.0
MEMORY_BUDGET_GB = 4.0
SAME_DEFINITION = ("dice", "nsd", "hd_mm", "hd95_mm", "assd_mm")
"""Metrics that DeepMind defines as we do."""


@dataclass(frozen=True)
class AgreementCost:
    """One contender.

    Args:
        seconds: of all comparisons, and of the intervals where it has them.
        cpu_seconds: of all its threads, which tells how busy the machine was with other work.
        interval_seconds: of these, for the intervals.
        start_gb: highest resident memory with the readings made.
        peak_gb: highest resident memory in the end.
        values: by pair, the metrics that it has.
    """

    contender: str
    raters: int
    labels: int
    pairs: int
    seconds: float
    cpu_seconds: float
    interval_seconds: float
    start_gb: float
    peak_gb: float
    values: list[dict[str, float]]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--raters", type=int, default=5, help="of agreement-speed")
    parser.add_argument("--labels", type=int, default=10, help="of agreement-speed, up to 10")


def run(options: argparse.Namespace) -> list[AgreementCost]:
    """Ours, then the peers. One that fails is told of and left out."""
    costs = []
    for contender in CONTENDERS:
        outcome = in_child("agreement_run", contender, str(options.raters), str(options.labels))
        if outcome is not None:
            costs.append(AgreementCost(**outcome))
    return costs


def print_table(costs: Sequence[AgreementCost]) -> None:
    """A table on a terminal, and whether what is asked for is met."""
    if not costs:
        return
    print(f"\nAgreement of {costs[0].raters} raters on {costs[0].labels} labels, 512×512×300 voxels")
    print(f"{'':<10}{'pairs':>6}{'s':>9}{'CPU s':>9}{'intervals s':>13}{'start GB':>10}{'peak GB':>9}")
    for cost in costs:
        print(
            f"{cost.contender:<10}{cost.pairs:>6}{cost.seconds:>9.1f}{cost.cpu_seconds:>9.1f}"
            f"{cost.interval_seconds:>13.2f}{cost.start_gb:>10.2f}{cost.peak_gb:>9.2f}"
        )
    ours = next((cost for cost in costs if cost.contender == "pgt"), None)
    peers = [cost for cost in costs if cost.contender != "pgt"]
    if ours is None:
        return
    print(f"At most {SECONDS_BUDGET:g} s: {_verdict(ours.seconds <= SECONDS_BUDGET)}", end="; ")
    print(f"at most {MEMORY_BUDGET_GB:g} GB: {_verdict(ours.peak_gb <= MEMORY_BUDGET_GB)}", end="")
    if peers:
        times = min(cost.seconds for cost in peers) / ours.seconds
        cpu_times = min(cost.cpu_seconds for cost in peers) / ours.cpu_seconds
        print(
            f"; {times:.0f} times faster than the faster peer ({cpu_times:.0f} times by CPU seconds), "
            f"{TIMES_FASTER:g} asked: {_verdict(times >= TIMES_FASTER)}",
            end="",
        )
    print()
    for peer in peers:
        print(f"Largest difference from {peer.contender}: {_differences(ours, peer)}")


def _differences(ours: AgreementCost, peer: AgreementCost) -> str:
    largest = {
        key: max(abs(mine[key] - other[key]) for mine, other in zip(ours.values, peer.values, strict=True))
        for key in SAME_DEFINITION
    }
    return ", ".join(f"{key} {value:.1g}" for key, value in largest.items())


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"
