"""What a segment is, in the codes of DICOM, out of the terminology that 3D Slicer keeps with it."""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST_SCHEME = 16
_LONGEST_MEANING = 64
_LONGEST_VALUE = 64
_ENTRY_PARTS = 7


@dataclass(frozen=True)
class Coding:
    """One code: coding scheme designator, code value and code meaning."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class SegmentCodes:
    """The codes of a segment.

    Args:
        category: Segmented Property Category.
        type: Segmented Property Type.
        modifier: of the type, such as left and right; None without one.
        region: Anatomic Region, None without one.
        region_modifier: of the region, None without one.
        given: whether they come from the segment; otherwise they are the default ones.
    """

    category: Coding
    type: Coding
    modifier: Coding | None = None
    region: Coding | None = None
    region_modifier: Coding | None = None
    given: bool = True


DEFAULT_CODES = SegmentCodes(
    Coding("SCT", "123037004", "Anatomical Structure"),
    Coding("SCT", "85756007", "Tissue"),
    given=False,
)
"""Of a segment without terminology: something of the body, no more is known."""


def segment_codes(entry: str) -> SegmentCodes:
    """The codes of a terminology entry.

    Args:
        entry: Slicer's serialised entry: context, category, type, modifier, region context, region and
            region modifier, separated by ``~``, each code as scheme, value and meaning separated by ``^``.

    Returns:
        Its codes, or the default ones where category or type are missing or cannot be DICOM codes.
    """
    parts = entry.split("~")
    if len(parts) != _ENTRY_PARTS:
        return DEFAULT_CODES
    category, kind = _coding(parts[1]), _coding(parts[2])
    if category is None or kind is None:
        return DEFAULT_CODES
    region = _coding(parts[5])
    return SegmentCodes(category, kind, _coding(parts[3]), region, _coding(parts[6]) if region else None)


def _coding(text: str) -> Coding | None:
    parts = [part.strip() for part in text.split("^")]
    if len(parts) != 3 or not all(parts):
        return None
    scheme, value, meaning = parts
    fits = len(scheme) <= _LONGEST_SCHEME and len(value) <= _LONGEST_VALUE and "\\" not in text
    return Coding(scheme, value, meaning[:_LONGEST_MEANING]) if fits else None
