"""Panels of a picture: a slice in mm on black, with the patient's directions, a scale bar and outlines."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pgt.anatomical_views import View

BACKGROUND = "#0b0d10"

Extent = tuple[float, float, float, float]
"""Left, right, top and bottom in mm of the picture, from its upper left corner."""

_DOTS_PER_INCH = 110
_SCALE_BARS_MM = (50.0, 20.0, 10.0, 5.0, 2.0, 1.0)


def write_on(
    axes: Axes, place: tuple[float, float], text: str, color: str, size: float, across: str, down: str
) -> None:
    """Text at a place within a panel (shares of its width and height), legible on bone as on air."""
    outline = [patheffects.withStroke(linewidth=2.5, foreground="black")]
    axes.text(
        *place, text, transform=axes.transAxes, color=color, fontsize=size, ha=across, va=down,
        path_effects=outline, parse_math=False,
    )  # fmt: skip


def crop(axes: Axes, extent: Extent) -> None:
    """Show only this part of the picture, true to scale."""
    left, right, top, bottom = extent
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")


def whole_extent(view: View, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a whole picture [row, column] in mm, in the order that imshow takes."""
    return (0.0, shape[1] * view.spacing[0], shape[0] * view.spacing[1], 0.0)


def draw_directions(axes: Axes, view: View, extent: Extent) -> None:
    """The patient's directions at the four edges, and a scale bar."""
    for letter, place in zip(view.letters, ((0.02, 0.5), (0.98, 0.5), (0.5, 0.97), (0.5, 0.03)), strict=True):
        write_on(axes, place, letter, "#c8d6e5", 10, "center", "center")
    width, height = extent[1] - extent[0], extent[3] - extent[2]
    bar_mm = next((mm for mm in _SCALE_BARS_MM if mm < width / 3), _SCALE_BARS_MM[-1])
    right, bottom = extent[1] - 0.03 * width, extent[3] - 0.04 * height
    axes.plot([right - bar_mm, right], [bottom, bottom], color="white", linewidth=2)
    middle = (1 - 0.03 - bar_mm / width / 2, 0.055)
    length = f"{bar_mm / 10:g} cm" if bar_mm >= 10 else f"{bar_mm:g} mm"
    write_on(axes, middle, length, "white", 8, "center", "bottom")


def draw_outline(
    axes: Axes, view: View, inside: NDArray[np.bool_], color: Any, rim: float = 0.0, **line: Any
) -> None:
    """The outline of a mask [row, column] of the whole picture; it follows the voxels and is not smoothed.

    Args:
        axes: the panel.
        view: how the picture is seen.
        inside: the mask.
        color: of the line.
        rim: width of a dark rim on both sides together, for outlines on bright ground.
        line: what else matplotlib's contour takes: ``linewidths``, ``linestyles``.
    """
    if not inside.any():
        return
    padded = np.pad(inside, 1)
    x = (np.arange(-1, inside.shape[1] + 1) + 0.5) * view.spacing[0]
    y = (np.arange(-1, inside.shape[0] + 1) + 0.5) * view.spacing[1]
    drawn = axes.contour(x, y, padded.astype(np.float32), levels=[0.5], colors=[color], **line)
    if rim:
        width = float(line.get("linewidths", 1.5)) + rim
        drawn.set_path_effects([patheffects.withStroke(linewidth=width, foreground="black", alpha=0.65)])


def png_bytes(figure: Figure, dots_per_inch: int = _DOTS_PER_INCH) -> bytes:
    """The picture as a PNG file."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=dots_per_inch, facecolor=BACKGROUND)
    return stream.getvalue()
