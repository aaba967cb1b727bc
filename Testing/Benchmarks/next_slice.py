"""What the suggested slice is worth: how many slices a rater draws until the rest is good.

A structure is drawn on its first, middle and last slice. Then, one slice at a time, the slice that the engine
suggests (``next_slice``) is drawn; against it stand as many slices at a fixed interval, all drawn anew. After
each step the Dice over the slices between first and last that were not drawn is taken.

    python -m Benchmarks.next_slice --subset quick --json next_slice.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .accuracy import dice
from .engine_run import propagate_structure
from .real_data import DATA_SETS, LoadedCase, Structure, data_folder, list_cases, quick_subset
from .simulated_rater import Plan

if TYPE_CHECKING:
    from pgt.propagation.engine import PropagationResult

FEWEST, MOST = 3, 10
GOAL = 0.90
QUICK_STRUCTURES = 6
STRATEGIES = ("suggested", "fixed interval")


@dataclass(frozen=True)
class Curve:
    """Dice of one structure after FEWEST, FEWEST + 1, ... MOST slices chosen by one strategy."""

    data_set: str
    case: str
    structure: str
    strategy: str
    dice: tuple[float, ...]

    @property
    def slices_to_goal(self) -> int:
        """The fewest slices with a Dice of GOAL; MOST + 1 where it was not reached."""
        return next((FEWEST + place for place, value in enumerate(self.dice) if value >= GOAL), MOST + 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="Benchmarks.next_slice", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real volumes")
    parser.add_argument("--data-sets", help=f"comma-separated, from: {', '.join(DATA_SETS)}")
    parser.add_argument("--subset", choices=["quick", "full"], default="full")
    parser.add_argument("--json", type=Path, help="write all curves here")
    add_options(parser)
    options = parser.parse_args(arguments)
    curves = run(options)
    print_tables(curves)
    if options.json:
        options.json.write_text(json.dumps([asdict(curve) for curve in curves], indent=1))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", default="auto", help="method of propagation")


def run(options: argparse.Namespace) -> list[Curve]:
    """Both strategies on every structure; with the quick subset, on the first few of the first cases."""
    cases = list_cases(options.data, options.data_sets.split(",") if options.data_sets else None)
    if options.subset == "quick":
        cases = quick_subset(cases)
    curves = []
    for case in cases:
        loaded = case.load()
        structures = loaded.structures[: QUICK_STRUCTURES if options.subset == "quick" else None]
        for structure in structures:
            for strategy in STRATEGIES:
                steps = _suggested if strategy == "suggested" else _at_fixed_interval
                found = tuple(steps(loaded, structure, options.method))
                curves.append(Curve(case.data_set, case.name, structure.name, strategy, found))
        print(f"{case.data_set}: {case.name}", file=sys.stderr, flush=True)
    return curves


def _suggested(loaded: LoadedCase, structure: Structure, method: str) -> Iterator[float]:
    annotated = set(Plan(count=FEWEST).slices(structure))
    previous = None
    for _ in range(FEWEST, MOST + 1):
        previous, reached = _step(loaded, structure, sorted(annotated), method, previous)
        yield reached
        if previous.next_slice is not None:
            annotated.add(previous.next_slice)


def _at_fixed_interval(loaded: LoadedCase, structure: Structure, method: str) -> Iterator[float]:
    for count in range(FEWEST, MOST + 1):
        yield _step(loaded, structure, Plan(count=count).slices(structure), method, None)[1]


def _step(
    loaded: LoadedCase,
    structure: Structure,
    annotated: Sequence[int],
    method: str,
    previous: PropagationResult | None,
) -> tuple[PropagationResult, float]:
    axis = loaded.case.axis
    truth = loaded.labels == structure.value
    drawn = np.zeros_like(truth)
    np.moveaxis(drawn, axis, 0)[list(annotated)] = np.moveaxis(truth, axis, 0)[list(annotated)]
    result = propagate_structure(loaded.voxels, loaded.spacing, drawn, axis, annotated, method, previous)
    unseen = [at for at in range(structure.first, structure.last + 1) if at not in annotated]
    found = np.moveaxis(result.label_map.voxels == 1, axis, 0)[unseen]
    return result, dice(found, np.moveaxis(truth, axis, 0)[unseen])


def print_tables(curves: Sequence[Curve]) -> None:
    """Mean Dice by number of slices, and the number that it takes to reach the goal."""
    counts = "".join(f"{count:>7}" for count in range(FEWEST, MOST + 1))
    print(f"\nMean Dice after so many annotated slices, and slices needed for {GOAL:.2f}")
    print(f"{'data set':<24}{'next slice':<16}{'n':>4}{counts}  for the mean, mean over structures")
    for data_set in [*dict.fromkeys(curve.data_set for curve in curves), None]:
        for strategy in STRATEGIES:
            block = [
                curve for curve in curves if curve.strategy == strategy and data_set in (None, curve.data_set)
            ]
            mean = np.mean([curve.dice for curve in block], axis=0)
            reached = next((FEWEST + place for place, value in enumerate(mean) if value >= GOAL), None)
            needed = np.mean([curve.slices_to_goal for curve in block])
            print(
                f"{data_set or 'all structures':<24}{strategy:<16}{len(block):>4}"
                + "".join(f"{value:>7.3f}" for value in mean)
                + f"  {reached or f'over {MOST}':>12}{needed:>12.2f}"
            )


if __name__ == "__main__":
    main()
