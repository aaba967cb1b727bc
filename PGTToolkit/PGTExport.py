"""The Export module of PGT Toolkit: labels and where they come from, as files that others can use."""

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)

from PGTToolkitLib.panels.module_widget import PanelModuleWidget


class PGTExport(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("PGT Export")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "SubjectHierarchy"]
        self.parent.contributors = ["PGT Toolkit contributors"]
        self.parent.helpText = _(
            "See which cases are drawn, filled and reviewed, and write the labels that are good enough as "
            "NIfTI, segmentation, DICOM SEG or training set, each with a record of how it came about."
        )
        self.parent.acknowledgementText = _("Part of PGT Toolkit, Apache License 2.0.")


class PGTExportWidget(PanelModuleWidget):
    """The panel, in Slicer's life cycle."""

    def make_logic(self):
        """The choices in the scene."""
        return PGTExportLogic()

    def make_panel(self, ui):
        """Built when the module is opened for the first time."""
        from PGTToolkitLib.panels.export_panel import ExportPanel

        return ExportPanel(ui)


class PGTExportLogic(ScriptedLoadableModuleLogic):
    """The module's choices in the scene. What it does is in PGTToolkitLib, which needs no widget."""

    def getParameterNode(self):
        """The choices, typed."""
        from PGTToolkitLib.panels.export_parameters import ExportParameters

        return ExportParameters(super().getParameterNode())


class PGTExportTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Everything."""
        self.setUp()
        self.test_export_what_was_drawn()

    def test_export_what_was_drawn(self):
        """A made case is drawn, and the worker writes it as a label that is read back."""
        from PGTToolkitLib.self_test import export_drawn_case

        self.delayDisplay(_("Export a made case"))
        export_drawn_case(slicer.mrmlScene)
        self.delayDisplay(_("Test passed"))
