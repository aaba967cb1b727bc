"""The Styles module of PGT Toolkit: a map of annotation styles, and segmentation in any of them."""

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class PGTStyles(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("PGT Styles")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations"]
        self.parent.contributors = ["PGT Toolkit contributors"]
        self.parent.helpText = _(
            "See which styles of annotation a set of cases holds and which labels are suspicious, segment "
            "a volume in any style or in that of a few slices you drew, and train models of your own cases."
        )
        self.parent.acknowledgementText = _("Part of PGT Toolkit, Apache License 2.0.")


class PGTStylesWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Brings the panel into Slicer's life cycle."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._parameters = None
        self._gui_tag = None

    def setup(self):
        """Build the panel when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        from PGTToolkitLib.panels.styles_panel import StylesPanel

        widget = slicer.util.loadUI(self.resourcePath("UI/PGTStyles.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.logic = PGTStylesLogic()
        self.panel = StylesPanel(self.ui)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self._use_parameters(self.logic.getParameterNode())

    def cleanup(self):
        """Let go of everything when the module is unloaded."""
        self._use_parameters(None)
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()

    def enter(self):
        """The module is shown."""
        if self._parameters is None:
            self._use_parameters(self.logic.getParameterNode())
        self.panel.enter()

    def exit(self):
        """Another module is shown."""
        self.panel.exit()
        self._use_parameters(None)

    def onSceneStartClose(self, caller, event):
        """The nodes are about to go."""
        self._use_parameters(None)
        self.panel.scene_closes()

    def onSceneEndClose(self, caller, event):
        """The scene is empty."""
        if self.parent.isEntered:
            self._use_parameters(self.logic.getParameterNode())

    def onSceneEndImport(self, caller, event):
        """A scene was loaded, perhaps with a parameter node of its own."""
        if self.parent.isEntered:
            self._use_parameters(self.logic.getParameterNode())

    def _use_parameters(self, parameters):
        if self._parameters is not None:
            self._parameters.disconnectGui(self._gui_tag)
            self._gui_tag = None
        self._parameters = parameters
        if parameters is not None:
            self._gui_tag = parameters.connectGui(self.ui)
        if self.panel is not None:
            self.panel.set_parameters(parameters)


class PGTStylesLogic(ScriptedLoadableModuleLogic):
    """The module's choices in the scene. What it does is in PGTToolkitLib, which needs no widget."""

    def getParameterNode(self):
        """The choices, typed."""
        from PGTToolkitLib.panels.styles_parameters import StylesParameters

        return StylesParameters(super().getParameterNode())


class PGTStylesTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Everything."""
        self.setUp()
        self.test_train_and_segment()

    def test_train_and_segment(self):
        """A tiny model of made cases is trained by the worker, and a volume segmented in two styles."""
        from PGTToolkitLib.self_test import train_and_segment

        self.delayDisplay(_("Train a small model and segment with it"))
        train_and_segment(slicer.mrmlScene)
        self.delayDisplay(_("Test passed"))
