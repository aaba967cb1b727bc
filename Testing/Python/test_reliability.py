"""Fleiss' kappa, Krippendorff's alpha and ICC: worked examples of the papers, and independent libraries."""

from __future__ import annotations

import krippendorff
import numpy as np
import pandas
import pingouin
import pytest
from simulated_raters import LABEL, Study

from pgt.agreement.intraclass import ONE_WAY, TWO_WAY, icc_of, one_way, two_way
from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.agreement.reliability import fleiss_kappa, krippendorff_alpha, reliability_of
from pgt.errors import InputError
from pgt.geometry import Geometry

GRID = Geometry((8, 7, 6), (1.0, 2.0, 2.5))

# Fleiss (1971), table 1: 30 patients, 6 psychiatrists, 5 diagnoses.
FLEISS_1971 = np.array(
    [
        [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0],
        [2, 0, 4, 0, 0], [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6],
        [1, 0, 0, 5, 0], [1, 1, 0, 4, 0], [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1],
        [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0], [0, 2, 0, 4, 0], [1, 0, 2, 0, 3],
        [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0], [1, 0, 0, 4, 1],
        [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
    ],
    dtype=float,
)  # fmt: skip

# Krippendorff (2011), section C: 4 observers, 12 units, missing data; 0 stands for missing.
KRIPPENDORFF_2011 = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)

# Shrout and Fleiss (1979), table 2: 6 targets, 4 judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)


def once(ratings: np.ndarray) -> np.ndarray:
    return np.ones((1, len(ratings)))


def counted(values: np.ndarray, categories: int) -> np.ndarray:
    """(U, K) from (raters, U) with 0 for missing."""
    return np.stack([(values == category).sum(axis=0) for category in range(1, categories + 1)], axis=1) * 1.0


def reading(case: str, rater: str, mask: np.ndarray, session: str = "1", drawn: DrawnSlices | None = None):
    masks = {LABEL: CroppedMask.of(mask)}
    return Reading(case, Sitting(rater, session), GRID, masks, {LABEL: drawn} if drawn else {})


class TestPapers:
    def test_fleiss_1971(self) -> None:
        assert fleiss_kappa(FLEISS_1971, once(FLEISS_1971))[0] == pytest.approx(0.430, abs=5e-4)

    def test_krippendorff_2011(self) -> None:
        ratings = counted(KRIPPENDORFF_2011, 5)
        assert krippendorff_alpha(ratings, once(ratings))[0] == pytest.approx(0.743, abs=5e-4)

    def test_shrout_and_fleiss_1979(self) -> None:
        """Table 4: 0.17 and 0.29."""
        single, both = one_way(SHROUT_FLEISS), two_way(SHROUT_FLEISS)
        assert single is not None
        assert both is not None
        assert single.value == pytest.approx(0.17, abs=5e-3)
        assert both.value == pytest.approx(0.29, abs=5e-3)
        assert (both.lower, both.upper) == pytest.approx((0.02, 0.76), abs=5e-3)


