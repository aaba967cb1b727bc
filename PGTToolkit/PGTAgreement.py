"""The Agreement module of PGT Toolkit: how far raters agree, and when labels are good enough."""

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)

from PGTToolkitLib.panels.module_widget import PanelModuleWidget


class PGTAgreement(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("PGT Agreement")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "Plots", "SubjectHierarchy"]
        self.parent.contributors = ["PGT Toolkit contributors"]
        self.parent.helpText = _(
            "Compare raters, and sessions of one rater, on every structure; see where they differ, join "
            "their segmentations, and learn when labels are good enough to stop."
        )
        self.parent.acknowledgementText = _("Part of PGT Toolkit, Apache License 2.0.")


class PGTAgreementWidget(PanelModuleWidget):
    """The panel, in Slicer's life cycle."""

    def make_logic(self):
        """The choices in the scene."""
        return PGTAgreementLogic()

    def make_panel(self, ui):
        """Built when the module is opened for the first time."""
        from PGTToolkitLib.panels.agreement_panel import AgreementPanel

        return AgreementPanel(ui)


class PGTAgreementLogic(ScriptedLoadableModuleLogic):
    """The module's choices in the scene. What it does is in PGTToolkitLib, which needs no widget."""

    def getParameterNode(self):
        """The choices, typed."""
        from PGTToolkitLib.panels.agreement_parameters import AgreementParameters

        return AgreementParameters(super().getParameterNode())


class PGTAgreementTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Everything."""
        self.setUp()
        self.test_compare_made_raters()

    def test_compare_made_raters(self):
        """Three made raters, one of them twice, compared by the worker."""
        from PGTToolkitLib.self_test import compare_made_raters

        self.delayDisplay(_("Compare made raters"))
        compare_made_raters(slicer.mrmlScene)
        self.delayDisplay(_("Test passed"))
