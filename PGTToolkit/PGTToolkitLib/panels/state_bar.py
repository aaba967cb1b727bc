"""How far a case is, as a bar: what was drawn, what was reviewed, and what nobody has looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

import qt

ANNOTATED_COLOR = "#2e7d46"
REVIEWED_COLOR = "#2b6cb0"
UNREVIEWED_COLOR = "#b3541e"

_TRACK_COLOR, _TEXT_COLOR = "#e4e8ec", "#ffffff"
_LEAST_PIXELS = 16
_TEXT_PIXELS = 10
_RATIO = 2


@dataclass(frozen=True)
class BarPart:
    """So many slices in one color."""

    slices: int
    color: str


def state_bar(parts: Sequence[BarPart], width: int, height: int) -> qt.QPixmap:
    """A bar whose parts are as long as their shares, each with its number; grey where there is nothing.

    Args:
        parts: from left to right; those without slices are left out.
        width: pixels.
        height: likewise.
    """
    picture = qt.QPixmap(width * _RATIO, height * _RATIO)
    picture.setDevicePixelRatio(_RATIO)
    picture.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(picture)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    painter.fillRect(0, 0, width, height, qt.QColor(_TRACK_COLOR))
    font = painter.font()
    font.setPixelSize(_TEXT_PIXELS)
    font.setBold(True)
    painter.setFont(font)
    left = 0
    shown = [part for part in parts if part.slices]
    for part, length in zip(shown, part_lengths([part.slices for part in shown], width), strict=True):
        painter.fillRect(left, 0, length, height, qt.QColor(part.color))
        painter.setPen(qt.QColor(_TEXT_COLOR))
        painter.drawText(qt.QRectF(left, 0, length, height), qt.Qt.AlignCenter, str(part.slices))
        left += length
    painter.end()
    return picture


def part_lengths(slices: Sequence[int], width: int) -> list[int]:
    """Pixels of each part: as its share, but never too short for a number to be read; ``width`` in all."""
    if not slices:
        return []
    free = width - _LEAST_PIXELS * len(slices)
    ends = [round(free * sum(slices[: number + 1]) / sum(slices)) for number in range(len(slices))]
    starts = [0, *ends[:-1]]
    return [_LEAST_PIXELS + end - start for start, end in zip(starts, ends, strict=True)]
