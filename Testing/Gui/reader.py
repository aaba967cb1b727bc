"""Somebody in front of the Agreement panel: clicks, types and reads."""

from __future__ import annotations

import os
import time
from pathlib import Path

import slicer
import vtk
from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer


class Reader:
    """Clicks, types and reads."""

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

    def wait(self, seconds=90.0):
        """Until the worker is done."""
        deadline = time.monotonic() + seconds
        while (self.panel.desk.runner.busy or self.panel.desk.wanted) and time.monotonic() < deadline:
            self.application.events()
            time.sleep(0.01)
        self.application.events()
        assert not self.panel.desk.runner.busy, "the worker did not end"

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

    def write(self, table, row, column, text):
        """Type into a cell."""
        getattr(self.ui, table).item(row, column).setText(text)
        self.application.events()

    def choose(self, box, text):
        """Choose an entry of a box."""
        widget = getattr(self.ui, box)
        widget.currentIndex = [widget.itemText(n) for n in range(widget.count)].index(text)
        self.application.events()

    @property
    def status(self):
        return self.ui.statusLabel.text

    def picture(self, name):
        """Keep a picture of the panel where `make screenshots` asked for it."""
        folder = os.environ.get("PGT_SCREENSHOTS")
        if folder:
            self.application.photograph(Path(folder) / name)
