"""From a table of cases to a folder with a trained model: plan, prepare, train, go on after an interruption.

While it is made the folder holds ``checkpoint.pt``, ``log.jsonl``, ``latents.jsonl``, ``progress.html``
(which a browser keeps fresh) and the prepared cases; a finished one holds ``model.safetensors`` and
``model.json`` as well, and no prepared cases, since those are patients' images.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace

from pgt.case_table import write_case_table
from pgt.distributed import Team
from pgt.errors import OutputError
from pgt.output_files import write_text
from pgt.progress import Progress
from pgt.propagation.fillers import choose_device
from pgt.styles.cases import prepare_cases
from pgt.styles.model_folder import CASES, FILES, PLAN, PREPARED
from pgt.styles.model_planning import plan_epochs, plan_model
from pgt.styles.style_model import StyleModel
from pgt.styles.training import train
from pgt.styles.training_log import Epoch
from pgt.styles.training_order import TrainingOrder, check_order, tidied
from pgt.styles.training_page import TrainingPage
from pgt.styles.training_settings import StyleTrainingSettings
from pgt.styles.training_state import read_architecture, read_settings


def train_folder(
    order: TrainingOrder,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    team: Team | None = None,
) -> StyleModel:
    """Train what was ordered; see `check_order` for what is refused beforehand.

    Args:
        order: what to train.
        report: called while cases are looked at and prepared, and after every epoch, in the first process.
        cancelled: asked before every step; what was learnt until the last checkpoint stays in the folder.
        team: the processes that train together; by default this one, or those that ``torchrun`` started.

    Returns:
        The trained model, which lies in the folder.

    Raises:
        InputError: the cases cannot be used; the folder is left as it was.
        CheckpointError: the training in the folder is damaged or on other cases.
        Cancelled: ``cancelled`` said so.
        PGTError: the training diverged.
    """
    device = choose_device(order.settings.device)
    order = replace(order, settings=replace(order.settings, device=device))
    team = team or Team.from_environment(device)
    if not team.leads:
        team.wait()
        return _run(order, report, cancelled, team)
    check_order(order)
    with tidied(order):
        _prepare(order, report)
        team.wait()
        return _run(order, report, cancelled, team)


def _run(
    order: TrainingOrder, report: Callable[[Progress], None], cancelled: Callable[[], bool], team: Team
) -> StyleModel:
    """Train what was prepared."""
    prepared = order.folder / PREPARED
    plan = json.loads((prepared / PLAN).read_text(encoding="utf-8"))
    model = StyleModel.untrained(plan["model"])
    cases = prepare_cases(order.rows, model.preparation, prepared)
    page = TrainingPage(order.folder, order.rows) if team.leads else None
    began = time.monotonic()

    def show(epoch: Epoch) -> None:
        assert page is not None  # only the first process reports
        page.show(epoch)
        said = f"Loss {epoch.loss:.3f}, Dice {1 - epoch.dice:.3f}"
        report(Progress(epoch.number, epoch.of, time.monotonic() - began, said))

    train(model, cases, StyleTrainingSettings(**plan["settings"]), order.folder, show, cancelled, team)
    if page:
        model.save(order.folder)
        page.finish()
        shutil.rmtree(prepared, ignore_errors=True)
    return model


def _prepare(order: TrainingOrder, report: Callable[[Progress], None]) -> None:
    """Plan the training and prepare its cases; an earlier model goes once all of them were found good."""
    prepared = order.folder / PREPARED
    began = time.monotonic()

    def doing(message: str) -> Callable[[int, int], None]:
        return lambda done, total: report(Progress(done, total, time.monotonic() - began, message))

    try:
        prepared.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{order.folder} cannot be written: {error.strerror}.") from error
    if order.resume:
        settings = _resumed(order, read_settings(order.folder))
        model = StyleModel.untrained(read_architecture(order.folder))
    else:
        epochs = order.epochs or plan_epochs(len(order.rows), order.settings)
        settings = replace(order.settings, epochs=epochs)
        looking = doing("Looking at the cases")
        model = plan_model(
            order.rows, order.size, order.spacing, order.values, order.latent, settings.seed, looking
        )
    prepare_cases(order.rows, model.preparation, prepared, doing("Preparing the cases"))
    if not order.resume:
        for name in FILES:
            (order.folder / name).unlink(missing_ok=True)
    plan = {"model": model.architecture(), "settings": asdict(settings)}
    write_text(prepared / PLAN, json.dumps(plan), overwrite=True)
    write_case_table(order.folder / CASES, order.rows, overwrite=True)


def _resumed(order: TrainingOrder, began: StyleTrainingSettings) -> StyleTrainingSettings:
    """The settings of a training that goes on."""
    return replace(
        began,
        epochs=order.epochs or began.epochs,
        device=order.settings.device,
        checkpoint_seconds=order.settings.checkpoint_seconds,
    )
