"""Results of peers on disk, so that a new model is compared with them in a minute.

A result is found by what went into it: method and its version, drawing, axis, spacing, and the image where
the method reads it. Nothing has to be cleared by hand.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .methods import Method
from .real_data import LoadedCase
from .simulated_rater import Drawing

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "bench" / "cache"


@dataclass(frozen=True)
class CachedResult:
    """What a method made of a drawing, and in how many seconds."""

    mask: NDArray[np.bool_]
    seconds: float


class ResultCache:
    """A folder of results, one small file each."""

    def __init__(self, folder: Path = DEFAULT_FOLDER) -> None:
        self.folder = folder

    def get(self, method: Method, loaded: LoadedCase, drawing: Drawing) -> CachedResult | None:
        """The result kept for these inputs, or None."""
        path = self._path(method, loaded, drawing)
        if not path.exists():
            return None
        with np.load(path) as stored:
            bits = np.unpackbits(stored["bits"], count=drawing.mask.size)
            return CachedResult(bits.astype(bool).reshape(drawing.mask.shape), float(stored["seconds"]))

    def put(self, method: Method, loaded: LoadedCase, drawing: Drawing, result: CachedResult) -> None:
        path = self._path(method, loaded, drawing)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.npz")
        np.savez_compressed(unfinished, bits=np.packbits(result.mask), seconds=result.seconds)
        unfinished.replace(path)

    def _path(self, method: Method, loaded: LoadedCase, drawing: Drawing) -> Path:
        described = (method.name, method.version, loaded.case.axis, drawing.annotated, loaded.spacing)
        digest = hashlib.sha256(repr(described).encode())
        _add_array(digest, np.packbits(drawing.mask))
        if method.reads_image:
            _add_array(digest, loaded.voxels)
        return self.folder / method.name / f"{digest.hexdigest()[:32]}.npz"


def _add_array(digest: Any, array: NDArray[Any]) -> None:
    digest.update(f"{array.dtype}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).view(np.uint8).data)
