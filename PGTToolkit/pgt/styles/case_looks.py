"""A training case looked at: its label beside what the main style predicts, in numbers and as a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from pgt.anatomical_views import View
from pgt.annotation import AXIS_NAMES
from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.page_style import Picture
from pgt.picture_panels import (
    BACKGROUND,
    crop,
    draw_outline,
    small_png,
    square_around,
    whole_extent,
    write_on,
)
from pgt.propagation.windowing import choose_windowing
from pgt.styles.inference import DeviceName, IsCancelled, Segmenter
from pgt.styles.style_model import StyleModel
from pgt.styles.survey import read_labels
from pgt.styles.suspicion import Doubt
from pgt.volume import LabelMap, Volume
from pgt.volume_io import read_volume

LABEL_COLOR = "#ffb000"
PREDICTION_COLOR = "#56b4e9"

_INCHES = 2.2


@dataclass(frozen=True, eq=False)
class CaseLook:
    """A case with what the main style predicts of it.

    Args:
        case: its name.
        volume: the image.
        label_map: its label, on the image's grid.
        predicted: in the main style, on the same grid.
        doubt: the comparison in two numbers.
    """

    case: str
    volume: Volume
    label_map: LabelMap
    predicted: LabelMap
    doubt: Doubt


def look_at(
    model: StyleModel,
    row: CaseRow,
    device: DeviceName = "auto",
    cancelled: IsCancelled = lambda: False,
) -> CaseLook:
    """Read a case and segment it in the main style.

    Raises:
        InputError: image or label are missing, cannot be read, or lie on different grids.
        Cancelled: ``cancelled`` said so.
    """
    if row.label is None:
        raise InputError(f"The table names no label map for {row.case}.")
    volume = read_volume(row.image)
    label_map = read_labels(row, volume.geometry)
    segmenter = Segmenter(model, volume, device)
    shares = segmenter.shares(model.main_style, cancelled=cancelled)
    return CaseLook(
        row.case,
        volume,
        label_map,
        segmenter.label_map(shares),
        doubt_of(shares, model.preparation.labels(label_map)),
    )


def doubt_of(shares: Tensor, labels: Tensor) -> Doubt:
    """How far a prediction is from a label, and how unsure it is.

    Args:
        shares: predicted probabilities [class, i, j, k], background first.
        labels: share of every voxel that each class fills, same shape.
    """
    predicted = shares.argmax(dim=0)
    disagreements, uncertainties = [], []
    for number in range(1, len(shares)):
        inside = (predicted == number).double()
        share, label = shares[number].double(), labels[number].double()
        if inside.sum() + label.sum() == 0:
            continue
        disagreements.append(_apart(inside, label))
        uncertainties.append(_apart(inside, share))
    if not disagreements:
        return Doubt(0.0, 0.0)
    return Doubt(float(np.mean(disagreements)), float(np.mean(uncertainties)))


def look_picture(look: CaseLook) -> Picture:
    """The slice on which label and prediction differ most, both as outlines on the image."""
    values = look.predicted.values
    labels = np.where(np.isin(look.label_map.voxels, values), look.label_map.voxels, 0)
    differing = labels != look.predicted.voxels
    labelled = (labels > 0) | (look.predicted.voxels > 0)
    # The plane in which the voxels are most nearly square shows outlines best.
    views = [View.across(look.volume.geometry, axis) for axis in range(3)]
    view = min(views, key=lambda one: (max(one.spacing) / min(one.spacing), max(one.spacing), one.axis != 2))
    others = tuple(axis for axis in range(3) if axis != view.axis)
    marked = differing if differing.any() else labelled
    index = int(marked.sum(axis=others).argmax())
    figure = Figure(figsize=(_INCHES, _INCHES), facecolor=BACKGROUND)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), facecolor="black")
    axes.set_xticks([])
    axes.set_yticks([])
    picture = view.slice(look.volume.voxels, index).astype(np.float32)
    low, high = choose_windowing(look.volume.voxels).windows[0]
    axes.imshow(
        picture, cmap="gray", vmin=low, vmax=high, extent=whole_extent(view, picture.shape),
        interpolation="bilinear",
    )  # fmt: skip
    for voxels, color, dashes in (
        (look.predicted.voxels, PREDICTION_COLOR, (0, (3, 1.4))),
        (labels, LABEL_COLOR, "solid"),
    ):
        for value in values:
            inside = view.slice(voxels == value, index)
            draw_outline(axes, view, inside, color, 1.0, linewidths=1.1, linestyles=[dashes])
    crop(axes, square_around(view, view.slice(labelled, index)))
    write_on(
        axes, (0.02, 0.98), f"{view.plane}, {AXIS_NAMES[view.axis]} = {index}", "white", 7, "left", "top"
    )
    return Picture(
        small_png(figure, (LABEL_COLOR, PREDICTION_COLOR)),
        f"{look.case}: label (solid) and the main style's prediction (dashed)",
    )


def _apart(inside: Tensor, share: Tensor) -> float:
    """1 - Dice of a set of voxels and shares of voxels."""
    return float(1 - 2 * (inside * share).sum() / (inside.sum() + share.sum()))
