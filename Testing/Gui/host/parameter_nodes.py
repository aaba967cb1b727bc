"""Typed parameter nodes: what `slicer.parameterNodeWrapper` does for the kinds of parameters used here."""

from __future__ import annotations

import enum
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer
import vtk


@dataclass(frozen=True)
class WithinRange:
    """The least and the greatest value of a number."""

    minimum: float
    maximum: float


def parameterNodeWrapper(cls: type) -> type:
    """Make a class with annotated members a typed view of a vtkMRMLScriptedModuleNode."""
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        setattr(cls, name, _parameter(name, hint, getattr(cls, name, None)))
    cls.parameterKinds = typing.get_type_hints(cls, include_extras=True)
    for name, method in (
        ("__init__", _begin),
        ("connectGui", _connect_gui),
        ("disconnectGui", _disconnect_gui),
        ("AddObserver", lambda self, *arguments: self.parameterNode.AddObserver(*arguments)),
        ("RemoveObserver", lambda self, tag: self.parameterNode.RemoveObserver(tag)),
    ):
        setattr(cls, name, method)
    return cls


def _begin(self: Any, node: slicer.vtkMRMLScriptedModuleNode) -> None:
    self.parameterNode = node
    self.guis: dict[int, list[Callable[[], None]]] = {}


def _parameter(name: str, hint: Any, default: Any) -> property:
    kind = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    if issubclass(kind, slicer.vtkMRMLNode):
        return property(
            lambda self: self.parameterNode.GetNodeReference(name),
            lambda self, node: self.parameterNode.SetNodeReferenceID(name, node.GetID() if node else None),
        )

    def read(self: Any) -> Any:
        text = self.parameterNode.GetParameter(name)
        if text == "":
            return default
        if kind is bool:
            return text == "True"
        return kind[text] if issubclass(kind, enum.Enum) else kind(text)

    def write(self: Any, value: Any) -> None:
        self.parameterNode.SetParameter(name, value.name if isinstance(value, enum.Enum) else str(value))

    return property(read, write)


def _connect_gui(self: Any, ui: Any) -> int:
    """Tie every widget with a SlicerParameterName to its parameter, both ways."""
    updates, releases = [], []
    for widget in vars(ui).values():
        name = widget.property("SlicerParameterName")
        if name:
            update, release = _connect(self, name, widget)
            updates.append(update)
            releases.append(release)

    def update_all(caller: vtk.vtkObject | None = None, event: str = "") -> None:
        for update in updates:
            update()

    tag = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, update_all)
    self.guis[tag] = releases
    update_all()
    return tag


def _disconnect_gui(self: Any, tag: int) -> None:
    self.parameterNode.RemoveObserver(tag)
    for release in self.guis.pop(tag):
        release()


def _connect(self: Any, name: str, widget: Any) -> tuple[Callable[[], None], Callable[[], None]]:
    from host.mrml_widgets import qMRMLNodeComboBox

    hint = self.parameterKinds[name]
    kind = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    if isinstance(widget, qMRMLNodeComboBox):
        changed, read, write = widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode
    elif issubclass(kind, enum.Enum):
        choices = list(kind)
        widget.blockSignals(True)
        widget.clear()
        widget.addItems([choice.label() for choice in choices])
        widget.blockSignals(False)
        changed = widget.currentIndexChanged
        read = lambda: choices[widget.currentIndex]  # noqa: E731
        write = lambda value: setattr(widget, "currentIndex", choices.index(value))  # noqa: E731
    elif kind is bool:
        changed = widget.toggled
        read = lambda: widget.checked  # noqa: E731
        write = lambda value: setattr(widget, "checked", value)  # noqa: E731
    elif kind is str:
        changed = widget.textChanged
        read = lambda: widget.text  # noqa: E731
        write = lambda value: None if widget.text == value else setattr(widget, "text", value)  # noqa: E731
    else:
        (limits,) = [extra for extra in typing.get_args(hint)[1:] if isinstance(extra, WithinRange)]
        widget.setRange(limits.minimum, limits.maximum)
        changed = widget.valueChanged
        read = lambda: widget.value  # noqa: E731
        write = lambda value: setattr(widget, "value", value)  # noqa: E731

    def user_changed(*_arguments: object) -> None:
        setattr(self, name, read())

    changed.connect(user_changed)
    return lambda: write(getattr(self, name)), lambda: changed.disconnect(user_changed)
