"""Train the default propagation network, on made volumes or on a user's own finished volumes.

Training is by the clock: the learning rate falls along a cosine over the hours given. It stops cleanly at any
moment and goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from pgt.propagation.losses import bootstrapped_cross_entropy, dice_loss, lovasz_hinge
from pgt.propagation.network import SliceNetwork
from pgt.propagation.sampling import Example, LabelledVolume, draw_example, random_windows
from pgt.propagation.synthetic import make_volume

VolumeSource = Callable[[np.random.Generator], LabelledVolume]
"""Makes or picks the next labelled volume."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train. ``sizes`` are the crop sizes in pixels, one drawn for each step."""

    hours: float = 1.0
    learning_rate: float = 6e-4
    final_learning_rate: float = 1e-5
    weight_decay: float = 1e-2
    warm_up_steps: int = 100
    examples_per_step: int = 3
    examples_per_volume: int = 10
    sizes: tuple[int, ...] = (64, 80, 96, 96, 112)
    averaging: float = 0.998
    """Decay of the running average of the weights, which is what is kept."""
    checkpoint_minutes: float = 4.0
    workers: int = 1
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class TrainingStep:
    """What a progress report says."""

    step: int
    hours: float
    loss: float
    dice: float
    prior_dice: float
    learning_rate: float


def made_volume(generator: np.random.Generator) -> LabelledVolume:
    """A made volume, windowed at random like a CT or an MR."""
    side = int(generator.integers(96, 137))
    volume = make_volume(generator, (int(generator.integers(20, 73)), side, side))
    return LabelledVolume(
        volume.image, random_windows(generator, volume.image), volume.labels, volume.thickness
    )


class ExampleStream(IterableDataset[list[Example]]):
    """Endless batches of examples; the examples of a batch share their size in pixels."""

    def __init__(self, source: VolumeSource, settings: TrainingSettings, first_step: int) -> None:
        self.source = source
        self.settings = settings
        self.first_step = first_step

    def __iter__(self) -> Iterator[list[Example]]:
        worker = get_worker_info()
        torch.set_num_threads(1)
        seed = (self.settings.seed, self.first_step, worker.id if worker else 0)
        generator = np.random.default_rng(seed)
        waiting: dict[int, list[Example]] = {size: [] for size in self.settings.sizes}
        while True:
            volume = self.source(generator)
            for _ in range(self.settings.examples_per_volume):
                size = int(generator.choice(self.settings.sizes))
                if min(volume.labels.shape[1:]) < size:
                    continue
                example = draw_example(volume, generator, size)
                if example is not None:
                    waiting[size].append(example)
                if len(waiting[size]) == self.settings.examples_per_step:
                    yield waiting[size]
                    waiting[size] = []


def train(
    network: SliceNetwork,
    source: VolumeSource,
    settings: TrainingSettings,
    folder: Path,
    report: Callable[[TrainingStep], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> SliceNetwork:
    """Train ``network`` and return the running average of its weights.

    ``folder`` receives ``checkpoint.pt`` (all that is needed to go on), ``average.pt`` (the averaged weights)
    and ``log.jsonl``; where a checkpoint is there already, training goes on from it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    session = _Session(network, settings, folder)
    session.resume()
    loader = DataLoader(
        ExampleStream(source, settings, session.step), batch_size=None, num_workers=settings.workers
    )
    for examples in loader:
        result = session.advance(examples)
        if report is not None:
            report(result)
        if session.hours >= settings.hours or (cancelled is not None and cancelled()):
            break
        session.save_when_due()
    session.save()
    return session.averaged


class _Session:
    """The state of one training run."""

    def __init__(self, network: SliceNetwork, settings: TrainingSettings, folder: Path) -> None:
        self.network = network.to(settings.device).train()
        self.averaged = SliceNetwork(network.configuration).to(settings.device)
        self.averaged.load_state_dict(network.state_dict())
        self.settings = settings
        self.folder = folder
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.step = 0
        self.hours = 0.0
        self._clock = time.monotonic()
        self._saved = time.monotonic()

    def resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, map_location=self.settings.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.hours = state["step"], state["hours"]

    def advance(self, examples: list[Example]) -> TrainingStep:
        rate = self._learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        gaps = [example.gap.to(self.settings.device) for example in examples]
        with torch.autocast(self.settings.device.split(":")[0], torch.bfloat16):
            outputs = self.network(gaps)
        truths = [example.truth.to(self.settings.device) for example in examples]
        loss = torch.stack(
            [
                self._loss(logits, truth, example.counted)
                for logits, truth, example in zip(outputs, truths, examples, strict=True)
            ]
        ).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self._average()
        self._tick()
        dice = _mean_dice([logits.detach() for logits in outputs], truths, examples)
        prior = _mean_dice([gap.prior for gap in gaps], truths, examples)
        result = TrainingStep(self.step, self.hours, float(loss.detach()), dice, prior, rate)
        with open(self.folder / "log.jsonl", "a") as log:
            log.write(json.dumps(asdict(result)) + "\n")
        return result

    def _learning_rate(self) -> float:
        settings = self.settings
        done = min(self.hours / settings.hours, 1.0)
        cosine = 0.5 * (1 + np.cos(np.pi * done))
        rate = settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * cosine
        return float(rate * min((self.step + 1) / settings.warm_up_steps, 1.0))

    def _loss(self, logits: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
        """Bootstrapped cross-entropy, Dice and Lovasz over the slices that were not given."""
        chosen = counted.to(logits.device) > 0
        logits, truth = logits[chosen], truth[chosen]
        if not len(logits):
            return logits.sum() * 0
        fraction = max(1 - 4 * self.hours / self.settings.hours, 0.25)
        entropy = bootstrapped_cross_entropy(logits, truth, fraction)
        return entropy + dice_loss(logits, truth) + 0.5 * lovasz_hinge(logits, truth)

    def _average(self) -> None:
        self.step += 1
        decay = min(self.settings.averaging, 1 - 1 / (self.step + 1))
        with torch.no_grad():
            for kept, current in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(current, 1 - decay)

    def _tick(self) -> None:
        now = time.monotonic()
        self.hours += (now - self._clock) / 3600
        self._clock = now

    def save_when_due(self) -> None:
        if time.monotonic() - self._saved > 60 * self.settings.checkpoint_minutes:
            self.save()

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "hours": self.hours,
        }
        for name, content in (("checkpoint.pt", state), ("average.pt", self.averaged.state_dict())):
            beside = self.folder / f"{name}.part"
            torch.save(content, beside)
            beside.replace(self.folder / name)
        self._saved = time.monotonic()


def _mean_dice(scores: Sequence[Tensor], truths: Sequence[Tensor], examples: Sequence[Example]) -> float:
    """Mean Dice over segments of the slices that were not given; above zero is inside."""
    values = []
    for score, truth, example in zip(scores, truths, examples, strict=True):
        for segment, counted in enumerate(example.counted > 0):
            inside, real = score[segment][counted] > 0, truth[segment][counted] > 0
            total = int(inside.sum() + real.sum())
            if total:
                values.append(2 * int((inside & real).sum()) / total)
    return float(np.mean(values)) if values else 1.0
