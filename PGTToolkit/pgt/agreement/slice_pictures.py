"""The slices most in dispute as pictures: every rater's outline, over the image or over the raters' votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pgt.agreement.masks import Box, Mask
from pgt.agreement.readings import FIRST_SESSION, Reading, Sitting
from pgt.agreement.results import WorstSlice
from pgt.anatomical_views import View
from pgt.annotation import AXIS_NAMES
from pgt.page_style import Picture
from pgt.picture_panels import (
    BACKGROUND,
    crop,
    draw_directions,
    draw_outline,
    small_png,
    square_around,
    whole_extent,
    write_on,
)
from pgt.propagation.windowing import choose_windowing
from pgt.volume import Volume

PICTURES = 12
"""As many pictures as a page carries with ease."""

# Okabe and Ito's colours, told apart by most colour-blind readers; brightened where they vanish on black.
COLORS = ("#56b4e9", "#ffb000", "#f0f0f0", "#00c896", "#ff6f3c", "#e58fc0", "#f0e442", "#5c8dff")
# Told apart without colour too, when a page is printed in black and white.
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))

_PANEL_INCHES = 3.9
_LEGEND_INCHES_A_ROW = 0.22
_DOTS_PER_INCH = 125
_RIM = 1.3
_BRIGHTEST_VOTE = 1.7


@dataclass(frozen=True)
class SlicePicture(Picture):
    """A picture of a slice in dispute.

    Args:
        png: the picture as a PNG file.
        caption: case, structure, slice and what to see.
        worst: the slice.
    """

    worst: WorstSlice


@dataclass(frozen=True, eq=False)
class _Outline:
    """What one sitting drew of the structure on the slice, as picture [row, column]."""

    sitting: Sitting
    inside: Mask
    color: str
    dashes: Any
    width: float
    remark: str

    @property
    def legend(self) -> str:
        """Who it is, and what to mind."""
        return f"{self.sitting}: {self.remark}" if self.remark else str(self.sitting)


def slice_pictures(
    readings: Sequence[Reading],
    worst_slices: Sequence[WorstSlice],
    images: Mapping[str, Volume] | None = None,
    count: int = PICTURES,
) -> tuple[SlicePicture, ...]:
    """Pictures of the first ``count`` slices, in their order.

    Args:
        readings: all readings of the study; those of one case lie on one grid.
        worst_slices: the slices; one of a case or label that nobody read is left out.
        images: the image by case, on the grid of the case's readings. A case without, or with an image on
            another grid, is shown over the share of raters who marked each voxel.
        count: the most pictures made.
    """
    raters = list(dict.fromkeys(reading.sitting.rater for reading in readings))
    pictures = []
    windows: dict[str, tuple[float, float]] = {}
    for worst in worst_slices[:count]:
        mine = [r for r in readings if r.case == worst.case and worst.label in r.masks]
        if not mine:
            continue
        image = (images or {}).get(worst.case)
        if image is not None and image.geometry.difference(mine[0].geometry) is not None:
            image = None
        if image is not None and worst.case not in windows:
            windows[worst.case] = choose_windowing(image.voxels).windows[0]
        view = View.across(mine[0].geometry, worst.axis)
        outlines = [_outline(reading, worst, view, raters) for reading in mine]
        figure = _draw(view, outlines, worst, image, windows.get(worst.case, (0.0, 1.0)))
        pictures.append(
            SlicePicture(
                small_png(figure, COLORS, _DOTS_PER_INCH), _caption(worst, view, outlines, image), worst
            )
        )
    return tuple(pictures)


def _outline(reading: Reading, worst: WorstSlice, view: View, raters: Sequence[str]) -> _Outline:
    box: Box = tuple(  # type: ignore[assignment]
        slice(worst.index, worst.index + 1) if axis == worst.axis else slice(0, size)
        for axis, size in enumerate(reading.geometry.shape)
    )
    inside = view.turned(reading.masks[worst.label].within(box).squeeze(axis=worst.axis))
    drawn = reading.drawn.get(worst.label)
    remark = "" if inside.any() else "nothing here"
    if drawn is not None and (drawn.axis != worst.axis or worst.index not in drawn.indices):
        remark = "not drawn here, filled by a machine"
    place = raters.index(reading.sitting.rater)
    return _Outline(
        sitting=reading.sitting,
        inside=inside,
        color=COLORS[place % len(COLORS)],
        dashes=_DASHES[place % len(_DASHES)],
        width=1.7 if reading.sitting.session == FIRST_SESSION else 0.9,
        remark=remark,
    )


def _draw(
    view: View,
    outlines: Sequence[_Outline],
    worst: WorstSlice,
    image: Volume | None,
    window: tuple[float, float],
) -> Figure:
    columns = 2 if len(outlines) > 1 else 1
    legend = 0.12 + _LEGEND_INCHES_A_ROW * -(-len(outlines) // columns)
    height = _PANEL_INCHES + legend
    figure = Figure(figsize=(_PANEL_INCHES, height), facecolor=BACKGROUND)
    axes = figure.add_axes((0.0, legend / height, 1.0, _PANEL_INCHES / height), facecolor="black")
    axes.set_xticks([])
    axes.set_yticks([])
    _draw_background(axes, view, outlines, worst, image, window)
    for outline in outlines:
        draw_outline(
            axes,
            view,
            outline.inside,
            outline.color,
            _RIM,
            linewidths=outline.width,
            linestyles=[outline.dashes],
        )
    extent = square_around(view, np.any([outline.inside for outline in outlines], axis=0))
    crop(axes, extent)
    draw_directions(axes, view, extent)
    write_on(
        axes,
        (0.02, 0.98),
        f"{view.plane}, {AXIS_NAMES[view.axis]} = {worst.index}",
        "white",
        9,
        "left",
        "top",
    )
    handles = [
        Line2D([], [], color=o.color, linestyle=o.dashes, linewidth=o.width, label=_shortened(o.legend))
        for o in outlines
    ]
    names = figure.legend(
        handles=handles, loc="lower left", ncols=columns, fontsize=7.5, frameon=False, labelcolor="white",
        handlelength=2.6, columnspacing=1.0, borderaxespad=0.3,
    )  # fmt: skip
    for text in names.get_texts():
        text.set_parse_math(False)
    return figure


def _draw_background(
    axes: Axes,
    view: View,
    outlines: Sequence[_Outline],
    worst: WorstSlice,
    image: Volume | None,
    window: tuple[float, float],
) -> None:
    """The image in its window, or the share of raters who marked each voxel, from black to grey."""
    if image is not None:
        picture = view.slice(image.voxels, worst.index).astype(np.float32)
        (low, high), smoothing = window, "bilinear"
    else:
        picture = np.mean([outline.inside for outline in outlines], axis=0, dtype=np.float32)
        low, high, smoothing = 0.0, _BRIGHTEST_VOTE, "nearest"
    axes.imshow(
        picture, cmap="gray", vmin=low, vmax=high, extent=whole_extent(view, picture.shape),
        interpolation=smoothing,
    )  # fmt: skip


def _caption(worst: WorstSlice, view: View, outlines: Sequence[_Outline], image: Volume | None) -> str:
    area = f"{worst.disagreeing_mm2:,.0f}" if worst.disagreeing_mm2 >= 10 else f"{worst.disagreeing_mm2:.1f}"
    found = (
        f"{worst.case}, {worst.label}: {view.plane} slice {AXIS_NAMES[worst.axis]} = {worst.index}, "
        f"{area} mm² on which not all agree."
    )
    apart = [outline.legend for outline in outlines if outline.remark]
    if apart:
        found += f" {'; '.join(apart)}."
    return found if image is not None else found + " Grey: the share of raters who marked the voxel."


def _shortened(name: str, letters: int = 34) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"
