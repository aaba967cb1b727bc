"""Study configurations: a small JSON file, read into a frozen dataclass, every entry checked.

An entry that the study does not know is refused rather than ignored, and every refusal names the file, the
entry and what it may be.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pgt.errors import InputError
from pgt.plain_data import to_plain

Kind = TypeVar("Kind")

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def read_configuration(path: Path, kind: type[Kind]) -> Kind:
    """Read a configuration.

    Args:
        path: a JSON file: one object, its entries named like the fields of ``kind``. Paths in it count from
            the folder of the file.
        kind: a frozen dataclass of text, numbers, truth values, paths, tuples, `Literal` and further such
            dataclasses; fields with a default may be left out. What it raises as `InputError` is passed on.

    Raises:
        InputError: the file cannot be read, or an entry is missing, unknown or of another kind.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}).") from error
    try:
        made: Kind = _object(kind, content, "", path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return made


def configuration_text(configuration: Any) -> str:
    """A configuration as the text of a file that :func:`read_configuration` reads."""
    return json.dumps(to_plain(configuration), indent=2) + "\n"


def _object(kind: Any, value: Any, where: str, folder: Path) -> Any:
    """A dataclass from a JSON object; ``where`` is the way to it, such as ``grids[1]``."""
    named = where or "The file"
    if not isinstance(value, dict):
        raise InputError(f"{named} must be an object in braces, not {_shown(value)}.")
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    unknown = [name for name in value if name not in known]
    if unknown:
        raise InputError(f"{named} has the unknown entry {unknown[0]!r}; known are {', '.join(known)}.")
    missing = [
        name
        for name, field in known.items()
        if name not in value and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        raise InputError(f"{named} lacks the entry {missing[0]!r}.")
    entries = {
        name: _value(hints[name], item, f"{where}.{name}" if where else name, folder)
        for name, item in value.items()
    }
    try:
        return kind(**entries)
    except InputError as error:
        raise InputError(f"{where}: {error}" if where else str(error)) from error


def _value(kind: Any, value: Any, where: str, folder: Path) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (kind,) = [one for one in arguments if one is not type(None)]
        return _value(kind, value, where, folder)
    if origin is typing.Literal:
        if value not in arguments:
            raise InputError(f"{where} must be {_one_of(arguments)}, not {_shown(value)}.")
        return value
    if origin is tuple:
        return _tuple(arguments, value, where, folder)
    if is_dataclass(kind):
        return _object(kind, value, where, folder)
    if kind is Path:
        return folder / _plain(str, value, where)
    return _plain(kind, value, where)


def _tuple(kinds: tuple[Any, ...], value: Any, where: str, folder: Path) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise InputError(f"{where} must be a list in brackets, not {_shown(value)}.")
    expected = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
    if len(expected) != len(value):
        raise InputError(f"{where} must be a list of {len(expected)}, not of {len(value)}.")
    return tuple(
        _value(kind, item, f"{where}[{place}]", folder)
        for place, (kind, item) in enumerate(zip(expected, value, strict=True))
    )


def _plain(kind: Any, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{where} must be {_WORDS[kind]}, not {_shown(value)}.")
    return value


def _one_of(values: tuple[Any, ...]) -> str:
    texts = [json.dumps(value) for value in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
