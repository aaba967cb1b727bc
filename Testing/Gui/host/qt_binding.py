"""PySide6 in the manner of PythonQt: flat `qt` and `ctk` modules, properties as attributes."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import ModuleType

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from shibokensupport.feature import pyside_feature_dict

_TRUE_PROPERTY = 0x02


def use_properties(module_name: str) -> None:
    """Let a module, before it is imported, read and write Qt properties as attributes."""
    pyside_feature_dict[module_name] = _TRUE_PROPERTY


class FileDialog(QtWidgets.QFileDialog):
    """Answers with the path alone, as PythonQt does. `answer` is what the next user chooses."""

    @staticmethod
    def getExistingDirectory(*_arguments: object) -> str:
        """The folder that the user chose."""
        return FileDialog.answer

    answer = ""

    @staticmethod
    def getOpenFileName(*_arguments: object) -> str:
        """The path that the user chose."""
        return FileDialog.answer


def make_qt(custom_widgets: list[type]) -> ModuleType:
    """The `qt` module.

    Args:
        custom_widgets: classes that .ui files may name.
    """

    class UiLoader(QtUiTools.QUiLoader):
        def __init__(self) -> None:
            super().__init__()
            for widget in custom_widgets:
                self.registerCustomWidget(widget)

    qt = ModuleType("qt")
    for source in (QtCore, QtGui, QtWidgets):
        for name in dir(source):
            if name.startswith("Q"):
                setattr(qt, name, getattr(source, name))
    qt.QUiLoader = UiLoader
    qt.QFileDialog = FileDialog
    return qt


def use_properties_below(folder: Path) -> None:
    """Let every module of a folder use properties."""
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder).with_suffix("").parts
        use_properties(".".join(parts[:-1] if parts[-1] == "__init__" else parts))


def keep_none_alive() -> None:
    """Make up for PySide6, which gives back one reference to None too many whenever a property is written.

    From Python 3.12 on None cannot die; before, some thousand assignments would end the process.
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def put_in_place(module: ModuleType) -> None:
    """Make a module importable."""
    sys.modules[module.__name__] = module
