"""Pairs of readings: every combination has a number, and what is compared is what was drawn."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from geometries import DIRECTIONS
from hypothesis import given
from hypothesis import strategies as st
from mask_cases import blob, named_masks

from pgt.agreement.masks import CroppedMask
from pgt.agreement.metrics import DEFAULT_METRICS, METRICS, Better, metric
from pgt.agreement.pair_measurement import (
    MeasureOptions,
    measure_pair,
    measure_pairs,
    without_common_slice,
)
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.agreement.results import Occupancy, PairKind
from pgt.errors import Cancelled, InputError
from pgt.geometry import Geometry

EVERYTHING = MeasureOptions(metrics=tuple(each.key for each in METRICS))
DISTANCES = ("hd_mm", "hd95_mm", "assd_mm")
SHARES = tuple(each.key for each in METRICS if each.better is Better.HIGHER)

GRIDS = {
    "isotropic": Geometry((9, 8, 7)),
    "anisotropic": Geometry((9, 8, 7), (0.4, 1.1, 6.0)),
    "oblique": Geometry((9, 8, 7), (0.9, 1.7, 2.5), (10, -20, 30), DIRECTIONS["oblique and mirrored"]),
    "single slice": Geometry((9, 8, 1), (0.7, 0.7, 5.0)),
    "single sagittal slice": Geometry((1, 8, 7), (5.0, 0.7, 0.7)),
    "single voxel": Geometry((1, 1, 1), (0.5, 1.0, 3.0)),
}
DRAWN = {
    "everything": None,
    "along i": DrawnSlices(0, (0,)),
    "two along k": DrawnSlices(2, (0, 4)),
    "all along j": DrawnSlices(1, tuple(range(8))),
}


def _fits(geometry: Geometry, drawn: DrawnSlices | None) -> bool:
    return drawn is None or max(drawn.indices) < geometry.shape[drawn.axis]


@pytest.mark.parametrize("slices", DRAWN)
@pytest.mark.parametrize("grid", GRIDS)
def test_no_combination_of_masks_is_without_a_number(grid, slices):
    geometry, drawn = GRIDS[grid], DRAWN[slices]
    if not _fits(geometry, drawn):
        drawn = DrawnSlices(drawn.axis, (0,))
    masks = named_masks(geometry.shape)
    diagonal = float(np.linalg.norm(np.multiply(geometry.shape, geometry.spacing)))
    for first, second in product(masks, repeat=2):
        where = f"{first} against {second}"
        a, b = CroppedMask.of(masks[first]), CroppedMask.of(masks[second])
        found = measure_pair(a, b, geometry, EVERYTHING, drawn)
        assert tuple(found.values) == EVERYTHING.metrics
        assert all(np.isfinite(value) for value in found.values.values()), (where, found.values)
        assert all(0 <= found.values[key] <= 1 for key in SHARES if key != "kappa"), (where, found.values)
        assert -1 <= found.values["kappa"] <= 1, where
        assert all(0 <= found.values[key] <= diagonal + 1e-9 for key in DISTANCES), (where, found.values)
        assert abs(found.values["volume_difference_percent"]) <= 200, where
        assert 0 <= found.compared_share <= 1, where
        if found.occupancy is Occupancy.ONE_EMPTY:
            assert all(found.values[key] == 0 for key in SHARES), (where, found.values)
            assert all(found.values[key] == pytest.approx(diagonal) for key in DISTANCES), where
            assert abs(found.values["volume_difference_percent"]) == 200, where
        elif found.occupancy is Occupancy.BOTH_EMPTY or first == second:
            for key, value in found.values.items():
                assert value == (1.0 if key in SHARES else 0.0), (where, key)
        turned = measure_pair(b, a, geometry, EVERYTHING, drawn)
        for key in EVERYTHING.metrics:
            if metric(key).symmetric:
                assert turned.values[key] == pytest.approx(found.values[key], abs=1e-9), (where, key)


@given(
    st.sampled_from(sorted(DIRECTIONS)),
    st.permutations([0, 1, 2]),
    st.tuples(*[st.booleans()] * 3),
    st.integers(0, 5),
    st.booleans(),
)
def test_a_turned_volume_gives_the_same_numbers(direction, order, flips, seed, sparse):
    shape, spacing = (15, 12, 9), (0.7, 1.3, 2.5)
    masks = blob(shape, seed), blob(shape, seed + 50, share=0.3)
    drawn = DrawnSlices(2, (1, 3, 4, 7)) if sparse else None
    plain = measure_pair(*map(CroppedMask.of, masks), Geometry(shape, spacing), MeasureOptions(), drawn)
    turned = [np.flip(np.transpose(mask, order), [n for n in range(3) if flips[n]]) for mask in masks]
    if drawn is not None:
        axis = list(order).index(drawn.axis)
        last = shape[drawn.axis] - 1
        drawn = DrawnSlices(axis, tuple(sorted(last - n if flips[axis] else n for n in drawn.indices)))
    geometry = Geometry(
        turned[0].shape, [spacing[axis] for axis in order], (5.0, -7.0, 11.0), DIRECTIONS[direction]
    )
    twin = measure_pair(*map(CroppedMask.of, turned), geometry, MeasureOptions(), drawn)
    assert twin.values == pytest.approx(plain.values, abs=1e-9)
    assert twin.compared_share == plain.compared_share


def test_what_was_not_drawn_by_both_does_not_count():
    geometry = Geometry((12, 12, 10), (1.0, 1.0, 2.0))
    a, b = np.zeros((2, 12, 12, 10), bool)
    a[2:8, 2:8, 1:9] = True
    b[2:8, 2:8, [2, 5]] = True
    b[0:3, 9:12, [0, 1, 3, 4, 6, 7, 8, 9]] = True
    drawn = DrawnSlices(2, (2, 5))
    found = measure_pair(CroppedMask.of(a), CroppedMask.of(b), geometry, EVERYTHING, drawn)
    for key, value in found.values.items():
        assert value == (1.0 if key in SHARES else 0.0), key
    assert found.volume_a_ml == found.volume_b_ml == pytest.approx(2 * 36 * 2.0 / 1000)
    assert found.compared_share == 72 / (a | b).sum()


def test_drawing_every_slice_is_drawing_the_volume():
    geometry = GRIDS["anisotropic"]
    masks = CroppedMask.of(blob(geometry.shape, 1)), CroppedMask.of(blob(geometry.shape, 2))
    whole = measure_pair(*masks, geometry, EVERYTHING)
    every_slice = measure_pair(*masks, geometry, EVERYTHING, DrawnSlices(2, tuple(range(7))))
    assert every_slice.values == whole.values


def test_kappa_is_over_the_drawn_slices():
    geometry = Geometry((10, 10, 10))
    a, b = np.zeros((2, 10, 10, 10), bool)
    a[:5, :, 3] = True
    b[:, :5, 3] = True
    whole = measure_pair(CroppedMask.of(a), CroppedMask.of(b), geometry, MeasureOptions())
    slice_only = measure_pair(
        CroppedMask.of(a), CroppedMask.of(b), geometry, MeasureOptions(), DrawnSlices(2, (3,))
    )
    assert slice_only.values["kappa"] == pytest.approx(0.0)
    assert whole.values["kappa"] > 0.4


def test_lesions_on_neighbouring_drawn_slices_are_not_joined():
    geometry = Geometry((12, 12, 4))
    a = np.zeros((12, 12, 4), bool)
    a[2:6, 2:6, 1:3] = True
    b = a.copy()
    b[:, :, 2] = False
    options = MeasureOptions(metrics=("lesion_f1",))
    masks = CroppedMask.of(a), CroppedMask.of(b)
    assert measure_pair(*masks, geometry, options).values["lesion_f1"] == 1.0
    # Two lesions against one, which is found: 1 / (1 + 1/2).
    sparse = measure_pair(*masks, geometry, options, DrawnSlices(2, (1, 2)))
    assert sparse.values["lesion_f1"] == pytest.approx(2 / 3)


GRID = Geometry((16, 14, 10), (0.8, 0.8, 3.0))


def _reading(case: str, rater: str, session: str = "1", labels=("liver", "spleen"), seed: int = 0, **more):
    masks = {
        label: CroppedMask.of(blob(GRID.shape, seed + 10 * n, share=0.2)) for n, label in enumerate(labels)
    }
    return Reading(case, Sitting(rater, session), GRID, masks, **more)


def test_every_pair_that_can_be_compared_is():
    readings = [
        _reading("one", "anna", seed=1),
        _reading("one", "ben", seed=2, labels=("liver",)),
        _reading("one", "truth", seed=3),
        _reading("two", "anna", seed=4),
        _reading("one", "anna", session="2", seed=5),
        _reading("three", "ben", seed=6),
    ]
    pairs = measure_pairs(readings, MeasureOptions(), reference="truth")
    inter, intra, reference = PairKind.INTER, PairKind.INTRA, PairKind.REFERENCE
    assert [(p.case, p.label, str(p.a), str(p.b), p.kind) for p in pairs] == [
        ("one", "liver", "truth", "anna", reference),
        ("one", "liver", "truth", "ben", reference),
        ("one", "liver", "truth", "anna (session 2)", reference),
        ("one", "liver", "anna", "ben", inter),
        ("one", "liver", "anna", "anna (session 2)", intra),
        ("one", "liver", "ben", "anna (session 2)", inter),
        ("one", "spleen", "truth", "anna", reference),
        ("one", "spleen", "truth", "anna (session 2)", reference),
        ("one", "spleen", "anna", "anna (session 2)", intra),
    ]
    assert all(tuple(pair.values) == DEFAULT_METRICS for pair in pairs)
    by_sitting = {(reading.case, reading.sitting): reading for reading in readings}
    for pair in pairs:
        first, second = (by_sitting[pair.case, sitting].masks[pair.label] for sitting in (pair.a, pair.b))
        alone = measure_pair(first, second, GRID, MeasureOptions())
        assert pair.values == alone.values
        assert (pair.volume_a_ml, pair.volume_b_ml) == (alone.volume_a_ml, alone.volume_b_ml)


def test_each_pair_is_compared_on_the_slices_that_these_two_drew():
    slices = [{"liver": DrawnSlices(2, indices)} for indices in ((1, 3, 5), (3, 5, 8), (0, 2))]
    readings = [_reading("one", f"r{n}", seed=n, drawn=drawn) for n, drawn in enumerate(slices)]
    readings.append(_reading("one", "whole", seed=9))
    pairs = {
        (p.a.rater, p.b.rater): p for p in measure_pairs(readings, MeasureOptions()) if p.label == "liver"
    }
    assert set(pairs) == {("r0", "r1"), ("r0", "whole"), ("r1", "whole"), ("r2", "whole")}
    missed = without_common_slice(readings)
    assert {(c.a.sitting.rater, c.b.sitting.rater, c.label) for c in missed} == {
        ("r0", "r2", "liver"),
        ("r1", "r2", "liver"),
    }
    expected = measure_pair(
        readings[0].masks["liver"],
        readings[1].masks["liver"],
        GRID,
        MeasureOptions(),
        DrawnSlices(2, (3, 5)),
    )
    assert pairs["r0", "r1"].values == expected.values
    assert 0 < pairs["r0", "r1"].compared_share < 1


def test_progress_counts_the_comparisons():
    told: list[tuple[int, int]] = []
    readings = [_reading("one", name, seed=n) for n, name in enumerate("abcd")]
    measure_pairs(readings, MeasureOptions(), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (12, 12)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_cancelling_stops_the_work():
    readings = [_reading("one", name, seed=n) for n, name in enumerate("abcdef")]
    told: list[int] = []
    with pytest.raises(Cancelled):
        measure_pairs(
            readings,
            MeasureOptions(),
            progress=lambda done, total: told.append(done),
            cancelled=lambda: len(told) >= 2,
        )
    assert len(told) < 30


def test_what_cannot_be_compared_is_said_in_one_sentence():
    first = _reading("one", "anna")
    shifted = Reading("one", Sitting("ben"), Geometry((16, 14, 10), (0.8, 0.8, 3.0), (0, 0, 9)), first.masks)
    with pytest.raises(InputError, match="ben and anna do not share a grid in one: origin"):
        measure_pairs([first, shifted], MeasureOptions())
    across = [
        _reading("one", name, drawn={"liver": DrawnSlices(axis, (1, 2))}) for axis, name in enumerate("ab")
    ]
    with pytest.raises(InputError, match="a and b drew slices of liver in one across different axes"):
        measure_pairs(across, MeasureOptions())
    with pytest.raises(InputError, match="no metric 'dise'"):
        MeasureOptions(metrics=("dise",))
    for tolerance in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="is no distance"):
            MeasureOptions(tolerance_mm=tolerance)
    mask = first.masks["liver"]
    with pytest.raises(InputError, match="no slice that both"):
        measure_pair(mask, mask, GRID, MeasureOptions(), DrawnSlices(2, ()))
    with pytest.raises(InputError, match="slices 0 to 9"):
        measure_pair(mask, mask, GRID, MeasureOptions(), DrawnSlices(2, (3, 10)))
    with pytest.raises(InputError, match="16×14×10"):
        measure_pair(mask, mask, Geometry((16, 14, 11)), MeasureOptions())
