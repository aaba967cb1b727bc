"""Consensus and disagreement of real raters: what must hold of them whatever they drew."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from Benchmarks.rater_data import head_neck, nodules, spinal_tracts
from pgt.agreement.consensus import consensus_of_readings
from pgt.agreement.disagreement import entropy, worst_slices
from pgt.agreement.masks import CroppedMask
from pgt.agreement.outliers import find_outliers
from pgt.agreement.readings import Reading

DATA = Path(os.environ.get("PGT_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")

pytestmark = pytest.mark.data
needs = {
    name: pytest.mark.skipif(not (DATA / name).exists(), reason=f"{name} is not in {DATA}")
    for name in ("headneck_two_readers", "lidc_four_readers", "spinal_tracts_repeat_raters")
}


def dice(a: CroppedMask, b: CroppedMask) -> float:
    return 2 * np.count_nonzero(a.full() & b.full()) / (a.count + b.count)


@needs["lidc_four_readers"]
@pytest.mark.parametrize("method", ["majority", "staple"])
def test_four_radiologists_agree_better_with_their_consensus_than_with_each_other(method: str) -> None:
    with_consensus, with_others = [], []
    for case in nodules(DATA, cases=25):
        masks = [reading.masks["nodule"] for reading in case]
        made = consensus_of_readings(case, "nodule", method)
        with_consensus.append(np.mean([dice(made.mask, mask) for mask in masks]))
        with_others.append(np.mean([dice(a, b) for a, b in combinations(masks, 2)]))
        assert all(rater.sensitivity + rater.specificity > 1 for rater in made.raters)
        assert made.disputed <= made.region
    assert np.mean(with_consensus) > np.mean(with_others) + 0.03
    assert np.mean(np.array(with_consensus) > with_others) >= 0.9


@needs["lidc_four_readers"]
def test_anonymous_readers_are_never_outliers() -> None:
    """Their order means nothing: with the names taken at their word, chance alone would have to name one."""
    readings = [reading for case in nodules(DATA, cases=25) for reading in case]
    assert find_outliers(readings).outliers == ()
    assert "anonymous" in find_outliers(readings, anonymous=True).notes[0]


@needs["headneck_two_readers"]
def test_two_readers_of_21_organs() -> None:
    (case,) = head_neck(DATA, cases=1)
    for organ in case[0].labels:
        small, large = (consensus_of_readings(case, organ, method).mask.full() for method in ("all", "any"))
        for method in ("majority", "staple"):
            found = consensus_of_readings(case, organ, method)
            chosen = found.mask.full()
            assert not (small & ~chosen).any()
            assert not (chosen & ~large).any()
            assert found.disputed == np.count_nonzero(large ^ small)
        assert consensus_of_readings(case, organ, "majority").ties == np.count_nonzero(large ^ small)
        box, bits = entropy(case, organ)
        divided = np.zeros(large.shape, np.float32)
        divided[box] = bits
        np.testing.assert_array_equal(divided, large ^ small)
    worst = worst_slices(case)
    assert len(worst) == 12
    for slice_ in worst:
        assert slice_.axis == 2
        a, b = (reading.masks[slice_.label].full()[..., slice_.index] for reading in case)
        area = np.count_nonzero(a ^ b) * np.prod(case[0].geometry.spacing[:2])
        assert slice_.disagreeing_mm2 == pytest.approx(area)


@needs["spinal_tracts_repeat_raters"]
def test_one_case_names_no_outlier_however_far_a_rater_stands() -> None:
    readings: tuple[Reading, ...] = spinal_tracts(DATA)
    assert len(readings) == 9
    search = find_outliers(readings)
    assert search.outliers == ()
    assert all("1 case is too few" in note for note in search.notes)
    assert len(search.notes) == 3
