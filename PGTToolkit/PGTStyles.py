"""The Styles module of PGT Toolkit: a map of annotation styles, and segmentation in any of them."""

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)

from PGTToolkitLib.panels.module_widget import PanelModuleWidget


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


class PGTStylesWidget(PanelModuleWidget):
    """The panel, in Slicer's life cycle."""

    def make_logic(self):
        """The choices in the scene."""
        return PGTStylesLogic()

    def make_panel(self, ui):
        """Built when the module is opened for the first time."""
        from PGTToolkitLib.panels.styles_panel import StylesPanel

        return StylesPanel(ui)


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
