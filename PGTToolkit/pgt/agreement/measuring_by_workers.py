"""Measuring the cases of a study on a cluster; the rest of a study looks at all cases at once and stays here.

Readings are matched and put on one grid here, too, as labels are matched over the whole list. Workers get the
masks through a folder that they share with this machine, one bit a voxel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pgt.agreement.pair_measurement import MeasureOptions, comparisons_of, measure_pairs
from pgt.agreement.reading_source import load_masks, save_masks
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.agreement.results import PairScores
from pgt.errors import OutputError, PGTError
from pgt.job_files import geometry_from, load_arrays, save_arrays
from pgt.output_files import write_text
from pgt.plain_data import from_plain, to_plain
from pgt.scale.case_runs import ScaleSettings, run_cases
from pgt.scale.case_task import CaseOutcome, CaseTask

_MASKS, _READINGS, _PAIRS = "masks.npz", "readings.json", "pairs.json"

Counted = Callable[[int, int], None]


@dataclass(frozen=True)
class CaseToMeasure:
    """The readings of one case, as `_write` put them into a folder, and what to measure."""

    readings: Path
    options: MeasureOptions
    reference: str | None


@dataclass(frozen=True)
class MeasuringByWorkers:
    """Stands in for `pgt.agreement.pair_measurement.measure_pairs`.

    Args:
        scale: where; its staging folder takes what is under way.
    """

    scale: ScaleSettings

    def __call__(
        self,
        readings: Sequence[Reading],
        options: MeasureOptions,
        reference: str | None = None,
        progress: Counted | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> tuple[PairScores, ...]:
        """Measure every two readings of a case on every label that both have.

        Raises:
            PGTError: a case cannot be measured, or the scheduler was lost.
        """
        assert self.scale.staging is not None
        counts: dict[str, int] = {}
        for comparison in comparisons_of(readings, reference):
            counts[comparison.a.case] = counts.get(comparison.a.case, 0) + 1
        # Cases get numbers: a name need not be that of a folder.
        numbers = {case: f"case-{number}" for number, case in enumerate(counts)}
        names = {number: case for case, number in numbers.items()}
        results, given = self.scale.staging / "measured", self.scale.staging / "readings"
        _make(results, given)
        tasks = []
        for case, number in numbers.items():
            _write(given / number, [reading for reading in readings if reading.case == case])
            tasks.append(_task(number, CaseToMeasure(given / number, options, reference)))
        done = 0

        def tell(outcome: CaseOutcome) -> None:
            nonlocal done
            done += counts[names[outcome.case]]
            if progress:
                progress(done, sum(counts.values()))

        run = run_cases(tasks, replace(self.scale, folder=results), tell)
        for outcome in run.outcomes:
            if not outcome.good:
                raise PGTError(run.stopped or f"{names[outcome.case]}: {outcome.reason}")
        return tuple(pair for task in tasks for pair in _pairs(results / task.case / _PAIRS))


def measure_case(order: CaseToMeasure, folder: Path) -> Mapping[str, Any]:
    """Measure one case; runs in a worker."""
    pairs = measure_pairs(_read(order.readings), order.options, order.reference)
    write_text(folder / _PAIRS, json.dumps(to_plain(pairs)))
    return {"pairs": len(pairs)}


def _task(name: str, order: CaseToMeasure) -> CaseTask:
    return CaseTask(name, measure_case, order, {}, {"measured": "once"}, (_PAIRS,))


def _pairs(path: Path) -> tuple[PairScores, ...]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return tuple(from_plain(PairScores, one) for one in content)


def _write(folder: Path, readings: Sequence[Reading]) -> None:
    """Write the readings of one case into a folder of their own."""
    _make(folder)
    arrays: dict[str, Any] = {}
    described = [
        {
            "case": reading.case,
            "sitting": asdict(reading.sitting),
            "geometry": asdict(reading.geometry),
            "masks": save_masks(reading.masks, arrays, f"reading{number}_"),
            "drawn": {label: asdict(slices) for label, slices in reading.drawn.items()},
            "note": reading.note,
        }
        for number, reading in enumerate(readings)
    ]
    try:
        save_arrays(folder / _MASKS, arrays)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {(error.strerror or str(error)).lower()}.") from error
    write_text(folder / _READINGS, json.dumps(described))


def _read(folder: Path) -> tuple[Reading, ...]:
    """Read what `_write` wrote."""
    arrays = load_arrays(folder / _MASKS)
    readings = []
    for one in json.loads((folder / _READINGS).read_text(encoding="utf-8")):
        geometry = geometry_from(one["geometry"])
        drawn = {
            label: DrawnSlices(slices["axis"], tuple(slices["indices"]))
            for label, slices in one["drawn"].items()
        }
        masks = load_masks(one["masks"], arrays, geometry)
        readings.append(Reading(one["case"], Sitting(**one["sitting"]), geometry, masks, drawn, one["note"]))
    return tuple(readings)


def _make(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir()
        except OSError as error:
            raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
