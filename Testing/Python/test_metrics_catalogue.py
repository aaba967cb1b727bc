"""The catalogue says of every metric what a report has to print."""

from __future__ import annotations

import pytest

from pgt.agreement.metrics import DEFAULT_METRICS, METRICS, Better, Metric, metric
from pgt.errors import InputError

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
