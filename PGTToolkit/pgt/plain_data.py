"""Dataclasses as JSON can hold them, and back.

Dataclasses become objects of their fields, enumerations their values, tuples lists, and mappings lists of
pairs unless their keys are text. What comes back is checked against the annotations, so a file of another
version is refused rather than half understood.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from pgt.errors import InputError

Kind = TypeVar("Kind")


def to_plain(value: Any) -> Any:
    """A dataclass, with all that hangs on it, as lists, dictionaries, text, numbers and None."""
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: to_plain(item) for key, item in value.items()}
        return [[to_plain(key), to_plain(item)] for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_plain(kind: type[Kind], value: Any) -> Kind:
    """A dataclass from what :func:`to_plain` made of it.

    Raises:
        InputError: the value is not of that kind.
    """
    try:
        made: Kind = _from(kind, value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"This is no {kind.__name__} of this version of PGT Toolkit: {error!r}.") from error
    return made


def _from(kind: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        (kind,) = [one for one in arguments if one is not type(None)]
        return _from(kind, value)
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_from(one, item) for one, item in zip(kinds, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = arguments
        pairs = value.items() if isinstance(value, dict) else value
        return {_from(key, first): _from(item, second) for first, second in pairs}
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _from(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    return _plain(kind, value)


def _plain(kind: Any, value: Any) -> Any:
    if issubclass(kind, Enum | Path):
        return kind(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
