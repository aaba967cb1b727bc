"""Colors of the styles, the same on the map, in tables and as outlines (Okabe and Ito's, and a few more)."""

_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#7f9c2f")
_ALONE = "#8a949e"

CATEGORIES = len(_COLORS)
"""So many groups have a color of their own."""


def color_of_group(number: int | None) -> str:
    """Of a group of cases; grey for what belongs to none."""
    return _ALONE if number is None else _COLORS[number % len(_COLORS)]


def distinct_colors(count: int) -> list[tuple[float, float, float]]:
    """Red, green and blue from 0 to 1 for so many styles."""
    return [_parts(_COLORS[number % len(_COLORS)]) for number in range(count)]


def parts_of_group(number: int | None) -> tuple[float, float, float]:
    """As `color_of_group`, as red, green and blue from 0 to 1."""
    return _parts(color_of_group(number))


def _parts(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[first : first + 2], 16) / 255 for first in (1, 3, 5))
    return (red, green, blue)
