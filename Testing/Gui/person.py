"""Somebody in front of a panel: clicks, waits and reads."""

from __future__ import annotations

import os
import time
from pathlib import Path

import slicer
import vtk
from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer


class Person:
    """What everybody does, whichever panel it is."""

    def __init__(self, application, module):
        self.application = application
        self.module = module
        self.ui = module.ui
        self.panel = module.panel

    def click(self, name):
        button = getattr(self.ui, name)
        assert button.enabled, f"{name} cannot be clicked: {self.status}"
        button.click()
        self.application.events()

    @property
    def busy(self):
        """Whether the worker has something to do."""
        return self.panel.desk.runner.busy

    def wait(self, seconds=240.0):
        """Until the worker is done."""
        deadline = time.monotonic() + seconds
        while self.busy and time.monotonic() < deadline:
            self.application.events()
            time.sleep(0.01)
        self.application.events()
        assert not self.busy, "the worker did not end"

    def select(self, *nodes):
        """Select segmentations in the tree."""
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        items = vtk.vtkIdList()
        for node in nodes:
            items.InsertNextId(hierarchy.GetItemByDataNode(node))
        self.ui.segmentationTree.setCurrentItems(items)

    def rows(self, table):
        widget = getattr(self.ui, table)
        return [
            [
                item.text() if (item := widget.item(row, column)) is not None else ""
                for column in range(widget.columnCount)
            ]
            for row in range(widget.rowCount)
        ]

    @property
    def status(self):
        return self.ui.statusLabel.text

    def picture(self, name):
        """Keep a picture of the panel where `make screenshots` asked for it."""
        folder = os.environ.get("PGT_SCREENSHOTS")
        if folder:
            self.application.photograph(Path(folder) / name)
