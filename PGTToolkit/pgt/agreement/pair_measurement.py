"""Measure readings against each other: one pair, or all pairs of a study at once.

Masks are compared on all voxels of the volume or, where a rater drew only some slices, on the slices that
both drew; what a machine filled in between says nothing about a rater. There, surfaces become contours
(:mod:`pgt.agreement.surface`), and centrelines and lesions are those of single slices.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import combinations
from threading import Lock

import numpy as np

from pgt.agreement.masks import CroppedMask, Mask, common_box
from pgt.agreement.metrics import DEFAULT_METRICS, metric
from pgt.agreement.overlap import VoxelCounts, count_voxels, on_slices, overlap_values
from pgt.agreement.readings import DrawnSlices, Reading
from pgt.agreement.results import Occupancy, PairKind, PairScores
from pgt.agreement.surface import SURFACE_METRICS, Surface, surface_values
from pgt.all_cores import on_all_cores
from pgt.errors import InputError
from pgt.geometry import Geometry


@dataclass(frozen=True)
class MeasureOptions:
    """What to measure.

    Args:
        tolerance_mm: distance up to which surfaces count as the same in NSD.
        metrics: keys of :data:`pgt.agreement.metrics.METRICS`.

    Raises:
        InputError: a metric is unknown, or the tolerance is no distance.
    """

    tolerance_mm: float = 2.0
    metrics: tuple[str, ...] = DEFAULT_METRICS

    def __post_init__(self) -> None:
        for key in self.metrics:
            metric(key)
        if not 0 <= self.tolerance_mm < np.inf:
            raise InputError(f"A tolerance of {self.tolerance_mm:g} mm is no distance.")

    def asks_for(self, keys: Sequence[str]) -> bool:
        """Whether any of these metrics is wanted."""
        return any(key in self.metrics for key in keys)


@dataclass(frozen=True)
class Measured:
    """Two masks of one structure in one case.

    Args:
        values: number by metric key, in the order asked for; always finite.
        occupancy: whether an empty-mask policy gave the numbers.
        volume_a_ml: volume of the first mask where it was compared, in ml.
        volume_b_ml: of the second.
        compared_share: share of the masks' union that lies on slices which both raters drew.
    """

    values: Mapping[str, float]
    occupancy: Occupancy
    volume_a_ml: float
    volume_b_ml: float
    compared_share: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two readings of one label that can be compared, and on which slices; None for all."""

    a: Reading
    b: Reading
    label: str
    kind: PairKind
    drawn: DrawnSlices | None


def measure_pair(
    a: CroppedMask,
    b: CroppedMask,
    geometry: Geometry,
    options: MeasureOptions,
    drawn: DrawnSlices | None = None,
) -> Measured:
    """Measure two masks of one volume; ``a`` is the reference of sensitivity and precision.

    Args:
        a: one mask.
        b: the other.
        geometry: the grid of both.
        options: what to measure.
        drawn: the slices that both raters drew, the only ones compared; None for all.

    Raises:
        InputError: a mask is not of the geometry's shape, or no slice is left to compare.
    """
    drawn = _unless_all(drawn, geometry)
    _check(a, b, geometry, drawn)

    def surface_of(mask: CroppedMask) -> Surface:
        return _surface(mask, geometry, drawn)

    return _measure(a, b, geometry, options, drawn, lambda: (surface_of(a), surface_of(b)))


