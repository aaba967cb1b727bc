"""What holds for the repository as a whole: sizes, versions, requirements, translated strings, links."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pgt import __version__

PROJECT = Path(__file__).resolve().parents[2]
EXTENSION = PROJECT / "PGTToolkit"
MEGABYTE = 1 << 20


def tracked_files() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout, or git is missing")
    listing = subprocess.run([git, "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True)
    paths = (PROJECT / name for name in listing.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def test_no_python_file_is_longer_than_400_lines() -> None:
    files = [path for folder in (EXTENSION, PROJECT / "Testing") for path in folder.rglob("*.py")]
    lines = {str(path.relative_to(PROJECT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_checkout_stays_small() -> None:
    sizes = {str(path.relative_to(PROJECT)): path.stat().st_size for path in tracked_files()}
    assert {name for name, size in sizes.items() if size > 16 * MEGABYTE} == set()
    assert sum(sizes.values()) < 100 * MEGABYTE


def test_shipped_models_come_with_their_card_and_fit_in_16_megabytes() -> None:
    models = EXTENSION / "Resources" / "Models"
    weights = list(models.rglob("*.safetensors"))
    assert sum(path.stat().st_size for path in weights) <= 16 * MEGABYTE
    cards = [path.with_name(card) for path in weights for card in ("card.md", "card.json")]
    assert [str(card.relative_to(PROJECT)) for card in cards if not card.is_file()] == []


def test_no_patient_data_is_tracked() -> None:
    suspicious = re.compile(
        r"\.(dcm|nii|nii\.gz|mrb|mha|nrrd)$|STS_\d{3}|hippocampus_\d{3}|0522c0|nodule_\d{3}"
    )
    names = [path.relative_to(PROJECT).as_posix() for path in tracked_files()]
    assert [name for name in names if suspicious.search(name)] == []


def pyproject_list(name: str) -> list[str]:
    """The strings of one list in pyproject.toml (tomllib is not in Python 3.10)."""
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    body = re.search(rf"^{re.escape(name)} = (\[[^\n]*\]|\[.*?^\])$", text, flags=re.MULTILINE | re.DOTALL)
    assert body, name
    found: list[str] = ast.literal_eval(body[1])
    return found


def worker_requirements() -> list[Requirement]:
    lines = (EXTENSION / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


def test_slicer_installs_the_same_ranges_as_a_plain_python() -> None:
    needs = [*pyproject_list("dependencies"), *pyproject_list("export")]
    core = {need.name: need.specifier for need in map(Requirement, needs)}
    assert {need.name: need.specifier for need in worker_requirements()}.items() <= core.items()


def test_requirements_are_ranges_never_pins() -> None:
    needs = [*map(Requirement, pyproject_list("dependencies")), *worker_requirements()]
    assert needs
    operators = {spec.operator for need in needs for spec in need.specifier}
    assert operators <= {">=", "<", "!="}


def test_changelog_names_the_version_of_the_package() -> None:
    headings = re.findall(r"^## \[(\d[^\]]*)\]", (PROJECT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == __version__


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (PROJECT / page).read_text(encoding="utf-8")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [
        target for target in targets if target and "://" not in target and not target.startswith("mailto:")
    ]
    assert [target for target in local if not (PROJECT / target).exists()] == []


SHOWN_PROPERTIES = {"text", "toolTip", "title", "windowTitle", "placeholderText", "statusTip", "labelText"}
SHOWING_CALLS = {
    *(
        "errorDisplay",
        "warningDisplay",
        "infoDisplay",
        "messageBox",
        "confirmOkCancelDisplay",
        "delayDisplay",
    ),
    *("confirmYesNoDisplay", "showStatusMessage", "addItem", "addRow", "QLabel", "QPushButton", "QCheckBox"),
}


def untranslated(source: Path) -> Iterator[str]:
    """Literal words that a widget shows without going through tr."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        shown: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = [target.attr for target in node.targets if isinstance(target, ast.Attribute)]
            shown = [node.value] if SHOWN_PROPERTIES & set(targets) else []
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func).split(".")[-1]
            shown = node.args[:1] if called in SHOWING_CALLS else []
        yield from (
            f"{source.name}:{value.lineno} {ast.unparse(value)}" for value in shown if has_words(value)
        )


def has_words(value: ast.expr) -> bool:
    """Whether an expression is itself a literal (or f-string) with letters in it."""
    if isinstance(value, ast.JoinedStr):
        return any(has_words(part) for part in value.values if isinstance(part, ast.Constant))
    return (
        isinstance(value, ast.Constant)
        and isinstance(value.value, str)
        and any(map(str.isalpha, value.value))
    )


def test_the_check_for_untranslated_words_sees_them(tmp_path: Path) -> None:
    source = tmp_path / "panel.py"
    source.write_text(
        "a.text = 'Cancel'\na.toolTip = _('Fine')\n"
        "a.text = f'{n} slices'\na.text = f'{n}'\nslicer.util.errorDisplay('No')\n"
    )
    assert len(list(untranslated(source))) == 3


def test_words_on_the_panels_go_through_tr() -> None:
    files = [*EXTENSION.glob("*.py"), *(EXTENSION / "PGTToolkitLib").rglob("*.py")]
    assert [found for file in files for found in untranslated(file)] == []
