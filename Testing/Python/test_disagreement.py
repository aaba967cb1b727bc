"""Disagreement: entropy and areas by formula, on grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from geometries import DIRECTIONS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pgt.agreement.disagreement import disputed_areas, entropy, slice_axis, worst_slices
from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.errors import InputError
from pgt.geometry import Geometry, Matrix

SHAPE = (6, 7, 8)
SPACING = (0.7, 0.9, 2.5)


def reading(
    rater: str,
    masks: dict[str, NDArray[np.bool_]],
    case: str = "a",
    geometry: Geometry | None = None,
    drawn: dict[str, DrawnSlices] | None = None,
) -> Reading:
    shape = next(iter(masks.values())).shape
    cropped = {label: CroppedMask.of(mask) for label, mask in masks.items()}
    return Reading(case, Sitting(rater), geometry or Geometry(shape, SPACING), cropped, drawn or {})


def of_raters(masks: NDArray[np.bool_], geometry: Geometry | None = None, case: str = "a") -> list[Reading]:
    return [reading(f"r{n}", {"liver": mask}, case, geometry) for n, mask in enumerate(masks)]


@given(
    masks=st.integers(2, 6).flatmap(lambda raters: arrays(bool, (raters, 4, 3, 5), elements=st.booleans()))
)
def test_entropy_is_scipys_of_the_shares(masks: NDArray[np.bool_]) -> None:
    box, bits = entropy(of_raters(masks), "liver")
    assert bits.dtype == np.float32
    found = np.zeros(masks.shape[1:])
    found[box] = bits
    share = masks.mean(axis=0)
    np.testing.assert_allclose(found, scipy.stats.entropy([share, 1 - share], base=2), atol=1e-6)
    unanimous = masks.all(axis=0) | ~masks.any(axis=0)
    assert np.all(found[unanimous] == 0)
    assert np.all(found[~unanimous] > 0)


def test_entropy_of_nothing_and_of_drawn_slices_only() -> None:
    nothing = np.zeros((3, *SHAPE), bool)
    box, bits = entropy(of_raters(nothing), "liver")
    assert bits.shape == (0, 0, 0)
    assert nothing[0][box].size == 0
    half = np.zeros((2, *SHAPE), bool)
    half[0, 2:4, 2:4] = True
    first, second = of_raters(half)
    sparse = Reading("a", first.sitting, first.geometry, first.masks, {"liver": DrawnSlices(2, (1, 4, 5))})
    box, bits = entropy([sparse, second], "liver")
    found = np.zeros(SHAPE)
    found[box] = bits
    assert np.flatnonzero(found.any(axis=(0, 1))).tolist() == [1, 4, 5]
    with pytest.raises(InputError, match="two readings"):
        entropy([first], "liver")


def test_areas_of_two_squares_by_hand() -> None:
    masks = np.zeros((2, *SHAPE), bool)
    masks[0, 1:4, 1:4, 2:5] = True
    masks[1, 2:4, 1:6, 2:6] = True
    # Across k: slices 2 to 4 differ by 3 + 4 voxels, slice 5 by the ten of the second square alone.
    areas = disputed_areas(of_raters(masks), "liver", axis=2)
    np.testing.assert_allclose(areas, np.array([0, 0, 7, 7, 7, 10, 0, 0]) * 0.7 * 0.9)
    across_i = disputed_areas(of_raters(masks), "liver", axis=0)
    assert across_i.sum() * 0.7 == pytest.approx(areas.sum() * 2.5)
    assert disputed_areas(of_raters(masks), "liver")[5] == pytest.approx(10 * 0.63)
    (worst,) = worst_slices(of_raters(masks))
    assert (worst.case, worst.label, worst.axis, worst.index) == ("a", "liver", 2, 5)
    assert worst.disagreeing_mm2 == pytest.approx(6.3)


def test_the_axis_is_that_which_was_drawn_else_the_scans_own() -> None:
    mask = np.ones((2, 3, 4), bool)
    plain = reading("r", {"liver": mask})
    assert slice_axis([plain], "liver") == 2
    drawn = reading("r", {"liver": mask}, drawn={"liver": DrawnSlices(1, (0,))})
    assert slice_axis([plain, drawn], "liver") == 1
    coronal = reading("r", {"liver": mask}, geometry=Geometry((2, 3, 4), (1, 5, 1)))
    assert slice_axis([coronal], "liver") == 1
    even = Geometry((2, 3, 4), (1, 1, 1), direction=DIRECTIONS["permuted"])
    assert even.orientation[slice_axis([reading("r", {"liver": mask}, geometry=even)], "liver")] in "SI"


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_twins_in_other_orders_have_the_same_worst_slice(direction: Matrix) -> None:
    masks = np.random.default_rng(0).random((3, *SHAPE)) < 0.4
    masks[..., 3] = False
    masks[0, 1:5, 1:6, 3] = True
    expected = worst_slices(of_raters(masks))[0]
    geometry = Geometry(SHAPE, SPACING, direction=direction)
    twin = geometry.flipped(2).permuted((2, 0, 1))
    turned = masks[..., ::-1].transpose(0, 3, 1, 2)
    found = worst_slices(of_raters(turned, twin))[0]
    assert (found.axis, SHAPE[2] - 1 - found.index) == (0, expected.index)
    assert found.disagreeing_mm2 == pytest.approx(expected.disagreeing_mm2)


def test_worst_slices_are_sorted_and_leave_out_what_cannot_be_compared() -> None:
    random = np.random.default_rng(1)
    masks = {case: random.random((3, *SHAPE)) < share for case, share in (("a", 0.5), ("b", 0.1), ("c", 0.3))}
    readings = [one for case, of_case in masks.items() for one in of_raters(of_case, case=case)]
    worst = worst_slices(readings)
    assert len(worst) == 3
    assert {found.case for found in worst} == {"a", "b", "c"}
    sizes = [found.disagreeing_mm2 for found in worst]
    assert sizes == sorted(sizes, reverse=True)
    several = worst_slices(readings, count=5, each=4)
    assert len(several) == 5
    assert max([found.case for found in several].count(case) for case in "abc") <= 4
    assert worst_slices(readings, labels=["spleen"]) == ()
    alone = reading("r9", {"spleen": masks["a"][0]})
    assert worst_slices([*readings, alone]) == worst
    agreed = of_raters(np.stack([masks["a"][0]] * 3))
    assert worst_slices(agreed) == ()
    apart = [
        reading(f"r{n}", {"liver": masks["a"][n]}, drawn={"liver": DrawnSlices(axis, (n,))})
        for n, axis in enumerate((2, 2))
    ]
    assert worst_slices(apart) == ()


def test_readings_on_different_grids_are_named() -> None:
    mask = np.ones(SHAPE, bool)
    shifted = reading("r2", {"liver": mask}, geometry=Geometry(SHAPE, SPACING, origin=(5, 0, 0)))
    with pytest.raises(InputError, match="r1 and r2 lie on different grids in case a: origin"):
        worst_slices([reading("r1", {"liver": mask}), shifted])
    with pytest.raises(InputError, match="a and b cannot be laid"):
        entropy([reading("r1", {"liver": mask}), reading("r2", {"liver": mask}, case="b")], "liver")
