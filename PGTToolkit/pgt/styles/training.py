"""Train a style model: hyper-network and latent vectors together (Joutard et al., equation 1).

Every epoch sees each case once, in an order drawn from seed and epoch alone, so a training that was stopped
at any moment and goes on from its last checkpoint takes the same course as one that never stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pgt.errors import Cancelled, CheckpointError
from pgt.styles.latents import LatentTable
from pgt.styles.losses import segmentation_loss
from pgt.styles.sampling import PreparedCase, take_patches
from pgt.styles.style_model import StyleModel


@dataclass(frozen=True)
class StyleTrainingSettings:
    """How to train.

    Args:
        epochs: at most; the last `decay` share of them runs with a falling rate.
        learning_rate: of the hyper-network (Adam).
        latent_rate: of the latent vectors (Adam).
        latent_penalty: weight of the L1 norm of the latent vectors.
        cases_per_step: trained together, each with weights of its own.
        decay: share of the epochs at the end in which both rates fall to a twentieth.
        patience: epochs without a better loss after which the falling begins early; 0 for never.
        mixed_precision: run the primary network in bfloat16 (the hyper-network stays in float32).
        checkpoint_seconds: at most this much work is lost when training is stopped.
        seed: of everything that is drawn.
        device: "cpu" or "cuda".
    """

    epochs: int = 200
    learning_rate: float = 1e-3
    latent_rate: float = 0.03
    latent_penalty: float = 0.05
    cases_per_step: int = 8
    decay: float = 0.3
    patience: int = 0
    mixed_precision: bool = True
    checkpoint_seconds: float = 60.0
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class Epoch:
    """What a progress report says: losses are means over the cases; latents are [case, dimension]."""

    number: int
    of: int
    loss: float
    dice: float
    seconds: float
    latents: Tensor


def train(
    model: StyleModel,
    cases: Sequence[PreparedCase],
    settings: StyleTrainingSettings,
    folder: Path,
    report: Callable[[Epoch], None] = lambda epoch: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> StyleModel:
    """Train ``model`` on ``cases``; a training that was begun in ``folder`` goes on.

    Args:
        model: an untrained model; it is trained in place.
        cases: prepared with the model's `Preparation`.
        settings: how to train.
        folder: receives ``checkpoint.pt`` (all that is needed to go on) and ``log.jsonl`` (one line an
            epoch).
        report: called after every epoch.
        cancelled: asked after every step; the last checkpoint stays.

    Returns:
        The model with the latent vectors of all cases.

    Raises:
        Cancelled: ``cancelled`` said so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    course = _Course(model, cases, settings, folder)
    course.resume()
    while not course.is_over:
        report(course.epoch(cancelled))
        course.save_when_due()
    course.save()
    model.latents = course.table.by_case()
    model.training = {
        **asdict(settings),
        "epochs_run": course.done,
        "cases": len(cases),
        "seconds": course.seconds,
    }
    return model


