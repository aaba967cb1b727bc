"""What a folder of an export holds: ``export.json``, and while it is being written notes in ``.pgt-export``.

``export.json`` is there from the beginning and says whether the export is complete. Before a file is put in
its place a note names it, so that whatever happens, every file that an export put there is known and can be
taken away again before another export begins. A lock keeps other processes out meanwhile; it goes with the
process that holds it, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout

from pgt.errors import InputError, OutputError
from pgt.export.checksums import CHECKSUMS, read_checksums, sha256_of
from pgt.output_files import write_text

MANIFEST = "export.json"
SCHEMA = "pgt-export"
VERSION = 1

_WORK = ".pgt-export"
_LOCK = "lock"
_NOTES = "notes"
_SCRATCH = "scratch"
_PARTIAL = ".pgt-*-partial*"
_ALL_CASES = "all cases"


@dataclass(frozen=True)
class PlacedFile:
    """A file of the export: SHA-256 and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Claimed:
    """A folder that an export may write into.

    Args:
        done: names of the cases that an interrupted run finished.
        complete: nothing is left to do.
    """

    done: tuple[str, ...] = ()
    complete: bool = False


class ExportFolder:
    """The folder of an export.

    Args:
        folder: where it is, or will be made.
        identity: of the plan.
        left_out: cases that the filter kept out, for the manifest.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], left_out: Sequence[Mapping[str, str]] = ()
    ) -> None:
        self.folder = folder
        self._identity = json.loads(json.dumps(identity))
        self._left_out = list(left_out)

    @property
    def scratch(self) -> Path:
        """Where files are written before they are put in their places; on the same disk."""
        return self.folder / _WORK / _SCRATCH

    @contextlib.contextmanager
    def claimed(self, overwrite: bool) -> Iterator[Claimed]:
        """Make the folder this export's, and keep all others out of it until the block ends.

        Args:
            overwrite: whether another export in it may be taken away.

        Raises:
            OutputError: it holds another export, or something else, or another process is exporting into it,
                or it cannot be written.
        """
        _make(self.folder, parents=False)
        with self._locked():
            yield self._claim(overwrite)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        work = self.folder / _WORK
        _make(work)
        lock = FileLock(work / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise OutputError(
                f"Another export into {self.folder} is under way; wait for it, or name another folder."
            ) from error
        except OSError as error:
            raise OutputError(
                f"{work} cannot be written: {(error.strerror or str(error)).lower()}."
            ) from error
        try:
            yield
        finally:
            # Before the release: afterwards it could be another one's.
            with contextlib.suppress(OSError):
                (work / _LOCK).unlink()
            lock.release()
            with contextlib.suppress(OSError):
                work.rmdir()  # unless there are notes to go on with

    def _claim(self, overwrite: bool) -> Claimed:
        self._clear_remains()
        manifest = _read_manifest(self.folder)
        if manifest is None:
            if any(path.name != _WORK for path in self.folder.iterdir()):
                raise OutputError(
                    f"{self.folder} holds files that are no export; name a new or empty folder."
                )
            self._write_manifest(False, [])
        elif manifest["plan"] == self._identity and not manifest["obsolete"]:
            changed = self._changed() if manifest["complete"] else None
            if manifest["complete"] and changed is None:
                return Claimed(tuple(one["case"] for one in self._identity["cases"]), complete=True)
            if changed is not None:
                if not overwrite:
                    raise OutputError(
                        f"{self.folder / changed} has been changed since it was exported; give --force to "
                        "export anew."
                    )
                self._replace(self._known_files())
        elif manifest["plan"] == self._identity or overwrite:
            self._replace([*manifest["obsolete"], *self._known_files()])
        else:
            raise OutputError(self._refusal(manifest))
        _make(self.scratch)
        return Claimed(tuple(self._done_cases()))

    def put(self, case: str, staged: Path) -> None:
        """Put files in their places.

        Args:
            case: whose they are, "" for files that belong to all cases.
            staged: folder below `scratch` that holds them as the export's folder shall.
        """
        files = {
            path.relative_to(staged).as_posix(): PlacedFile(sha256_of(path), path.stat().st_size)
            for path in sorted(staged.rglob("*"))
            if path.is_file()
        }
        self._note(case, files, done=False)
        try:
            for name in files:
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                (staged / name).replace(target)
        except OSError as error:
            raise OutputError(
                f"{target} cannot be written: {(error.strerror or str(error)).lower()}."
            ) from error
        self._note(case, files, done=True)
        shutil.rmtree(staged, ignore_errors=True)

    def placed(self) -> Mapping[str, PlacedFile]:
        """All files that are in their places, by name below the folder."""
        files: dict[str, PlacedFile] = {}
        for note in self._notes():
            files |= {name: PlacedFile(*entry) for name, entry in note["files"].items()}
        return files

    def complete(self) -> None:
        """Say that nothing is missing; the notes have done their work."""
        self._write_manifest(True, [])
        self._forget_notes()

    def _refusal(self, manifest: Mapping[str, Any]) -> str:
        state = "holds a finished export" if manifest["complete"] else "holds an export that was cut off"
        theirs = manifest["plan"]
        differs = "of other files or case states"
        if theirs.get("software") != self._identity["software"]:
            differs = f"by version {theirs.get('software')} of PGT Toolkit"
        elif theirs.get("settings") != self._identity["settings"]:
            differs = "with other settings"
        elif [one["case"] for one in theirs["cases"]] != [one["case"] for one in self._identity["cases"]]:
            differs = "of other cases"
        return f"{self.folder} {state}, {differs}; give --force to replace it, or name another folder."

    def _replace(self, files: Iterable[str]) -> None:
        """Take the files of a former export away. Killed in between, the next run goes on with it."""
        obsolete = sorted(set(files))
        self._write_manifest(False, obsolete)
        root = self.folder.resolve()
        for name in obsolete:
            path = self.folder / name
            if path.resolve().is_relative_to(root) and ".." not in PurePosixPath(name).parts:
                path.unlink(missing_ok=True)
                for parent in path.parents:
                    if parent == self.folder:
                        break
                    with contextlib.suppress(OSError):
                        parent.rmdir()
        self._forget_notes()
        self._write_manifest(False, [])

    def _forget_notes(self) -> None:
        for name in (_NOTES, _SCRATCH):
            shutil.rmtree(self.folder / _WORK / name, ignore_errors=True)

    def _known_files(self) -> list[str]:
        return [
            CHECKSUMS,
            *read_checksums(self.folder),
            *(name for n in self._notes() for name in n["files"]),
        ]

    def _changed(self) -> str | None:
        """The first file that is not as it was exported."""
        for name, sha256 in read_checksums(self.folder).items():
            path = self.folder / name
            if not path.is_file() or sha256_of(path) != sha256:
                return name
        return None if (self.folder / CHECKSUMS).exists() else CHECKSUMS

    def _clear_remains(self) -> None:
        """What a killed run was just writing."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for partial in self.folder.glob(_PARTIAL):
            partial.unlink(missing_ok=True)

    def _done_cases(self) -> Iterable[str]:
        for note in self._notes():
            whole = all(
                (self.folder / name).is_file() and (self.folder / name).stat().st_size == size
                for name, (_, size) in note["files"].items()
            )
            if note["done"] and note["case"] and whole:
                yield note["case"]

    def _notes(self) -> list[dict[str, Any]]:
        notes = []
        for path in sorted((self.folder / _WORK / _NOTES).glob("[!.]*.json")):
            try:
                note = json.loads(path.read_text(encoding="utf-8"))
                notes.append({"case": note["case"], "done": note["done"], "files": dict(note["files"])})
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise InputError(f"{path} is damaged; name another folder for the export.") from error
        return notes

    def _note(self, case: str, files: Mapping[str, PlacedFile], done: bool) -> None:
        folder = self.folder / _WORK / _NOTES
        _make(folder)
        content = {
            "case": case,
            "done": done,
            "files": {name: [file.sha256, file.size] for name, file in files.items()},
        }
        name = f"case {case}" if case else _ALL_CASES
        write_text(folder / f"{name}.json", json.dumps(content), overwrite=True)

    def _write_manifest(self, complete: bool, obsolete: Sequence[str]) -> None:
        content = {
            "schema": SCHEMA,
            "version": VERSION,
            "complete": complete,
            "plan": self._identity,
            "left_out": self._left_out,
            "obsolete": list(obsolete),
        }
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        write_text(self.folder / MANIFEST, text, overwrite=True)


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = content["schema"] == SCHEMA and content["version"] == VERSION
        whole = isinstance(content["plan"], dict) and isinstance(content["complete"], bool)
        names = [str(name) for name in content["obsolete"]]
        cases = [one["case"] for one in content["plan"]["cases"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is no manifest of an export; name another folder.") from error
    if not (known and whole and isinstance(cases, list)):
        raise OutputError(f"{path} is no manifest of an export of this version; name another folder.")
    return {**content, "obsolete": names}


def _make(folder: Path, parents: bool = True) -> None:
    try:
        folder.mkdir(parents=parents, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be made: {(error.strerror or str(error)).lower()}."
        ) from error
