"""The layers hold: each imports only downward, and importing costs none of the heavy libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
EXTENSION = PROJECT / "PGTToolkit"

SLICER = {
    "slicer",
    "slicer_core",
    "vtk",
    "vtkmodules",
    "mrml",
    "vtkSegmentationCore",
    "ScriptedLoadableModule",
}
SLICER |= {"MRMLCorePython", "MRMLLogicPython", "vtkITK", "SampleData"}
QT = {"qt", "ctk", "PySide6", "PythonQt", "qSlicerScriptedLoadableModule"}
HEAVY = {"torch", "monai", "SimpleITK", "scipy", "itk", "matplotlib", "pydicom", "dask", "distributed"}


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imported(source: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports anywhere, by its full name, with the line."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (
                (str(ast.literal_eval(name)), node.lineno) for name in node.args[:1] if is_literal(name)
            )


def is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def trespasses(source: Path, forbidden: set[str]) -> list[str]:
    """Where the file imports what its layer must not, as `path:line imports module`."""
    where = source.relative_to(PROJECT)
    return [
        f"{where}:{line} imports {name}" for name, line in imported(source) if name.split(".")[0] in forbidden
    ]


def test_the_check_sees_what_it_must(tmp_path: Path) -> None:
    source = tmp_path / "sneaky.py"
    source.write_text(
        "def later():\n    from vtk.util import numpy_support\n    import slicer.util as u\n"
        "    importlib.import_module('qt')\n    __import__('ctk')\n    from . import slicer\n"
    )
    assert sorted(name for name, _ in imported(source)) == ["ctk", "qt", "slicer.util", "vtk.util"]


def test_core_knows_neither_slicer_nor_qt() -> None:
    files = python_files(EXTENSION / "pgt")
    assert files
    forbidden = SLICER | QT | {"PGTToolkitLib"}
    assert [found for file in files for found in trespasses(file, forbidden)] == []


def test_slicer_side_keeps_qt_under_panels() -> None:
    files = [file for file in python_files(EXTENSION / "PGTToolkitLib") if "panels" not in file.parts]
    assert files
    assert [found for file in files for found in trespasses(file, QT)] == []


def test_slicer_side_does_not_import_the_modules_above_it() -> None:
    modules = {file.stem for file in EXTENSION.glob("*.py")}
    files = python_files(EXTENSION / "PGTToolkitLib")
    assert [found for file in files for found in trespasses(file, modules)] == []


def test_lib_logic_does_not_import_its_panels() -> None:
    files = [file for file in python_files(EXTENSION / "PGTToolkitLib") if "panels" not in file.parts]
    upward = [
        f"{file.relative_to(PROJECT)}:{line} imports {name}"
        for file in files
        for name, line in imported(file)
        if name.startswith("PGTToolkitLib.panels")
    ]
    assert upward == []


def file_scope_imports(source: Path) -> Iterator[str]:
    """Modules that merely importing the file imports: outside functions and TYPE_CHECKING blocks."""
    pending: list[ast.stmt] = list(ast.parse(source.read_text(encoding="utf-8")).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            pending += node.body + node.orelse
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            pending += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def own_files(module: str) -> Iterator[Path]:
    """The extension's files that importing the dotted name runs: the packages on the way, then the module."""
    path = EXTENSION
    for part in module.split("."):
        path = path / part
        if (path / "__init__.py").exists():
            yield path / "__init__.py"
        elif path.with_suffix(".py").exists():
            yield path.with_suffix(".py")


def reached_by_importing(source: Path) -> set[str]:
    """All modules imported at file scope by the file and by the extension's own files that it reaches."""
    names: set[str] = set()
    seen: set[Path] = set()
    pending = [source]
    while pending:
        file = pending.pop()
        if file not in seen:
            seen.add(file)
            found = set(file_scope_imports(file))
            names |= found
            pending += [own for name in found for own in own_files(name)]
    return names


@pytest.mark.parametrize("source", sorted(EXTENSION.glob("*.py")), ids=lambda path: path.name)
def test_importing_a_module_file_reaches_no_heavy_library(source: Path) -> None:
    assert {name for name in reached_by_importing(source) if name.split(".")[0] in HEAVY} == set()


CHEAP = sorted(
    {".".join(file.parent.relative_to(EXTENSION).parts) for file in (EXTENSION / "pgt").rglob("__init__.py")}
    | {"pgt.cli", "pgt.annotation", "pgt.errors", "pgt.geometry", "pgt.volume", "pgt.worker"}
)


@pytest.mark.parametrize("module", CHEAP)
def test_importing_costs_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=EXTENSION, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == []
