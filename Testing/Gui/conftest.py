"""One host for all tests of a process; an empty scene for each."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parent))

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6.QtWidgets", reason="PySide6, or a system library it needs, is not installed")

from host import MODULES, Application, install


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Application:
    """The host, with settings of its own."""
    from PySide6 import QtCore

    settings = tmp_path_factory.mktemp("settings")
    ini = QtCore.QSettings.Format.IniFormat
    QtCore.QSettings.setDefaultFormat(ini)
    QtCore.QSettings.setPath(
        QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, str(settings)
    )
    return install(MODULES)


@pytest.fixture(scope="session")
def warm_workers() -> Iterator[list[Any]]:
    """Workers that go from test to test; starting one takes seconds."""
    from PGTToolkitLib.worker import WorkerClient

    clients = [WorkerClient(), WorkerClient()]
    yield clients
    for client in clients:
        client.close()


@pytest.fixture
def opened_warm(
    application: Application, warm_workers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], Any]]:
    """Opens a module, by its name and its panel's file, on an empty scene and on warm workers."""
    import slicer

    opened = []

    def open_module(name: str, panel: str) -> Any:
        slicer.mrmlScene.Clear()
        waiting = list(warm_workers)
        place = importlib.import_module(f"PGTToolkitLib.panels.{panel}")
        monkeypatch.setattr(place, "WorkerClient", lambda: waiting.pop(0))
        widget = application.open_module(name)
        widget.enter()
        opened.append(widget)
        return widget

    yield open_module
    for widget in opened:
        widget.exit()
        for worker in warm_workers:
            monkeypatch.setattr(worker, "close", lambda: None)
        widget.cleanup()
