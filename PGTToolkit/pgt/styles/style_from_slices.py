"""A style from a few slices: the point of the map that explains best what a rater drew.

The network stays as it is; the latent vector alone follows the gradient of the training's loss (Joutard et
al., equation 1) on the annotated slices, its L1 norm included, from several starts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgt.annotation import SparseAnnotation
from pgt.errors import Cancelled, DeviceError, InputError
from pgt.progress import Progress
from pgt.styles.drawn_slices import SeenWindow, drawn_slices, seen_windows
from pgt.styles.inference import DeviceName, IsCancelled, Report, Segmenter
from pgt.styles.style_choice import check_latent, known_styles
from pgt.styles.style_model import Latent, StyleModel
from pgt.volume import Volume

_PENALTY = 0.05
"""Weight of the L1 norm where the model does not tell what it was trained with."""


@dataclass(frozen=True)
class FitSettings:
    """How to look for a style.

    Args:
        cases: training cases whose styles are starts, besides the origin and every style with a name; as far
            from each other as there are.
        refined: best starts from which the gradient is followed.
        steps: of Adam from each of them.
        rate: length of the first steps, in parts of the trained range.
        penalty: weight of the L1 norm; that of the training by default.
    """

    cases: int = 8
    refined: int = 3
    steps: int = 20
    rate: float = 0.08
    penalty: float | None = None


@dataclass(frozen=True)
class FittedStart:
    """Where the search began and where it led; losses are on the annotated slices, the penalty included."""

    start: Latent
    start_loss: float
    latent: Latent
    loss: float


@dataclass(frozen=True)
class FittedStyle:
    """The style that explains the annotated slices best.

    Args:
        latent: where it lies.
        loss: Dice loss plus cross-entropy on the annotated slices, without the penalty.
        main_loss: that of the main style.
        dice: mean over the annotated structures, of all annotated slices together.
        main_dice: that of the main style.
        starts: every start, best end first.
        slices: annotated slices that were looked at.
        seconds: it took.
    """

    latent: Latent
    loss: float
    main_loss: float
    dice: float
    main_dice: float
    starts: tuple[FittedStart, ...]
    slices: int
    seconds: float


def fit_style(
    model: StyleModel,
    volume: Volume,
    annotation: SparseAnnotation,
    starts: Sequence[Latent] = (),
    settings: FitSettings = FitSettings(),
    device: DeviceName = "auto",
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> FittedStyle:
    """Find the style of a few annotated slices.

    Args:
        model: a trained model.
        volume: the image.
        annotation: on its grid, slices along any axes; labels are matched with the model's classes by name
            or, where no name agrees, by value.
        starts: further points to begin at, such as the centres of clusters.
        settings: how to look.
        device: where to compute.
        progress: told after every step.
        cancelled: asked before every step.

    Raises:
        InputError: the annotation lies on another grid or has no structure of the model, or the image is the
            same everywhere.
        DeviceError: there is no such device, or its memory does not suffice.
        Cancelled: ``cancelled`` said so.
    """
    return fit_prepared(Segmenter(model, volume, device), annotation, starts, settings, progress, cancelled)


def fit_prepared(
    segmenter: Segmenter,
    annotation: SparseAnnotation,
    starts: Sequence[Latent] = (),
    settings: FitSettings = FitSettings(),
    progress: Report = lambda step: None,
    cancelled: IsCancelled = lambda: False,
) -> FittedStyle:
    """As `fit_style`, for a volume that is prepared already."""
    begun = time.monotonic()
    model = segmenter.model
    difference = annotation.label_map.geometry.difference(segmenter.geometry)
    if difference:
        raise InputError(f"The annotation does not lie on the image: {difference}.")
    drawn = drawn_slices(annotation, model)
    matrices = model.preparation.grid_weights(segmenter.geometry)
    windows = seen_windows(segmenter.image, drawn, matrices, model.patch, segmenter.device)
    penalty = settings.penalty
    if penalty is None:
        penalty = float(model.training.get("latent_penalty", _PENALTY))
    first = _starts(model, starts, settings.cases)
    steps = _Steps(len(first) + settings.refined * settings.steps, progress, cancelled)
    explained = _Explained(segmenter, windows, penalty, steps)
    try:
        fitted = _fitted(explained, first, settings)
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            "The GPU's memory does not suffice to look for a style; choose the device cpu."
        ) from error
    found, main = explained.at(fitted[0].latent), explained.at(model.main_style)
    return FittedStyle(
        latent=fitted[0].latent,
        loss=found.loss,
        main_loss=main.loss,
        dice=found.dice,
        main_dice=main.dice,
        starts=tuple(fitted),
        slices=len(drawn),
        seconds=time.monotonic() - begun,
    )


@dataclass(frozen=True)
class _Loss:
    """How badly a style explains the slices: with and without the penalty; and the Dice."""

    total: float
    loss: float
    dice: float


class _Explained:
    """How badly each style explains the annotated slices; styles once asked for are remembered."""

    def __init__(
        self, segmenter: Segmenter, windows: tuple[SeenWindow, ...], penalty: float, steps: _Steps
    ) -> None:
        self.model, self.device = segmenter.model, segmenter.device
        self.windows, self.penalty, self.steps = windows, penalty, steps
        self.network = self.model.hypernetwork.to(self.device).eval()
        self.half = segmenter.half
        self._known: dict[Latent, _Loss] = {}

    def at(self, latent: Latent) -> _Loss:
        """Of one style."""
        if latent not in self._known:
            with torch.no_grad():
                self._known[latent] = self._computed(torch.tensor([latent], device=self.device))
            self.steps.advance()
        return self._known[latent]

    def with_gradient(self, vector: Tensor) -> _Loss:
        """Of one style, a tensor [1, dimension] that receives the gradient."""
        found = self._computed(vector)
        self._known[_latent(vector)] = found
        self.steps.advance()
        return found

    def _computed(self, vector: Tensor) -> _Loss:
        loss, sums = 0.0, torch.zeros(2, self.model.unet.shape.classes)
        for seen in self.windows:
            self.steps.check()
            part, found = self._of_window(vector, seen)
            if vector.requires_grad:
                part.backward()  # window by window, so that memory holds one
            loss += float(part.detach())
            sums += found
        prior = self.penalty * vector.abs().sum()
        if vector.requires_grad:
            prior.backward()
        known = sums[1] > 0
        dice = float((2 * sums[0][known] / sums[1][known]).mean()) if bool(known.any()) else 1.0
        return _Loss(loss + float(prior.detach()), loss, dice)

    def _of_window(self, vector: Tensor, seen: SeenWindow) -> tuple[Tensor, Tensor]:
        """Weighted loss of a window; overlap and sizes of the thresholded classes, [2, class]."""
        weights = self.network(vector)
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.half):
            logits = self.model.unet.segment(seen.image, weights)
        shares = logits[0].float().softmax(dim=0)
        soft, hard = (torch.zeros(2, len(shares), device=self.device) for _ in range(2))
        wrong, voxels = torch.zeros((), device=self.device), 0
        for part in seen.slices:
            found, classes = part.of(shares), list(part.classes)
            wrong = wrong + _cross_entropy(found, part.truth)
            voxels += found.numel()
            soft = soft.index_add(1, torch.tensor(classes, device=self.device), _overlap(found, part.truth))
            inside = (found.detach() > 0.5).float()
            hard.index_add_(1, torch.tensor(classes, device=self.device), _overlap(inside, part.truth))
        known = soft[1].detach() > 0
        dice_loss = (1 - 2 * soft[0][known] / soft[1][known]).mean()
        return seen.weight * (dice_loss + wrong / voxels), hard.cpu()


def _cross_entropy(found: Tensor, truth: Tensor) -> Tensor:
    """Sum over voxels and classes; each class by itself, since others may not be annotated there."""
    inside = found.clamp(1e-4, 1 - 1e-4)
    return -(truth * inside.log() + (1 - truth) * (1 - inside).log()).sum()


def _overlap(found: Tensor, truth: Tensor) -> Tensor:
    """What both have in common, and the sum of their sizes, [2, class]."""
    return torch.stack([(found * truth).sum(dim=(1, 2)), found.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))])


def _fitted(explained: _Explained, first: Sequence[Latent], settings: FitSettings) -> list[FittedStart]:
    """Every start and where it led, best end first; from the best starts the gradient is followed."""
    losses = [explained.at(latent).total for latent in first]
    order = np.argsort(losses, kind="stable").tolist()
    refined = [_refined(explained, first[place], settings) for place in order[: settings.refined]]
    left = [
        FittedStart(first[place], losses[place], first[place], losses[place])
        for place in order[settings.refined :]
    ]
    return sorted([*refined, *left], key=lambda one: one.loss)


def _refined(explained: _Explained, start: Latent, settings: FitSettings) -> FittedStart:
    """Follow the gradient from a start; the best point on the way counts."""
    vector = torch.tensor([start], device=explained.device, requires_grad=True)
    optimizer = torch.optim.Adam([vector], lr=settings.rate, betas=(0.7, 0.9))
    rate = settings.rate * _reach(explained.model)
    before = explained.at(start).total
    best, latent = before, start
    for parameter in explained.network.parameters():
        parameter.requires_grad_(False)
    try:
        for step in range(settings.steps):
            optimizer.zero_grad(set_to_none=True)
            here = _latent(vector)
            found = explained.with_gradient(vector)
            if found.total < best:
                best, latent = found.total, here
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * step / settings.steps)) / 2
            optimizer.step()
    finally:
        for parameter in explained.network.parameters():
            parameter.requires_grad_(True)
    return FittedStart(start, before, latent, best)


def _latent(vector: Tensor) -> Latent:
    return tuple(vector.detach()[0].tolist())


def _reach(model: StyleModel) -> float:
    """How far the training cases lie from the origin, along the axis along which they reach farthest."""
    return max((abs(number) for latent in model.latents.values() for number in latent), default=1.0) or 1.0


def _starts(model: StyleModel, further: Sequence[Latent], cases: int) -> list[Latent]:
    """The origin, styles with a name, those that were given, and some training cases', each once."""
    for latent in further:
        check_latent(model, latent)
    starts = list(dict.fromkeys([*known_styles(model).values(), *map(tuple, further)]))
    return list(dict.fromkeys([*starts, *_far_apart(model, starts, cases)]))