class _Course:
    """One training: its state between epochs is all that a checkpoint holds."""

    def __init__(
        self,
        model: StyleModel,
        cases: Sequence[PreparedCase],
        settings: StyleTrainingSettings,
        folder: Path,
    ) -> None:
        generator = torch.Generator().manual_seed(settings.seed)
        self.model, self.cases, self.settings, self.folder = model, cases, settings, folder
        self.network = model.hypernetwork.to(settings.device).train()
        self.table = LatentTable([case.name for case in cases], self.network.shape.latent, generator)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)
        self.losses: list[float] = []
        self.seconds = 0.0
        self.falls_from = round(settings.epochs * (1 - settings.decay))
        self._saved = time.monotonic()

    @property
    def done(self) -> int:
        """Epochs that are over."""
        return len(self.losses)

    @property
    def last(self) -> int:
        """The epoch after which training ends."""
        return max(round(self.falls_from / (1 - self.settings.decay)), self.falls_from + 1)

    @property
    def is_over(self) -> bool:
        return self.done >= self.last

    def epoch(self, cancelled: Callable[[], bool]) -> Epoch:
        """Every case once."""
        start = time.monotonic()
        draw = np.random.default_rng((self.settings.seed, self.done))
        rows = draw.permutation(len(self.cases))
        results = []
        for first in range(0, len(rows), self.settings.cases_per_step):
            if cancelled():
                raise Cancelled
            results.append(self._step(rows[first : first + self.settings.cases_per_step], draw))
        loss, dice = torch.cat(results, dim=1).mean(dim=1).tolist()
        self.losses.append(loss)
        self._look_for_the_plateau()
        self.seconds += time.monotonic() - start
        epoch = Epoch(self.done, self.last, loss, dice, self.seconds, self.table.mean.clone())
        self._log(epoch)
        return epoch

    def _step(self, rows: np.ndarray, draw: np.random.Generator) -> Tensor:
        """One step for a few cases; loss and Dice loss, [2, case]."""
        settings, chosen = self.settings, torch.from_numpy(rows)
        images, labels = take_patches([self.cases[row] for row in rows], self.model.patch, draw)
        latents = self.table.vectors[chosen].to(settings.device).requires_grad_(True)
        with torch.autocast(settings.device, dtype=torch.bfloat16, enabled=settings.mixed_precision):
            logits = self.model.logits(images.to(settings.device), latents)
        parts = segmentation_loss(logits, labels.to(settings.device))
        loss = parts.total + settings.latent_penalty * latents.abs().sum(dim=1)
        self.optimizer.zero_grad(set_to_none=True)
        loss.mean().backward()
        rate = self._falling()
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate
        self.optimizer.step()
        assert latents.grad is not None
        # The mean over the step's cases belongs to the hyper-network; a vector belongs to its case alone.
        self.table.step(chosen, latents.grad.cpu() * len(rows), settings.latent_rate * rate)
        return torch.stack([parts.total.detach(), parts.dice.detach()]).cpu()

    def _falling(self) -> float:
        """What both rates are multiplied by in this epoch."""
        if self.done < self.falls_from:
            return 1.0
        share = (self.done - self.falls_from + 1) / max(self.last - self.falls_from, 1)
        return max(1 - share, 0.05)

    def _look_for_the_plateau(self) -> None:
        patience = self.settings.patience
        if not patience or self.done >= self.falls_from:
            return
        recent, before = self.losses[-patience:], self.losses[:-patience]
        if before and min(before) <= min(recent):
            self.falls_from = self.done

    def _log(self, epoch: Epoch) -> None:
        line = {"epoch": epoch.number, "loss": epoch.loss, "dice_loss": epoch.dice, "seconds": epoch.seconds}
        log = self.folder / "log.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        # A resumed training repeats the epochs since its last checkpoint.
        text = "".join(f"{kept}\n" for kept in [*lines[: epoch.number - 1], json.dumps(line)])
        log.write_text(text, encoding="utf-8")

    # --- checkpoints

    def save_when_due(self) -> None:
        if time.monotonic() - self._saved > self.settings.checkpoint_seconds:
            self.save()

    def save(self) -> None:
        """Write the checkpoint beside its place, then put it there."""
        content = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "latents": self.table.state(),
            "cases": list(self.table.cases),
            "losses": self.losses,
            "falls_from": self.falls_from,
            "seconds": self.seconds,
        }
        partial = self.folder / "checkpoint.pt.partial"
        torch.save(content, partial)
        partial.replace(self.folder / "checkpoint.pt")
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["cases"] != list(self.table.cases):
            raise CheckpointError(f"{path} belongs to a training on other cases; choose another folder.")
        self.network.load_state_dict(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.table.restore(content["latents"])
        self.losses, self.falls_from = content["losses"], content["falls_from"]
        self.seconds = content["seconds"]