def measure_pairs(
    readings: Sequence[Reading],
    options: MeasureOptions,
    reference: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[PairScores, ...]:
    """Measure every two readings of a case on every label that both have, on all cores.

    Args:
        readings: of any cases, raters and sessions; those of one case share a grid.
        options: what to measure.
        reference: name of the rater who is the reference; comparisons with any of its sittings tell
            agreement with the reference and nothing about raters.
        progress: told how many comparisons of how many are done.
        cancelled: asked a few times a second.

    Returns:
        Scores by case, label and pair, in the order of the readings. Comparisons without a slice that both
        raters drew have no score (:func:`without_common_slice`).

    Raises:
        Cancelled: as asked for.
        InputError: readings of one case have different grids, or drew slices across different axes.
    """
    comparisons = [each for each in comparisons_of(readings, reference) if _has_slices(each)]
    surfaces = _SharedSurfaces(comparisons)
    return on_all_cores(lambda each: _score(each, options, surfaces), comparisons, progress, cancelled)


def comparisons_of(readings: Sequence[Reading], reference: str | None = None) -> tuple[Comparison, ...]:
    """Every two readings of a case on every label that both have; the reference comes first in its pairs."""
    found = []
    for case in dict.fromkeys(reading.case for reading in readings):
        mine = [reading for reading in readings if reading.case == case]
        _check_grids(mine)
        for label in dict.fromkeys(label for reading in mine for label in reading.masks):
            having = [reading for reading in mine if label in reading.masks]
            # Stable, so that only the reference moves.
            having.sort(key=lambda reading: reading.sitting.rater != reference)
            found += [_comparison(a, b, label, reference) for a, b in combinations(having, 2)]
    return tuple(found)


def without_common_slice(readings: Sequence[Reading], reference: str | None = None) -> tuple[Comparison, ...]:
    """The comparisons that have no score because the two raters drew no slice in common."""
    return tuple(each for each in comparisons_of(readings, reference) if not _has_slices(each))


def _comparison(a: Reading, b: Reading, label: str, reference: str | None) -> Comparison:
    if reference is not None and reference in (a.sitting.rater, b.sitting.rater):
        kind = PairKind.REFERENCE
    else:
        kind = PairKind.INTRA if a.sitting.rater == b.sitting.rater else PairKind.INTER
    mine, other = a.drawn.get(label), b.drawn.get(label)
    if mine is not None and other is not None:
        if mine.axis != other.axis:
            raise InputError(
                f"{a.sitting} and {b.sitting} drew slices of {label} in {a.case} across different axes; "
                "they share no slice."
            )
        return Comparison(a, b, label, kind, _unless_all(mine.and_also(other), a.geometry))
    return Comparison(a, b, label, kind, _unless_all(mine or other, a.geometry))


def _unless_all(drawn: DrawnSlices | None, geometry: Geometry) -> DrawnSlices | None:
    """None for slices that make up the whole volume, which is then compared in 3D."""
    if drawn is None or set(drawn.indices) == set(range(geometry.shape[drawn.axis])):
        return None
    return DrawnSlices(drawn.axis, tuple(sorted(set(drawn.indices))))


def _check_grids(readings: Sequence[Reading]) -> None:
    for reading in readings[1:]:
        difference = reading.geometry.difference(readings[0].geometry)
        if difference is not None:
            raise InputError(
                f"{reading.sitting} and {readings[0].sitting} do not share a grid in {reading.case}: "
                f"{difference}."
            )


def _has_slices(comparison: Comparison) -> bool:
    return comparison.drawn is None or bool(comparison.drawn.indices)


def _score(comparison: Comparison, options: MeasureOptions, surfaces: _SharedSurfaces) -> PairScores:
    a, b, label = comparison.a, comparison.b, comparison.label
    try:
        _check(a.masks[label], b.masks[label], a.geometry, comparison.drawn)
    except InputError as error:
        raise InputError(f"{label} of {a.sitting} and {b.sitting} in {a.case}: {error}") from None
    measured = _measure(
        a.masks[label],
        b.masks[label],
        a.geometry,
        options,
        comparison.drawn,
        lambda: surfaces.of(comparison),
    )
    surfaces.done(comparison)
    return PairScores(
        a.case,
        label,
        a.sitting,
        b.sitting,
        comparison.kind,
        measured.values,
        measured.occupancy,
        measured.volume_a_ml,
        measured.volume_b_ml,
        measured.compared_share,
    )


def _measure(
    a: CroppedMask,
    b: CroppedMask,
    geometry: Geometry,
    options: MeasureOptions,
    drawn: DrawnSlices | None,
    surfaces: Callable[[], tuple[Surface, Surface]],
) -> Measured:
    """Measure two masks; their surfaces are only asked for where they are needed."""
    everywhere = count_voxels(a, b)
    counts = everywhere
    if drawn is not None:
        a, b = on_slices(a, drawn), on_slices(b, drawn)
        of_slice = everywhere.compared // geometry.shape[drawn.axis]
        on_drawn = count_voxels(a, b)
        counts = VoxelCounts(on_drawn.a, on_drawn.b, on_drawn.both, of_slice * len(drawn.indices))
    voxel_ml = geometry.voxel_volume / 1000
    values = overlap_values(counts, voxel_ml)
    if options.asks_for(SURFACE_METRICS):
        values |= surface_values(*surfaces(), options.tolerance_mm, diagonal_mm(geometry))
    values |= _topology_values(a, b, drawn, options)
    return Measured(
        {key: float(values[key]) for key in options.metrics},
        counts.occupancy,
        counts.a * voxel_ml,
        counts.b * voxel_ml,
        counts.either / everywhere.either if everywhere.either else 1.0,
    )


def _topology_values(
    a: CroppedMask, b: CroppedMask, drawn: DrawnSlices | None, options: MeasureOptions
) -> dict[str, float]:
    """Metrics of centrelines and of single lesions, on the box around both masks."""
    values: dict[str, float] = {}
    if not options.asks_for(("cldice", "lesion_f1", "panoptic_quality")):
        return values
    box = common_box((a, b))
    first, second = (
        (np.zeros((1, 1, 1), bool) if box is None else _apart(mask.within(box), drawn)) for mask in (a, b)
    )
    if options.asks_for(("cldice",)):
        from pgt.agreement.centrelines import cl_dice

        values["cldice"] = cl_dice(first, second)
    if options.asks_for(("lesion_f1", "panoptic_quality")):
        from pgt.agreement.lesions import lesion_scores

        scores = lesion_scores(first, second)
        values |= {"lesion_f1": scores.f1, "panoptic_quality": scores.panoptic_quality}
    return values


def _apart(mask: Mask, drawn: DrawnSlices | None) -> Mask:
    """Set drawn slices apart by empty ones, so that nothing is joined through slices that nobody drew."""
    if drawn is None:
        return mask
    shape = list(mask.shape)
    shape[drawn.axis] *= 2
    apart = np.zeros(shape, bool)
    every_other = [slice(None)] * 3
    every_other[drawn.axis] = slice(None, None, 2)
    apart[tuple(every_other)] = mask
    return apart


def _surface(mask: CroppedMask, geometry: Geometry, drawn: DrawnSlices | None) -> Surface:
    if drawn is None:
        return Surface.of(mask, geometry.spacing)
    return Surface.on_slices(mask, geometry.spacing, drawn)


def diagonal_mm(geometry: Geometry) -> float:
    """From corner to opposite corner of the volume: no two surfels lie further apart."""
    return float(np.linalg.norm(np.array(geometry.shape) * np.array(geometry.spacing)))


def _check(a: CroppedMask, b: CroppedMask, geometry: Geometry, drawn: DrawnSlices | None) -> None:
    for mask in (a, b):
        if tuple(mask.shape) != tuple(geometry.shape):
            raise InputError(
                f"A mask of a volume of {'×'.join(map(str, mask.shape))} voxels cannot be compared on one of "
                f"{'×'.join(map(str, geometry.shape))}."
            )
    if drawn is None:
        return
    if not drawn.indices:
        raise InputError("There is no slice that both raters drew; nothing can be compared.")
    count = geometry.shape[drawn.axis]
    if min(drawn.indices) < 0 or max(drawn.indices) >= count:
        raise InputError(f"A drawn slice lies outside the volume, which has slices 0 to {count - 1} there.")


class _SharedSurfaces:
    """Every surface computed once, kept while a comparison still needs it."""

    def __init__(self, comparisons: Sequence[Comparison]) -> None:
        self._lock = Lock()
        self._surfaces: dict[Hashable, Future[Surface]] = {}
        self._needed: dict[Hashable, int] = {}
        for key in (key for each in comparisons for key in _keys(each)):
            self._needed[key] = self._needed.get(key, 0) + 1

    def of(self, comparison: Comparison) -> tuple[Surface, Surface]:
        """Both surfaces; waits where another thread is computing one."""
        first, second = _keys(comparison)
        return self._get(first, comparison.a, comparison), self._get(second, comparison.b, comparison)

    def done(self, comparison: Comparison) -> None:
        """Drop what no other comparison needs."""
        with self._lock:
            for key in _keys(comparison):
                self._needed[key] -= 1
                if not self._needed[key]:
                    self._surfaces.pop(key, None)

    def _get(self, key: Hashable, reading: Reading, comparison: Comparison) -> Surface:
        with self._lock:
            mine = key not in self._surfaces
            future = self._surfaces.setdefault(key, Future())
        if mine:
            try:
                mask = reading.masks[comparison.label]
                future.set_result(_surface(mask, reading.geometry, comparison.drawn))
            except BaseException as error:
                future.set_exception(error)
        return future.result()


def _keys(comparison: Comparison) -> tuple[Hashable, Hashable]:
    return tuple(  # type: ignore[return-value]
        (id(reading), comparison.label, comparison.drawn) for reading in (comparison.a, comparison.b)
    )
