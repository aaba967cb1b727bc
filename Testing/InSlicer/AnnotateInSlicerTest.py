"""What only Slicer itself can show of Annotate: loading, the panel in its window, .mrb, PythonSlicer.

Run by ctest, and without a build by
    Slicer --testing --additional-module-paths PGTToolkit --python-code \
        "import slicer.testing; slicer.testing.runUnitTest(['Testing/InSlicer'], 'AnnotateInSlicerTest')"
"""

import tempfile
import unittest
from pathlib import Path

import slicer


class AnnotateInSlicerTest(unittest.TestCase):
    """Each test begins with an empty scene."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def tearDown(self):
        slicer.mrmlScene.Clear()

    def test_module_is_loaded_under_segmentation(self):
        module = slicer.modules.pgtannotate
        self.assertEqual(module.title, "PGT Annotate")
        self.assertEqual(list(module.categories), ["Segmentation"])

    def test_panel_opens_closes_and_opens_again(self):
        for _visit in range(2):
            slicer.util.selectModule("PGTAnnotate")
            slicer.app.processEvents()
            widget = slicer.modules.pgtannotate.widgetRepresentation().self()
            self.assertIsNotNone(widget.panel)
            self.assertEqual(widget.ui.volumeSelector.mrmlScene(), slicer.mrmlScene)
            slicer.util.selectModule("Data")
            slicer.app.processEvents()

    def test_panel_outlives_a_closed_scene(self):
        slicer.util.selectModule("PGTAnnotate")
        slicer.mrmlScene.Clear()
        slicer.app.processEvents()
        self.assertIsNotNone(slicer.modules.pgtannotate.widgetRepresentation().self().panel)

    def test_drawn_slices_are_filled_by_a_worker_of_pythonslicer(self):
        from PGTToolkitLib.self_test import draw_and_propagate

        draw_and_propagate(slicer.mrmlScene)

    def test_slice_states_survive_a_saved_scene(self):
        from PGTToolkitLib.ledger_tags import read_ledger
        from PGTToolkitLib.sample_data import load_sample_volume
        from PGTToolkitLib.session import AnnotationSession, Identity, create_segmentation

        volume = load_sample_volume(slicer.mrmlScene)
        segmentation = create_segmentation(volume)
        name = segmentation.GetName()
        segment = segmentation.GetSegmentation().GetNthSegmentID(0)
        session = AnnotationSession(volume, segmentation, Identity("reader A", "2"))
        session.confirm(segment, 2, 7)
        before = list(session.ledger)
        session.close()
        with tempfile.TemporaryDirectory() as folder:
            bundle = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(bundle))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(bundle)
            self.assertEqual(list(read_ledger(slicer.util.getNode(name))), before)
        self.assertEqual(
            [(record.index, record.empty, record.rater) for record in before], [(7, True, "reader A")]
        )