@pytest.mark.parametrize("seed", range(5))
class TestLibraries:
    def test_krippendorff_with_missing_readings(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        values = random.integers(1, 4, (5, 40))
        values[:, :20] = values[0, :20]
        values[random.random(values.shape) < 0.3] = 0
        data = np.where(values == 0, np.nan, values)
        expected = krippendorff.alpha(reliability_data=data, level_of_measurement="nominal")
        ratings = counted(values, 3)
        assert krippendorff_alpha(ratings, once(ratings))[0] == pytest.approx(expected, abs=1e-12)

    def test_fleiss(self, seed: int) -> None:
        peer = pytest.importorskip("statsmodels.stats.inter_rater")
        ratings = np.random.default_rng(seed).multinomial(6, [0.5, 0.3, 0.2], size=50).astype(float)
        assert fleiss_kappa(ratings, once(ratings))[0] == pytest.approx(peer.fleiss_kappa(ratings), abs=1e-12)

    def test_icc(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        volumes = random.lognormal(3, 0.5, (9, 1)) + random.normal(0, 4, (9, 4)) + random.normal(0, 2, 4)
        table = pandas.DataFrame(volumes).reset_index().melt("index")
        peer = pingouin.intraclass_corr(table, "index", "variable", "value")
        for row, found in ((0, one_way(volumes)), (1, two_way(volumes))):
            expected = peer.iloc[row]
            interval = expected["CI95"] if "CI95" in peer else expected["CI95%"]
            assert found is not None
            assert found.value == pytest.approx(expected["ICC"], abs=1e-9)
            assert (found.lower, found.upper) == pytest.approx(tuple(interval), abs=6e-3)

    def test_unbalanced_one_way_is_the_analysis_of_variance(self, seed: int) -> None:
        """Between-case variance by the method of moments, from sums of squares written out."""
        random = np.random.default_rng(seed)
        volumes = random.normal(10, 3, (12, 1)) + random.normal(0, 1, (12, 4))
        volumes[random.random((12, 4)) < 0.3] = np.nan
        volumes = volumes[(~np.isnan(volumes)).sum(axis=1) > 1]
        groups = [row[~np.isnan(row)] for row in volumes]
        every = np.concatenate(groups)
        between = sum(len(g) * (g.mean() - every.mean()) ** 2 for g in groups) / (len(groups) - 1)
        within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (len(every) - len(groups))
        each = (len(every) - sum(len(g) ** 2 for g in groups) / len(every)) / (len(groups) - 1)
        variance = (between - within) / each
        found = one_way(volumes)
        assert found is not None
        assert found.value == pytest.approx(variance / (variance + within), abs=1e-12)
        assert found.lower is not None
        assert found.upper is not None
        assert found.lower < found.value < found.upper


class TestVoxels:
    def test_they_are_those_of_the_box_of_all_first_sessions(self) -> None:
        """Against the libraries, on voxels listed one by one."""
        study = Study(sessions=1)
        readings = study.readings(cases=4, seed=3)
        columns = []
        for case in dict.fromkeys(one.case for one in readings):
            masks = np.stack([one.masks[LABEL].full() for one in readings if one.case == case])
            where = np.nonzero(masks.any(axis=0))
            box = tuple(slice(axis.min(), axis.max() + 1) for axis in where)
            columns.append(masks[(slice(None), *box)].reshape(len(masks), -1))
        votes = np.concatenate(columns, axis=1)
        found = reliability_of(LABEL, readings)
        alpha = krippendorff.alpha(reliability_data=votes.astype(int), level_of_measurement="nominal")
        assert found.krippendorff_alpha.value == pytest.approx(alpha, abs=1e-9)
        yes = votes.sum(axis=0)
        peer = pytest.importorskip("statsmodels.stats.inter_rater")
        kappa = peer.fleiss_kappa(np.stack([len(votes) - yes, yes], axis=1))
        assert found.fleiss_kappa.value == pytest.approx(kappa, abs=1e-9)
        assert found.raters == 3
        assert found.fleiss_kappa.cases == 4
        assert "smallest box" in found.region

    def test_repeats_do_not_count_as_raters(self) -> None:
        twice = Study(sessions=2).readings(cases=3, seed=5)
        first = [one for one in twice if one.sitting.session == "1"]
        assert reliability_of(LABEL, twice) == reliability_of(LABEL, first)

    def test_background_does_not_dilute(self) -> None:
        masks = [np.zeros(GRID.shape, bool) for _ in range(2)]
        masks[0][2:5, 2:5, 2:5] = True
        masks[1][3:6, 2:5, 2:5] = True
        found = reliability_of(LABEL, [reading("x", str(n), mask) for n, mask in enumerate(masks)])
        # 36 voxels: 18 both, 9 each alone, none neither: observed 1/2, expected 1/4² + 3/4².
        assert found.fleiss_kappa.value == pytest.approx((0.5 - 0.625) / (1 - 0.625))

    def test_only_slices_that_two_drew_count(self) -> None:
        random = np.random.default_rng(0)
        masks = random.random((3, *GRID.shape)) < 0.5
        kept = [(1, 2, 4), (1, 4), (0, 4)]
        drawn = [DrawnSlices(2, slices) for slices in kept]
        readings = [reading("x", str(n), mask, drawn=drawn[n]) for n, mask in enumerate(masks)]
        data = np.full(masks.shape, np.nan)
        for n, slices in enumerate(kept):
            data[n][..., list(slices)] = masks[n][..., list(slices)]
        expected = krippendorff.alpha(reliability_data=data.reshape(3, -1), level_of_measurement="nominal")
        assert reliability_of(LABEL, readings).krippendorff_alpha.value == pytest.approx(expected, abs=1e-9)

    def test_volumes_are_of_the_slices_that_all_drew(self) -> None:
        random = np.random.default_rng(0)
        readings, volumes = [], []
        for case in "abcd":
            masks = random.random((2, *GRID.shape)) < random.random()
            readings.append(reading(case, "1", masks[0], drawn=DrawnSlices(2, (1, 3, 4))))
            readings.append(reading(case, "2", masks[1]))
            volumes.append(masks[..., [1, 3, 4]].sum(axis=(1, 2, 3)) * 5 / 1000)
        expected = two_way(np.array(volumes))
        assert expected is not None
        assert reliability_of(LABEL, readings).icc.value == pytest.approx(expected.value)

    def test_a_missing_reader_is_missing_not_empty(self) -> None:
        readings = Study(sessions=1).readings(cases=4, seed=1)
        found = reliability_of(LABEL, readings[1:])
        assert found.icc.cases == 3
        assert "1 of 4 cases lack a rater" in found.icc.note
        assert found.krippendorff_alpha.cases == 4
        whole = reliability_of(LABEL, readings).krippendorff_alpha.value
        assert found.krippendorff_alpha.value == pytest.approx(whole, abs=0.1)

    def test_raters_who_vary_get_the_one_way_form(self) -> None:
        readings = Study(sessions=1).readings(cases=6, seed=1)
        assert reliability_of(LABEL, readings).icc_form == TWO_WAY
        anonymous = reliability_of(LABEL, readings, same_raters=False)
        assert anonymous.icc_form == ONE_WAY
        others = [one for n, one in enumerate(readings) if n % 3 != (n // 3) % 3]
        assert reliability_of(LABEL, others).icc_form == ONE_WAY
        assert reliability_of(LABEL, others).icc.cases == 6


class TestDegenerate:
    EMPTY, FULL = np.zeros(GRID.shape, bool), np.ones(GRID.shape, bool)
    SOME = np.indices(GRID.shape).sum(axis=0) % 3 == 0

    def every(self, *masks: np.ndarray, cases: int = 4):
        readings = [
            reading(str(case), str(rater), mask) for case in range(cases) for rater, mask in enumerate(masks)
        ]
        found = reliability_of(LABEL, readings)
        for estimate in (found.fleiss_kappa, found.krippendorff_alpha, found.icc):
            if estimate.value is None:
                assert estimate.note
            else:
                assert np.isfinite([estimate.value, *(estimate.interval or ())]).all()
        return found

    def test_one_rater(self) -> None:
        found = self.every(self.SOME)
        assert found.fleiss_kappa.value is found.krippendorff_alpha.value is found.icc.value is None
        assert "two raters" in found.fleiss_kappa.note

    def test_all_empty(self) -> None:
        found = self.every(self.EMPTY, self.EMPTY)
        assert found.fleiss_kappa.value is None
        assert "absent" in found.fleiss_kappa.note

    def test_all_full(self) -> None:
        found = self.every(self.FULL, self.FULL)
        assert found.krippendorff_alpha.value is None
        assert "every voxel" in found.krippendorff_alpha.note
        assert "all volumes are the same" in found.icc.note

    def test_full_agreement(self) -> None:
        found = self.every(self.SOME, self.SOME)
        assert found.fleiss_kappa.value == found.krippendorff_alpha.value == 1
        assert found.icc.value is None

    def test_one_empty(self) -> None:
        found = self.every(self.SOME, self.EMPTY)
        assert found.fleiss_kappa.value is not None
        assert found.fleiss_kappa.value < 0

    def test_one_case(self) -> None:
        found = self.every(self.SOME, np.roll(self.SOME, 1, axis=0), cases=1)
        assert found.fleiss_kappa.value is not None
        assert found.fleiss_kappa.interval is None
        assert "1 case is too few" in found.fleiss_kappa.note
        assert found.icc.value is None

    def test_no_reading_at_all(self) -> None:
        assert reliability_of(LABEL, []).icc.value is None

    def test_volumes_that_agree_fully(self) -> None:
        estimate, _ = icc_of(np.array([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]]))
        assert (estimate.value, estimate.lower, estimate.upper) == (1, 1, 1)
        assert "no width" in estimate.note

    def test_other_grids_are_refused(self) -> None:
        other = np.ones((8, 7, 5), bool)
        with pytest.raises(InputError, match="different grids"):
            reliability_of(LABEL, [reading("x", "a", self.SOME), reading("x", "b", other)])
