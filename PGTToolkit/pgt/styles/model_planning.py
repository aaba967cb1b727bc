"""Which model suits a set of cases: its size, the spacing it works at, its window and its classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.geometry import Geometry, Shape, Vector
from pgt.styles.hypernetwork import HyperNetworkShape
from pgt.styles.preparation import Preparation
from pgt.styles.style_model import StyleModel
from pgt.styles.survey import CaseProgress, Survey, SurveyedCase, survey
from pgt.styles.training_order import SizeName
from pgt.styles.training_settings import StyleTrainingSettings
from pgt.styles.unet import UNetShape


@dataclass(frozen=True)
class ModelSize:
    """How large a model is.

    Args:
        channels: of the UNet at the highest resolution.
        levels: of the UNet.
        layers: of the UNet at every level.
        rank: of the hyper-network's heads; None for the published ones.
        across: voxels that the labelled region spans, the geometric mean of its three sides.
        voxels: that the window may hold.
    """

    channels: int
    levels: int
    layers: int
    rank: int | None
    across: int
    voxels: int


_STEPS = 1500
_VISITS = 80
_MOST_EPOCHS = 400

SIZES: dict[str, ModelSize] = {
    "small": ModelSize(channels=8, levels=2, layers=2, rank=8, across=16, voxels=40**3),
    "factored": ModelSize(channels=16, levels=3, layers=3, rank=4, across=64, voxels=128**3),
    "published": ModelSize(channels=16, levels=3, layers=3, rank=None, across=64, voxels=128**3),
}
"""Small trains on a CPU; published is the paper's; factored is the paper's with heads of rank 4."""


def plan_model(
    rows: Sequence[CaseRow],
    size: SizeName = "small",
    spacing: Vector | None = None,
    values: Sequence[int] | None = None,
    latent: int = 2,
    seed: int = 0,
    progress: CaseProgress = lambda done, total: None,
) -> StyleModel:
    """An untrained model for these cases.

    Args:
        rows: of the table.
        size: see `SIZES`.
        spacing: of the network's voxels in mm, towards right, anterior and superior; chosen by default.
        values: label values of the structures to learn; all by default.
        latent: dimensions of the latent vectors.
        seed: of the initial weights.
        progress: called after every case that was looked at.

    Raises:
        InputError: what `pgt.styles.survey.survey` refuses, an unknown size, or a spacing not above 0.
    """
    return plan_for(survey(rows, values, progress), size, spacing, latent, seed)


def plan_for(
    surveyed: Survey, size: SizeName, spacing: Vector | None = None, latent: int = 2, seed: int = 0
) -> StyleModel:
    """As `plan_model`, for cases that were looked at already."""
    if size not in SIZES:
        raise InputError(f"There is no model size {size!r}; there are {', '.join(SIZES)}.")
    if latent < 1:
        raise InputError(f"A latent vector needs at least one dimension, not {latent}.")
    if spacing is not None and not (min(spacing) > 0 and math.isfinite(sum(spacing))):
        raise InputError(f"Spacing must be positive, not {spacing}.")
    wanted = SIZES[size]
    spacing = spacing or choose_spacing(surveyed.cases, wanted.across)
    preparation = Preparation(spacing, tuple(surveyed.names))
    unet = UNetShape(
        classes=1 + len(surveyed.names), channels=wanted.channels, levels=wanted.levels, layers=wanted.layers
    )
    shapes = [preparation.shape_of(case.geometry) for case in surveyed.cases]
    patch = choose_patch(shapes, 2**wanted.levels, wanted.voxels)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return StyleModel.new(
            unet,
            HyperNetworkShape(latent=latent, rank=wanted.rank),
            preparation,
            patch,
            tuple(surveyed.names.values()),
        )


def plan_epochs(cases: int, settings: StyleTrainingSettings) -> int:
    """How many epochs a training may need, from the number of its cases.

    The hyper-network takes a number of steps to learn, and each latent vector a number of visits.
    """
    steps_an_epoch = math.ceil(cases / settings.cases_per_step)
    return min(max(math.ceil(_STEPS / steps_an_epoch), _VISITS), _MOST_EPOCHS)


def choose_spacing(cases: Sequence[SurveyedCase], across: int) -> Vector:
    """A spacing at which the labelled region spans ``across`` voxels, never finer than the images have.

    Args:
        cases: what the model is for; medians over them count.
        across: voxels, as the geometric mean of the three sides.

    Returns:
        mm towards right, anterior and superior; two digits where it is coarser than the images.
    """
    sides = np.median([_box_mm(case) for case in cases], axis=0)
    finest = np.median([_along_patient(case.geometry, case.geometry.spacing) for case in cases], axis=0)
    target = float(np.prod(sides)) ** (1 / 3) / across
    right, anterior, superior = (_two_digits(target) if target > own else float(own) for own in finest)
    return right, anterior, superior


def choose_patch(shapes: Sequence[Shape], step: int, voxels: int) -> Shape:
    """A window that holds the prepared volumes whole, or as much of them as it may.

    Args:
        shapes: of the prepared volumes.
        step: sizes are multiples of this.
        voxels: that it may hold.
    """
    # A single huge volume must not have all others trained on padding.
    largest = np.minimum(np.max(shapes, axis=0), np.ceil(1.5 * np.median(shapes, axis=0)))
    # Norms need more than one voxel at the lowest resolution.
    least = 2 * step
    sides = [max(least, math.ceil(size / step) * step) for size in largest]
    while math.prod(sides) > voxels:
        longest = int(np.argmax(sides))
        if sides[longest] == least:
            break
        sides[longest] -= step
    i, j, k = sides
    return i, j, k


def _box_mm(case: SurveyedCase) -> Vector:
    """Sides of the labelled region towards right, anterior and superior."""
    sides = [
        (last - first + 1) * spacing
        for (first, last), spacing in zip(case.box, case.geometry.spacing, strict=True)
    ]
    return _along_patient(case.geometry, sides)


def _along_patient(geometry: Geometry, by_axis: Sequence[float]) -> Vector:
    """Numbers of the axes i, j and k in the order right, anterior, superior."""
    order, _ = geometry.turn_to("RAS")
    right, anterior, superior = (float(by_axis[axis]) for axis in order)
    return right, anterior, superior


def _two_digits(number: float) -> float:
    return float(f"{number:.2g}")
