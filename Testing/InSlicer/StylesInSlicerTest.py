"""What only Slicer itself can show of Styles: loading, the panel in its window, the map, PythonSlicer.

Run by ctest, and without a build by
    Slicer --testing --additional-module-paths PGTToolkit --python-code \
        "import slicer.testing; slicer.testing.runUnitTest(['Testing/InSlicer'], 'StylesInSlicerTest')"
"""

import importlib.util
import unittest

import slicer

MISSING = [
    name for name in ("torch", "safetensors", "sklearn", "monai") if importlib.util.find_spec(name) is None
]


class StylesInSlicerTest(unittest.TestCase):
    """Each test begins with an empty scene."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def tearDown(self):
        slicer.mrmlScene.Clear()

    def test_module_is_loaded_under_segmentation(self):
        module = slicer.modules.pgtstyles
        self.assertEqual(module.title, "PGT Styles")
        self.assertEqual(list(module.categories), ["Segmentation"])

    def test_panel_opens_closes_and_opens_again(self):
        for _visit in range(2):
            slicer.util.selectModule("PGTStyles")
            slicer.app.processEvents()
            widget = slicer.modules.pgtstyles.widgetRepresentation().self()
            self.assertIsNotNone(widget.panel)
            self.assertEqual(widget.ui.volumeSelector.mrmlScene(), slicer.mrmlScene)
            slicer.util.selectModule("Data")
            slicer.app.processEvents()

    def test_map_is_drawn_and_answers_the_mouse(self):
        import qt

        slicer.util.selectModule("PGTStyles")
        slicer.app.processEvents()
        widget = slicer.modules.pgtstyles.widgetRepresentation().self()
        picture = widget.panel.map.picture
        picture.show_cases({"one": (0.0, 0.0), "two": (1.0, 1.0)}, {})
        picture.draw()
        self.assertFalse(widget.ui.mapLabel.pixmap.isNull())
        x, y = picture.plane.to_pixel((1.0, 1.0))
        event = qt.QMouseEvent(
            qt.QEvent.MouseMove, qt.QPointF(x, y), qt.Qt.NoButton, qt.Qt.NoButton, qt.Qt.NoModifier
        )
        qt.QApplication.sendEvent(widget.ui.mapLabel, event)
        self.assertEqual(picture.hovered, "two")

    @unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)}")
    def test_model_is_trained_and_used_by_a_worker_of_pythonslicer(self):
        from PGTToolkitLib.self_test import train_and_segment

        train_and_segment(slicer.mrmlScene)
