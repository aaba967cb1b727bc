"""Overlay pictures: contours of a label map on its image, in anatomical orientation and true to scale in mm.

Contours of annotated slices are solid, those of propagated slices dashed, so that nobody takes a machine's
slice for a rater's. They follow the voxels and are not smoothed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from pgt.anatomical_views import PLANES, View
from pgt.annotation import AXIS_NAMES
from pgt.picture_panels import BACKGROUND, crop, draw_directions, draw_outline, whole_extent, write_on
from pgt.picture_panels import png_bytes as png_bytes
from pgt.propagation.windowing import choose_windowing
from pgt.volume import LabelMap, Volume

_ANNOTATED = "#ffd24a"
_MARGIN_MM = 30.0
_INCHES_WIDE = 13.0
_LEGEND_INCHES = 0.5


@dataclass(frozen=True, eq=False)
class Scene:
    """What the pictures show.

    Args:
        volume: the image.
        label_map: the labels, on the same grid.
        axis: the axis that was propagated along.
        annotated: the annotated slices of that axis.
        confidence: of each propagated slice, where known.
    """

    volume: Volume
    label_map: LabelMap
    axis: int
    annotated: tuple[int, ...]
    confidence: dict[int, float] = field(default_factory=dict)

    @property
    def window(self) -> tuple[float, float]:
        """Lower and upper intensity of the display."""
        return choose_windowing(self.volume.voxels).windows[0]


def picture_of_planes(scene: Scene) -> Figure:
    """Axial, coronal and sagittal slices through the middle of what is labelled."""
    views = [View.of(scene.volume.geometry, plane) for plane in PLANES]
    extents = [_extent_mm(scene, view) for view in views]
    figure = _figure([e[1] - e[0] for e in extents], max(e[3] - e[2] for e in extents))
    for axes, view, extent in zip(figure.axes, views, extents, strict=True):
        index = _fullest_slice(scene, view)
        _draw_image(axes, scene, view, index, extent)
        _draw_contours(axes, scene, view, index)
        if view.axis != scene.axis:
            _mark_annotated(axes, scene, view, extent)
        _name_plane(axes, view, index)
    _add_legend(figure, scene)
    return figure


def picture_of_slices(scene: Scene, indices: Sequence[int], columns: int = 4) -> Figure:
    """Slices along the propagated axis, annotated and propagated ones side by side."""
    view = View.across(scene.volume.geometry, scene.axis)
    extent = _extent_mm(scene, view)
    rows = math.ceil(len(indices) / columns)
    figure = _figure([extent[1] - extent[0]] * columns, extent[3] - extent[2], rows)
    for axes in figure.axes[len(indices) :]:
        axes.set_visible(False)
    for axes, index in zip(figure.axes, indices, strict=False):
        _draw_image(axes, scene, view, index, extent)
        _draw_contours(axes, scene, view, index)
        drawn = index in scene.annotated
        title_color = _ANNOTATED if drawn else "white"
        write_on(axes, (0.015, 0.02), _slice_title(scene, index), title_color, 8, "left", "bottom")
        if drawn:
            _frame(axes)
    _add_legend(figure, scene)
    return figure


def picture_of_uncertainty(scene: Scene, uncertainty: NDArray[np.float32]) -> Figure:
    """The uncertainty over the image in the three planes."""
    views = [View.of(scene.volume.geometry, plane) for plane in PLANES]
    extents = [_extent_mm(scene, view) for view in views]
    widths, heights = [e[1] - e[0] for e in extents], [e[3] - e[2] for e in extents]
    figure = _figure(widths, max(heights), right=0.93, legend=False)
    for axes, view, extent in zip(figure.axes, views, extents, strict=True):
        index = _fullest_slice(scene, view)
        _draw_image(axes, scene, view, index, extent)
        amount = view.slice(uncertainty, index)
        overlay = axes.imshow(
            np.ma.masked_less(amount, 0.05), cmap="inferno", vmin=0, vmax=1, alpha=0.85,
            extent=whole_extent(view, amount.shape), interpolation="nearest",
        )  # fmt: skip
        crop(axes, extent)
        _name_plane(axes, view, index)
    bar = figure.colorbar(overlay, cax=figure.add_axes((0.945, 0.12, 0.012, 0.76)))
    bar.set_label("uncertainty", color="white")
    bar.ax.tick_params(colors="white")
    return figure


def _figure(
    widths_mm: Sequence[float], height_mm: float, rows: int = 1, right: float = 1.0, legend: bool = True
) -> Figure:
    """Black panels of one scale; ``right`` is the share of the width that they fill."""
    panels = rows * _INCHES_WIDE * right * height_mm / sum(widths_mm)
    height = panels + (_LEGEND_INCHES if legend else 0.0)
    figure = Figure(figsize=(_INCHES_WIDE, height), facecolor=BACKGROUND)
    grid = figure.add_gridspec(rows, len(widths_mm), width_ratios=widths_mm, wspace=0.01, hspace=0.01)
    grid.update(left=0.0, right=right, top=1.0, bottom=1 - panels / height)
    for place in range(rows * len(widths_mm)):
        axes = figure.add_subplot(grid[place // len(widths_mm), place % len(widths_mm)])
        axes.set_facecolor("black")
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def _name_plane(axes: Axes, view: View, index: int) -> None:
    """The plane and its slice in the upper left corner."""
    write_on(
        axes, (0.015, 0.985), f"{view.plane}, {AXIS_NAMES[view.axis]} = {index}", "white", 10, "left", "top"
    )


def _draw_image(
    axes: Axes, scene: Scene, view: View, index: int, extent: tuple[float, float, float, float]
) -> None:
    picture = view.slice(scene.volume.voxels, index)
    low, high = scene.window
    axes.imshow(
        picture, cmap="gray", vmin=low, vmax=high, extent=whole_extent(view, picture.shape),
        interpolation="bilinear",
    )  # fmt: skip
    crop(axes, extent)
    draw_directions(axes, view, extent)


def _draw_contours(axes: Axes, scene: Scene, view: View, index: int) -> None:
    labels = view.slice(scene.label_map.voxels, index)
    dashed = view.axis == scene.axis and index not in scene.annotated
    style = "dashed" if dashed else "solid"
    for segment in scene.label_map.segments:
        inside = labels == segment.value
        draw_outline(axes, view, inside, segment.color, linewidths=1.5, linestyles=style)


def _mark_annotated(axes: Axes, scene: Scene, view: View, extent: tuple[float, float, float, float]) -> None:
    """Lines where the annotated slices cross the picture."""
    left, right, top, bottom = extent
    for index in scene.annotated:
        if view.row_axis == scene.axis:
            y = (view.row(index, scene.volume.geometry) + 0.5) * view.spacing[1]
            axes.plot([left, right], [y, y], color=_ANNOTATED, linewidth=0.9, alpha=0.75)
        else:
            x = (view.column(index, scene.volume.geometry) + 0.5) * view.spacing[0]
            axes.plot([x, x], [top, bottom], color=_ANNOTATED, linewidth=0.9, alpha=0.75)


def _add_legend(figure: Figure, scene: Scene) -> None:
    handles: list[Patch | Line2D] = [
        Patch(facecolor=segment.color, label=segment.name) for segment in scene.label_map.segments
    ]
    handles.append(Line2D([], [], color="white", linestyle="solid", label="annotated slice"))
    handles.append(Line2D([], [], color="white", linestyle="dashed", label="propagated slice"))
    handles.append(Line2D([], [], color=_ANNOTATED, label="position of annotated slices"))
    figure.legend(
        handles=handles, loc="lower center", ncols=min(len(handles), 8), fontsize=8.5, frameon=False,
        labelcolor="white",
    )  # fmt: skip


def _slice_title(scene: Scene, index: int) -> str:
    if index in scene.annotated:
        return f"{AXIS_NAMES[scene.axis]} = {index}, annotated"
    confidence = scene.confidence.get(index)
    known = "" if confidence is None else f" {confidence:.2f}"
    return f"{AXIS_NAMES[scene.axis]} = {index}, propagated{known}"


def _frame(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set_color(_ANNOTATED)
        spine.set_linewidth(1.6)


def _extent_mm(scene: Scene, view: View) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of what is labelled, with a margin, in mm of the picture."""
    used = view.turned(np.any(scene.label_map.voxels != 0, axis=view.axis))
    edges = []
    for along, spacing in ((0, view.spacing[0]), (1, view.spacing[1])):
        places = np.flatnonzero(used.any(axis=along)) if used.any() else np.arange(used.shape[1 - along])
        end = used.shape[1 - along] * spacing
        edges += [
            max(places[0] * spacing - _MARGIN_MM, 0.0),
            min((places[-1] + 1) * spacing + _MARGIN_MM, end),
        ]
    return (edges[0], edges[1], edges[2], edges[3])


def _fullest_slice(scene: Scene, view: View) -> int:
    """The slice with most segments, and of those the one with the largest area; no annotated one."""
    others = tuple(axis for axis in (0, 1, 2) if axis != view.axis)
    areas = np.array([scene.label_map.mask(value).sum(axis=others) for value in scene.label_map.values])
    score = (areas > 0).sum(axis=0) + 0.9 * areas.sum(axis=0) / max(areas.sum(axis=0).max(), 1)
    if view.axis == scene.axis and len(scene.annotated) < len(score):
        score[list(scene.annotated)] = -1
    return int(np.argmax(score))
