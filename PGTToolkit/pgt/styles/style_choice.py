"""Which style was meant: the main one, one that has a name, or any point of the map."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pgt.errors import InputError
from pgt.styles.style_model import MAIN_STYLE, Latent, StyleModel

_SLACK = 0.1
"""Part of the trained range that a style may lie beyond it and still count as inside."""


def known_styles(model: StyleModel) -> Mapping[str, Latent]:
    """Every style that has a name, the main one first."""
    return {MAIN_STYLE: model.main_style, **model.styles}


def choose_style(model: StyleModel, text: str) -> Latent:
    """The latent vector of a style as a user writes it: a name, or numbers such as ``0.8,-0.3``.

    Raises:
        InputError: there is no such style, or the numbers are not as many as the model's dimensions.
    """
    styles = known_styles(model)
    if text in styles:
        return styles[text]
    try:
        latent = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"The model has no style {text!r}; it has {', '.join(styles)}.") from error
    check_latent(model, latent)
    return latent


def check_latent(model: StyleModel, latent: Latent) -> None:
    """Refuse what is no point of the model's map. Raises InputError."""
    dimensions = model.hypernetwork.shape.latent
    if len(latent) != dimensions:
        raise InputError(
            f"A style of this model has {dimensions} numbers, not {len(latent)}: {_told(latent)}."
        )
    if not all(math.isfinite(number) for number in latent):
        raise InputError(f"A style has finite numbers, not {_told(latent)}.")


def outside_training(model: StyleModel, latent: Latent) -> str | None:
    """A sentence for the user where a style lies outside the range of the training cases', else None."""
    if not model.latents:
        return None
    ranges = [(min(0.0, *axis), max(0.0, *axis)) for axis in zip(*model.latents.values(), strict=True)]
    slack = [_SLACK * (high - low) for low, high in ranges]
    if all(
        low - more <= number <= high + more
        for number, (low, high), more in zip(latent, ranges, slack, strict=True)
    ):
        return None
    trained = " and ".join(f"{low:.2g} to {high:.2g}" for low, high in ranges)
    return f"The style {_told(latent)} lies outside the trained range, {trained}; results may make no sense."


def _told(latent: Latent) -> str:
    return "(" + ", ".join(f"{number:.3g}" for number in latent) + ")"
