"""Where the readings of a job come from: segmentations that the host hands over, or a case list.

In a job folder the masks of segmentations that were handed over lie in ``readings.npz``, cropped, one bit a
voxel; everything else is JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.agreement.structures import RatedSegmentation, Segmentation, Structure
from pgt.geometry import Geometry
from pgt.job_files import as_tuples, geometry_from, load_arrays, save_arrays

_ARRAYS_FILE = "readings.npz"

Counted = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class ReadingSource:
    """What is compared.

    Args:
        rated: segmentations, each on a grid of its own; empty where a case list is given.
        table: a case list (:mod:`pgt.agreement.reading_table`).
        case: only this case; empty for all.
        renamed: the user's corrections to the labels (:mod:`pgt.agreement.label_renaming`).
        reference: the rater on whose grid each case is compared, and whom models are compared with; for a
            case list the one that it names. Without one, the grid of a case's first segmentation counts.
        candidates: raters that are models; for a case list those that it names.
        images: the image of each case that has one; a case list names its own.
    """

    rated: tuple[RatedSegmentation, ...] = ()
    table: Path | None = None
    case: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    reference: str | None = None
    candidates: tuple[str, ...] = ()
    images: Mapping[str, Path] = field(default_factory=dict)

    def opened(self, counted: Counted | None = None) -> ReadingSource:
        """The same with its segmentations read, and roles and images known, where it names a case list.

        Args:
            counted: called with the number of files read and of all.

        Raises:
            InputError: the list or one of its files cannot be read.
        """
        if self.table is None:
            return replace(self, rated=tuple(one for one in self.rated if self.case in ("", one.case)))
        from pgt.agreement.reading_files import rate_files
        from pgt.agreement.reading_table import read_reading_table

        table = read_reading_table(self.table)
        files = [file for file in table.files if self.case in ("", file.case)]
        return replace(
            self,
            rated=rate_files(files, progress=counted),
            table=None,
            reference=table.reference,
            candidates=table.candidates,
            images=table.images or {},
        )

    def readings(self, alone: bool = False) -> tuple[Reading, ...]:
        """The readings: labels matched and mended, every case on one grid. The source must be open.

        Args:
            alone: nothing will be compared; labels need not be shared.

        Raises:
            InputError: labels or grids cannot be matched.
        """
        from pgt.agreement.label_renaming import matched
        from pgt.agreement.reading_assembly import assemble

        labels = matched([one.segmentation for one in self.rated], self.renamed)
        return assemble(self.rated, labels, self.reference, alone)


def save_source(folder: Path, source: ReadingSource) -> dict[str, Any]:
    """Write the masks into a job folder, and answer with what belongs into ``job.json``."""
    arrays: dict[str, NDArray[np.uint8]] = {}
    rated = [_described(one, arrays) for one in source.rated]
    save_arrays(folder / _ARRAYS_FILE, arrays)
    return {
        "rated": rated,
        "table": None if source.table is None else str(source.table),
        "case": source.case,
        "renamed": dict(source.renamed),
        "reference": source.reference,
        "candidates": list(source.candidates),
        "images": {case: str(path) for case, path in source.images.items()},
    }


def load_source(folder: Path, content: Mapping[str, Any]) -> ReadingSource:
    """Read what :func:`save_source` wrote.

    Raises:
        InputError: the arrays cannot be read.
        KeyError, TypeError, ValueError: the content is of another kind.
    """
    arrays = load_arrays(folder / _ARRAYS_FILE)
    table = content["table"]
    return ReadingSource(
        rated=tuple(_rated(one, arrays) for one in content["rated"]),
        table=None if table is None else Path(table),
        case=content["case"],
        renamed=content["renamed"],
        reference=content["reference"],
        candidates=tuple(content["candidates"]),
        images={case: Path(path) for case, path in content["images"].items()},
    )


def save_masks(
    masks: Mapping[str, CroppedMask], arrays: dict[str, NDArray[Any]], prefix: str
) -> dict[str, Any]:
    """Put masks into the arrays of a file, one bit a voxel, and answer with how to find them again."""
    described = {}
    for number, (name, mask) in enumerate(masks.items()):
        array = f"{prefix}{number}"
        arrays[array] = np.packbits(mask.voxels)
        described[name] = {"array": array, "size": list(mask.voxels.shape), "start": list(mask.start)}
    return described


def load_masks(
    described: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], geometry: Geometry
) -> dict[str, CroppedMask]:
    """Read what :func:`save_masks` wrote."""
    masks = {}
    for name, place in described.items():
        size = tuple(place["size"])
        bits = np.unpackbits(arrays[place["array"]], count=int(np.prod(size)))
        masks[name] = CroppedMask(bits.astype(bool).reshape(size), as_tuples(place["start"]), geometry.shape)
    return masks


def _described(rated: RatedSegmentation, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    segmentation = rated.segmentation
    keys = {structure.key: structure.mask for structure in segmentation.structures}
    return {
        "case": rated.case,
        "sitting": asdict(rated.sitting),
        "title": segmentation.title,
        "geometry": asdict(segmentation.geometry),
        "complete": segmentation.complete,
        "note": segmentation.note,
        "masks": save_masks(keys, arrays, f"mask{len(arrays)}_"),
        "structures": [
            {
                "key": one.key,
                "name": one.name,
                "value": one.value,
                "terminology": one.terminology,
                "drawn": None if one.drawn is None else asdict(one.drawn),
            }
            for one in segmentation.structures
        ],
    }


def _rated(content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> RatedSegmentation:
    geometry = geometry_from(content["geometry"])
    masks = load_masks(content["masks"], arrays, geometry)
    structures = tuple(
        Structure(
            one["key"], one["name"], one["value"], one["terminology"], masks[one["key"]], _drawn(one["drawn"])
        )
        for one in content["structures"]
    )
    segmentation = Segmentation(content["title"], geometry, structures, content["complete"], content["note"])
    return RatedSegmentation(content["case"], Sitting(**content["sitting"]), segmentation)


def _drawn(content: Mapping[str, Any] | None) -> DrawnSlices | None:
    return None if content is None else DrawnSlices(content["axis"], tuple(content["indices"]))
