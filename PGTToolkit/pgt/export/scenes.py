"""Which segmentations a scene that 3D Slicer saved holds, and on which image each was drawn.

A scene is an ``.mrml`` file beside its data, or an ``.mrb`` file: the same, packed as zip. Both come from
elsewhere, so nothing in them is trusted: a document type (and with it every entity) is refused, a path may
not leave the scene's folder, and what is unpacked has a size that was said and allowed beforehand.
"""

from __future__ import annotations

import posixpath
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from xml.parsers import expat

from pgt.errors import InputError
from pgt.export.case_state import CaseFile

SCENE_SUFFIXES = (".mrml", ".mrb")

_LARGEST_SCENE_TEXT = 64 << 20
_LARGEST_MEMBER = 16 << 30
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class SceneSegmentation:
    """One segmentation of a scene.

    Args:
        name: of its node.
        label: its file.
        image: file of the volume that it was drawn on, None if the scene does not say.
    """

    name: str
    label: CaseFile
    image: CaseFile | None


def find_scenes(folder: Path) -> tuple[Path, ...]:
    """The scenes in a folder and in the folders within it, sorted."""
    found = [file for file in folder.glob("*") if file.suffix.lower() in SCENE_SUFFIXES]
    found += [file for file in folder.glob("*/*") if file.suffix.lower() in SCENE_SUFFIXES]
    return tuple(sorted(file for file in found if file.is_file()))


def scene_segmentations(scene: Path) -> tuple[SceneSegmentation, ...]:
    """The segmentations of a scene that have a file, in the order of the scene.

    Raises:
        InputError: the scene is missing or damaged, has a document type, or names a file outside of itself.
    """
    text, root = _scene_text(scene)
    nodes = _nodes(scene, text)
    by_id = {attributes.get("id", ""): (tag, attributes) for tag, attributes in nodes}
    found = []
    for tag, attributes in nodes:
        if tag != "Segmentation":
            continue
        label = _stored_file(scene, root, by_id, attributes)
        if label is None:
            continue
        volume = by_id.get(_references(attributes).get("referenceImageGeometryRef", ""))
        image = _stored_file(scene, root, by_id, volume[1]) if volume else None
        found.append(SceneSegmentation(attributes.get("name", ""), label, image))
    return tuple(found)


@contextmanager
def at_hand(file: CaseFile, scratch: Path) -> Iterator[Path]:
    """A path at which a case's file can be read; one from a packed scene is unpacked for the while.

    Args:
        file: the file.
        scratch: an existing folder to unpack into.

    Raises:
        InputError: the packed scene is damaged, or lacks the file.
    """
    if not file.member:
        yield file.path
        return
    unpacked = scratch / f"unpacked{''.join(PurePosixPath(file.name).suffixes)}"
    try:
        with _opened(file.path) as archive:
            _unpack(file, archive, unpacked)
        yield unpacked
    except InputError as error:
        raise InputError(str(error).replace(str(unpacked), str(file))) from error
    finally:
        unpacked.unlink(missing_ok=True)


def is_there(file: CaseFile) -> bool:
    """Whether the file exists; the packed scene that it is in need not be whole."""
    if not file.member:
        return file.path.exists()
    try:
        with _opened(file.path) as archive:
            return file.member in archive.namelist()
    except InputError:
        return False


def _unpack(file: CaseFile, archive: zipfile.ZipFile, target: Path) -> None:
    try:
        member = archive.getinfo(file.member)
    except KeyError as error:
        raise InputError(f"{file.path} lacks {file.member}, which its scene names.") from error
    _check_member(file.path, member)
    if member.file_size > shutil.disk_usage(target.parent).free:
        raise InputError(f"{file} cannot be unpacked: there is not enough room on the disk.")
    try:
        with archive.open(member) as packed, target.open("wb") as plain:
            shutil.copyfileobj(packed, plain, _CHUNK_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{file} is damaged.") from error
    except OSError as error:
        raise InputError(f"{file} cannot be unpacked: {(error.strerror or str(error)).lower()}.") from error


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(f"{path} holds a link where a file should be; it is no scene that Slicer saved.")
    if member.file_size > _LARGEST_MEMBER:
        raise InputError(
            f"{path} holds a file of {member.file_size / (1 << 30):.0f} GiB, more than a scene can."
        )


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise InputError(f"{path} is no packed scene, or is damaged.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error


def _scene_text(scene: Path) -> tuple[bytes, str]:
    """The text of a scene, and for a packed one the folder inside that its file names count from."""
    if scene.suffix.lower() != ".mrb":
        try:
            if scene.stat().st_size > _LARGEST_SCENE_TEXT:
                raise InputError(f"{scene} is larger than any scene.")
            return scene.read_bytes(), ""
        except OSError as error:
            raise InputError(f"{scene} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    with _opened(scene) as archive:
        members = [one for one in archive.infolist() if one.filename.lower().endswith(".mrml")]
        if len(members) != 1:
            raise InputError(f"{scene} holds {len(members)} scenes, not one.")
        if members[0].file_size > _LARGEST_SCENE_TEXT:
            raise InputError(f"{scene} holds a scene that is larger than any.")
        try:
            return archive.read(members[0]), posixpath.dirname(members[0].filename)
        except (zlib.error, zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
            raise InputError(f"{scene} is damaged.") from error


def _nodes(scene: Path, text: bytes) -> list[tuple[str, dict[str, str]]]:
    """Every element with its attributes, in order."""
    nodes: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise InputError(f"{scene} has a document type, which no scene that Slicer saved has.")

    parser.StartElementHandler = lambda tag, attributes: nodes.append((tag, attributes))
    # Without a document type there are no entities, neither external ones nor ones that multiply.
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise InputError(f"{scene} is no scene, or is damaged ({error}).") from error
    if not nodes or nodes[0][0] != "MRML":
        raise InputError(f"{scene} is no scene of 3D Slicer.")
    return nodes


def _references(attributes: dict[str, str]) -> dict[str, str]:
    """Node ID by role out of ``role:ID;role:ID ID;``, the first of several."""
    references = {}
    for entry in attributes.get("references", "").split(";"):
        role, _, identifiers = entry.partition(":")
        if identifiers.strip():
            references[role.strip()] = identifiers.split()[0]
    return references


def _stored_file(
    scene: Path, root: str, by_id: dict[str, tuple[str, dict[str, str]]], attributes: dict[str, str]
) -> CaseFile | None:
    """The file that a node was saved as."""
    storage = by_id.get(_references(attributes).get("storage", ""))
    name = unquote(storage[1].get("fileName", "")) if storage else ""
    if not name:
        return None
    if scene.suffix.lower() == ".mrb":
        member = posixpath.normpath(posixpath.join(root, name.replace("\\", "/")))
        within = member.startswith(f"{root}/" if root else "")
        if not within or member.startswith(("/", "..")) or ":" in member:
            raise InputError(f"{scene} names a file outside of itself.")
        return CaseFile(scene, member)
    # A scene that was saved without its data names them where they lie, with their whole path.
    path = scene.parent / name
    if not Path(name).is_absolute() and not path.resolve().is_relative_to(scene.parent.resolve()):
        raise InputError(f"{scene} names {name}, which lies outside of its folder; save it with its data.")
    return CaseFile(path)
