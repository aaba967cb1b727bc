"""One contender of the agreement benchmark, in a process of its own: prints what it cost as a line of JSON.

python -m Benchmarks.agreement_run pgt|deepmind|monai RATERS LABELS
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from pgt.agreement.masks import common_box
from pgt.agreement.pair_measurement import MeasureOptions, measure_pairs
from pgt.agreement.peak import summaries
from pgt.agreement.readings import Reading
from pgt.agreement.results import PairScores

from .agreement_peers import deepmind_values, monai_values
from .made_raters import made_readings

TOLERANCE_MM = 2.0
CASES = 20
"""Intervals are over cases: those of the one case that is measured, taken for so many."""

PairValues = dict[str, float]
Outcome = tuple[list[PairValues], float]


def main(contender: str, raters: int, labels: int) -> None:
    """Make the readings, compare them, print the cost."""
    readings = made_readings(raters, labels)
    start_gb = peak_resident_gb()
    work = CONTENDERS[contender]
    started, cpu_started = time.monotonic(), time.process_time()
    values, interval_seconds = work(readings)
    print(
        json.dumps(
            {
                "contender": contender,
                "raters": raters,
                "labels": labels,
                "pairs": len(values),
                "seconds": time.monotonic() - started,
                "cpu_seconds": time.process_time() - cpu_started,
                "interval_seconds": interval_seconds,
                "start_gb": start_gb,
                "peak_gb": peak_resident_gb(),
                "values": values,
            }
        )
    )


def by_pgt(readings: Sequence[Reading]) -> Outcome:
    """Every default metric, and the interval of each over cases."""
    pairs = measure_pairs(readings, MeasureOptions(TOLERANCE_MM))
    started = time.monotonic()
    summaries(_many_cases(pairs))
    return [dict(pair.values) for pair in pairs], time.monotonic() - started


def _many_cases(pairs: Sequence[PairScores]) -> list[PairScores]:
    generator = np.random.default_rng(0)
    return [
        replace(
            pair,
            case=f"case {number}",
            values={key: value * generator.uniform(0.95, 1) for key, value in pair.values.items()},
        )
        for number in range(CASES)
        for pair in pairs
    ]


def by_peer(
    measure: Callable[..., PairValues],
) -> Callable[[Sequence[Reading]], Outcome]:
    """What a peer offers of the metrics, on the box around each pair; it has no intervals."""

    def work(readings: Sequence[Reading]) -> Outcome:
        values = []
        for label in readings[0].labels:
            for a, b in combinations([reading.masks[label] for reading in readings], 2):
                box = common_box((a, b))
                assert box is not None
                spacing = readings[0].geometry.spacing
                values.append(measure(a.within(box), b.within(box), spacing, TOLERANCE_MM))
        return values, 0.0

    return work


CONTENDERS: dict[str, Callable[[Sequence[Reading]], Outcome]] = {
    "pgt": by_pgt,
    "deepmind": by_peer(deepmind_values),
    "monai": by_peer(monai_values),
}


def peak_resident_gb() -> float:
    """Highest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
