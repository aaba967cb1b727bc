"""Which system libraries offscreen Qt misses on this machine, by the Debian package that holds them.

`python system_libraries.py` prints the packages on one line, and nothing where all is there; .ci/run installs
what it prints.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

DEBIAN_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libzstd.so.1": "libzstd1",
}
QT_LIBRARIES = (
    "QtWidgets.abi3.so",
    "QtSvg.abi3.so",
    "QtUiTools.abi3.so",
    "Qt/plugins/platforms/libqoffscreen.so",
)


def missing_for_offscreen_qt() -> list[str]:
    """Debian packages (or bare library names, where unknown) that PySide6 cannot load without; Linux only."""
    found = importlib.util.find_spec("PySide6")
    if found is None or not found.submodule_search_locations or shutil.which("ldd") is None:
        return []
    folder = Path(found.submodule_search_locations[0])
    missing = {
        name
        for library in QT_LIBRARIES
        if (folder / library).exists()
        for name in unresolved(folder / library)
    }
    return sorted({DEBIAN_PACKAGES.get(name, name) for name in missing})


def unresolved(library: Path) -> set[str]:
    """The shared objects that the loader does not find for this library."""
    listing = subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"^\s*(\S+) => not found", listing, flags=re.MULTILINE))


if __name__ == "__main__":
    print(" ".join(missing_for_offscreen_qt()))
