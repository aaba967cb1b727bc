"""What only Slicer itself can show of Agreement: loading, the panel, its tree and plots, .mrb, PythonSlicer.

Run by ctest, and without a build by
    Slicer --testing --additional-module-paths PGTToolkit --python-code \
        "import slicer.testing; slicer.testing.runUnitTest(['Testing/InSlicer'], 'AgreementInSlicerTest')"
"""

import tempfile
import unittest
from pathlib import Path

import slicer
import vtk


class AgreementInSlicerTest(unittest.TestCase):
    """Each test begins with an empty scene."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def tearDown(self):
        slicer.mrmlScene.Clear()

    def test_module_is_loaded_under_segmentation(self):
        module = slicer.modules.pgtagreement
        self.assertEqual(module.title, "PGT Agreement")
        self.assertEqual(list(module.categories), ["Segmentation"])

    def test_panel_opens_closes_and_opens_again(self):
        for _visit in range(2):
            widget = self._open()
            self.assertIsNotNone(widget.panel)
            self.assertEqual(widget.ui.volumeSelector.mrmlScene(), slicer.mrmlScene)
            slicer.util.selectModule("Data")
            slicer.app.processEvents()

    def test_panel_outlives_a_closed_scene(self):
        widget = self._open()
        slicer.mrmlScene.Clear()
        slicer.app.processEvents()
        self.assertIsNotNone(widget.panel)

    def test_made_raters_are_compared_by_a_worker_of_pythonslicer(self):
        from PGTToolkitLib.self_test import compare_made_raters

        self.assertAlmostEqual(compare_made_raters(slicer.mrmlScene), 32 / 36)

    def test_selected_segmentations_become_readings(self):
        widget = self._open()
        nodes = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name) for name in ("A", "B")]
        for node in nodes:
            node.GetSegmentation().AddEmptySegment("", "Liver")
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        items = vtk.vtkIdList()
        for node in nodes:
            items.InsertNextId(hierarchy.GetItemByDataNode(node))
        slicer.app.processEvents()
        widget.ui.segmentationTree.setCurrentItems(items)
        widget.panel.readings.add_selected()
        table = widget.ui.readingsTable
        self.assertEqual([table.item(row, 1).text() for row in range(table.rowCount)], ["A", "B"])

    def test_results_fill_the_tables_and_a_plot_view(self):
        from PGTToolkitLib.self_test import compare_made_raters

        widget = self._open()
        compare_made_raters(slicer.mrmlScene)
        widget.panel.refresh()
        self.assertEqual(widget.ui.pairsTable.rowCount, 6)
        widget.panel.results.plot_band()
        slicer.app.processEvents()
        chart = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")[0]
        view = slicer.app.layoutManager().plotWidget(0).mrmlPlotViewNode()
        self.assertEqual(view.GetPlotChartNodeID(), chart.GetID())

    def test_results_survive_a_saved_scene(self):
        from PGTToolkitLib.agreement_store import stored_agreement
        from PGTToolkitLib.self_test import compare_made_raters

        compare_made_raters(slicer.mrmlScene)
        before = stored_agreement(slicer.mrmlScene)
        with tempfile.TemporaryDirectory() as folder:
            bundle = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(bundle))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(bundle)
            self.assertEqual(stored_agreement(slicer.mrmlScene), before)

    def _open(self):
        slicer.util.selectModule("PGTAgreement")
        slicer.app.processEvents()
        return slicer.modules.pgtagreement.widgetRepresentation().self()
