"""The widgets of Slicer that the panels use, on the real MRML scene."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from __feature__ import true_property  # noqa: F401 - switches this module
from PySide6 import QtCore, QtGui, QtWidgets


class qMRMLWidget(QtWidgets.QWidget):  # noqa: N801 - Slicer's name
    """A widget that knows the scene."""

    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene: slicer.vtkMRMLScene) -> None:
        """Tell everyone who listens."""
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QtWidgets.QComboBox):  # noqa: N801 - Slicer's name
    """Chooses a node of the scene."""

    currentNodeChanged = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: slicer.vtkMRMLScene | None = None
        self._nodes: list[slicer.vtkMRMLNode | None] = []
        self._filling = False
        self.currentIndexChanged.connect(self._index_changed)

    def setMRMLScene(self, scene: slicer.vtkMRMLScene) -> None:
        """List the nodes of a scene, and follow it."""
        self._scene = scene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent)
        observers = [scene.AddObserver(event, lambda *_arguments: self._list()) for event in events]
        self.destroyed.connect(lambda *_arguments: [scene.RemoveObserver(tag) for tag in observers])
        self._list()

    def currentNode(self) -> slicer.vtkMRMLNode | None:
        """The chosen node."""
        index = self.currentIndex
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def setCurrentNode(self, node: slicer.vtkMRMLNode | None) -> None:
        """Choose a node."""
        self._list(node)

    def _list(self, wanted: Any = ...) -> None:
        before = self.currentNode()
        wanted = before if wanted is ... else wanted
        kinds = self.property("nodeTypes") or []
        found = [node for kind in kinds for node in slicer.util.getNodesByClass(kind, self._scene)]
        # As Slicer's, the box does not offer kinds derived from the one that was asked for.
        nodes = [node for node in found if node.GetClassName() in kinds and not node.GetHideFromEditors()]
        none = [None] if self.property("noneEnabled") is not False else []
        self._filling = True
        self.clear()
        self._nodes = none + nodes
        for node in self._nodes:
            self.addItem("None" if node is None else node.GetName())
        self.currentIndex = self._nodes.index(wanted) if wanted in self._nodes else (0 if self._nodes else -1)
        self._filling = False
        if self.currentNode() is not before:
            self.currentNodeChanged.emit(self.currentNode())

    def _index_changed(self, _index: int) -> None:
        if not self._filling:
            self.currentNodeChanged.emit(self.currentNode())


class qMRMLSegmentEditorWidget(QtWidgets.QWidget):  # noqa: N801 - Slicer's name
    """The segment editor: the list of segments and its undo are real, the effects are only buttons."""

    currentSegmentIDChanged = QtCore.Signal(str)

    EFFECTS = ("Paint", "Draw", "Erase", "Level tracing", "Threshold", "Scissors", "Smoothing", "Islands")

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.maximumNumberOfUndoStates = 5
        self.segmentationNodeSelectorVisible = True
        self.sourceVolumeNodeSelectorVisible = True
        self._history = slicer.vtkSegmentationHistory()
        self._editor = slicer.vtkSlicerSegmentEditorLogic()
        self._segment_ids: list[str] = []
        self._observers: list[int] = []
        self.log: list[str] = []
        self._build()

    def _build(self) -> None:
        layout = QtWidgets.QVBoxLayout(self)
        layout.contentsMargins = QtCore.QMargins(0, 0, 0, 0)
        row = QtWidgets.QHBoxLayout()
        for sign in ("+  Add", "–  Remove"):
            row.addWidget(QtWidgets.QPushButton(sign))
        row.addStretch()
        layout.addLayout(row)
        self._list = QtWidgets.QListWidget()
        self._list.maximumHeight = 74
        self._list.currentRowChanged.connect(self._row_changed)
        layout.addWidget(self._list)
        effects = QtWidgets.QGridLayout()
        effects.spacing = 3
        for number, effect in enumerate(self.EFFECTS):
            button = QtWidgets.QPushButton(effect)
            button.checkable = True
            effects.addWidget(button, number // 4, number % 4)
        layout.addLayout(effects)

    def setMRMLScene(self, scene: slicer.vtkMRMLScene) -> None:
        """Work in a scene."""
        self._editor.SetMRMLScene(scene)

    def setMRMLSegmentEditorNode(self, node: slicer.vtkMRMLSegmentEditorNode) -> None:
        """Use the settings of a node."""
        self._editor.SetSegmentEditorNode(node)

    def setSourceVolumeNode(self, node: slicer.vtkMRMLVolumeNode | None) -> None:
        """Draw on a volume."""
        self._editor.SetSourceVolumeNode(node)

    def setSegmentationNode(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Draw in a segmentation."""
        for observer in self._observers:
            self._editor.GetSegmentation().RemoveObserver(observer)
        self._editor.SetSegmentationNode(node)
        segmentation = node.GetSegmentation() if node else None
        self._history.SetSegmentation(segmentation)
        self._history.SetMaximumNumberOfStates(self.maximumNumberOfUndoStates)
        self._observers = []
        if segmentation is not None:
            for event in (
                segmentation.SegmentAdded,
                segmentation.SegmentRemoved,
                segmentation.SegmentModified,
            ):
                self._observers.append(segmentation.AddObserver(event, self._fill))
        self._fill()

    def segmentationNode(self) -> slicer.vtkMRMLSegmentationNode | None:
        """What is drawn in."""
        return self._editor.GetSegmentationNode()

    def currentSegmentID(self) -> str:
        """The selected segment."""
        row = self._list.currentRow
        return self._segment_ids[row] if 0 <= row < len(self._segment_ids) else ""

    def setCurrentSegmentID(self, segment_id: str) -> None:
        """Select a segment."""
        self._list.currentRow = self._segment_ids.index(segment_id)

    def saveStateForUndo(self) -> None:
        """Remember the segmentation as it is."""
        self._history.SaveState()

    def undo(self) -> None:
        """Go back to the state remembered last."""
        self._history.RestorePreviousState()

    def redo(self) -> None:
        """Take back an undo."""
        self._history.RestoreNextState()

    def paint(self, image: slicer.vtkOrientedImageData) -> None:
        """What a stroke of the paint effect does to the selected segment."""
        self.saveStateForUndo()
        self._editor.ModifySegmentByLabelmap(
            self.segmentationNode(),
            self.currentSegmentID(),
            image,
            self._editor.ModificationModeAdd,
            False,
            False,
        )

    def setActiveEffectByName(self, name: str) -> None:
        """Take a tool in hand."""
        self.log.append(f"effect {name}")

    def setupViewObservations(self) -> None:
        """Listen to the mouse in slice views."""
        self.log.append("views observed")

    def removeViewObservations(self) -> None:
        """Listen no more."""
        self.log.append("views left")

    def installKeyboardShortcuts(self) -> None:
        """Listen to keys."""
        self.log.append("keys on")

    def uninstallKeyboardShortcuts(self) -> None:
        """Listen to keys no more."""
        self.log.append("keys off")

    def _row_changed(self, _row: int) -> None:
        self.currentSegmentIDChanged.emit(self.currentSegmentID())

    def _fill(self, caller: vtk.vtkObject | None = None, event: str = "") -> None:
        node = self.segmentationNode()
        ids = list(node.GetSegmentation().GetSegmentIDs()) if node is not None else []
        row = max(self._list.currentRow, 0)
        self._list.blockSignals(True)
        self._list.clear()
        for segment_id in ids:
            segment = node.GetSegmentation().GetSegment(segment_id)
            swatch = QtGui.QPixmap(14, 14)
            swatch.fill(QtGui.QColor.fromRgbF(*segment.GetColor()))
            self._list.addItem(QtWidgets.QListWidgetItem(QtGui.QIcon(swatch), segment.GetName()))
        self._list.currentRow = min(row, len(ids) - 1)
        self._list.blockSignals(False)
        changed = ids != self._segment_ids
        self._segment_ids = ids
        if changed:
            self.currentSegmentIDChanged.emit(self.currentSegmentID())
