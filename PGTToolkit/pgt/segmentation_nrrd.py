"""The metadata that 3D Slicer keeps in a ``.seg.nrrd`` file: names, colours, layers and terminology.

Slicer stores segments that do not overlap in one layer and spreads others over several. Entries are text,
``Segment<n>_<entry>`` for the n-th segment and ``Segmentation_<entry>`` for the whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.annotation import LEDGER_TAG
from pgt.errors import InputError
from pgt.geometry import Geometry
from pgt.volume import LabelMap, Segment, color_of_value

_EMPTY_EXTENT = "0 -1 0 -1 0 -1"
_TERMINOLOGY_TAG = "TerminologyEntry"
_ESCAPED_BAR = "\\u007c"
_REFERENCE_GEOMETRY = re.compile(r"Reference image geometry\|([^|]*)\|")


@dataclass(frozen=True)
class StoredSegment:
    """A segment of the file: what it is, and the layer that its voxels are in.

    Args:
        segment: what it is; its value is the one in the layer.
        layer: number of the layer, from 0.
        slice_states: its :class:`pgt.annotation.SliceLedger` as JSON text, empty if it has none.
    """

    segment: Segment
    layer: int
    slice_states: str = ""


def has_segments(metadata: Mapping[str, str]) -> bool:
    """Whether a NRRD file's metadata describe segments."""
    return "Segment0_ID" in metadata


def stored_segments(metadata: Mapping[str, str]) -> tuple[StoredSegment, ...]:
    """The segments of a file in their order.

    Raises:
        InputError: an entry is no number where one is needed.
    """
    segments: list[StoredSegment] = []
    while f"Segment{len(segments)}_ID" in metadata:
        prefix = f"Segment{len(segments)}_"
        entries = {key[len(prefix) :]: value for key, value in metadata.items() if key.startswith(prefix)}
        try:
            segments.append(_stored_segment(entries, number=len(segments)))
        except ValueError as error:
            raise InputError(f"segment {len(segments)} has a value that is no number") from error
    return tuple(segments)


def _stored_segment(entries: Mapping[str, str], number: int) -> StoredSegment:
    # Files from before Slicer 4.11 hold one layer for each segment and name neither layer nor value.
    value = int(entries.get("LabelValue", "1"))
    color = color_of_value(number + 1)
    if entries.get("Color"):
        red, green, blue = (float(part) for part in entries["Color"].split())
        color = (red, green, blue)
    segment = Segment(
        value=value,
        name=entries.get("Name", f"Segment_{number + 1}"),
        color=color,
        terminology=_tag(entries.get("Tags", ""), _TERMINOLOGY_TAG),
        identifier=entries["ID"],
    )
    states = _tag(entries.get("Tags", ""), LEDGER_TAG)
    return StoredSegment(segment, int(entries.get("Layer", number)), states)


def _tag(tags: str, name: str) -> str:
    """One value out of ``name:value|name:value|``."""
    for tag in tags.split("|"):
        key, _, value = tag.partition(":")
        if key == name:
            return value
    return ""


def reference_geometry(metadata: Mapping[str, str]) -> Geometry | None:
    """The image geometry that a segmentation was drawn on; None if the file does not say.

    Slicer may crop the stored voxels to the segments, so the file's own geometry can be a part of it.
    """
    match = _REFERENCE_GEOMETRY.search(metadata.get("Segmentation_ConversionParameters", ""))
    if not match:
        return None
    try:
        numbers = [float(part) for part in match[1].split(";") if part.strip()]
        extent = [int(number) for number in numbers[16:22]]
        first, last = extent[0::2], extent[1::2]
        shape = [high - low + 1 for low, high in zip(first, last, strict=True)]
        return Geometry.from_ijk_to_ras(np.array(numbers[:16]).reshape(4, 4), shape).cropped(first, shape)
    except (ValueError, InputError):
        return None


def merged_layers(
    layers: tuple[NDArray[Any], ...], segments: tuple[StoredSegment, ...]
) -> tuple[NDArray[Any], tuple[Segment, ...]]:
    """One label array out of several layers.

    Args:
        layers: label arrays [i, j, k].
        segments: the segments of the file. Where two share a label value, all are numbered anew from 1.

    Returns:
        The label array and the segments with their values in it.

    Raises:
        InputError: two segments claim the same voxel, or one names a layer that is absent or no valid value.
    """
    _check_layers(len(layers), segments)
    values = [stored.segment.value for stored in segments]
    if len(set(values)) < len(values):
        values = list(range(1, len(values) + 1))
    number_type = np.min_scalar_type(max(values, default=0))
    merged = np.zeros_like(layers[0], dtype=number_type)
    for number, layer in enumerate(layers):
        new_values = np.zeros(int(layer.max()) + 1, number_type)
        for stored, value in zip(segments, values, strict=True):
            if stored.layer == number and stored.segment.value < len(new_values):
                new_values[stored.segment.value] = value
        added = new_values[layer]
        shared = (merged != 0) & (added != 0)
        if np.any(shared):
            names = {value: stored.segment.name for stored, value in zip(segments, values, strict=True)}
            raise _overlap(names[int(added[shared][0])], names[int(merged[shared][0])])
        merged += added
    return merged, tuple(
        replace(stored.segment, value=value) for stored, value in zip(segments, values, strict=True)
    )


