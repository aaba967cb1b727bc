"""The Annotate module of PGT Toolkit: draw a few slices, get the whole volume."""

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)

from PGTToolkitLib.panels.module_widget import PanelModuleWidget


class PGTAnnotate(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("PGT Annotate")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "SegmentEditor"]
        self.parent.contributors = ["PGT Toolkit contributors"]
        self.parent.helpText = _(
            "Draw a few slices; the others are filled in. Slices that you drew stay as you drew them, and "
            "filled slices look unreviewed until you accept them."
        )
        self.parent.acknowledgementText = _("Part of PGT Toolkit, Apache License 2.0.")
        slicer.app.connect("startupCompleted()", register_sample_data)


def register_sample_data():
    """Offer the sample volume in the Sample Data module."""
    from PGTToolkitLib.sample_data import register_sample_data as register

    register()


class PGTAnnotateWidget(PanelModuleWidget):
    """The panel, in Slicer's life cycle."""

    def make_logic(self):
        """The choices in the scene."""
        return PGTAnnotateLogic()

    def make_panel(self, ui):
        """Built when the module is opened for the first time."""
        from PGTToolkitLib.panels.annotate_panel import AnnotatePanel

        return AnnotatePanel(ui)


class PGTAnnotateLogic(ScriptedLoadableModuleLogic):
    """The module's choices in the scene. What it does is in PGTToolkitLib, which needs no widget."""

    def getParameterNode(self):
        """The choices, typed."""
        from PGTToolkitLib.panels.parameters import AnnotateParameters

        return AnnotateParameters(super().getParameterNode())


class PGTAnnotateTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Everything."""
        self.setUp()
        self.test_draw_and_propagate()

    def test_draw_and_propagate(self):
        """Two drawn slices of a made volume, filled by the worker."""
        from PGTToolkitLib.self_test import draw_and_propagate

        self.delayDisplay(_("Draw two slices and propagate"))
        draw_and_propagate(slicer.mrmlScene)
        self.delayDisplay(_("Test passed"))