def _far_apart(model: StyleModel, present: Sequence[Latent], count: int) -> list[Latent]:
    """Training cases' styles, each the one farthest from those taken before it."""
    places = np.array(sorted(model.latents.values()), dtype=np.float64)
    if not len(places):
        return []
    taken: list[Latent] = []
    distance: NDArray[np.float64] = np.full(len(places), np.inf)
    for known in present:
        distance = np.minimum(distance, np.linalg.norm(places - np.array(known), axis=1))
    while len(taken) < count and distance.max() > 0:
        chosen = places[int(distance.argmax())]
        taken.append(tuple(chosen.tolist()))
        distance = np.minimum(distance, np.linalg.norm(places - chosen, axis=1))
    return taken


class _Steps:
    """Counts steps, tells of progress and stops when asked to."""

    def __init__(self, total: int, progress: Report, cancelled: IsCancelled) -> None:
        self.done, self.total = 0, total
        self._progress, self._cancelled = progress, cancelled
        self._started = time.monotonic()

    def check(self) -> None:
        """Raise Cancelled where that was asked for."""
        if self._cancelled():
            raise Cancelled

    def advance(self) -> None:
        """One step more."""
        self.done = min(self.done + 1, self.total)
        seconds = time.monotonic() - self._started
        self._progress(Progress(self.done, self.total, seconds, "Looking for the style"))
