"""A tiny style model that has learnt three known styles, trained once for all tests (seconds)."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

from style_cases import LOOSE, TIGHT, prepared_cases, tiny_model

from pgt.styles.style_model import StyleModel

SIZES = [1.0] * 12 + [TIGHT] * 6 + [LOOSE] * 6


@lru_cache(maxsize=1)
def trained_style_model() -> StyleModel:
    """Of 12 cases as they are, 6 tight and 6 loose ones; the styles "tight" and "loose" are named."""
    import torch

    from pgt.styles.training import train
    from pgt.styles.training_settings import StyleTrainingSettings

    settings = StyleTrainingSettings(
        epochs=30, patience=0, learning_rate=3e-3, augmentation=False, mixed_precision=False
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = train(tiny_model(), prepared_cases(SIZES), settings, Path(folder))
    finally:
        torch.set_num_threads(threads)
    places = list(model.latents.values())
    model.styles = {"tight": _middle(places[12:18]), "loose": _middle(places[18:])}
    return model


def _middle(places: list[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(sum(axis) / len(places) for axis in zip(*places, strict=True))
