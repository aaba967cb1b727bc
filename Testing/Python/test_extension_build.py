"""The extension's CMake configures, installs every file that it needs, and its metadata fits the index."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from PIL import Image

PROJECT = Path(__file__).resolve().parents[2]
EXTENSION = PROJECT / "PGTToolkit"
STAND_IN = Path(__file__).resolve().parent / "slicer_build"


def tree(folder: Path, pattern: str) -> set[str]:
    """Files under the folder, as CMake lists them: relative to PGTToolkit."""
    return {
        str(path.relative_to(EXTENSION))
        for path in folder.rglob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the CMake files hand to Slicer's macros, by kind: module, script, resource, unittest, metadata."""
    if not (shutil.which("cmake") and shutil.which("cc")):
        pytest.skip("cmake or a compiler is missing")
    build = tmp_path_factory.mktemp("build")
    listing = build / "listing.txt"
    configure = ["cmake", "-S", str(PROJECT), "-B", str(build), "-D", f"Slicer_DIR={STAND_IN}"]
    answer = subprocess.run(
        [*configure, "-D", "BUILD_TESTING=ON", "-D", f"PGT_LISTING={listing}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "CMake Warning" not in answer.stderr
    handed = defaultdict(list)
    for line in listing.read_text().splitlines():
        kind, _, item = line.partition(" ")
        handed[kind].append(item)
    return handed


def test_every_module_file_is_built_and_tested(configured: dict[str, list[str]]) -> None:
    modules = sorted(path.stem for path in EXTENSION.glob("*.py"))
    assert sorted(configured["module"]) == modules
    assert sorted(configured["generic-tests"]) == modules
    assert {f"{module}.py" for module in modules} <= set(configured["unittest"])


@pytest.mark.parametrize(
    ("kind", "folder", "pattern"), [("script", EXTENSION, "*.py"), ("resource", EXTENSION / "Resources", "*")]
)
def test_every_file_is_installed_once(
    configured: dict[str, list[str]], kind: str, folder: Path, pattern: str
) -> None:
    """A file that PGTToolkit/CMakeLists.txt does not list would be missing from the installed extension."""
    assert tree(folder, pattern) - set(configured[kind]) == set()
    assert sorted(configured[kind]) == sorted(set(configured[kind]))


def test_every_test_inside_slicer_is_registered(configured: dict[str, list[str]]) -> None:
    inside = {path.name for path in (PROJECT / "Testing" / "InSlicer").glob("*Test.py")}
    assert inside
    assert inside <= set(configured["unittest"])


def test_metadata_points_at_files_of_this_repository(configured: dict[str, list[str]]) -> None:
    [homepage] = configured["HOMEPAGE"]
    raw = homepage.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"
    screenshots = [url for urls in configured["SCREENSHOTURLS"] for url in urls.split()]
    for url in configured["ICONURL"] + screenshots:
        assert url.startswith(raw)
        assert (PROJECT / url.removeprefix(raw)).is_file(), url


def test_index_entry_agrees_with_the_metadata(configured: dict[str, list[str]]) -> None:
    entry = json.loads((PROJECT / "Resources" / "PGTToolkit.json").read_text())
    assert entry["category"] == "Segmentation"
    assert [entry["scm_url"]] == configured["HOMEPAGE"]
    assert entry["build_dependencies"] == configured["DEPENDS"]


def test_catalogue_icon_has_the_size_that_slicer_asks_for() -> None:
    with Image.open(PROJECT / "Resources" / "PGTToolkit.png") as icon:
        assert icon.size == (128, 128)
