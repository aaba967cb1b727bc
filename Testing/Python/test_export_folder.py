"""The folder of an export is whole, or says what is missing and can be finished; old and new never mix."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import environment, listing
from made_exports import MadeCase, table

from pgt.errors import Cancelled, InputError, OutputError
from pgt.export import case_export, exporting, manifest
from pgt.export.case_list import read_cases
from pgt.export.case_state import CaseState
from pgt.export.checksums import CHECKSUMS
from pgt.export.export_settings import ExportFormat, ExportSettings
from pgt.export.exporting import export_cases, place_of
from pgt.export.job import export_each
from pgt.export.manifest import MANIFEST
from pgt.export.planning import plan_export
from pgt.volume_io import write_volume

SETTINGS = ExportSettings((ExportFormat.NIFTI, ExportFormat.MONAI), folds=2)
FORCE = replace(SETTINGS, overwrite=True)


@pytest.fixture
def cases(tmp_path: Path) -> tuple[CaseState, ...]:
    rows = [MadeCase(seed=number).write(tmp_path, name) for number, name in enumerate("abcd")]
    return read_cases(table(tmp_path, rows))


def timeless(folder: Path) -> dict[str, bytes]:
    """What an export holds, less the times at which records were made and what depends on them."""
    found = {}
    for name, content in listing(folder).items():
        if name.endswith(".provenance.json"):
            content = json.dumps({**json.loads(content), "created": ""}).encode()
        if name != CHECKSUMS:
            found[name] = content
    return found


def checked(folder: Path) -> bool:
    """What ``sha256sum -c`` says, and whether the list names every file but itself and the manifest."""
    listed = {line[66:] for line in (folder / CHECKSUMS).read_text().splitlines()}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    tool = shutil.which("sha256sum")
    ended = subprocess.run([tool, "--strict", "-c", CHECKSUMS], cwd=folder, capture_output=True, check=False)
    return ended.returncode == 0 and listed == there - {CHECKSUMS, MANIFEST}


def test_a_finished_export_is_whole_and_its_checksums_hold(
    tmp_path: Path, cases: tuple[CaseState, ...]
) -> None:
    steps: list[tuple[int, int, str]] = []
    report = export_cases(cases, SETTINGS, tmp_path / "out", lambda *step: steps.append(step))
    assert checked(tmp_path / "out")
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["complete"] is True
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    assert report.exported == ("a", "b", "c", "d")
    assert report.files == len((tmp_path / "out" / CHECKSUMS).read_text().splitlines())
    assert [message for _, _, message in steps if message.startswith("Exporting")][-1] == "Exporting d"


def test_a_second_run_has_nothing_to_do(tmp_path: Path, cases: tuple[CaseState, ...]) -> None:
    export_cases(cases, SETTINGS, tmp_path / "out")
    before = listing(tmp_path / "out")
    report = export_cases(cases, SETTINGS, tmp_path / "out")
    assert listing(tmp_path / "out") == before
    assert report.resumed == ("a", "b", "c", "d")


class Cut(BaseException):
    """As sudden as a killed process."""


def cut_at(monkeypatch: pytest.MonkeyPatch, module: object, name: str, call: int) -> None:
    """Cut an export off at the n-th call of a function, before it does anything."""
    original: Callable[..., object] = getattr(module, name)
    calls = []

    def cut(*arguments: object, **keywords: object) -> object:
        calls.append(name)
        if len(calls) == call:
            raise Cut
        return original(*arguments, **keywords)

    monkeypatch.setattr(module, name, cut)


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        (case_export, "write_volume", 3), (case_export, "write_label_map", 4), (exporting, "export_one", 3),
        (manifest.ExportFolder, "_note", 3), (manifest.ExportFolder, "_note", 4),
        (exporting, "finish_export", 1), (exporting, "write_checksums", 1),
        (manifest.ExportFolder, "complete", 1), (manifest.ExportFolder, "_write_manifest", 1),
        (manifest.shutil, "rmtree", 6),
    ],
)  # fmt: skip
def test_an_export_that_was_cut_off_goes_on_and_ends_like_one_that_was_not(
    tmp_path: Path, cases: tuple[CaseState, ...], module: object, name: str, call: int
) -> None:
    export_cases(cases, SETTINGS, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as monkeypatch:
        cut_at(monkeypatch, module, name, call)
        with pytest.raises(Cut):
            export_cases(cases, SETTINGS, tmp_path / "out")
    if (tmp_path / "out" / MANIFEST).exists():
        assert json.loads((tmp_path / "out" / MANIFEST).read_text())["complete"] is False
    export_cases(cases, SETTINGS, tmp_path / "out")
    assert timeless(tmp_path / "out") == timeless(tmp_path / "whole")
    assert checked(tmp_path / "out")


def test_finished_cases_are_not_written_again(
    tmp_path: Path, cases: tuple[CaseState, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as cutting:
        cut_at(cutting, exporting, "export_one", 3)
        with pytest.raises(Cut):
            export_cases(cases, SETTINGS, tmp_path / "out")
    written = []
    original = exporting.export_one
    monkeypatch.setattr(
        exporting, "export_one", lambda case, *rest: written.append(case.case) or original(case, *rest)
    )
    report = export_cases(cases, SETTINGS, tmp_path / "out")
    assert written == ["c", "d"]
    assert report.resumed == ("a", "b")


def test_stopping_keeps_what_is_done(tmp_path: Path, cases: tuple[CaseState, ...]) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > len(cases) + 2  # the cases are checked first

    with pytest.raises(Cancelled, match="goes on"):
        export_cases(cases, SETTINGS, tmp_path / "out", cancelled=stop)
    assert export_cases(cases, SETTINGS, tmp_path / "out").resumed == ("a", "b")


def changed_settings(
    cases: tuple[CaseState, ...], folder: Path
) -> tuple[tuple[CaseState, ...], ExportSettings]:
    return cases, replace(SETTINGS, formats=(ExportFormat.NIFTI,))


def changed_list(cases: tuple[CaseState, ...], folder: Path) -> tuple[tuple[CaseState, ...], ExportSettings]:
    return cases[:3], SETTINGS


def changed_state(cases: tuple[CaseState, ...], folder: Path) -> tuple[tuple[CaseState, ...], ExportSettings]:
    return (replace(cases[0], rater="another"), *cases[1:]), SETTINGS


def changed_image(cases: tuple[CaseState, ...], folder: Path) -> tuple[tuple[CaseState, ...], ExportSettings]:
    write_volume(MadeCase(seed=99).image, folder / "a_ct.nii.gz", overwrite=True)
    return cases, SETTINGS


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed_settings, "with other settings"), (changed_list, "of other cases"),
        (changed_state, "of other files or case states"), (changed_image, "of other files or case states"),
    ],
)  # fmt: skip
def test_another_export_in_the_folder_is_left_alone_or_replaced_whole(
    tmp_path: Path,
    cases: tuple[CaseState, ...],
    change: Callable[..., tuple[tuple[CaseState, ...], ExportSettings]],
    said: str,
    finished: bool,
) -> None:
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as monkeypatch:
        if not finished:
            cut_at(monkeypatch, exporting, "export_one", 3)
        with contextlib.suppress(Cut):
            export_cases(cases, SETTINGS, out)
    before = listing(out)
    others, settings = change(cases, tmp_path)
    with pytest.raises(OutputError, match=said) as refused:
        export_cases(others, settings, out)
    assert ("finished" if finished else "cut off") in str(refused.value)
    assert listing(out) == before
    export_cases(others, replace(settings, overwrite=True), out)
    export_cases(others, settings, tmp_path / "fresh")
    assert timeless(out) == timeless(tmp_path / "fresh")
    assert checked(out)


@pytest.mark.parametrize("call", [1, 2])
def test_a_replacement_that_was_cut_off_leaves_nothing_of_the_old(
    tmp_path: Path, cases: tuple[CaseState, ...], call: int
) -> None:
    out = tmp_path / "out"
    export_cases(cases, SETTINGS, out)
    smaller = replace(SETTINGS, formats=(ExportFormat.MONAI,), overwrite=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        if call == 1:
            cut_at(monkeypatch, Path, "unlink", 12)
        else:
            cut_at(monkeypatch, exporting, "export_one", 2)
        with pytest.raises(Cut):
            export_cases(cases, smaller, out)
    # Also without --force: the folder is this export's by now.
    export_cases(cases, replace(smaller, overwrite=False), out)
    assert not (out / "nifti").exists()
    assert checked(out)


def test_a_file_that_was_changed_afterwards_is_found(tmp_path: Path, cases: tuple[CaseState, ...]) -> None:
    out = tmp_path / "out"
    export_cases(cases, SETTINGS, out)
    (out / "labels.json").write_text("[]")
    with pytest.raises(OutputError, match=r"labels\.json has been changed"):
        export_cases(cases, SETTINGS, out)
    export_cases(cases, FORCE, out)
    assert checked(out)


def test_a_folder_of_something_else_is_never_touched(tmp_path: Path, cases: tuple[CaseState, ...]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    for settings in (SETTINGS, FORCE):
        with pytest.raises(OutputError, match="no export"):
            export_cases(cases, settings, out)
    assert listing(out) == {"thesis.txt": b"years of work"}


def test_two_exports_never_write_into_one_folder_at_once(
    tmp_path: Path, cases: tuple[CaseState, ...]
) -> None:
    plan, _ = plan_export(cases, SETTINGS)
    folder = tmp_path / "out"
    with place_of(plan, folder).claimed(overwrite=False):
        before = listing(folder)
        for settings in (SETTINGS, FORCE):
            with pytest.raises(OutputError, match="under way"):
                export_cases(cases, settings, folder)
        assert listing(folder) == before
    export_cases(cases, SETTINGS, folder)
    assert checked(folder)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_files_that_are_not_of_the_export_stay(tmp_path: Path, cases: tuple[CaseState, ...]) -> None:
    out = tmp_path / "out"
    export_cases(cases, SETTINGS, out)
    (out / "nifti" / "notes.txt").write_text("mine")
    export_cases(cases, replace(SETTINGS, formats=(ExportFormat.MONAI,), overwrite=True), out)
    assert listing(out / "nifti") == {"notes.txt": b"mine"}


@pytest.mark.parametrize("names", [["../precious.txt"], ["/tmp/never"]])
def test_a_forged_manifest_removes_nothing_outside(
    tmp_path: Path, cases: tuple[CaseState, ...], names: list[str]
) -> None:
    out = tmp_path / "out"
    (tmp_path / "precious.txt").write_text("precious")
    export_cases(cases, SETTINGS, out)
    content = json.loads((out / MANIFEST).read_text())
    (out / MANIFEST).write_text(json.dumps({**content, "obsolete": names, "complete": False}))
    export_cases(cases, FORCE, out)
    assert (tmp_path / "precious.txt").exists()


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "pgt-export", "version": 9}'])
def test_a_damaged_manifest_is_refused(tmp_path: Path, cases: tuple[CaseState, ...], text: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / MANIFEST).write_text(text)
    with pytest.raises(OutputError, match="no manifest of an export"):
        export_cases(cases, FORCE, out)


def test_a_label_that_goes_missing_stops_the_export_and_can_be_mended(
    tmp_path: Path, cases: tuple[CaseState, ...]
) -> None:
    label = tmp_path / "c.seg.nrrd"
    content = label.read_bytes()
    label.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"c\.seg\.nrrd"):
        export_cases(cases, SETTINGS, tmp_path / "out")
    label.write_bytes(content)
    export_cases(cases, FORCE, tmp_path / "out")
    assert checked(tmp_path / "out")


def each(cases: tuple[CaseState, ...], settings: ExportSettings, folder: Path) -> None:
    """As the panel exports: a case that fails does not stop the others."""
    export_each(cases, settings, folder, lambda done, total, what: None, lambda: False)


@pytest.mark.parametrize("export", [export_cases, each])
def test_no_room_on_the_disk(
    tmp_path: Path, cases: tuple[CaseState, ...], export: Callable[..., object]
) -> None:
    with pytest.MonkeyPatch.context() as full:
        original = Path.replace

        def refuse(self: Path, target: Path) -> Path:
            if "labels" in str(target) and "c.nii" in str(target):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(self, target)

        full.setattr(Path, "replace", refuse)
        with pytest.raises(OutputError, match="no space left"):
            export(cases, SETTINGS, tmp_path / "out")
    assert export_cases(cases, SETTINGS, tmp_path / "out").resumed == ("a", "b")
    assert checked(tmp_path / "out")


@pytest.mark.skipif(os.name != "posix", reason="limits the file size as a full disk does, POSIX only")
def test_a_disk_that_fills_up_ends_with_a_sentence(tmp_path: Path, cases: tuple[CaseState, ...]) -> None:
    """Every write beyond a limit fails, in a process of its own; with room again the export goes on."""
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from pgt.errors import PGTError\n"
        "from pgt.export.case_list import read_cases\n"
        "from pgt.export.export_settings import ExportFormat, ExportSettings\n"
        "from pgt.export.exporting import export_cases\n"
        "cases = read_cases(Path(sys.argv[1]))\n"
        "settings = ExportSettings((ExportFormat.NIFTI, ExportFormat.MONAI), folds=2)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "if sys.argv[3] != '0':\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)\n"
        "try:\n"
        "    export_cases(cases, settings, Path(sys.argv[2]))\n"
        "except PGTError as error:\n"
        "    sys.exit(f'said: {error}')\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "cases.csv"), str(tmp_path / "out")]
    ended = subprocess.run([*command, "1500"], capture_output=True, text=True, check=False, env=environment())
    assert ended.returncode == 1
    assert ended.stderr.startswith("said: ")
    assert "cannot be written" in ended.stderr or "cannot be exported" in ended.stderr
    assert ".pgt" not in ended.stderr
    export_cases(cases, SETTINGS, tmp_path / "out")
    assert checked(tmp_path / "out")


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_killed_process_can_be_followed_by_another(tmp_path: Path) -> None:
    """SIGKILL as soon as the second case is in its place; whatever was being written then is made good."""
    rows = [MadeCase(seed=number).write(tmp_path, f"c{number:02d}") for number in range(12)]
    cases = read_cases(table(tmp_path, rows))
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pgt.export.case_list import read_cases\n"
        "from pgt.export.export_settings import ExportFormat, ExportSettings\n"
        "from pgt.export.exporting import export_cases\n"
        "settings = ExportSettings((ExportFormat.NIFTI, ExportFormat.MONAI), folds=2)\n"
        "export_cases(read_cases(Path(sys.argv[1])), settings, Path(sys.argv[2]))\n"
    )
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "cases.csv"), str(out)], env=environment()
    ) as process:
        deadline = time.monotonic() + 60
        while not (out / "nifti" / "c01.nii.gz").exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    report = export_cases(cases, SETTINGS, out)
    assert "c00" in report.resumed
    assert len(report.resumed) < 12
    export_cases(cases, SETTINGS, tmp_path / "whole")
    assert timeless(out) == timeless(tmp_path / "whole")
    assert checked(out)
