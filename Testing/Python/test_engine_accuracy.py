"""Looking at the image must help: never worse than the shape alone, far better where the image knows more."""

from __future__ import annotations

from statistics import mean

import numpy as np
import torch
from propagation_cases import dice, drawn_together, made_case

from pgt.annotation import SparseAnnotation
from pgt.geometry import Geometry
from pgt.propagation.engine import PropagationSettings, propagate
from pgt.sample_volume import make_sample
from pgt.volume import LabelMap, Volume


def mean_dice(volume: Volume, truth: LabelMap, slices: range, method: str) -> float:
    torch.set_num_threads(1)
    settings = PropagationSettings(axis=2, method=method)  # type: ignore[arg-type]
    result = propagate(volume, drawn_together(truth, 2, slices), settings)
    return mean(dice(result.label_map.voxels, truth.voxels, value) for value in truth.values)


def test_on_smooth_bodies_it_is_as_good_as_the_shape() -> None:
    volume, truth = made_case()
    shape, auto = (mean_dice(volume, truth, range(2, 30, 6), method) for method in ("shape", "auto"))
    assert auto > shape - 0.01


def test_on_a_made_patient_it_is_not_worse_than_the_shape() -> None:
    volume, truth = make_sample((56, 48, 36), seed=2)
    shape, auto = (mean_dice(volume, truth, range(2, 36, 6), method) for method in ("shape", "auto"))
    assert auto > shape - 0.005


def test_a_tube_that_wanders_between_the_annotated_slices_is_followed() -> None:
    """Between the annotated slices it goes where no interpolation of them can know; the image shows it."""
    rows, columns, slices = np.mgrid[:48, :40, :31]
    sideways = 8 * np.sin(2 * np.pi * slices / 30)
    labels = (np.hypot(rows - 24 - sideways, columns - 20) < 6).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 15, labels.shape)
    geometry = Geometry(labels.shape, (1.0, 1.0, 1.5))
    volume = Volume((100 + 100 * labels + noise).astype(np.float32), geometry)
    annotation = SparseAnnotation.from_label_map(LabelMap.from_voxels(labels, geometry), 2, [0, 10, 20, 30])
    found = {}
    for method in ("shape", "auto"):
        result = propagate(volume, annotation, PropagationSettings(method=method))
        found[method] = dice(result.label_map.voxels, labels, 1)
    assert found["shape"] < 0.85
    assert found["auto"] > found["shape"] + 0.03
