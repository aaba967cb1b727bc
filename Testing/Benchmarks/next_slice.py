"""What the suggested slice is worth: how many slices a rater draws until the volume is good.

A structure is drawn on its first, middle and last slice. Then, one slice at a time, the slice that the engine
suggests (``next_slice``) is drawn. Against it stand

- *fixed interval*: as many slices, spread evenly and **all drawn anew** at every count. A rater who goes on
  drawing cannot have this: four even slices are not three even ones and one more.
- *widest gap*: the middle of the widest gap is drawn next, which is what a rater without a suggestion can do.

After each step two Dice are taken, both between the structure's first and last slice:

- *whole*, the one that counts: over all slices, drawn ones too. It is the quality of the volume that the
  rater has, on the same slices for every strategy and count.
- *left*: over the slices not drawn. It depends on which ones are left: whoever draws the hardest slices is
  not credited for them, and whoever leaves the hardest to the end is tested on nothing else.

    python -m Benchmarks.next_slice --subset quick --json next_slice.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .accuracy import dice
from .engine_run import propagate_structure
from .real_data import DATA_SETS, LoadedCase, Structure, data_folder, list_cases, quick_subset
from .simulated_rater import Plan

if TYPE_CHECKING:
    from pgt.propagation.engine import Method, PropagationResult

FEWEST, MOST = 3, 10
GOAL = 0.90
QUICK_STRUCTURES = 6
STRATEGIES = ("suggested", "widest gap", "fixed interval")

Scores = tuple[float, float]
"""Dice over all slices, and over those left to draw."""


@dataclass(frozen=True)
class Curve:
    """Dice of one structure after FEWEST, FEWEST + 1, ... MOST slices chosen by one strategy."""

    data_set: str
    case: str
    structure: str
    strategy: str
    whole: tuple[float, ...]
    left: tuple[float, ...]


def slices_to_goal(dice: Sequence[float]) -> int:
    """The fewest slices with a Dice of GOAL; MOST + 1 where it was not reached."""
    return next((FEWEST + place for place, value in enumerate(dice) if value >= GOAL), MOST + 1)


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
    """Every strategy on every structure; with the quick subset, on the first few of the first cases."""
    cases = list_cases(options.data, options.data_sets.split(",") if options.data_sets else None)
    if options.subset == "quick":
        cases = quick_subset(cases)
    curves = []
    for case in cases:
        loaded = case.load()
        structures = loaded.structures[: QUICK_STRUCTURES if options.subset == "quick" else None]
        for structure in structures:
            for strategy, steps in _STEPS.items():
                whole, left = zip(*steps(loaded, structure, options.method), strict=True)
                curves.append(Curve(case.data_set, case.name, structure.name, strategy, whole, left))
        print(f"{case.data_set}: {case.name}", file=sys.stderr, flush=True)
    return curves


def widest_gap(annotated: Sequence[int]) -> int | None:
    """The middle of the widest gap between annotated slices, the first of several; None if all are shut."""
    before, after = max(pairwise(sorted(annotated)), key=lambda gap: gap[1] - gap[0])
    return (before + after) // 2 if after - before > 1 else None


def _suggested(loaded: LoadedCase, structure: Structure, method: Method) -> Iterator[Scores]:
    return _one_by_one(loaded, structure, method, lambda result, annotated: result.next_slice)


def _by_widest_gap(loaded: LoadedCase, structure: Structure, method: Method) -> Iterator[Scores]:
    return _one_by_one(loaded, structure, method, lambda result, annotated: widest_gap(annotated))


def _one_by_one(
    loaded: LoadedCase,
    structure: Structure,
    method: Method,
    choose: Callable[[PropagationResult, Sequence[int]], int | None],
) -> Iterator[Scores]:
    """Draw one slice more at a time; where none is asked for, everything stays as it is."""
    annotated = list(Plan(count=FEWEST).slices(structure))
    previous = None
    for _ in range(FEWEST, MOST + 1):
        previous, scores = _step(loaded, structure, annotated, method, previous)
        yield scores
        chosen = choose(previous, annotated)
        if chosen is not None:
            annotated = sorted({*annotated, chosen})


def _at_fixed_interval(loaded: LoadedCase, structure: Structure, method: Method) -> Iterator[Scores]:
    for count in range(FEWEST, MOST + 1):
        yield _step(loaded, structure, Plan(count=count).slices(structure), method, None)[1]


_STEPS: dict[str, Callable[[LoadedCase, Structure, Method], Iterator[Scores]]] = dict(
    zip(STRATEGIES, (_suggested, _by_widest_gap, _at_fixed_interval), strict=True)
)


def _step(
    loaded: LoadedCase,
    structure: Structure,
    annotated: Sequence[int],
    method: Method,
    previous: PropagationResult | None,
) -> tuple[PropagationResult, Scores]:
    """Propagate from the annotated slices; the Dice over all slices and over those left."""
    axis = loaded.case.axis
    truth = loaded.labels == structure.value
    drawn = np.zeros_like(truth)
    np.moveaxis(drawn, axis, 0)[list(annotated)] = np.moveaxis(truth, axis, 0)[list(annotated)]
    result = propagate_structure(loaded.voxels, loaded.spacing, drawn, axis, annotated, method, previous)
    found = np.moveaxis(result.label_map.voxels == 1, axis, 0)
    wanted = np.moveaxis(truth, axis, 0)
    whole = list(range(structure.first, structure.last + 1))
    left = [index for index in whole if index not in annotated]
    return result, (dice(found[whole], wanted[whole]), dice(found[left], wanted[left]))


def print_tables(curves: Sequence[Curve]) -> None:
    """Mean Dice by number of slices, and the number that it takes to reach the goal, by either measure."""
    _print_table(curves, "of the whole structure", lambda curve: curve.whole)
    _print_table(curves, "of the slices left", lambda curve: curve.left)


def _print_table(curves: Sequence[Curve], measure: str, dice_of: Callable[[Curve], Sequence[float]]) -> None:
    counts = "".join(f"{count:>7}" for count in range(FEWEST, MOST + 1))
    print(f"\nMean Dice {measure} after so many annotated slices, and slices needed for {GOAL:.2f}")
    print(f"{'data set':<24}{'next slice':<16}{'n':>4}{counts}  for the mean, mean over structures")
    for data_set in [*dict.fromkeys(curve.data_set for curve in curves), None]:
        for strategy in STRATEGIES:
            block = [
                dice_of(curve)
                for curve in curves
                if curve.strategy == strategy and data_set in (None, curve.data_set)
            ]
            mean = np.mean(block, axis=0)
            reached = next((FEWEST + place for place, value in enumerate(mean) if value >= GOAL), None)
            print(
                f"{data_set or 'all structures':<24}{strategy:<16}{len(block):>4}"
                + "".join(f"{value:>7.3f}" for value in mean)
                + f"  {reached or f'over {MOST}':>12}{np.mean([slices_to_goal(of) for of in block]):>12.2f}"
            )


if __name__ == "__main__":
    main()
