"""Slicer's plot views: which there are, and clicks on their points."""

from __future__ import annotations

import slicer
import vtk
from __feature__ import true_property  # noqa: F401 - switches this module
from PySide6 import QtCore, QtWidgets


class qMRMLPlotView(QtWidgets.QWidget):  # noqa: N801 - Slicer's name
    """A plot, of which only the clicks are here."""

    dataSelected = QtCore.Signal(object, object)

    def click(self, series_id: str, point: int) -> None:
        """What a click on a point of a series sets off."""
        series, points, chosen = vtk.vtkStringArray(), vtk.vtkCollection(), vtk.vtkIdTypeArray()
        series.InsertNextValue(series_id)
        chosen.InsertNextValue(point)
        points.AddItem(chosen)
        self.dataSelected.emit(series, points)


class qMRMLPlotWidget(QtWidgets.QWidget):  # noqa: N801 - Slicer's name
    """A plot view with its controls."""

    def __init__(self) -> None:
        super().__init__()
        self._view = qMRMLPlotView(self)

    def plotView(self) -> qMRMLPlotView:
        """The view."""
        return self._view


class LayoutManager:
    """The application's layout with one plot view."""

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        layout = slicer.vtkMRMLLayoutNode()
        layout.SetSingletonTag("vtkMRMLLayout")
        scene.AddNode(layout)
        self._plots = [qMRMLPlotWidget()]

    @property
    def plotViewCount(self) -> int:
        """How many plot views there are."""
        return len(self._plots)

    def plotWidget(self, number: int) -> qMRMLPlotWidget:
        """One of them."""
        return self._plots[number]
