"""Readings from files: label maps in NIfTI, NRRD and MetaImage, and Slicer's ``.seg.nrrd``.

Segments may overlap. Where PGT Toolkit keeps slice states in a file, only the slices that a rater drew or
confirmed empty count; what a machine filled does not, even where a rater accepted it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pgt.agreement.label_matching import match_labels
from pgt.agreement.masks import CroppedMask
from pgt.agreement.reading_assembly import assemble
from pgt.agreement.reading_table import ReadingFile
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.agreement.structures import RatedSegmentation, Segmentation, Structure
from pgt.annotation import SliceLedger, SliceState
from pgt.errors import InputError
from pgt.volume import LabelMap, Segment
from pgt.volume_io import LayeredSegmentation, read_layers

# Above this, finding every label's box in one pass would need a table of as many lines.
_LARGEST_TABLE = 1 << 16

# A slice or two may be the first of more to come; three in a row without a gap are no sparse annotation.
_WHOLE_STRUCTURE = 3


def read_segmentation(path: Path, axis: int | None = None, label: str = "") -> Segmentation:
    """All structures of a file.

    Args:
        path: a label map or a ``.seg.nrrd``.
        axis: count annotated slices along this axis, 0 to 2; None for the one along which most are.
        label: what to call the file's only structure.

    Raises:
        InputError: the file cannot be read, or ``label`` is given and it holds several structures.
    """
    stored = read_layers(path)
    structures = tuple(structure for layer in stored.layers for structure in _structures(layer, stored, axis))
    segmentation = Segmentation(
        path.name, stored.layers[0].geometry, _with_own_values(structures), complete=_is_complete(stored)
    )
    return _with_single_label(segmentation, label, path) if label else segmentation


def read_reading(path: Path, case: str, sitting: Sitting, axis: int | None = None) -> Reading:
    """One file as a reading of its own, its labels under the names (or values) that it gives them.

    Raises:
        InputError: as :func:`read_segmentation`, or two segments go by the same name.
    """
    return read_readings([ReadingFile(case, sitting, path)], axis=axis, alone=True)[0]


def read_readings(
    files: Sequence[ReadingFile],
    reference: str | None = None,
    axis: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    alone: bool = False,
) -> tuple[Reading, ...]:
    """The readings of several files, labels matched and every case on one grid.

    Args:
        files: the files. Several of one sitting and case, each with a label, make one reading.
        reference: the rater on whose grid each case is compared; else that of its first file.
        axis: count annotated slices along this axis.
        progress: called with the number of files read and of all.
        alone: nothing will be compared; labels need not be shared.

    Raises:
        InputError: a file cannot be read, names clash, no label is shared, or grids cannot be matched.
    """
    rated = rate_files(files, axis, progress)
    labels = match_labels([one.segmentation for one in rated])
    return assemble(rated, labels, reference, alone)


def rate_files(
    files: Sequence[ReadingFile],
    axis: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[RatedSegmentation, ...]:
    """The segmentations of several files, each on its own grid and with its own labels.

    Args:
        files: the files. Several of one sitting and case, each with a label, make one segmentation.
        axis: count annotated slices along this axis.
        progress: called with the number of files read and of all.

    Raises:
        InputError: a file cannot be read, or two of one sitting lie on different grids.
    """
    rated: dict[tuple[str, Sitting], RatedSegmentation] = {}
    for number, file in enumerate(files):
        if progress:
            progress(number, len(files))
        found = read_segmentation(file.path, axis, file.label)
        key = (file.case, file.sitting)
        if key in rated:
            found = _joined(rated[key].segmentation, found, file)
        rated[key] = RatedSegmentation(file.case, file.sitting, found)
    if progress:
        progress(len(files), len(files))
    return tuple(rated.values())


def _is_complete(stored: LayeredSegmentation) -> bool:
    """Whether a value that is not there was looked for: nobody chose the segments of a plain label map.

    A label map that was only converted to NRRD lists its values as segments named after them.
    """
    segments = [segment for layer in stored.layers for segment in layer.segments]
    return all(segment.name == Segment.numbered(segment.value).name for segment in segments)


def _structures(layer: LabelMap, stored: LayeredSegmentation, axis: int | None) -> list[Structure]:
    boxes = _boxes(layer.voxels)
    found = []
    for segment in layer.segments:
        ledger = stored.slice_states.get(segment.identifier)
        mask = _mask(layer.voxels, segment.value, boxes)
        found.append(
            Structure(
                key=segment.identifier if stored.named else str(segment.value),
                name=segment.name if stored.named else "",
                value=segment.value,
                terminology=segment.terminology,
                mask=mask,
                drawn=None if ledger is None else drawn_slices(ledger, mask, axis),
                color=segment.color if stored.named else None,
            )
        )
    return found


def drawn_slices(ledger: SliceLedger, mask: CroppedMask, axis: int | None = None) -> DrawnSlices | None:
    """The slices of one segment that a rater drew or confirmed empty.

    Args:
        ledger: slice states of the segment.
        mask: its voxels.
        axis: the axis wanted; None for the one along which most slices are annotated (k before j before i).

    Returns:
        None where the rater drew all there is: there are no slice states, or no machine filled a slice and
        the annotated ones follow each other without a gap through the whole structure.
    """
    if not len(ledger):
        return None
    by_axis = [
        {index for segment in ledger.segments for index in ledger.annotated(segment, one)}
        for one in (0, 1, 2)
    ]
    if axis is None:
        axis = max((0, 1, 2), key=lambda one: (len(by_axis[one]), one))
    indices = by_axis[axis]
    by_hand = all(record.state is SliceState.ANNOTATED for record in ledger)
    extent = mask.box[axis]
    if by_hand and len(indices) >= _WHOLE_STRUCTURE and indices == set(range(extent.start, extent.stop)):
        return None
    return DrawnSlices(axis, tuple(sorted(indices)))


def _boxes(voxels: NDArray[np.unsignedinteger]) -> list[tuple[slice, ...] | None] | None:
    """The box of every value in one pass over the array; None where values are too large for that."""
    if voxels.size == 0 or int(voxels.max()) > _LARGEST_TABLE:
        return None
    # Files are read with i fastest; scipy walks along the last axis.
    boxes = scipy.ndimage.find_objects(voxels.T)
    return [None if box is None else tuple(reversed(box)) for box in boxes]


def _mask(
    voxels: NDArray[np.unsignedinteger], value: int, boxes: list[tuple[slice, ...] | None] | None
) -> CroppedMask:
    if boxes is None:
        return CroppedMask.of(voxels == value)
    shape = (int(voxels.shape[0]), int(voxels.shape[1]), int(voxels.shape[2]))
    box = boxes[value - 1] if value <= len(boxes) else None
    if box is None:
        return CroppedMask.empty(shape)
    i, j, k = (int(part.start) for part in box)
    return CroppedMask(np.ascontiguousarray(voxels[box] == value), (i, j, k), shape)


def _with_own_values(structures: tuple[Structure, ...]) -> tuple[Structure, ...]:
    """A value that two layers use belongs to no structure."""
    counts = Counter(structure.value for structure in structures)
    return tuple(replace(one, value=None) if counts[one.value] > 1 else one for one in structures)


def _with_single_label(segmentation: Segmentation, label: str, path: Path) -> Segmentation:
    """The file's only structure under the name it was given; no voxel at all says that it is absent."""
    count = len(segmentation.structures)
    if count > 1:
        raise InputError(f"{path} was given as the structure {label!r} alone, but holds {count} structures.")
    if count:
        only = replace(segmentation.structures[0], key=label, name=label)
    else:
        empty = CroppedMask.empty(segmentation.geometry.shape)
        only = Structure(label, label, None, "", empty)
    return replace(segmentation, structures=(only,), complete=False)


def _joined(first: Segmentation, second: Segmentation, file: ReadingFile) -> Segmentation:
    """The structures of two files of one sitting."""
    difference = first.geometry.difference(second.geometry)
    if difference:
        raise InputError(
            f"{file.path} does not lie on the grid of {first.title}, drawn by the same rater in the same "
            f"session ({difference})."
        )
    return replace(
        first, title=f"{first.title} + {second.title}", structures=first.structures + second.structures
    )
