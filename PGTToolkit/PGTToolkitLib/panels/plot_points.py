"""Clicks on points in Slicer's plot views."""

from collections.abc import Callable

import slicer
import vtk


class PlotPoints:
    """Listens to the plot views of the layout, which come and go with it."""

    def __init__(self, clicked: Callable[["slicer.vtkMRMLPlotSeriesNode", int], None]) -> None:
        """``clicked`` is called with the series and the index of its point."""
        self._clicked = clicked
        self._heard: list[object] = []

    def listen(self) -> None:
        """Listen to the plot views that are there now."""
        manager = slicer.app.layoutManager()
        if manager is None:  # Slicer without a main window
            return
        for number in range(manager.plotViewCount):
            view = manager.plotWidget(number).plotView()
            if view not in self._heard:
                view.dataSelected.connect(self._selected)
                self._heard.append(view)

    def _selected(self, series_ids: vtk.vtkStringArray, points: vtk.vtkCollection) -> None:
        for number in range(series_ids.GetNumberOfValues()):
            series = slicer.mrmlScene.GetNodeByID(series_ids.GetValue(number))
            chosen = points.GetItemAsObject(number)
            if series is not None and chosen is not None and chosen.GetNumberOfValues():
                self._clicked(series, int(chosen.GetValue(0)))
                return
