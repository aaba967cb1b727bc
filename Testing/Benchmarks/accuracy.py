"""Accuracy on the real volumes: Dice on the slices that nobody drew, against the peers.

Every structure is drawn on a few slices between its first and its last one (:class:`.simulated_rater.Plan`)
and propagated by itself. Scored are the slices between the first and the last annotated one that were not
drawn, as one volume; what a method puts beyond them is reported in ml. A method that fails on a structure
scores 0 there.

The last columns compare with the better of shape and contour interpolation *of each structure*.

    python -m Benchmarks.accuracy --methods shape,contour,auto --slices 3,5 --subset quick --json scores.json

:mod:`.methods` tells how to put a method of your own in the tables.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .accuracy_tables import print_tables
from .methods import Method, find_method
from .peer_process import run_method, run_peer
from .real_data import (
    DATA_SETS,
    Case,
    LoadedCase,
    data_folder,
    list_cases,
    missing_data_sets,
    quick_subset,
)
from .result_cache import CachedResult, ResultCache
from .simulated_rater import Drawing, Plan, draw

DEFAULT_METHODS = "shape,contour,growcut,network,auto"
DEFAULT_SLICES = "3,5,9,every10"


@dataclass(frozen=True)
class Score:
    """One structure by one method.

    Args:
        dice: over the slices between the first and the last annotated one that were not drawn.
        beyond_ml: volume put before the first and after the last slice of the structure.
        seconds: of the method's call; of a peer, when its result was made.
    """

    data_set: str
    case: str
    structure: str
    plan: str
    method: str
    dice: float
    beyond_ml: float
    seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="Benchmarks.accuracy", description=__doc__.split("\n")[0])
    add_options(parser)
    options = parser.parse_args(arguments)
    scores = run(options)
    print_tables(scores)
    if options.json:
        options.json.write_text(json.dumps([asdict(score) for score in scores], indent=1))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the real volumes")
    parser.add_argument("--data-sets", help=f"comma-separated, from: {', '.join(DATA_SETS)}")
    parser.add_argument("--methods", default=DEFAULT_METHODS, help="comma-separated")
    parser.add_argument("--slices", default=DEFAULT_SLICES, help="comma-separated: 5 or every10")
    parser.add_argument("--jitter", choices=["no", "yes", "both"], default="no", help="unsteady drawing")
    parser.add_argument("--subset", choices=["quick", "full"], default="full")
    parser.add_argument("--json", type=Path, help="write all scores here")


def run(options: argparse.Namespace) -> list[Score]:
    """Every score that was asked for."""
    for data_set in missing_data_sets(options.data):
        print(f"skipped: {data_set} is not in {options.data}")
    cases = list_cases(options.data, options.data_sets.split(",") if options.data_sets else None)
    if options.subset == "quick":
        cases = quick_subset(cases)
    jitters = {"no": [False], "yes": [True], "both": [False, True]}[options.jitter]
    plans = [Plan.from_name(name, jitter) for jitter in jitters for name in options.slices.split(",")]
    methods = [find_method(name) for name in options.methods.split(",")]
    scores = []
    for case in cases:
        started = time.monotonic()
        for method in methods:
            scores += score_case(case, method, plans)
        print(
            f"{case.data_set}: {case.name}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True
        )
    return scores


def score_case(case: Case, method: Method, plans: Sequence[Plan]) -> list[Score]:
    """Score a method on every structure of a case."""
    loaded = case.load()
    drawings = [draw(loaded, structure, plan) for structure in loaded.structures for plan in plans]
    if method.version is None:
        results: Iterable[CachedResult | None] = (run_method(method, loaded, drawing) for drawing in drawings)
    else:
        results = _peer_results(method, loaded, drawings, plans)
    return [
        _score(method, loaded, drawing, result) for drawing, result in zip(drawings, results, strict=True)
    ]


def _score(method: Method, loaded: LoadedCase, drawing: Drawing, result: CachedResult | None) -> Score:
    structure, case = drawing.structure, loaded.case
    if result is None:
        result = CachedResult(np.zeros_like(drawing.mask), float("nan"))
    propagated = np.moveaxis(result.mask, case.axis, 0)
    truth = np.moveaxis(loaded.labels == structure.value, case.axis, 0)
    scored = np.zeros(len(truth), dtype=bool)
    scored[drawing.annotated[0] : drawing.annotated[-1] + 1] = True
    scored[list(drawing.annotated)] = False
    beyond = propagated[: structure.first].sum() + propagated[structure.last + 1 :].sum()
    return Score(
        case.data_set,
        case.name,
        structure.name,
        drawing.plan.name,
        method.name,
        dice(propagated[scored], truth[scored]),
        float(beyond * np.prod(loaded.spacing) / 1000),
        result.seconds,
    )


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Dice coefficient; 1 where both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def _peer_results(
    method: Method, loaded: LoadedCase, drawings: list[Drawing], plans: Sequence[Plan]
) -> list[CachedResult | None]:
    """A peer's results from the cache, those missing made in a child process first."""
    cache = ResultCache()
    results = [cache.get(method, loaded, drawing) for drawing in drawings]
    if any(result is None for result in results):
        run_peer(loaded.case, method, plans)
        results = [cache.get(method, loaded, drawing) for drawing in drawings]
    return results


if __name__ == "__main__":
    main()
