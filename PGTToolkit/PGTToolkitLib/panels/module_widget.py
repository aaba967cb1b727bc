"""What all modules of the toolkit have in common: a panel that follows Slicer's life cycle."""

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin


class PanelModuleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Brings a panel into Slicer's life cycle: a module says only which panel and which logic are its own."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._parameters = None
        self._gui_tag = None

    def make_logic(self):
        """The module's logic, whose ``getParameterNode`` gives the user's choices."""
        raise NotImplementedError

    def make_panel(self, ui):
        """The module's panel on the widgets of its layout file."""
        raise NotImplementedError

    def setup(self):
        """Build the panel when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath(f"UI/{self.moduleName}.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.logic = self.make_logic()
        self.panel = self.make_panel(self.ui)
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
