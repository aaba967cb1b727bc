"""Colors of the cases by a column of their table: categories, or a scale where there are many numbers."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from slicer.i18n import tr as _

from PGTToolkitLib.panels.style_colors import CATEGORIES, color_of_group

_SCALE = ("#0d0887", "#7e03a8", "#cc4778", "#f89540", "#f0d021")
"""From low to high: plasma, whose yellow is darkened so that it shows on white."""

_NUMBERS_FROM = 9
"""So many different numbers are a scale; fewer are categories."""


@dataclass(frozen=True)
class CaseColoring:
    """The color of each case, and what the colors mean.

    Args:
        colors: by case.
        legend: color and words, in order.
    """

    colors: Mapping[str, str]
    legend: tuple[tuple[str, str], ...]


def colored_by(values: Mapping[str, str]) -> CaseColoring:
    """Colors by what stands in a column.

    Args:
        values: the entry of each case; empty where there is none.
    """
    numbers = {case: number for case, text in values.items() if (number := _number(text)) is not None}
    given = [text for text in values.values() if text]
    if len(numbers) == len(given) and len(set(numbers.values())) >= _NUMBERS_FROM:
        return _by_number(values, numbers)
    counts = Counter(values.values())
    present = sorted((text for text in counts if text), key=lambda text: (-counts[text], text))
    groups = {text: number if number < CATEGORIES else None for number, text in enumerate(present)}
    colors = {case: color_of_group(groups.get(text)) for case, text in values.items()}
    legend = [(color_of_group(groups[text]), f"{text} ({counts[text]})") for text in present[:CATEGORIES]]
    rest = sum(counts[text] for text in present[CATEGORIES:])
    if rest:
        legend.append((color_of_group(None), _("others ({count})").format(count=rest)))
    if counts[""]:
        legend.append((color_of_group(None), _("not given ({count})").format(count=counts[""])))
    return CaseColoring(colors, tuple(legend))


def _by_number(values: Mapping[str, str], numbers: Mapping[str, float]) -> CaseColoring:
    low, high = min(numbers.values()), max(numbers.values())
    colors = {
        case: _on_scale((numbers[case] - low) / (high - low)) if case in numbers else color_of_group(None)
        for case in values
    }
    legend = [
        (_SCALE[0], f"{low:.4g}"),
        (_on_scale(0.5), f"{(low + high) / 2:.4g}"),
        (_SCALE[-1], f"{high:.4g}"),
    ]
    missing = len(values) - len(numbers)
    if missing:
        legend.append((color_of_group(None), _("not given ({count})").format(count=missing)))
    return CaseColoring(colors, tuple(legend))


def _on_scale(share: float) -> str:
    """A color between those of the scale, for a share from 0 to 1."""
    place = share * (len(_SCALE) - 1)
    first = min(int(place), len(_SCALE) - 2)
    parts = [
        round(low + (high - low) * (place - first))
        for low, high in zip(_parts(_SCALE[first]), _parts(_SCALE[first + 1]), strict=True)
    ]
    return "#" + "".join(f"{part:02x}" for part in parts)


def _parts(color: str) -> tuple[int, ...]:
    return tuple(int(color[first : first + 2], 16) for first in (1, 3, 5))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
