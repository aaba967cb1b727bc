"""Made raters of a scene, and a run of the worker on them."""

from __future__ import annotations

import time

import numpy as np
from conftest import rotation

from pgt.agreement.job import AskedFor
from pgt.agreement.masks import CroppedMask
from pgt.geometry import Geometry
from PGTToolkitLib.agreement_runner import scene_source
from PGTToolkitLib.agreement_store import stored_agreement
from PGTToolkitLib.new_segmentation import add_segmentation
from PGTToolkitLib.reading_nodes import ReadingEntry, Role, enter
from PGTToolkitLib.worker import Finished, Progressed

OBLIQUE = Geometry(
    (32, 28, 16), (0.9, 1.3, 2.5), (12.0, -40.0, 3.0), tuple(map(tuple, rotation(20, -15, 35).tolist()))
)
FINER = Geometry(
    (64, 28, 16), (0.45, 1.3, 2.5), (12.0, -40.0, 3.0), tuple(map(tuple, rotation(20, -15, 35).tolist()))
)


def blob(radius, geometry=OBLIQUE, shift=0.0):
    points = np.moveaxis(np.indices(geometry.shape), 0, -1) * np.array(geometry.spacing)
    centre = np.array([14.0 + shift, 18.0, 20.0])
    return CroppedMask.of(((points - centre) ** 2).sum(axis=-1) <= radius**2)


def reading(scene, rater, session="1", radius=9.0, role=Role.RATER, geometry=OBLIQUE, shift=0.0):
    masks = {"Liver": blob(radius, geometry, shift), "Cyst": blob(radius / 2.5, geometry)}
    node = add_segmentation(scene, f"{rater} {session}", geometry, masks)
    enter(node, ReadingEntry(rater, session, role=role))
    return node


def finish(runner, seconds=120.0):
    """The event that ended the job."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event in runner.poll():
            if not isinstance(event, Progressed):
                return event
        time.sleep(0.02)
    raise AssertionError("the job did not end")


def compare(scene, runner, **asked):
    runner.compare(scene, scene_source(scene, None, {}), AskedFor(page=False, **asked))
    event = finish(runner)
    assert isinstance(event, Finished), event
    return stored_agreement(scene)
