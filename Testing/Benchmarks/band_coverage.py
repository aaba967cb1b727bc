"""How often the intervals of the Peak Ground Truth band hold the truth.

    python -m Benchmarks.band_coverage --simulations 1000

First, studies by simulated raters (``Testing/Python/simulated_raters.py``) whose true inter- and intra-rater
agreement is known from very many cases: how often each bound's 95 % interval holds it, how often a band is
drawn, and, for a model that errs exactly as much as the raters do among each other, how often it is wrongly
said, with 97.5 % confidence, to lie below or above the lower bound. Then the interval of a mean over cases
beside SciPy's percentile and BCa bootstrap, on the simulated raters' scores and on skewed distributions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, t

from pgt.agreement.bootstrap import Scale, mean_estimate
from pgt.agreement.peak import bands, by_case, pairs_of_kind, scale_of
from pgt.agreement.results import BandState, PairKind, PairScores

sys.path.append(str(Path(__file__).resolve().parents[1] / "Python"))

from simulated_raters import SimulatedRater, Study

METRICS = ("dice", "assd_mm")
CASES = (5, 8, 12, 20)
TRUTH_CASES = 20_000
PEER_RESAMPLES = 2000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Coverage:
    """Shares of simulated studies, 0 to 1.

    Args:
        cases: of each study.
        metric: key.
        lower: the inter-rater interval holds the truth.
        upper: the intra-rater interval holds it.
        band: a band is drawn.
        false_alarms: a model at the lower bound is said to be above or below it.
    """

    cases: int
    metric: str
    lower: float
    upper: float
    band: float
    false_alarms: float


@dataclass(frozen=True)
class IntervalCoverage:
    """How often intervals of one method hold the mean of a distribution, and their median width."""

    distribution: str
    cases: int
    method: str
    holds: float
    width: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="Benchmarks.band_coverage", description=__doc__.split("\n")[0])
    parser.add_argument("--simulations", type=int, default=1000)
    options = parser.parse_args(arguments)
    run(options.simulations)


def run(simulations: int = 1000) -> tuple[list[Coverage], list[IntervalCoverage]]:
    """Simulate and print."""
    with ProcessPoolExecutor() as pool:
        parts = list(pool.map(_scores, range(10_000, 10_000 + TRUTH_CASES // 500)))
        scores = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        truth = {key: float(values.mean()) for key, values in scores.items()}
        print("\nTruth: " + ", ".join(f"{kind.value} {key} {truth[key, kind]:.4f}" for key, kind in truth))
        coverages = []
        for cases in CASES:
            studies = partial(_study, cases=cases, truth=truth)
            held = np.nanmean(list(pool.map(studies, range(simulations), chunksize=20)), axis=0)
            coverages += [Coverage(cases, key, *row) for key, row in zip(METRICS, held.tolist(), strict=True)]
    print_bounds(coverages, simulations)
    intervals = list(_compare_intervals(scores, simulations))
    print_intervals(intervals, simulations)
    return coverages, intervals


def print_bounds(coverages: Sequence[Coverage], simulations: int) -> None:
    print(f"\n95 % intervals of the bounds, {simulations} simulated studies of 3 raters and 2 sessions")
    print("| metric | cases | inter-rater holds | intra-rater holds | band drawn | false alarms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for found in coverages:
        shares = (found.lower, found.upper, found.band, found.false_alarms)
        print(f"| {found.metric} | {found.cases} | {' | '.join(f'{share:.1%}' for share in shares)} |")


def print_intervals(intervals: Sequence[IntervalCoverage], simulations: int) -> None:
    print(f"\n95 % intervals of a mean, {simulations} samples: share that hold it (median width)")
    methods = list(dict.fromkeys(found.method for found in intervals))
    print(f"| distribution | cases | {' | '.join(methods)} |")
    print("| --- " * (len(methods) + 2) + "|")
    for place in dict.fromkeys((found.distribution, found.cases) for found in intervals):
        row = [found for found in intervals if (found.distribution, found.cases) == place]
        cells = " | ".join(f"{found.holds:.1%} ({found.width:.3f})" for found in row)
        print(f"| {place[0]} | {place[1]} | {cells} |")


Scores = dict[tuple[str, PairKind], Array]


def _scores(seed: int) -> Scores:
    """Inter- and intra-rater scores of 500 cases, a number a case."""
    pairs = Study().pairs(500, seed)
    return {
        (key, kind): np.array(list(by_case(pairs_of_kind(pairs, kind), key).values()))
        for key in METRICS
        for kind in (PairKind.INTER, PairKind.INTRA)
    }


def _study(seed: int, cases: int, truth: dict[tuple[str, PairKind], float]) -> list[list[float]]:
    """For each metric what :class:`Coverage` counts, in one study."""
    models = [placed.placements for placed in bands(_pairs_with_model(cases, seed), ("model",), METRICS)]
    found = []
    for band, placements in zip(bands(Study().pairs(cases, seed), metrics=METRICS), models, strict=True):
        held = []
        for kind, estimate in ((PairKind.INTER, band.lower), (PairKind.INTRA, band.upper)):
            assert estimate.interval is not None
            held.append(float(estimate.interval[0] <= truth[band.metric, kind] <= estimate.interval[1]))
        alarm = float(not 0.025 <= placements[0].below <= 0.975) if placements else np.nan
        found.append([*held, float(band.state is BandState.BAND), alarm])
    return found


def _pairs_with_model(cases: int, seed: int) -> list[PairScores]:
    """Three raters, and a model and a reference that err as they do: the model lies at the bound."""
    names = {name: SimulatedRater(name) for name in ("a", "b", "c", "model", "reference")}
    found = []
    for pair in Study(tuple(names.values())).pairs(cases, seed):
        models = {pair.a.rater, pair.b.rater} & {"model", "reference"}
        if not models:
            found.append(pair)
        elif len(models) == 2 and pair.a.session == pair.b.session == "1":
            found.append(replace(pair, kind=PairKind.REFERENCE))
    return found


def _compare_intervals(scores: Scores, simulations: int) -> Iterator[IntervalCoverage]:
    """Our interval of a mean beside SciPy's, of samples from known distributions."""
    random = np.random.default_rng(0)
    many = [(f"{kind.value} {key}", key, values) for (key, kind), values in scores.items()]
    many += [
        ("beta(9, 1)", "dice", random.beta(9, 1, 1_000_000)),
        ("beta(3, 0.5)", "dice", random.beta(3, 0.5, 1_000_000)),
        ("lognormal(0, 0.5)", "assd_mm", random.lognormal(0, 0.5, 1_000_000)),
        ("lognormal(0, 1)", "assd_mm", random.lognormal(0, 1, 1_000_000)),
    ]
    for name, key, values in many:
        for cases in CASES:
            samples = random.choice(values, (simulations, cases))
            for method, interval in METHODS.items():
                low, high = interval(samples, scale_of(key))
                holds = float(np.mean((low <= values.mean()) & (values.mean() <= high)))
                yield IntervalCoverage(name, cases, method, holds, float(np.median(high - low)))


def _ours(samples: Array, scale: Scale) -> tuple[Array, Array]:
    found = [mean_estimate(sample.tolist(), scale=scale).interval for sample in samples]
    low, high = np.array(found, dtype=np.float64).T
    return low, high


def _students(samples: Array, scale: Scale) -> tuple[Array, Array]:
    """Student's t, as every textbook has it."""
    cases = samples.shape[1]
    reach = t.ppf(0.975, cases - 1) * samples.std(axis=1, ddof=1) / np.sqrt(cases)
    return samples.mean(axis=1) - reach, samples.mean(axis=1) + reach


def _scipys(method: str, samples: Array, scale: Scale) -> tuple[Array, Array]:
    found = bootstrap(
        (samples,),
        np.mean,
        axis=1,
        vectorized=True,
        n_resamples=PEER_RESAMPLES,
        batch=100,
        method=method,
        rng=0,
    ).confidence_interval
    return found.low, found.high


METHODS: dict[str, Callable[[Array, Scale], tuple[Array, Array]]] = {
    "this project": _ours,
    "SciPy percentile": partial(_scipys, "percentile"),
    "SciPy BCa": partial(_scipys, "BCa"),
    "Student's t": _students,
}


if __name__ == "__main__":
    main()
