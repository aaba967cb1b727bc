"""Output files of a command: all of them appear, whole, at the end, or none does."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from pgt.errors import OutputError
from pgt.output_files import check_output

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")


def check_image_name(path: Path) -> None:
    """Refuse a name that no image format goes by."""
    if not path.name.lower().endswith(IMAGE_SUFFIXES):
        raise OutputError(
            f"{path} is of no format that can be written; give it one of {', '.join(IMAGE_SUFFIXES)}."
        )


def check_free(path: Path, overwrite: bool, inputs: Sequence[Path] = ()) -> None:
    """Refuse an output that exists (unless ``overwrite``), that is an input, or has no folder to go to."""
    if path.resolve() in {given.resolve() for given in inputs}:
        raise OutputError(f"{path} is an input of this command and is not replaced; name another output.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; give --force to replace it.")
    check_output(path, overwrite)


class Outputs:
    """Files to be written: written beside their places first, then renamed together.

    Everything that can be refused is refused on entering, before any work is done. Files written to `place`
    but not published vanish on leaving.

    Args:
        paths: where the files shall be, None for those not asked for.
        overwrite: replace files that exist.
        inputs: files that the command reads, which it never replaces.

    Raises:
        OutputError: a folder is missing or not writable, a file exists, or two outputs are one.
    """

    def __init__(self, paths: Iterable[Path | None], overwrite: bool, inputs: Sequence[Path] = ()) -> None:
        self._paths = [path for path in paths if path is not None]
        self._overwrite = overwrite
        self._inputs = tuple(inputs)
        self._folders: dict[Path, Path] = {}

    def __enter__(self) -> Outputs:
        for number, path in enumerate(self._paths):
            check_free(path, self._overwrite, self._inputs)
            if path.resolve() in {other.resolve() for other in self._paths[:number]}:
                raise OutputError(f"{path} is asked for twice; each output needs a file of its own.")
        try:
            for path in self._paths:
                if path.parent.resolve() not in self._folders:
                    self._folders[path.parent.resolve()] = _new_folder(path)
        except OutputError:
            self._clear()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()
        if isinstance(error, OutputError):
            raise OutputError(self._by_final_name(str(error))) from error

    def place(self, path: Path) -> Path:
        """Where to write the file that shall be at ``path``."""
        return self._folders[path.parent.resolve()] / path.name

    def publish(self) -> None:
        """Put every file in its place. Where one cannot be, those before it are taken back."""
        formers: dict[Path, Path | None] = {}
        try:
            for path in self._paths:
                check_free(path, self._overwrite, self._inputs)
                formers[path] = self._put_aside(path)
                _replace(self.place(path), path)
        except BaseException:
            for path, former in formers.items():
                with contextlib.suppress(OSError):
                    former.replace(path) if former else path.unlink(missing_ok=True)
            raise

    def _put_aside(self, path: Path) -> Path | None:
        if not path.exists():
            return None
        former = self._folders[path.parent.resolve()] / ("former." + path.name)
        _replace(path, former)
        return former

    def _by_final_name(self, sentence: str) -> str:
        for path in self._paths:
            sentence = sentence.replace(str(self.place(path)), str(path))
        return sentence

    def _clear(self) -> None:
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def made_folder(path: Path) -> Iterator[None]:
    """Make a folder for outputs where it is missing; when the work fails, a folder made here goes again."""
    made = not path.exists()
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {path} cannot be made: {error.strerror}.") from error
    try:
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def _replace(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}.") from error


def _new_folder(path: Path) -> Path:
    """A folder beside the output, on the same disk, so that renaming is all that remains to be done."""
    try:
        return Path(tempfile.mkdtemp(prefix=".pgt-", dir=path.parent))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
