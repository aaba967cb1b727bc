"""Real raters as readings: the data sets of ``$PGT_DATA`` in which more than one person drew the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pgt.agreement.masks import CroppedMask
from pgt.agreement.readings import Reading, Sitting
from pgt.geometry import Geometry

COPIED = ("0522c0014", "0522c0457")
"""Cases of ``headneck_two_readers`` that hold structures copied from one reader to the other."""

TRACTS = {"csl": "left corticospinal", "csr": "right corticospinal", "dc": "dorsal columns"}
NODULES = 100


def head_neck(folder: Path, cases: int | None = None) -> Iterator[tuple[Reading, ...]]:
    """Case after case (copied ones left out) two readers of 21 organs; each file holds them as bits."""
    from pgt.volume_io import read_volume

    home = folder / "headneck_two_readers"
    organs = json.loads((home / "index.json").read_text())["bits"]
    names = sorted({path.name.split("_")[0] for path in home.glob("*_oncologist.nii.gz")} - set(COPIED))
    for case in names[:cases]:
        readings = []
        for reader in ("oncologist", "radiographer"):
            volume = read_volume(home / f"{case}_{reader}.nii.gz")
            bits = volume.voxels.astype(np.uint32)
            masks = {organ: CroppedMask.of((bits >> n & 1).astype(bool)) for n, organ in enumerate(organs)}
            readings.append(Reading(case, Sitting(reader), volume.geometry, masks))
        yield tuple(readings)


def spinal_tracts(folder: Path) -> tuple[Reading, ...]:
    """Five raters of three tracts in one case, four of them twice."""
    from pgt.volume_io import read_volume

    readings = []
    for home in sorted((folder / "spinal_tracts_repeat_raters").glob("rater*")):
        for session, suffix in (("1", ""), ("2", "_2")):
            masks, geometry = {}, None
            for key, tract in TRACTS.items():
                path = home / f"manual_{key}{suffix}.nii.gz"
                if path.exists():
                    volume = read_volume(path)
                    geometry, masks[tract] = volume.geometry, CroppedMask.of(volume.voxels > 0)
            if geometry is not None:
                readings.append(Reading("spinal cord", Sitting(home.name, session), geometry, masks))
    return tuple(readings)


def nodules(folder: Path, cases: int = NODULES) -> Iterator[tuple[Reading, ...]]:
    """Nodule after nodule four radiologists, in an order that means nothing.

    The distance of voxels within a slice is not known. It stands here as 1 mm: only numbers without a unit
    (shares of volumes) may be read off these readings.
    """
    home = folder / "lidc_four_readers"
    for path in sorted(home.glob("nodule_*.npz"))[:cases]:
        stored = np.load(path)
        masks = stored["masks"].transpose(0, 3, 2, 1)
        thickness = float(stored["z_mm"][1] - stored["z_mm"][0])
        geometry = Geometry(masks.shape[1:], (1.0, 1.0, abs(thickness)))
        yield tuple(
            Reading(path.stem, Sitting(f"reader {n}"), geometry, {"nodule": CroppedMask.of(mask)})
            for n, mask in enumerate(masks, start=1)
        )
