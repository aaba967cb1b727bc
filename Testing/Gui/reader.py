"""Somebody in front of the Agreement panel."""

from __future__ import annotations

from __feature__ import true_property  # noqa: F401 - Qt properties as attributes, as in Slicer
from person import Person


class Reader(Person):
    """Clicks, types and reads."""

    @property
    def busy(self):
        return super().busy or bool(self.panel.desk.wanted)

    def write(self, table, row, column, text):
        """Type into a cell."""
        getattr(self.ui, table).item(row, column).setText(text)
        self.application.events()

    def choose(self, box, text):
        """Choose an entry of a box."""
        widget = getattr(self.ui, box)
        widget.currentIndex = [widget.itemText(n) for n in range(widget.count)].index(text)
        self.application.events()
