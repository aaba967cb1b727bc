"""Panels of a picture: a slice in mm on black, with the patient's directions, a scale bar and outlines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageColor

from pgt.anatomical_views import View

BACKGROUND = "#0b0d10"

Extent = tuple[float, float, float, float]
"""Left, right, top and bottom in mm of the picture, from its upper left corner."""

_DOTS_PER_INCH = 110
_GREYS = 96
_SMALLEST_VIEW_MM = 12.0
_MARGIN = 0.35
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


def square_around(view: View, marked: NDArray[np.bool_]) -> Extent:
    """A square around what is marked of a whole picture [row, column], with a margin; else around it all."""
    if not marked.any():
        marked = np.ones_like(marked)
    middles, sizes = [], []
    for along, spacing in ((0, view.spacing[0]), (1, view.spacing[1])):
        places = np.flatnonzero(marked.any(axis=along))
        middles.append((places[0] + places[-1] + 1) / 2 * spacing)
        sizes.append((places[-1] + 1 - places[0]) * spacing)
    half = max(max(sizes) * (1 + 2 * _MARGIN), _SMALLEST_VIEW_MM) / 2
    across, down = middles
    return (across - half, across + half, down - half, down + half)


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


def small_png(figure: Figure, colors: Sequence[str], dots_per_inch: int = _DOTS_PER_INCH) -> bytes:
    """A grey picture with lines of a few colours as a PNG file with a palette.

    A third of the size and no visible difference, for pages that carry many.
    """
    picture = Image.open(BytesIO(png_bytes(figure, dots_per_inch))).convert("RGB")
    stream = BytesIO()
    palette = _palette(tuple(colors))
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(stream, format="png")
    return stream.getvalue()


@lru_cache
def _palette(colors: tuple[str, ...]) -> Image.Image:
    """Greys, and the colours on their way into black, grey and white: the soft edges of lines."""
    tones = [np.full(3, level) for level in np.linspace(0, 255, _GREYS)]
    for name in colors:
        color = np.array(ImageColor.getrgb(name), dtype=float)
        tones += [
            share * color + (1 - share) * ground
            for ground in (0, 110, 220)
            for share in ((1.0, 0.8, 0.6, 0.4, 0.2) if ground == 0 else (0.75, 0.5, 0.25))
        ]
    palette = Image.new("P", (1, 1))
    palette.putpalette([round(float(part)) for tone in tones for part in tone])
    return palette
