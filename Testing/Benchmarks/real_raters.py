"""How well real raters agree, and what their consensus is worth: the numbers of docs/agreement.md.

make bench BENCH=real-raters
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from pgt.agreement.bootstrap import Scale, mean_estimate
from pgt.agreement.consensus import consensus
from pgt.agreement.masks import CroppedMask
from pgt.agreement.outliers import find_outliers
from pgt.agreement.pair_measurement import MeasureOptions, measure_pairs
from pgt.agreement.peak import bands, labels_of, pairs_of_kind, summaries
from pgt.agreement.readings import Reading
from pgt.agreement.reliability import reliability_of
from pgt.agreement.results import Estimate, PairKind, PairScores

from .rater_data import head_neck, nodules, spinal_tracts
from .staple_regions import RegionWorth, compare, compare_made
from .staple_regions import print_table as print_regions

HEAD_NECK_METRICS = ("dice", "nsd", "hd95_mm")
HEAD_NECK_TOLERANCE_MM = 2.0
TRACT_METRICS = ("dice", "nsd", "hd95_mm", "assd_mm")
TRACT_TOLERANCE_MM = 0.5
COMPARED_REGIONS = 30
"""Nodules on which STAPLE's regions are compared: whole volumes take their time."""


@dataclass
class RealRaters:
    """All figures; a part is empty where its data set is not there.

    Args:
        organs: rows of organ, cases, and estimates by metric.
        tracts: rows of tract, metric, and both bounds with what becomes of the band.
        nodules: estimates by name.
        regions: STAPLE on regions of different sizes, of the same readers and of made ones.
        notes: what else was found.
    """

    organs: list[dict[str, object]] = field(default_factory=list)
    tracts: list[dict[str, object]] = field(default_factory=list)
    nodules: dict[str, object] = field(default_factory=dict)
    regions: list[RegionWorth] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def run(options: argparse.Namespace) -> RealRaters:
    """Everything of which the data are there."""
    folder: Path = options.data
    found = RealRaters()
    if (folder / "headneck_two_readers").exists():
        _head_neck(folder, found)
    if (folder / "spinal_tracts_repeat_raters").exists():
        _tracts(folder, found)
    if (folder / "lidc_four_readers").exists():
        _nodules(folder, found)
    found.regions += compare_made()
    return found


def _head_neck(folder: Path, found: RealRaters) -> None:
    options = MeasureOptions(HEAD_NECK_TOLERANCE_MM, HEAD_NECK_METRICS)
    pairs: list[PairScores] = []
    for readings in head_neck(folder):
        pairs += measure_pairs(readings, options)
    means = summaries(pairs)
    for organ in labels_of(pairs):
        estimates = {key: asdict(means[organ, key, PairKind.INTER]) for key in HEAD_NECK_METRICS}
        found.organs.append({"organ": organ, "cases": estimates["dice"]["cases"], **estimates})
    empty = sum(pair.occupancy.value != "both" for pair in pairs)
    found.notes.append(f"head and neck: {len(pairs)} comparisons, in {empty} of them a reader found nothing")


def _tracts(folder: Path, found: RealRaters) -> None:
    pairs = measure_pairs(spinal_tracts(folder), MeasureOptions(TRACT_TOLERANCE_MM, TRACT_METRICS))
    for band in bands(pairs):
        values = {
            kind: [p.values[band.metric] for p in pairs_of_kind(pairs, kind) if p.label == band.label]
            for kind in (PairKind.INTER, PairKind.INTRA)
        }
        found.tracts.append(
            {
                "tract": band.label,
                "metric": band.metric,
                "inter": asdict(band.lower),
                "intra": asdict(band.upper),
                "inter_range": [min(values[PairKind.INTER]), max(values[PairKind.INTER])],
                "intra_range": [min(values[PairKind.INTRA]), max(values[PairKind.INTRA])],
                "inter_pairs": len(values[PairKind.INTER]),
                "intra_pairs": len(values[PairKind.INTRA]),
                "state": band.state.value,
                "note": band.note,
            }
        )
    found.notes += find_outliers(spinal_tracts(folder)).notes


