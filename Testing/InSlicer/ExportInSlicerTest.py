"""What only Slicer itself can show of Export: loading, the panel in its window, bars, PythonSlicer.

Run by ctest, and without a build by
    Slicer --testing --additional-module-paths PGTToolkit --python-code \
        "import slicer.testing; slicer.testing.runUnitTest(['Testing/InSlicer'], 'ExportInSlicerTest')"
"""

import tempfile
import unittest
from pathlib import Path

import slicer


class ExportInSlicerTest(unittest.TestCase):
    """Each test begins with an empty scene."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def tearDown(self):
        slicer.mrmlScene.Clear()

    def test_module_is_loaded_under_segmentation(self):
        module = slicer.modules.pgtexport
        self.assertEqual(module.title, "PGT Export")
        self.assertEqual(list(module.categories), ["Segmentation"])

    def test_panel_opens_closes_and_opens_again(self):
        for _visit in range(2):
            widget = self._open()
            self.assertIsNotNone(widget.panel)
            slicer.util.selectModule("Data")
            slicer.app.processEvents()

    def test_panel_outlives_a_closed_scene(self):
        widget = self._open()
        slicer.mrmlScene.Clear()
        slicer.app.processEvents()
        self.assertIsNotNone(widget.panel)

    def test_made_case_is_exported_by_a_worker_of_pythonslicer(self):
        from PGTToolkitLib.self_test import export_drawn_case

        self.assertGreater(export_drawn_case(slicer.mrmlScene), 0)

    def test_case_of_the_scene_has_a_bar_and_survives_a_saved_scene(self):
        import qt

        from PGTToolkitLib import export_scene
        from PGTToolkitLib.self_test import export_drawn_case

        widget = self._open()
        export_drawn_case(slicer.mrmlScene)
        widget.panel.enter()
        table = widget.ui.casesTable
        self.assertEqual(table.rowCount, 1)
        self.assertFalse(table.item(0, 1).data(qt.Qt.DecorationRole).isNull())
        before = table.item(0, 1).toolTip()
        with tempfile.TemporaryDirectory() as folder:
            bundle = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(bundle))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(bundle)
            slicer.app.processEvents()
            self.assertEqual(len(export_scene.scene_cases(slicer.mrmlScene)), 1)
            widget.panel.enter()
            self.assertEqual(table.item(0, 1).toolTip(), before)

    def _open(self):
        slicer.util.selectModule("PGTExport")
        slicer.app.processEvents()
        return slicer.modules.pgtexport.widgetRepresentation().self()
