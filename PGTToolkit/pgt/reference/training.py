"""Train the reference stage: both networks together, by cross pseudo supervision (FLARE22, section 2.2).

What a step draws depends on seed, step and process alone, so a training that was killed at any moment and
goes on from its last checkpoint takes the same course as one that never stopped.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pgt.case_table import CaseRow, write_case_table
from pgt.distributed import Team
from pgt.errors import Cancelled, OutputError, PGTError
from pgt.precision import bfloat16_is_fast, denormals_flushed
from pgt.progress import Progress
from pgt.propagation.fillers import choose_device
from pgt.reference.batches import Batch, SliceSampler, joined
from pgt.reference.cases import PreparedSlices, ReferenceCase, fingerprint, plan_card, prepare_cases
from pgt.reference.cross_supervision import cross_loss
from pgt.reference.model_folder import CASES, CHECKPOINT, DESCRIPTION, PREPARED
from pgt.reference.networks import ReferenceNetworks
from pgt.reference.reference_card import ReferenceCard, read_card
from pgt.reference.reference_model import ReferenceModel
from pgt.reference.settings import ReferenceSettings
from pgt.reference.training_folder import clear
from pgt.reference.training_log import LogLine, ReferenceLog
from pgt.reference.training_state import TrainingIdentity, read_state, write_state

Report = Callable[[Progress], None]
IsCancelled = Callable[[], bool]


def train_reference(
    cases: Sequence[ReferenceCase],
    settings: ReferenceSettings,
    folder: Path,
    progress: Report | None = None,
    cancelled: IsCancelled | None = None,
    team: Team | None = None,
    begin_anew: bool = False,
) -> ReferenceModel:
    """Train a model; a training that was begun in ``folder`` goes on, a finished one is only read.

    Args:
        cases: labelled and unlabelled ones, on files. Without unlabelled ones the networks learn from labels
            alone.
        settings: how to train.
        folder: for the model; made where missing. While training it holds ``training.safetensors``,
            ``log.csv`` (`pgt.reference.training_log`) and the prepared slices.
        progress: called while cases are looked at, and after every step.
        cancelled: asked before every case and step; what was learnt until the last checkpoint stays.
        team: the processes that train together; by default this one, or those that ``torchrun`` started. Each
            draws its own slices, so a step has as many times more.
        begin_anew: what the folder holds goes, once the cases were found good.

    Returns:
        The trained model, which lies in the folder, on the CPU.

    Raises:
        InputError: the cases cannot be used.
        OutputError: the folder cannot be written, or holds the model of another training.
        CheckpointError: the training in the folder is damaged, or another one.
        DeviceError: there is no CUDA device though one was asked for.
        Cancelled: ``cancelled`` said so.
        PGTError: the training diverged.
    """
    settings = replace(settings, device=choose_device(settings.device))
    report = progress or (lambda at: None)
    stop = cancelled or (lambda: False)
    team = team or Team.from_environment(settings.device)
    began = time.monotonic()

    def doing(message: str) -> Callable[[int, int], None]:
        def done(number: int, total: int) -> None:
            if stop():
                raise Cancelled
            if team.leads:
                report(Progress(number, total, time.monotonic() - began, message))

        return done

    card = plan_card(cases, settings, doing("Looking at the cases"))
    identity = TrainingIdentity(settings, card.describe(), fingerprint(cases))
    finished = None if begin_anew else _finished(folder, identity)
    if finished:
        return finished
    if team.leads:
        _make(folder)
        prepare_cases(cases, card, folder / PREPARED, doing("Preparing the cases"))
        if begin_anew:
            clear(folder)
    team.wait()
    prepared = prepare_cases(cases, card, folder / PREPARED)
    course = _Course(prepared, card, identity, folder, team)
    with denormals_flushed(settings.device), torch.random.fork_rng():
        course.run(report, stop)
    model = ReferenceModel(replace(card, training=course.described(cases)), course.networks.cpu())
    if team.leads:
        rows = [CaseRow(case.case, case.image, case.label) for case in cases]
        write_case_table(folder / CASES, rows, overwrite=True)
        model.save(folder, overwrite=True)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        shutil.rmtree(folder / PREPARED, ignore_errors=True)
    team.wait()
    return model


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error


def _finished(folder: Path, identity: TrainingIdentity) -> ReferenceModel | None:
    """The model of this very training, where it is there."""
    if not (folder / DESCRIPTION).exists():
        return None
    if read_card(folder).training.get("identity") != identity.describe():
        raise OutputError(f"{folder} holds the model of another training; choose another folder.")
    return ReferenceModel.load(folder)


class _Course:
    """One training: its state between steps is all that a checkpoint holds."""

    def __init__(
        self,
        cases: Sequence[PreparedSlices],
        card: ReferenceCard,
        identity: TrainingIdentity,
        folder: Path,
        team: Team,
    ) -> None:
        self.settings = settings = identity.settings
        self.identity, self.folder, self.team = identity, folder, team
        self.sampler = SliceSampler(cases, settings, card.plane, team.rank)
        self.networks = ReferenceNetworks(card.classes, card.size, settings.seed).to(settings.device).train()
        self.optimizer = torch.optim.AdamW(
            self.networks.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        # A line of the log is the mean over these many steps; checkpoints are taken between lines.
        self.stride = min(max(settings.iterations // 1000, 1), 50)
        self.mixed_precision = settings.device == "cuda" and bfloat16_is_fast("cuda")
        self.done, self.seconds = read_state(folder, identity, self.networks, self.optimizer)
        self._begun_with, self._spent_before = self.done, self.seconds
        self._began = self._saved = time.monotonic()
        team.follow_the_first(parameter.data for parameter in self.networks.parameters())
        team.follow_the_first(self._statistics())

    def run(self, report: Report, cancelled: IsCancelled) -> None:
        """Take all steps that are left."""
        log = ReferenceLog(self.folder, self.done) if self.team.leads else None
        parts: list[Tensor] = []
        while self.done < self.settings.iterations:
            if cancelled():
                raise Cancelled
            parts.append(self._step(self.done))
            self.done += 1
            self.seconds = self._spent_before + time.monotonic() - self._began
            report(self._progress(parts[-1]))
            if self.done % self.stride == 0 or self.done == self.settings.iterations:
                line = self._line(parts)
                parts = []
                if log:
                    log.add(line)
                    self._save_when_due()

    def described(self, cases: Sequence[ReferenceCase]) -> dict[str, object]:
        """How the model was trained, for its card."""
        labelled = sum(case.label is not None for case in cases)
        return {
            "identity": self.identity.describe(),
            "labelled_cases": labelled,
            "unlabelled_cases": len(cases) - labelled,
            "parameters": {
                "transunet": _count(self.networks.transunet.parameters()),
                "deeplab": _count(self.networks.deeplab.parameters()),
            },
            "processes": self.team.size,
            "seconds": round(self.seconds, 1),
        }

    def _step(self, step: int) -> Tensor:
        """One step; loss, Dice, cross-entropy and unsupervised loss, [4]."""
        settings = self.settings
        # Dropout draws from PyTorch's own generator.
        drawn = np.random.SeedSequence((settings.seed, step, self.team.rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(drawn[0]) >> 1)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate(step)
        batch, labelled = self._batch(step)
        with torch.autocast(settings.device, dtype=torch.bfloat16, enabled=self.mixed_precision):
            logits = self.networks(batch.images, batch.positions)
        parts = cross_loss(logits, batch.labels, labelled, settings.label_smoothing)
        loss = parts.total(settings.unsupervised(step))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        found = torch.stack([loss, parts.dice, parts.cross_entropy, parts.unsupervised]).detach()
        self._share(found)
        if not bool(torch.isfinite(found).all()):
            raise PGTError(
                f"The training in {self.folder} diverged in step {step + 1}; a lower learning rate may help."
            )
        self.optimizer.step()
        return found

    def _batch(self, step: int) -> tuple[Batch, int]:
        """The slices of a step, labelled ones first, and how many these are."""
        batches = [self.sampler.labelled(step)]
        unlabelled = self.sampler.unlabelled(step)
        if unlabelled:
            batches.append(unlabelled)
        return joined(batches).to(self.settings.device), self.settings.labelled

    def _share(self, found: Tensor) -> None:
        """Make gradients and losses the mean over all processes; statistics are the first one's."""
        if self.team.size == 1:
            return
        gradients = [parameter.grad for parameter in self.networks.parameters() if parameter.grad is not None]
        for tensor in (*gradients, found):
            tensor /= self.team.size
        self.team.add_up([*gradients, found])
        self.team.follow_the_first(self._statistics())

    def _statistics(self) -> list[Tensor]:
        return list(self.networks.buffers())

    def _progress(self, found: Tensor) -> Progress:
        total = self.settings.iterations
        pace = (self.seconds - self._spent_before) / (self.done - self._begun_with)
        left = pace * (total - self.done)
        said = f"Loss {float(found[0]):.2f}, {time_left(left)} left"
        return Progress(self.done, total, self.seconds, said)

    def _line(self, parts: Sequence[Tensor]) -> LogLine:
        loss, dice, entropy, unsupervised = torch.stack(list(parts)).mean(dim=0).tolist()
        step, settings = self.done, self.settings
        rate = settings.rate(step - 1)
        weight = settings.unsupervised(step - 1) if self.sampler.has_unlabelled else 0.0
        return LogLine(
            step, settings.iterations, rate, loss, dice, entropy, unsupervised, weight, self.seconds
        )

    def _save_when_due(self) -> None:
        if time.monotonic() - self._saved >= self.settings.checkpoint_seconds:
            write_state(self.folder, self.identity, self.networks, self.optimizer, self.done, self.seconds)
            self._saved = time.monotonic()


def time_left(seconds: float) -> str:
    """In the largest unit that says something."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _count(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)
