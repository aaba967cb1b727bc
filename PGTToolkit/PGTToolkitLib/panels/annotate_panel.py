"""The Annotate panel: five sections, top to bottom in the order of work."""

from types import SimpleNamespace

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from pgt.annotation import SliceLedger
from PGTToolkitLib.panels.keys import ModuleKeys
from PGTToolkitLib.panels.parameters import AnnotateParameters
from PGTToolkitLib.panels.plan_section import PlanSection
from PGTToolkitLib.panels.propagate_section import PropagateSection
from PGTToolkitLib.panels.review_section import ReviewSection
from PGTToolkitLib.panels.status_line import StatusLine
from PGTToolkitLib.panels.volume_section import VolumeSection
from PGTToolkitLib.propagation import Propagator
from PGTToolkitLib.scene import segment_name
from PGTToolkitLib.segment_writer import SegmentWriter
from PGTToolkitLib.worker import WorkerClient
from PGTToolkitLib.workplace import Workplace

_EDITOR_NODE_TAG = "PGTAnnotate"
_UNDO_STEPS = 10


class AnnotatePanel(VTKObservationMixin):
    """Brings the sections, the segment editor, the scene and the keys together."""

    def __init__(self, ui: SimpleNamespace, worker: WorkerClient | None = None) -> None:
        """Connect the widgets of PGTAnnotate.ui.

        Args:
            ui: the widgets by name.
            worker: who propagates; a new one of this application by default.
        """
        VTKObservationMixin.__init__(self)
        self._ui = ui
        self._parameters: AnnotateParameters | None = None
        self._ledger = SliceLedger()
        self._worker = worker or WorkerClient()
        self.status = StatusLine(ui.statusLabel)
        self.workplace = Workplace(self._schedule_look)
        self.editor = self._make_editor()
        propagator = Propagator(self._worker, SegmentWriter())
        self.volume = VolumeSection(ui, self.workplace, self.status, self.refresh)
        self.plan = PlanSection(ui, self.workplace, self.status, self._current_segment, self.refresh)
        self.propagation = PropagateSection(
            ui, self.workplace, self.status, propagator, self.editor, self.refresh
        )
        self.review = ReviewSection(ui, self.workplace, self.status, self.refresh)
        for selector in (ui.volumeSelector, ui.segmentationSelector, ui.viewSelector):
            selector.setMRMLScene(slicer.mrmlScene)
        # A stroke raises several events; looking once, after the last, sees the whole stroke.
        self._look_timer = qt.QTimer()
        self._look_timer.interval = 0
        self._look_timer.timeout.connect(self._look)
        self._keys = ModuleKeys(
            slicer.util.mainWindow() or ui.planSection.window(),
            {
                "N": lambda: self.plan.step(1),
                "P": lambda: self.plan.step(-1),
                "E": self.plan.confirm,
                "A": self.review.accept,
            },
        )
        self.refresh()

    def enter(self) -> None:
        """The module is shown: keys and the editor's mouse modes come alive."""
        self._keys.revive()
        self.editor.setupViewObservations()
        self.editor.installKeyboardShortcuts()
        self.refresh()

    def exit(self) -> None:
        """The module is left."""
        self._keys.silence()
        self.editor.setActiveEffectByName("None")
        self.editor.uninstallKeyboardShortcuts()
        self.editor.removeViewObservations()

    def close(self) -> None:
        """The application ends or the module is unloaded."""
        self.set_parameters(None)
        self.propagation.close()
        self._keys.silence()
        self._worker.close()

    def scene_closes(self) -> None:
        """Let go of every node."""
        self.propagation.forget()
        self.set_parameters(None)

    def set_parameters(self, parameters: AnnotateParameters | None) -> None:
        """Work with the choices of a parameter node; None while the scene closes."""
        if self._parameters is not None:
            self.removeObserver(self._parameters, vtk.vtkCommand.ModifiedEvent, self._parameters_changed)
        self._parameters = parameters
        for section in (self.volume, self.plan, self.propagation, self.review):
            section.set_parameters(parameters)
        if parameters is None:
            self._watch_view(None)
            self.workplace.close()
        else:
            self.editor.setMRMLSegmentEditorNode(_editor_node())
            self.volume.fill_in_defaults()
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self._parameters_changed)
            self._parameters_changed()
        self.refresh()

    def refresh(self) -> None:
        """Show the present state everywhere."""
        with self.status.problems():
            self._open_chosen()
            self._ledger = self.workplace.session.ledger if self.workplace.is_open else SliceLedger()
            self.volume.refresh()
            self.plan.refresh(self._ledger)
            self.propagation.refresh()
            self.review.refresh(self._ledger)

    def _make_editor(self) -> qt.QWidget:
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.maximumNumberOfUndoStates = _UNDO_STEPS
        editor.segmentationNodeSelectorVisible = False
        editor.sourceVolumeNodeSelectorVisible = False
        editor.setMRMLSegmentEditorNode(_editor_node())
        editor.setMRMLScene(slicer.mrmlScene)
        editor.currentSegmentIDChanged.connect(lambda *_args: self.refresh())
        self._ui.editorPlace.layout().addWidget(editor)
        return editor

    def _current_segment(self) -> str:
        return self.editor.currentSegmentID() or ""

    def _parameters_changed(self, caller: vtk.vtkObject | None = None, event: str = "") -> None:
        parameters = self._parameters
        if parameters.view is not self.workplace.view:
            self._watch_view(parameters.view)
        self.refresh()

    def _open_chosen(self) -> None:
        """Put what is chosen on the desk. A volume may be chosen before its voxels are loaded."""
        parameters = self._parameters
        if parameters is not None and self.workplace.open(parameters.volume, parameters.segmentation):
            self.editor.setSegmentationNode(parameters.segmentation)
            self.editor.setSourceVolumeNode(parameters.volume)

    def _watch_view(self, view: slicer.vtkMRMLSliceNode | None) -> None:
        if self.workplace.view is not None:
            self.removeObserver(self.workplace.view, vtk.vtkCommand.ModifiedEvent, self._view_moved)
        self.workplace.view = view
        if view is not None:
            self.addObserver(view, vtk.vtkCommand.ModifiedEvent, self._view_moved)

    def _view_moved(self, caller: vtk.vtkObject, event: str) -> None:
        with self.status.problems():
            self.plan.refresh_shown()
            self.review.refresh_shown(self._ledger)

    def _schedule_look(self) -> None:
        self._look_timer.start()

    def _look(self) -> None:
        """Mark what was drawn since the last look."""
        self._look_timer.stop()
        with self.status.problems():
            if not self.workplace.is_open:
                return
            session = self.workplace.session
            drawn = session.take_edits(self.workplace.view_axis.axis)
            if drawn.unclear:
                name = segment_name(session.segmentation_node, drawn.unclear[-1].segment)
                self.status.say(
                    _(
                        "{name} changed on several slices at once. Confirm those that are finished (E)."
                    ).format(name=name)
                )
            elif drawn.records and not session.identity.rater:
                self.status.warn(_("Drawn by nobody: enter your name or pseudonym as the rater."))
            elif drawn.records:
                record = drawn.records[-1]
                name = segment_name(session.segmentation_node, record.segment)
                self.status.say(_("Slice {index}: {name} annotated.").format(index=record.index, name=name))
        self.refresh()


def _editor_node() -> slicer.vtkMRMLSegmentEditorNode:
    """The segment editor's settings of this module; made anew after the scene was closed."""
    node = slicer.mrmlScene.GetSingletonNode(_EDITOR_NODE_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag(_EDITOR_NODE_TAG)
        node = slicer.mrmlScene.AddNode(node)
    return node
