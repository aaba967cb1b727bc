"""The widgets of the Common Toolkit that the panels use."""

from __future__ import annotations

from __feature__ import true_property  # noqa: F401 - switches this module
from PySide6 import QtCore, QtGui, QtWidgets


class ctkCollapsibleButton(QtWidgets.QWidget):  # noqa: N801 - the toolkit's name
    """A titled section that folds."""

    TITLE_HEIGHT = 24

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._collapsed = False
        self.setContentsMargins(0, self.TITLE_HEIGHT, 0, 0)

    def _read_text(self) -> str:
        return self._text

    def _write_text(self, text: str) -> None:
        self._text = text
        self.update()

    def _read_collapsed(self) -> bool:
        return self._collapsed

    def _write_collapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        self._fold()

    text = QtCore.Property(str, _read_text, _write_text)
    collapsed = QtCore.Property(bool, _read_collapsed, _write_collapsed)

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        """Fold children that come later."""
        super().childEvent(event)
        if self._collapsed:
            QtCore.QTimer.singleShot(0, self._fold)

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        """Fold or unfold on a click on the title."""
        if event.position().y() < self.TITLE_HEIGHT:
            self._write_collapsed(not self._collapsed)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        """Draw the title."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        title = QtCore.QRectF(0, 0, self.width, self.TITLE_HEIGHT - 3)
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        painter.setBrush(QtGui.QColor("#dfe4ea"))
        painter.drawRoundedRect(title, 3, 3)
        painter.setPen(QtGui.QColor("#1f2933"))
        painter.drawText(
            title.adjusted(8, 0, -8, 0),
            QtCore.Qt.AlignmentFlag.AlignVCenter,
            f"{'▸' if self._collapsed else '▾'}  {self._text}",
        )

    def _fold(self) -> None:
        for child in self.findChildren(
            QtWidgets.QWidget, options=QtCore.Qt.FindChildOption.FindDirectChildrenOnly
        ):
            child.visible = not self._collapsed
        self.maximumHeight = self.TITLE_HEIGHT if self._collapsed else 16777215
        self.updateGeometry()
