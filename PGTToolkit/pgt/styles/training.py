"""Train a style model: hyper-network and latent vectors together (Joutard et al., equation 1).

Every epoch sees each case once. What is drawn depends on seed, epoch and case alone, so a training that was
stopped at any moment and goes on from its last checkpoint takes the same course as one that never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgt.distributed import Team
from pgt.errors import Cancelled, PGTError
from pgt.precision import bfloat16_is_fast, denormals_flushed
from pgt.styles.augmentation import Augmentation
from pgt.styles.gathering import VIEWS, coming, gathered, main_place, places_to_try, worth_to_stay
from pgt.styles.latents import LatentTable
from pgt.styles.losses import segmentation_loss
from pgt.styles.sampling import PreparedCase, take_patches
from pgt.styles.style_model import StyleModel
from pgt.styles.training_log import Epoch, TrainingLog
from pgt.styles.training_schedule import Schedule
from pgt.styles.training_settings import StyleTrainingSettings
from pgt.styles.training_state import read_state, write_state


def train(
    model: StyleModel,
    cases: Sequence[PreparedCase],
    settings: StyleTrainingSettings,
    folder: Path,
    report: Callable[[Epoch], None] = lambda epoch: None,
    cancelled: Callable[[], bool] = lambda: False,
    team: Team | None = None,
) -> StyleModel:
    """Train ``model`` on ``cases``; a training that was begun in ``folder`` goes on.

    Args:
        model: an untrained model; it is trained in place.
        cases: prepared with the model's `Preparation`, two or more.
        settings: how to train; for one that goes on, as it began, but for `StyleTrainingSettings.LATER`.
        folder: receives ``checkpoint.pt`` (all that is needed to go on), ``log.jsonl`` and ``latents.jsonl``
            (`pgt.styles.training_log`).
        report: called after every epoch, in the first process alone.
        cancelled: asked before every step; the last checkpoint stays.
        team: the processes that train together; only the first writes and reports.

    Returns:
        The model with the latent vectors of all cases, on the CPU.

    Raises:
        Cancelled: ``cancelled`` said so.
        CheckpointError: the checkpoint in ``folder`` is damaged or of another training.
        PGTError: the training diverged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    course = _Course(model, cases, settings, folder, team or Team())
    course.resume()
    log = TrainingLog(folder, course.done) if course.team.leads else None
    with denormals_flushed(settings.device):
        while not course.is_over:
            epoch = course.epoch(cancelled)
            if log:
                log.add(epoch)
                report(epoch)
                course.save_when_due()
    if course.team.leads:
        course.save()
    course.come_to_rest(cancelled)
    model.hypernetwork.cpu().eval()
    model.latents = course.table.by_case()
    model.training = {
        **asdict(settings),
        "mixed_precision": course.mixed_precision,
        "epochs_run": course.done,
        "loss": course.losses[-1],
        "cases": len(cases),
        "seconds": round(course.seconds, 1),
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
        team: Team,
    ) -> None:
        generator = torch.Generator().manual_seed(settings.seed)
        self.model, self.cases, self.settings, self.folder, self.team = model, cases, settings, folder, team
        self.network = model.hypernetwork.to(settings.device).train()
        team.follow_the_first(parameter.data for parameter in self.network.parameters())
        self.table = LatentTable([case.name for case in cases], self.network.shape.latent, generator)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)
        self.schedule = Schedule(settings.epochs, settings.decay, settings.patience)
        self.augmentation = Augmentation()
        self.mixed_precision = self._decide_precision()
        self.losses: list[float] = []
        self.seconds = 0.0
        self._saved = time.monotonic()

    @property
    def done(self) -> int:
        """Epochs that are over."""
        return len(self.losses)

    @property
    def is_over(self) -> bool:
        """Whether no epoch is left."""
        return self.done >= self.schedule.last

    def epoch(self, cancelled: Callable[[], bool]) -> Epoch:
        """Every case once."""
        start = time.monotonic()
        order = np.random.default_rng((self.settings.seed, self.done)).permutation(len(self.cases))
        rate = self.schedule.rate(self.done)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * rate
        results = []
        for first in range(0, len(order), self.settings.cases_per_step):
            if cancelled():
                raise Cancelled
            rows = order[first : first + self.settings.cases_per_step]
            results.append(self._step(rows, self.settings.latent_rate * rate))
        loss, dice = torch.cat(results).mean(dim=0).tolist()
        self.losses.append(loss)
        self.schedule.look_for_the_plateau(self.losses)
        if self._gathering_is_due:
            self._gather(cancelled)
        self.seconds += time.monotonic() - start
        return Epoch(self.done, self.schedule.last, loss, dice, self.seconds, self.table.by_case())

    def _step(self, rows: NDArray[np.int64], latent_rate: float) -> Tensor:
        """One step for a few cases; loss and Dice loss, [case, 2]."""
        latents = self.table.vectors[torch.from_numpy(rows)].to(self.settings.device).requires_grad_(True)
        self.optimizer.zero_grad(set_to_none=True)
        outcome = self._computed(rows, latents)
        gradients = [_gradient(parameter) for parameter in self.network.parameters()]
        found = torch.cat([_gradient(latents), outcome], dim=1)
        self.team.add_up([*gradients, found])
        found = found.cpu()
        if not bool(torch.isfinite(found).all()):
            raise PGTError(
                f"The training in {self.folder} diverged in epoch {self.done + 1}; a lower learning rate "
                "may help."
            )
        self.optimizer.step()
        # The mean over the step's cases belongs to the hyper-network; a vector belongs to its case alone.
        by_vector = found[:, : latents.shape[1]] * len(rows)
        self.table.step(torch.from_numpy(rows), by_vector, latent_rate)
        return found[:, latents.shape[1] :]

    def _computed(self, rows: NDArray[np.int64], latents: Tensor) -> Tensor:
        """Put this process's part of a step's gradients on network and ``latents``.

        Returns:
            Loss and Dice loss, [case, 2]; lines of other processes' cases stay 0.
        """
        settings, own = self.settings, self.team.own(len(rows))
        outcome = torch.zeros(len(rows), 2, device=settings.device)
        if not own:
            return outcome
        images, labels = self._patches(rows[own], self.done)
        mine = latents[own]
        parts = segmentation_loss(self._logits(images, mine), labels)
        loss = parts.total + self._penalty(rows[own], mine)
        (loss.sum() / len(rows)).backward()
        outcome[own] = torch.stack([parts.total.detach(), parts.dice.detach()], dim=1)
        return outcome

    @property
    def _gathering_is_due(self) -> bool:
        every, since = self.settings.gather_every, self.done - self.schedule.falls_from
        # None in the last epochs: where cases went to, they shall come to rest.
        return bool(every) and since % every == 0 and since >= 0 and self.done <= self.schedule.last - every

    @torch.no_grad()
    def _gather(self, cancelled: Callable[[], bool]) -> None:
        """Draw every case to the place where its label is explained best."""
        places = places_to_try(self.table.vectors, self.done)
        tried = places[:, None].expand(-1, len(self.cases), -1)
        losses = self._losses_at(torch.cat([self.table.vectors[None], tried]), cancelled)
        falling, left = self.schedule.last - self.schedule.falls_from, self.schedule.last - self.done
        worth = worth_to_stay(1 - left / max(falling, 1), left < 2 * self.settings.gather_every)
        homes, moving = gathered(losses[:, 0], places, losses[:, 1:], worth)
        self.table.homes = homes
        self.table.move(moving, homes[moving])
        origin = main_place(homes)
        self.network.move_origin(origin)
        self.table.move_origin(origin)

    @torch.no_grad()
    def come_to_rest(self, cancelled: Callable[[], bool]) -> None:
        """Put cases that gather where they belong, once no epoch is left; checkpoints know nothing of it.

        Which place explains a label best is asked of several views of the case that training never showed.
        """
        if self.table.homes is None:
            return
        places = torch.unique(self.table.homes, dim=0)
        vectors = torch.cat([self.table.mean[None], places[:, None].expand(-1, len(self.cases), -1)])
        views = range(VIEWS if self.settings.augmentation else 1)
        losses = torch.stack([self._losses_at(vectors, cancelled, self.done + view) for view in views]).mean(
            0
        )
        lowest, best = losses[:, 1:].min(dim=1)
        moving = coming(losses[:, 0], lowest)
        self.table.move(moving, places[best][moving])

    def _losses_at(
        self, vectors: Tensor, cancelled: Callable[[], bool], shown_in: int | None = None
    ) -> Tensor:
        """The loss of every case, [case, column], with each of its vectors [column, case, dimension].

        Cases are taken as they are, or as they would be shown in an epoch.
        """
        losses = torch.zeros(len(self.cases), len(vectors), device=self.settings.device)
        for first in range(0, len(self.cases), self.settings.cases_per_step):
            if cancelled():
                raise Cancelled
            rows = np.arange(first, min(first + self.settings.cases_per_step, len(self.cases)))
            own = rows[self.team.own(len(rows))]
            if not len(own):
                continue
            images, labels = self._patches(own, shown_in)
            for column, latents in enumerate(vectors[:, torch.from_numpy(own)].to(self.settings.device)):
                parts = segmentation_loss(self._logits(images, latents), labels)
                losses[torch.from_numpy(own), column] = parts.total
        self.team.add_up([losses])
        return losses.cpu()

    def _penalty(self, rows: NDArray[np.int64], latents: Tensor) -> Tensor:
        """What draws latent vectors to the origin, or to the places where cases gathered, [case]."""
        weight, homes = self.settings.latent_penalty, self.table.homes
        if homes is None:
            # Vectors that shall gather find their direction first.
            return (0.0 if self.settings.gather_every else weight) * latents.abs().sum(dim=1)
        return weight * (latents - homes[torch.from_numpy(rows)].to(latents)).abs().sum(dim=1)

    def _patches(self, rows: NDArray[np.int64], shown_in: int | None = None) -> tuple[Tensor, Tensor]:
        """A patch of each of some cases, on the device; which one depends on seed, epoch and case alone.

        Args:
            rows: the cases.
            shown_in: the epoch whose augmentation they get; None for none.
        """
        epoch = self.done if shown_in is None else shown_in
        draws = [np.random.default_rng((self.settings.seed, epoch, int(row))) for row in rows]
        images, labels = take_patches([self.cases[row] for row in rows], self.model.patch, draws)
        if self.settings.augmentation and shown_in is not None:
            pairs = [self.augmentation(*drawn) for drawn in zip(images, labels, draws, strict=True)]
            images, labels = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        return images.to(self.settings.device), labels.to(self.settings.device)

    def _logits(self, images: Tensor, latents: Tensor) -> Tensor:
        with torch.autocast(self.settings.device, dtype=torch.bfloat16, enabled=self.mixed_precision):
            return self.model.logits(images, latents)

    def _decide_precision(self) -> bool:
        wanted = self.settings.mixed_precision
        decision = bfloat16_is_fast(self.settings.device) if wanted == "auto" else bool(wanted)
        shared = torch.tensor([float(decision)], device=self.settings.device)
        self.team.follow_the_first([shared])
        return bool(shared.item())

    # --- checkpoints

    def save_when_due(self) -> None:
        """Write a checkpoint where the last one is old enough."""
        if time.monotonic() - self._saved > self.settings.checkpoint_seconds:
            self.save()

    def save(self) -> None:
        """Write a checkpoint."""
        write_state(self.folder, self._state())
        self._saved = time.monotonic()

    def _state(self) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings),
            "model": self.model.architecture(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "latents": self.table.state(),
            "cases": list(self.table.cases),
            "losses": self.losses,
            "plateau": self.schedule.plateau,
            "mixed_precision": self.mixed_precision,
            "seconds": self.seconds,
        }

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one."""
        state = read_state(self.folder, self._state())
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.table.restore(state["latents"])
        self.losses, self.seconds = state["losses"], state["seconds"]
        self.mixed_precision = state["mixed_precision"]
        if state["settings"]["epochs"] == self.settings.epochs:
            self.schedule.plateau = state["plateau"]


def _gradient(tensor: Tensor) -> Tensor:
    """The gradient, 0 where this process had nothing to add."""
    if tensor.grad is None:
        tensor.grad = torch.zeros_like(tensor)
    return tensor.grad
