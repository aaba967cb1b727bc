"""Somebody in front of the Export panel, and the cases that wait there."""

from __future__ import annotations

import numpy as np
from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer
from person import Person

from pgt.annotation import SliceLedger, SliceRecord, SliceState
from pgt.geometry import Geometry

SHAPE = (24, 20, 16)
GRID = Geometry(SHAPE, (1.5, 1.5, 3.0))
CASES = (
    # name, slices annotated, reviewed, propagated, agreement, suspicious
    ("liver-01", 4, 6, 0, 0.94, "no"),
    ("liver-02", 3, 7, 0, 0.91, "no"),
    ("liver-03", 3, 2, 5, 0.90, "no"),
    ("liver-04", 2, 0, 8, 0.88, "no"),
    ("liver-05", 5, 5, 0, 0.71, "no"),
    ("liver-06", 4, 6, 0, 0.92, "yes"),
    ("liver-07", 10, 0, 0, 0.95, "no"),
    ("liver-08", 3, 7, 0, None, "no"),
)


class Radiologist(Person):
    """Opens lists and looks at what becomes of the cases."""

    def tick(self, name, ticked=True):
        getattr(self.ui, name).checked = ticked
        self.application.events()

    def answer(self, path):
        """What the next file dialog is answered with."""
        import qt

        qt.QFileDialog.answer = str(path)

    def open_list(self, table):
        self.answer(table)
        self.click("openListButton")
        self.wait()

    def rows(self, table="casesTable"):
        return super().rows(table)

    def cases(self):
        return [row[0] for row in self.rows()]

    def export_column(self):
        return {row[0]: row[4] for row in self.rows()}


def liver(radius):
    points = np.moveaxis(np.indices(SHAPE), 0, -1) * np.array(GRID.spacing)
    centre = np.array(GRID.spacing) * (np.array(SHAPE) - 1) / 2
    return ((points - centre) ** 2).sum(axis=-1) <= radius**2


def states(segment, annotated, reviewed, propagated):
    """Records of the slices 3 to 12 of a segment, which the organ is on."""
    kinds = [SliceState.ANNOTATED] * annotated + [SliceState.REVIEWED] * reviewed
    kinds += [SliceState.PROPAGATED] * propagated
    return SliceLedger(
        SliceRecord(segment, 2, 3 + number, kind, "Ada", "1", confidence=0.9 if number >= annotated else None)
        for number, kind in enumerate(kinds)
    )
