"""What the main style proposes in place of a training label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from style_cases import LOOSE, TIGHT, made_case, made_rows
from trained_style_model import trained_style_model

from pgt.case_table import CaseRow
from pgt.errors import Cancelled, InputError
from pgt.styles.corrections import propose_correction, propose_corrections
from pgt.volume import LabelMap, Segment


@pytest.mark.parametrize("size", [TIGHT, LOOSE])
def test_a_proposal_is_closer_to_the_truth_than_a_wrong_label(size: float) -> None:
    model = trained_style_model()
    volume, wrong = made_case(300, size)
    _, true = made_case(300, 1.0)
    found = propose_correction(model, "case", volume, wrong)
    assert np.count_nonzero(found.proposal.voxels != true.voxels) < np.count_nonzero(
        wrong.voxels != true.voxels
    )
    measured = found.structures[1]
    a, b = wrong.mask(1), found.proposal.mask(1)
    assert measured.dice == pytest.approx(2 * np.sum(a & b) / (a.sum() + b.sum()))
    assert (measured.label_ml, measured.proposal_ml) == pytest.approx((a.sum() / 1000, b.sum() / 1000))
    assert found.changed_ml == pytest.approx(np.sum(a != b) / 1000)
    assert 0 < measured.assd_mm <= measured.hd95_mm


def test_other_structures_stay(tmp_path: Path) -> None:
    model = trained_style_model()
    volume, label_map = made_case(301, 1.0)
    voxels = label_map.voxels.astype(np.int16)
    voxels[0, 0, :3] = 900
    both = LabelMap(voxels, label_map.geometry, (*label_map.segments, Segment(900, "Vessel", (1, 0, 0))))
    found = propose_correction(model, "case", volume, both).proposal
    np.testing.assert_array_equal(found.mask(900), both.mask(900))
    assert found.values == (1, 900)


def test_cases_of_a_table_one_after_another(tmp_path: Path) -> None:
    model = trained_style_model()
    rows = made_rows(tmp_path, [1.0, TIGHT])
    told = []
    found = list(propose_corrections(model, rows, progress=told.append))
    assert [one.case for one in found] == ["case0", "case1"]
    assert [(step.done, step.total) for step in told] == [(0, 2), (1, 2)]
    assert found[0].dice > found[1].dice
    with pytest.raises(Cancelled):
        next(propose_corrections(model, rows, cancelled=lambda: True))
    with pytest.raises(InputError, match="no label map for x"):
        next(propose_corrections(model, [CaseRow("x", rows[0].image)]))
