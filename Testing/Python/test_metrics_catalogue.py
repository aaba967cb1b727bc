"""The catalogue says of every metric what a report has to print."""

from __future__ import annotations

import numpy as np
import pytest

from pgt.agreement.masks import CroppedMask
from pgt.agreement.metrics import DEFAULT_METRICS, METRICS, MISSED_DISTANCE, Better, Metric, metric
from pgt.agreement.pair_measurement import MeasureOptions, measure_pair
from pgt.agreement.readings import DrawnSlices
from pgt.errors import InputError
from pgt.geometry import Geometry

KEYS = [
    "dice",
    "iou",
    "nsd",
    "hd_mm",
    "hd95_mm",
    "assd_mm",
    "volume_difference_ml",
    "volume_difference_percent",
    "sensitivity",
    "precision",
    "kappa",
    "cldice",
    "lesion_f1",
    "panoptic_quality",
]


def test_the_metrics_and_their_order() -> None:
    assert [known.key for known in METRICS] == KEYS
    assert list(DEFAULT_METRICS) == KEYS[:11]


@pytest.mark.parametrize("known", METRICS, ids=lambda known: known.key)
def test_every_metric_says_what_it_is_and_what_empty_masks_give(known: Metric) -> None:
    assert metric(known.key) is known
    assert known.title
    for text in (known.definition, known.both_empty, known.one_empty):
        assert text.endswith((".", ")"))
        assert "  " not in text
        assert len(text) > 20


@pytest.mark.parametrize("known", METRICS, ids=lambda known: known.key)
def test_unit_and_direction_belong_together(known: Metric) -> None:
    assert known.key.endswith(known.unit.replace("%", "percent"))
    expected = {"mm": Better.LOWER, "ml": Better.ZERO, "%": Better.ZERO, "": Better.HIGHER}
    assert known.better is expected[known.unit]


def test_which_metrics_depend_on_who_is_first() -> None:
    one_sided = {known.key for known in METRICS if not known.symmetric}
    assert one_sided == {"volume_difference_ml", "volume_difference_percent", "sensitivity", "precision"}


def test_an_unknown_metric_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no metric 'jaccard'; the metrics are dice, iou"):
        metric("jaccard")


@pytest.mark.parametrize("drawn", [None, DrawnSlices(2, (3, 5))])
def test_what_is_said_of_empty_masks_is_what_is_measured(drawn: DrawnSlices | None) -> None:
    geometry = Geometry((6, 7, 8), (0.5, 1, 3))
    nothing = CroppedMask.empty(geometry.shape)
    voxels = np.zeros(geometry.shape, dtype=bool)
    voxels[1:4, 2:5, 2:6] = True
    something = CroppedMask.of(voxels)
    options = MeasureOptions(metrics=tuple(KEYS))
    both = measure_pair(nothing, nothing, geometry, options, drawn)
    one = measure_pair(something, nothing, geometry, options, drawn)
    diagonal = np.linalg.norm(np.array(geometry.shape) * geometry.spacing)
    for known in METRICS:
        assert known.both_empty.startswith(f"{both.values[known.key]:.0f}:")
        if known.unit == "mm":
            assert known.one_empty == MISSED_DISTANCE
            assert one.values[known.key] == pytest.approx(diagonal)
        elif known.better is Better.HIGHER:
            assert known.one_empty.startswith("0")
            assert one.values[known.key] == 0
    assert one.values["volume_difference_percent"] == -200
    assert one.values["volume_difference_ml"] == pytest.approx(-one.volume_a_ml)
    assert both.values["kappa"] == 1
