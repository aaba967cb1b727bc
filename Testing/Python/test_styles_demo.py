"""The demonstration model of annotation styles: it loads, and its styles mean what they are called."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from pgt.propagation.checkpoints import list_models
from pgt.styles.inference import Segmenter
from pgt.styles.made_volumes import CLIPPED, LOOSE, MAIN, STYLES, TIGHT, make_case
from pgt.styles.style_model import MAIN_STYLE, StyleModel

FOLDER = Path(__file__).resolve().parents[2] / "PGTToolkit" / "Resources" / "Models" / "styles-demo"
UNSEEN = (100, 101, 102)
"""The model was trained on the made volumes 0 to 59."""


@pytest.fixture(scope="module")
def demo() -> StyleModel:
    return StyleModel.load(FOLDER)


def test_the_card_is_of_these_weights() -> None:
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    assert card["sha256"] == hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest()
    assert (FOLDER / "model.safetensors").stat().st_size < 4e6


def test_made_volumes_are_the_same_every_time() -> None:
    one, again = make_case(3), make_case(3)
    assert np.array_equal(one.image.voxels, again.image.voxels)
    assert not np.array_equal(one.image.voxels, make_case(4).image.voxels)
    sizes = {style: int(label.voxels.sum()) for style, label in one.labels.items()}
    assert sizes[TIGHT] < sizes[MAIN] < sizes[LOOSE]
    assert sizes[CLIPPED] < sizes[MAIN]


@pytest.mark.parametrize("number", UNSEEN)
def test_styles_order_volumes_of_which_training_saw_none(demo: StyleModel, number: int) -> None:
    case = make_case(number)
    segmenter = Segmenter(demo, case.image, "cpu")
    styles = {MAIN: demo.main_style, **demo.styles}
    found = {style: segmenter.segment(latent).label_map.mask(1) for style, latent in styles.items()}
    volumes = {style: int(mask.sum()) for style, mask in found.items()}
    assert volumes[TIGHT] < volumes[MAIN] < volumes[LOOSE]
    assert _length(found[CLIPPED]) < _length(found[MAIN]) - 4
    for style in STYLES:
        truth = {name: label.mask(1) for name, label in case.labels.items()}
        dice = {name: _dice(found[style], mask) for name, mask in truth.items()}
        assert max(dice, key=lambda name: dice[name]) == style
        assert dice[style] > 0.9


def test_the_styles_that_the_project_made_are_named(demo: StyleModel) -> None:
    assert set(demo.styles) == {TIGHT, LOOSE, CLIPPED}
    assert MAIN_STYLE not in demo.styles
    assert len(demo.latents) == 60


def _length(mask: np.ndarray) -> int:
    """Slices along j that have the organ."""
    return int(mask.any(axis=(0, 2)).sum())


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def test_a_style_model_is_not_listed_among_propagation_models() -> None:
    assert FOLDER.name not in {model.name for model in list_models()}
