"""Comparisons of raters measured by workers: the same as by this process, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import listing, refused, run_here
from reading_cases import box, write_labels

from pgt.agreement.masks import CroppedMask
from pgt.agreement.measuring_by_workers import MeasuringByWorkers
from pgt.agreement.pair_measurement import MeasureOptions, measure_pairs
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.scale.case_runs import ScaleSettings, staging_folder

OBLIQUE = Geometry(
    (14, 12, 10), (0.7, 0.9, 2.5), (-31.25, 12.5, 9.0), ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0))
)


def reading(case: str, rater: str, seed: int, session: str = "1") -> Reading:
    """A box that differs from rater to rater, and one drawn on some slices only; a third stays empty."""
    low, high = np.random.default_rng(seed).integers((1, 1, 1, 8, 7, 6), (4, 4, 3, 12, 11, 9)).reshape(2, 3)
    voxels = np.zeros(OBLIQUE.shape, bool)
    voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    masks = {
        "Liver": CroppedMask.of(voxels),
        "Spleen": CroppedMask.of(np.roll(voxels, 1, axis=0)),
        "Tumour": CroppedMask.empty(OBLIQUE.shape),
    }
    drawn = {"Spleen": DrawnSlices(2, (2, 3, 4, 6))} if rater == "ann" else {}
    return Reading(case, Sitting(rater, session), OBLIQUE, masks, drawn, "as made")


@pytest.fixture
def readings() -> list[Reading]:
    """Two cases, of names that no folder could have; one rater twice."""
    return [
        *(reading("a/1", rater, seed) for seed, rater in enumerate(("ann", "ben", "truth"))),
        reading("a/1", "ann", 7, "2"),
        *(reading("b:2", rater, seed) for seed, rater in enumerate(("ben", "ann"), start=10)),
    ]


@pytest.fixture
def measuring(tmp_path: Path) -> Iterator[MeasuringByWorkers]:
    with staging_folder(tmp_path) as staging:
        yield MeasuringByWorkers(ScaleSettings(tmp_path, workers=1, gpu=False, staging=staging))


def test_the_same_as_by_one_process(readings: list[Reading], measuring: MeasuringByWorkers) -> None:
    options = MeasureOptions(1.5, ("dice", "nsd", "hd95_mm", "assd_mm", "cldice", "kappa"))
    heard: list[tuple[int, int]] = []
    found = measuring(readings, options, "truth", lambda done, total: heard.append((done, total)))
    assert found == measure_pairs(readings, options, "truth")
    assert len(found) == 3 * (6 + 1)
    assert heard[-1] == (21, 21)


def test_a_case_that_cannot_be_measured_is_named(
    readings: list[Reading], measuring: MeasuringByWorkers
) -> None:
    outside = {"Spleen": DrawnSlices(2, (40,))}
    broken = [*readings[:-2], *(replace(one, drawn=outside) for one in readings[-2:])]
    with pytest.raises(InputError) as refusal:
        measure_pairs(broken, MeasureOptions())
    with pytest.raises(Exception, match="b:2: ") as told:
        measuring(broken, MeasureOptions())
    assert str(refusal.value) in str(told.value)


def two_cases(folder: Path) -> Path:
    """A table of two raters in two cases."""
    lines = ["case,rater,file"]
    for case in ("first", "second"):
        for number, rater in enumerate(("ann", "ben")):
            path = folder / f"{case}-{rater}.nii.gz"
            write_labels(path, {1: box((2 + number, 3, 1), (12, 14, 13))})
            lines.append(f"{case},{rater},{path.name}")
    (folder / "READINGS.csv").write_text("\n".join(lines) + "\n")
    return folder / "READINGS.csv"


def test_clusters_that_cannot_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = two_cases(tmp_path)
    before = listing(tmp_path)
    ended = run_here(capfd, "agree", "--cases", table, "-o", tmp_path / "out", "--scheduler", "no address")
    refused(ended, "No Dask scheduler answers at no address")
    paths = [tmp_path / f"first-{rater}.nii.gz" for rater in ("ann", "ben")]
    refused(run_here(capfd, "agree", *paths, "-o", tmp_path / "out", "--scheduler", "tcp://x:1"), "--cases")
    assert listing(tmp_path) == before
    assert not (tmp_path / "out").exists()
