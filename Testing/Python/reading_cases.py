"""Segmentations of several raters as files, for tests of what reads and compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from pgt.annotation import LEDGER_TAG, SliceLedger, SliceRecord, SliceState
from pgt.geometry import Geometry
from pgt.itk_images import image_of
from pgt.volume import LabelMap, Segment
from pgt.volume_io import write_label_map

GRID = Geometry((20, 18, 16), (1.0, 1.0, 2.0), (-12.0, 7.0, 40.0))

Corner = tuple[int, int, int]


def box(first: Corner, last: Corner, geometry: Geometry = GRID) -> np.ndarray:
    """A boolean array [i, j, k], true from ``first`` up to and without ``last``."""
    mask = np.zeros(geometry.shape, bool)
    mask[tuple(slice(low, high) for low, high in zip(first, last, strict=True))] = True
    return mask


def write_labels(path: Path, masks: Mapping[int, np.ndarray], geometry: Geometry = GRID) -> Path:
    """A label map without names."""
    voxels = np.zeros(geometry.shape, np.uint8)
    for value, mask in masks.items():
        voxels[mask] = value
    write_label_map(LabelMap.from_voxels(voxels, geometry), path, overwrite=True)
    return path


def write_named(
    path: Path, segments: Sequence[Segment], masks: Sequence[np.ndarray], geometry: Geometry = GRID
) -> Path:
    """A .seg.nrrd with names; the masks must not overlap."""
    voxels = np.zeros(geometry.shape, np.uint8)
    for segment, mask in zip(segments, masks, strict=True):
        voxels[mask] = segment.value
    write_label_map(LabelMap(voxels, geometry, tuple(segments)), path)
    return path


def named(*names: str) -> list[Segment]:
    """Segments numbered from 1."""
    return [Segment(value, name, (1.0, 0.0, 0.0), "", f"S{value}") for value, name in enumerate(names, 1)]


def write_layers(
    path: Path,
    masks: Mapping[str, np.ndarray],
    geometry: Geometry = GRID,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """A .seg.nrrd as Slicer writes it: a layer for each segment, so that they may overlap, and their tags."""
    layers = [image_of(mask.astype(np.uint8), geometry) for mask in masks.values()]
    image = sitk.Compose(layers) if len(layers) > 1 else layers[0]
    for number, name in enumerate(masks):
        entries = {
            "ID": f"S{number}",
            "Name": name,
            "LabelValue": "1",
            "Layer": str(number),
            "Tags": (tags or {}).get(name, ""),
        }
        for entry, value in entries.items():
            image.SetMetaData(f"Segment{number}_{entry}", value)
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


def ledger_tag(segment: str, states: Mapping[int, SliceState], axis: int = 2) -> str:
    """The tag that PGT Toolkit leaves in a segment: slice states by index."""
    ledger = SliceLedger(
        SliceRecord(segment, axis, index, state, "ann", "1") for index, state in states.items()
    )
    escaped = ledger.to_json().replace("|", "\\u007c")
    return f"Segmentation.Status:inprogress|{LEDGER_TAG}:{escaped}|"