def _nodules(folder: Path, found: RealRaters) -> None:
    cases = list(nodules(folder))
    readings = [reading for case in cases for reading in case]
    reliability = reliability_of("nodule", readings, same_raters=False)
    found.nodules = {
        "cases": len(cases),
        "fleiss_kappa": asdict(reliability.fleiss_kappa),
        "krippendorff_alpha": asdict(reliability.krippendorff_alpha),
        "icc": asdict(reliability.icc),
        "icc_form": reliability.icc_form,
        "region": reliability.region,
        "reader with reader": _mean([_mean_pairwise(_masks(case)) for case in cases]),
    }
    for method in ("majority", "staple"):
        made = [consensus(_masks(case), method) for case in cases]
        found.nodules |= {
            f"reader with {method}": _mean(
                [_with_readers(c.mask, _masks(case)) for c, case in zip(made, cases, strict=True)]
            ),
            f"reader with {method} of the other three": _mean(
                [_left_out(_masks(case), method) for case in cases]
            ),
            f"{method}: volume against the readers' mean": _mean(
                [_volume(c.mask, _masks(case)) for c, case in zip(made, cases, strict=True)], Scale.POSITIVE
            ),
            f"{method}: tied, of the voxels in dispute": _mean([c.ties / c.disputed for c in made]),
        }
    disputed = [
        c.disputed / np.mean([mask.count for mask in _masks(case)])
        for c, case in zip(made, cases, strict=True)
    ]
    found.nodules["voxels in dispute, of the readers' mean volume"] = _mean(disputed, Scale.POSITIVE)
    found.regions += compare("four readers of nodules", [_masks(case) for case in cases[:COMPARED_REGIONS]])
    found.notes += find_outliers(readings, anonymous=True).notes


def _masks(case: Sequence[Reading]) -> list[CroppedMask]:
    return [reading.masks["nodule"] for reading in case]


def _mean(values: Sequence[float], scale: Scale = Scale.UNIT) -> dict[str, object]:
    return asdict(mean_estimate(list(map(float, values)), scale=scale))


def _dice(a: CroppedMask, b: CroppedMask) -> float:
    return float(2 * np.count_nonzero(a.full() & b.full()) / (a.count + b.count))


def _mean_pairwise(masks: Sequence[CroppedMask]) -> float:
    return float(np.mean([_dice(a, b) for a, b in combinations(masks, 2)]))


def _with_readers(made: CroppedMask, masks: Sequence[CroppedMask]) -> float:
    return float(np.mean([_dice(made, mask) for mask in masks]))


def _left_out(masks: Sequence[CroppedMask], method: str) -> float:
    """Each reader against a consensus that the reader had no part in."""
    return float(
        np.mean(
            [
                _dice(consensus([*masks[:n], *masks[n + 1 :]], method).mask, mask)
                for n, mask in enumerate(masks)
            ]
        )
    )


def _volume(made: CroppedMask, masks: Sequence[CroppedMask]) -> float:
    return float(made.count / np.mean([mask.count for mask in masks]))


def print_tables(found: RealRaters) -> None:
    """Markdown, as in docs/agreement.md."""
    if found.organs:
        print(f"\n| organ | cases | Dice | NSD at {HEAD_NECK_TOLERANCE_MM:g} mm | HD95 (mm) |")
        print("| --- | ---: | --- | --- | --- |")
        for row in found.organs:
            dice, nsd, hd95 = (row[key] for key in HEAD_NECK_METRICS)
            print(f"| {row['organ']} | {row['cases']} | {_text(dice)} | {_text(nsd)} | {_text(hd95, 1)} |")
    if found.tracts:
        print("\n| tract | metric | inter-rater: mean, range | intra-rater: mean, range | band |")
        print("| --- | --- | --- | --- | --- |")
        for row in found.tracts:
            inter, intra = (_with_range(row, kind) for kind in ("inter", "intra"))
            print(f"| {row['tract']} | {row['metric']} | {inter} | {intra} | {row['state']} |")
        print("\n" + "\n".join(dict.fromkeys(str(row["note"]) for row in found.tracts)))
    if found.nodules:
        print("\n| four readers of lung nodules | |")
        print("| --- | --- |")
        for name, value in found.nodules.items():
            print(f"| {name} | {_text(value) if isinstance(value, dict) else value} |")
    if found.regions:
        print_regions(found.regions)
    for note in found.notes:
        print(f"\n{note}")


def _text(estimate: object, digits: int = 3) -> str:
    given = Estimate(**estimate)  # type: ignore[arg-type]
    if given.value is None:
        return f"none: {given.note}"
    ends = given.interval
    interval = f" ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})" if ends else ""
    return f"{given.value:.{digits}f}{interval}"


def _with_range(row: dict[str, object], kind: str) -> str:
    low, high = row[f"{kind}_range"]  # type: ignore[misc]
    return f"{_text(row[kind], 2)}, {low:.2f} to {high:.2f} ({row[f'{kind}_pairs']} pairs)"
