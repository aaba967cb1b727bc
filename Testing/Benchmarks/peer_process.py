"""Runs a peer on a case in a child process, which leaves its results in the cache.

The libraries of ITK and of VTK do not go together in one process, and the contour interpolation may abort it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence

import numpy as np

from .methods import Method, find_method
from .real_data import Case, LoadedCase
from .result_cache import CachedResult, ResultCache
from .simulated_rater import Drawing, Plan, draw


def run_peer(case: Case, method: Method, plans: Sequence[Plan]) -> None:
    """Put a peer's results for every structure of a case, drawn in every way planned, into the cache."""
    subprocess.run(
        [sys.executable, "-m", __name__],
        input=pickle.dumps((case, method.name, tuple(plans))),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        check=False,
    )


def run_method(method: Method, loaded: LoadedCase, drawing: Drawing) -> CachedResult | None:
    """Run a method on one drawing; None, with its traceback printed, where it fails."""
    started = time.monotonic()
    try:
        mask = method.propagate(
            loaded.voxels, loaded.spacing, drawing.mask, loaded.case.axis, drawing.annotated
        )
    except Exception:
        print(f"{method.name} failed on {loaded.case.name}, {drawing.structure.name}:", file=sys.stderr)
        traceback.print_exc()
        return None
    return CachedResult(np.asarray(mask, dtype=bool), time.monotonic() - started)


def _main() -> None:
    case, method_name, plans = pickle.load(sys.stdin.buffer)
    loaded, method, cache = case.load(), find_method(method_name), ResultCache()
    for structure in loaded.structures:
        for plan in plans:
            drawing = draw(loaded, structure, plan)
            if cache.get(method, loaded, drawing) is None:
                result = run_method(method, loaded, drawing)
                if result is not None:
                    cache.put(method, loaded, drawing, result)
    # ITK may have corrupted the heap; its destructors need not find out.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    _main()
