"""How long one import takes in a fresh interpreter, as a line of JSON.

    python -m Benchmarks.import_run pgt
    python -m Benchmarks.import_run PGTAnnotate

Slicer's engine is there before a module file is imported, as it is in Slicer.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path


def main(name: str) -> None:
    """Import a module by name and print the seconds."""
    if name != "pgt":
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Gui"))
        import PySide6.QtWidgets  # noqa: F401 - the host switches Qt's Python features, which come with it
        from host import MODULES, install

        install(MODULES)
    started = time.perf_counter()
    importlib.import_module(name)
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main(sys.argv[1])
