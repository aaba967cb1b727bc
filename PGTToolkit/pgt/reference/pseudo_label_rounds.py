"""Rounds of pseudo-labelling: train several models, label the unlabelled, accept what they agree on, repeat.

FLARE22 seed, "Pseudo labeling with Uncertainty Estimation". Accepted pseudo-labels count as labels from the
next round on, the other cases stay unlabelled (and still teach the networks through cross pseudo
supervision). It ends when a round accepts nothing new, when nothing is left, or after the rounds asked for.

Everything lies in one folder (`pgt.reference.pseudo_label_plan`). Each model, scored case and round is whole
or absent there, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from pgt import __version__
from pgt.annotation import utc_now
from pgt.case_table import CaseRow, write_case_table
from pgt.errors import Cancelled, InputError, OutputError
from pgt.output_files import write_text
from pgt.plain_data import from_plain, to_plain
from pgt.progress import Progress
from pgt.propagation.checkpoints import sha256_of
from pgt.propagation.fillers import choose_device
from pgt.propagation.windowing import choose_windowing
from pgt.reference.cases import ReferenceCase
from pgt.reference.labelling_by_workers import Labelling, label_by_workers
from pgt.reference.model_folder import DEEPLAB, TRANSUNET
from pgt.reference.pseudo_label_manifest import (
    LearntCase,
    RoundManifest,
    ScoredCase,
    UsedModel,
    read_manifest,
    scored_case,
    write_manifest,
)
from pgt.reference.pseudo_label_plan import (
    CASES,
    LABELS,
    MANIFEST,
    MODELS,
    REJECTED,
    SCORED,
    UNDER_WAY,
    RoundsOrder,
    begin,
    check_order,
)
from pgt.reference.pseudo_labels import PseudoLabel, pseudo_label
from pgt.reference.reference_model import ReferenceModel
from pgt.reference.training import train_reference
from pgt.scale.case_runs import ScaleSettings
from pgt.volume import Segment
from pgt.volume_io import read_volume, write_label_map

Report = Callable[[Progress], None]
IsCancelled = Callable[[], bool]

_SEEDS_APART = 1000
"""Seeds of two rounds differ by this much, so that no model is trained twice from the same start."""


def run_rounds(
    order: RoundsOrder, progress: Report = lambda step: None, cancelled: IsCancelled = lambda: False
) -> tuple[RoundManifest, ...]:
    """Do all rounds, or those that are missing.

    Args:
        order: cases, folder and settings.
        progress: told of every training step and every few slices.
        cancelled: asked as often; what is whole in the folder stays for the next time.

    Returns:
        The manifests of all rounds, those of earlier runs included.

    Raises:
        InputError: the cases cannot be used (`check_order`), or their images are not of one modality.
        OutputError: the folder cannot be written.
        CheckpointError: a model in the folder is damaged or of another training.
        Cancelled: ``cancelled`` said so.
    """
    check_order(order)
    if not (order.folder / "round-1" / MANIFEST).exists():
        _check_images(order, progress, cancelled)
    begin(order)
    rounds: list[RoundManifest] = []
    while not ended(order, rounds):
        made = _Round(order, rounds, progress, cancelled).result()
        rounds.append(made)
    return tuple(rounds)


def ended(order: RoundsOrder, rounds: Sequence[RoundManifest]) -> bool:
    """Whether no further round is to be done: enough of them, nothing new, or nothing left."""
    if not rounds:
        return False
    nothing_left = len(rounds[-1].accepted) == len(rounds[-1].scored)
    return len(rounds) >= order.settings.rounds or not rounds[-1].accepted or nothing_left


def _check_images(order: RoundsOrder, progress: Report, cancelled: IsCancelled) -> None:
    """Read every image once: what cannot be read, or is of another kind, is better known before training."""
    began = time.monotonic()
    kinds: dict[str, str] = {}
    for number, row in enumerate(order.rows):
        if cancelled():
            raise Cancelled
        windowing = choose_windowing(read_volume(row.image).voxels, order.settings.training.modality)
        kinds[row.case] = windowing.modality
        passed = time.monotonic() - began
        progress(Progress(number + 1, len(order.rows), passed, "Looking at the images"))
    counts = Counter(kinds.values())
    if len(counts) > 1:
        rarest = min(counts, key=lambda kind: counts[kind])
        row = next(row for row in order.rows if kinds[row.case] == rarest)
        usual = next(kind for kind in counts if kind != rarest)
        raise InputError(
            f"{row.image} (case {row.case}) looks like {rarest.upper()}, other images of the table like "
            f"{usual.upper()}; the models need images of one modality."
        )


class _Round:
    """One round under way."""

    def __init__(
        self, order: RoundsOrder, before: Sequence[RoundManifest], progress: Report, cancelled: IsCancelled
    ) -> None:
        self.order, self.settings = order, order.settings
        self.number = len(before) + 1
        self.folder = order.folder / f"round-{self.number}"
        self._progress, self._cancelled = progress, cancelled
        accepted = {case.case: (made.number, case) for made in before for case in made.accepted}
        self.first_threshold = before[0].threshold if before else None
        self.scores = {name: case.score for name, (_, case) in accepted.items()}
        self.labels = {row.case: (row.label, None) for row in order.rows if row.label}
        self.labels.update(
            {name: (self._file(number, case), number) for name, (number, case) in accepted.items()}
        )
        self.left = tuple(row for row in order.rows if row.case not in self.labels)

    labels: dict[str, tuple[Path, int | None]]
    """Of every labelled case: its label map, and the round that accepted it or None."""

    def result(self) -> RoundManifest:
        """What the round came to; done now unless it is there."""
        manifest = self.folder / MANIFEST
        if manifest.exists():
            return self._checked(read_manifest(manifest), manifest)
        _make(self.folder, self.folder / MODELS)
        models = [self._model(number) for number in range(self.settings.models)]
        threshold, scored = self._judged(self._scored(models))
        self._sort(scored)
        made = RoundManifest(
            number=self.number,
            software=__version__,
            finished=utc_now(),
            threshold=threshold,
            settings=to_plain(self.settings.training),
            models=tuple(self._used(number) for number in range(self.settings.models)),
            learnt_from=tuple(
                LearntCase(row.case, self.labels[row.case][1])
                for row in self.order.rows
                if row.case in self.labels
            ),
            scored=tuple(scored),
        )
        self._write_table(made)
        write_manifest(manifest, made)
        shutil.rmtree(self.folder / SCORED, ignore_errors=True)
        return made

    def _checked(self, made: RoundManifest, path: Path) -> RoundManifest:
        """A round of an earlier run, whose accepted labels must be there."""
        for case in made.accepted:
            if not (self.folder / case.label).exists():
                raise InputError(
                    f"{self.folder / case.label} is missing, which {path} lists as accepted; restore it, or "
                    "begin anew with --force."
                )
        return made

    def _file(self, number: int, case: ScoredCase) -> Path:
        return self.order.folder / f"round-{number}" / case.label

    def _seed(self, number: int) -> int:
        return self.settings.training.seed + _SEEDS_APART * (self.number - 1) + number

    def _model(self, number: int) -> ReferenceModel:
        """Train a model of the round, counted from 0; one that is there is only read."""
        label = {name: path for name, (path, _) in self.labels.items()}
        cases = [ReferenceCase(row.case, row.image, label.get(row.case)) for row in self.order.rows]
        said = f"Round {self.number}, model {number + 1} of {self.settings.models}"
        model = train_reference(
            cases,
            replace(self.settings.training, seed=self._seed(number)),
            self.folder / MODELS / str(number + 1),
            self._saying(said),
            self._cancelled,
        )
        device = torch.device(choose_device(self.settings.training.device))
        return ReferenceModel(model.card, model.networks, device)

    def _scored(self, models: Sequence[ReferenceModel]) -> list[ScoredCase]:
        """Label and score all cases that are left, or those that an earlier run has not."""
        folder = self.folder / SCORED
        _make(folder)
        named = any(Segment.numbered(value).name != name for value, name in _classes(models[0]).items())
        suffix = ".seg.nrrd" if named else ".nii.gz"  # only NRRD keeps the names of structures
        if self.order.scale is not None:
            self._label_by_workers(suffix, folder, self.order.scale)
        scored = []
        for number, row in enumerate(self.left):
            record, name = folder / f"{row.case}.json", row.case + suffix
            if not record.exists():
                said = f"Round {self.number}, labelling case {number + 1} of {len(self.left)}"
                made = pseudo_label(models, read_volume(row.image), self._saying(said), self._cancelled)
                self._keep(row.case, made, folder / name, record)
            scored.append(from_plain(ScoredCase, _read_json(record)))
        return scored

    def _judged(self, scored: Sequence[ScoredCase]) -> tuple[float, list[ScoredCase]]:
        """The threshold, and what it accepts: the one asked for, or the middle score of the first round."""
        threshold = self.settings.threshold
        if threshold is None:
            threshold = self.first_threshold
        if threshold is None:
            threshold = round(median(case.score for case in scored), 6)
        judged = []
        for case in scored:
            # Of what no model found anything in there is nothing to learn, however low the threshold.
            accepted = case.score >= threshold and case.score > 0
            place = LABELS if accepted else REJECTED
            judged.append(replace(case, accepted=accepted, label=f"{place}/{Path(case.label).name}"))
        return threshold, judged

    def _label_by_workers(self, suffix: str, folder: Path, scale: ScaleSettings) -> None:
        missing = [row for row in self.left if not (folder / f"{row.case}.json").exists()]
        under_way = self.folder / UNDER_WAY
        shutil.rmtree(under_way, ignore_errors=True)
        _make(under_way)
        models = tuple(self.folder / MODELS / str(number + 1) for number in range(self.settings.models))
        labelling = Labelling(models, self.settings.training.device, suffix)
        began = time.monotonic()

        def tell(ended: int) -> None:
            passed = time.monotonic() - began
            words = f"Round {self.number}, labelling"
            self._progress(Progress(ended, len(missing), passed, words))

        label_by_workers(missing, labelling, folder, replace(scale, folder=under_way), tell)
        shutil.rmtree(under_way, ignore_errors=True)

    def _keep(self, case: str, made: PseudoLabel, path: Path, record: Path) -> None:
        """Write a pseudo-label and, last, its score."""
        write_label_map(made.label_map, path, overwrite=True)
        entry = scored_case(case, made.score, path)
        write_text(record, json.dumps(to_plain(entry), indent=1) + "\n", overwrite=True)

    def _sort(self, scored: Sequence[ScoredCase]) -> None:
        """Put the label maps where they belong; those that an earlier run has put there stay."""
        _make(self.folder / LABELS, self.folder / REJECTED)
        for case in scored:
            made = self.folder / SCORED / Path(case.label).name
            if made.exists():
                made.replace(self.folder / case.label)
            elif not (self.folder / case.label).exists():
                raise InputError(
                    f"{made} is missing though its score is there; remove {made.parent} and start again."
                )

    def _used(self, number: int) -> UsedModel:
        folder = self.folder / MODELS / str(number + 1)
        return UsedModel(
            f"{MODELS}/{number + 1}",
            self._seed(number),
            {name: sha256_of(folder / name) for name in (TRANSUNET, DEEPLAB)},
        )

    def _write_table(self, made: RoundManifest) -> None:
        """``CASES.csv``: all labelled cases, given and accepted, in the order of the table."""
        scores = {**self.scores, **{case.case: case.score for case in made.accepted}}
        known = dict(self.labels)
        known.update({case.case: (self.folder / case.label, self.number) for case in made.accepted})
        rows = []
        for row in self.order.rows:
            if row.case in known:
                label, number = known[row.case]
                source = {"label_from": f"round-{number}" if number else "given"}
                score = {"score": f"{scores[row.case]:.4f}" if row.case in scores else ""}
                others = {**row.others, **source, **score}
                rows.append(CaseRow(row.case, row.image, label, others))
        write_case_table(self.folder / CASES, rows, overwrite=True)

    def _saying(self, words: str) -> Report:
        def said(step: Progress) -> None:
            self._progress(replace(step, message=f"{words}: {step.message}"))

        return said


def _classes(model: ReferenceModel) -> Mapping[int, str]:
    return dict(zip(model.card.values, model.card.names, strict=True))


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def _make(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
