"""Slicer's tree of what is in the scene, on the real subject hierarchy."""

from __future__ import annotations

import slicer
import vtk
from __feature__ import true_property  # noqa: F401 - switches this module
from PySide6 import QtCore, QtGui, QtWidgets

_NODE_ROLE = QtCore.Qt.ItemDataRole.UserRole + 1


class qMRMLSubjectHierarchyTreeView(QtWidgets.QTreeView):  # noqa: N801 - Slicer's name
    """Lists the items of some kinds of node, flat; several can be selected."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: slicer.vtkMRMLScene | None = None
        self._items = QtGui.QStandardItemModel()
        self._items.setHorizontalHeaderLabels(["Node"])
        self.setModel(self._items)
        self.rootIsDecorated = False

    def setMRMLScene(self, scene: slicer.vtkMRMLScene) -> None:
        """List the nodes of a scene, and follow it."""
        self._scene = scene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent)
        observers = [scene.AddObserver(event, lambda *_arguments: self._list()) for event in events]
        self.destroyed.connect(lambda *_arguments: [scene.RemoveObserver(tag) for tag in observers])
        if self.property("multiSelection"):
            self.selectionMode = QtWidgets.QAbstractItemView.SelectionMode.ExtendedSelection
        self._list()

    def currentItems(self, items: vtk.vtkIdList) -> None:
        """Write the IDs of the selected items into a list, as Python has to ask for them."""
        items.Reset()
        for index in self.selectionModel().selectedRows():
            items.InsertNextId(self._item_of(self._items.itemFromIndex(index)))

    def setCurrentItems(self, items: vtk.vtkIdList) -> None:
        """Select items."""
        wanted = {items.GetId(number) for number in range(items.GetNumberOfIds())}
        selection = self.selectionModel()
        selection.clearSelection()
        for row in range(self._items.rowCount()):
            if self._item_of(self._items.item(row)) in wanted:
                flags = QtCore.QItemSelectionModel.SelectionFlag
                selection.select(self._items.index(row, 0), flags.Select | flags.Rows)

    def _item_of(self, item: QtGui.QStandardItem) -> int:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)
        return hierarchy.GetItemByDataNode(self._scene.GetNodeByID(item.data(_NODE_ROLE)))

    def _list(self) -> None:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)
        self._items.setRowCount(0)
        for kind in self.property("nodeTypes") or []:
            for node in slicer.util.getNodesByClass(kind, self._scene):
                item = QtGui.QStandardItem(node.GetName())
                item.setData(node.GetID(), _NODE_ROLE)
                # In Slicer a plugin of the tree gives every new node its item.
                if not hierarchy.GetItemByDataNode(node):
                    hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
                self._items.appendRow(item)