def separate_layers(
    layers: tuple[NDArray[Any], ...], segments: tuple[StoredSegment, ...]
) -> tuple[tuple[NDArray[Any], tuple[Segment, ...]], ...]:
    """Every layer on its own, for segments that may overlap.

    Args:
        layers: label arrays [i, j, k].
        segments: the segments of the file.

    Returns:
        For each layer the label array, 0 where no segment claims the voxel, and its segments.

    Raises:
        InputError: one names a layer that is absent or no valid value, or two share layer and value.
    """
    _check_layers(len(layers), segments)
    found = []
    for number, layer in enumerate(layers):
        own = tuple(stored.segment for stored in segments if stored.layer == number)
        claimed = np.zeros(int(layer.max()) + 1, layer.dtype)
        for segment in own:
            if segment.value < len(claimed):
                claimed[segment.value] = segment.value
        found.append((claimed[layer], own))
    return tuple(found)


def _check_layers(count: int, segments: tuple[StoredSegment, ...]) -> None:
    """Every segment has a layer and, within it, a positive value of its own."""
    owners: dict[tuple[int, int], str] = {}
    for stored in segments:
        segment = stored.segment
        if not 0 <= stored.layer < count:
            raise InputError(f"segment {segment.name!r} is in layer {stored.layer}, which is missing")
        if segment.value < 1:
            raise InputError(f"segment {segment.name!r} has label value {segment.value}")
        if (stored.layer, segment.value) in owners:
            raise _overlap(segment.name, owners[stored.layer, segment.value])
        owners[stored.layer, segment.value] = segment.name


def _overlap(upper: str, lower: str) -> InputError:
    return InputError(
        f"its segments overlap ({upper!r} with {lower!r}), "
        "which a label map cannot hold; remove the overlap in 3D Slicer first"
    )


def metadata_of(label_map: LabelMap) -> dict[str, str]:
    """The entries that make a NRRD file of a label map a segmentation for 3D Slicer."""
    return metadata_of_layers((label_map,), {})


def metadata_of_layers(layers: Sequence[LabelMap], slice_states: Mapping[str, str]) -> dict[str, str]:
    """The entries that make a NRRD file of several layers a segmentation for 3D Slicer.

    Args:
        layers: on one grid.
        slice_states: by segment identifier, as JSON text.
    """
    entries = {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
        "Segmentation_ConversionParameters": _reference_parameter(layers[0].geometry),
    }
    stored = [(layer, segment) for layer in enumerate(layers) for segment in layer[1].segments]
    for number, ((layer, label_map), segment) in enumerate(stored):
        tags = f"{_TERMINOLOGY_TAG}:{_line(segment.terminology)}|" if segment.terminology else ""
        states = slice_states.get(segment.identifier, "")
        if states:
            # Tags are separated by "|"; inside JSON text it can be written as an escape.
            tags += f"{LEDGER_TAG}:{_line(states).replace('|', _ESCAPED_BAR)}|"
        entries |= {
            f"Segment{number}_ID": _line(segment.identifier) or f"Segment_{segment.value}",
            f"Segment{number}_Name": _line(segment.name),
            f"Segment{number}_NameAutoGenerated": "0",
            f"Segment{number}_Color": " ".join(f"{part:.6g}" for part in segment.color),
            f"Segment{number}_ColorAutoGenerated": "0",
            f"Segment{number}_LabelValue": str(segment.value),
            f"Segment{number}_Layer": str(layer),
            f"Segment{number}_Extent": _extent(label_map.mask(segment.value)),
            f"Segment{number}_Tags": tags,
        }
    return entries


def _reference_parameter(geometry: Geometry) -> str:
    matrix = ";".join(repr(float(number)) for number in geometry.ijk_to_ras.ravel())
    extent = ";".join(f"0;{size - 1}" for size in geometry.shape)
    return f"Reference image geometry|{matrix};{extent};|Geometry of the annotated image.&"


def _extent(mask: NDArray[np.bool_]) -> str:
    """First and last index along i, j and k of the voxels in a mask."""
    if not mask.any():
        return _EMPTY_EXTENT
    limits = []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        limits += [int(inside[0]), int(inside[-1])]
    return " ".join(map(str, limits))


def _line(text: str) -> str:
    """Text on one line, as a NRRD entry must be."""
    return " ".join(text.split())
