"""Python packages that the worker needs: asked for at first use, installed beside what Slicer bundles.

Nothing that Slicer brings is replaced: bundled packages are constrained to the versions that are there.
Without a network, packages come from the folder of wheels named in the settings (`WHEEL_FOLDER_SETTING`).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from slicer.i18n import tr as _

from pgt.errors import PGTError

WHEEL_FOLDER_SETTING = "PGTToolkit/WheelFolder"

_REQUIREMENTS_FILE = Path(__file__).resolve().parent.parent / "Resources" / "requirements.txt"
_BUNDLED = ("numpy", "scipy", "SimpleITK", "pydicom", "requests", "setuptools")
_NEEDED_BY_TASK = {
    "shape": (),
    "contour": ("itk-morphologicalcontourinterpolation",),
    "network": ("torch", "safetensors"),
    "auto": ("torch", "safetensors", "itk-morphologicalcontourinterpolation"),
    "report": ("Jinja2", "matplotlib", "pillow"),
    "dicom-seg": ("highdicom",),
    "styles": ("torch", "safetensors", "scikit-learn", "monai", "matplotlib", "pillow"),
}


class MissingPackagesError(PGTError):
    """Packages are missing and were not installed; the text says what still works."""


def missing_requirements(task: str) -> tuple[Requirement, ...]:
    """The packages that a task (see `ensure_dependencies`) needs and that are absent or too old."""
    needed = _NEEDED_BY_TASK[task]
    return tuple(
        requirement
        for requirement in _requirements()
        if requirement.name in needed and not _satisfied(requirement)
    )


def ensure_dependencies(task: str, wheel_folder: str = "") -> None:
    """Install what a propagation method, the report's page, DICOM SEG, or styles lack, after asking.

    Args:
        task: one of the methods auto, network, shape and contour, or "report", "dicom-seg" or "styles".
        wheel_folder: where wheels lie on this computer; empty to use the package index.

    Raises:
        MissingPackagesError: the user declined, or the installation failed.
    """
    missing = missing_requirements(task)
    if not missing:
        return
    import slicer.packaging

    try:
        with _bundled_versions_kept() as constraints, _packages_from(wheel_folder):
            # A folder of wheels holds the torch for this computer; else the PyTorch extension finds it.
            torch = [] if wheel_folder else [need for need in missing if need.name == "torch"]
            for requirement in torch:
                _install_torch(requirement)
            others = [need for need in missing if need not in torch]
            if others:
                slicer.packaging.pip_ensure(
                    [str(need) for need in others], constraints=constraints, requester="PGT Toolkit"
                )
    except Exception as error:
        raise MissingPackagesError(_without(task, missing, error)) from error
    still_missing = missing_requirements(task)
    if still_missing:
        raise MissingPackagesError(_without(task, still_missing, None))


def _requirements() -> list[Requirement]:
    lines = _REQUIREMENTS_FILE.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


def _satisfied(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


def _install_torch(requirement: Requirement) -> None:
    try:
        import PyTorchUtils
    except ModuleNotFoundError as error:
        raise RuntimeError(_("the PyTorch extension is not installed")) from error
    installed = PyTorchUtils.PyTorchUtilsLogic().installTorch(
        askConfirmation=True, torchVersionRequirement=str(requirement.specifier)
    )
    if installed is None:
        raise RuntimeError(_("PyTorch was not installed"))


@contextlib.contextmanager
def _bundled_versions_kept() -> Iterator[Path]:
    """A constraints file that holds the bundled packages at their versions."""
    pins = []
    for name in _BUNDLED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            pins.append(f"{name}=={importlib.metadata.version(name)}")
    with tempfile.TemporaryDirectory(prefix="pgt-constraints-") as folder:
        file = Path(folder) / "constraints.txt"
        file.write_text("\n".join(pins) + "\n", encoding="utf-8")
        yield file


@contextlib.contextmanager
def _packages_from(wheel_folder: str) -> Iterator[None]:
    """Within this context pip looks nowhere but in the folder; an empty name changes nothing."""
    if not wheel_folder:
        yield
        return
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(Path(wheel_folder).resolve())}
    before = {name: os.environ.get(name) for name in offline}
    os.environ.update(offline)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _without(task: str, missing: tuple[Requirement, ...], error: Exception | None) -> str:
    names = ", ".join(requirement.name for requirement in missing)
    reason = f" ({error})" if error is not None else ""
    works = {
        "report": _("Everything but the report's page works without."),
        "dicom-seg": _("All other formats can be written without."),
        "styles": _("Models of styles cannot be used without."),
    }.get(task, _("The method Shape works without."))
    return _("{names} not installed{reason}.").format(names=names, reason=reason) + " " + works
