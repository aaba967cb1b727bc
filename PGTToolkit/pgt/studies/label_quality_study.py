"""A study of label quality from its configuration to its results.

Below the study's folder lie ``cells`` (results, `pgt.studies.cells`), ``labels`` (every version's label maps,
numbered in the order of the case list) and ``networks``. What is there is not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pgt.case_table import CaseRow
from pgt.errors import InputError
from pgt.plain_data import to_plain
from pgt.propagation.fillers import choose_device
from pgt.studies.cells import CellFolder, fingerprint_of, run_cells
from pgt.studies.label_quality import common_structures
from pgt.studies.label_quality_cells import cells_of
from pgt.studies.label_quality_configuration import LabelQualityConfiguration, Structure
from pgt.studies.label_quality_experiments import Experiments
from pgt.studies.label_quality_results import LabelQualityResults, gathered
from pgt.studies.label_quality_task import SegmentationTask, read_on_grid, read_task
from pgt.studies.label_versions import ColumnVersion, PredictedVersion, column_file, folds_of, split_cases
from pgt.studies.structure_scheme import StructureScheme
from pgt.studies.study_cases import study_rows
from pgt.studies.study_store import StudyStore

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class StudyOrder:
    """What to study, as far as it is known before any image is read.

    Args:
        configuration: of the study.
        rows: of its cases.
        second_rows: of the cases to fine-tune on; empty without a second task.
        folder: for everything that is made.
        device: "auto", "cpu" or "cuda".
        force: throw away what another study left in the folder.
    """

    configuration: LabelQualityConfiguration
    rows: tuple[CaseRow, ...]
    second_rows: tuple[CaseRow, ...]
    folder: Path
    device: str = "auto"
    force: bool = False

    @property
    def fingerprint(self) -> str:
        """Changes with everything that cells depend on; seeds do not count, so that some can be added."""
        read = self.configuration
        tuning = read.fine_tuning
        # Wherever the command is called from, the files are the same.
        here = replace(
            read,
            cases=read.cases.resolve(),
            fine_tuning=tuning and replace(tuning, cases=tuning.cases.resolve()),
        )
        plain = to_plain(replace(here, seeds=(0,), agreement=None))
        files = [
            CaseRow(f"{row.case}/{version.name}", column_file(row, version, self.configuration.cases))
            for version in self.configuration.columns
            for row in self.rows
        ]
        return fingerprint_of(plain, (*self.rows, *self.second_rows, *files))


def ordered(
    configuration: LabelQualityConfiguration, folder: Path, device: str = "auto", force: bool = False
) -> StudyOrder:
    """Check everything that can be checked before images are read.

    Raises:
        InputError: a case list is unusable, a file is missing, there are too few cases for the division into
            training and kept-out cases or into folds, or the second task has images of the first.
    """
    rows = study_rows(configuration.cases)
    training, _ = split_cases(len(rows), configuration.kept_out, configuration.split_seed)
    for version in configuration.versions:
        if isinstance(version, PredictedVersion):
            folds_of(len(training), version.folds, configuration.split_seed)
    second_rows: tuple[CaseRow, ...] = ()
    if configuration.fine_tuning is not None:
        second_rows = study_rows(configuration.fine_tuning.cases)
        _check_second(configuration, rows, second_rows)
    order = StudyOrder(configuration, rows, second_rows, folder, device, force)
    _ = order.fingerprint  # every column has its files
    return order


def run_study(
    order: StudyOrder,
    progress: Progress = lambda done, total, message: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> LabelQualityResults:
    """Do what is missing of a study.

    Args:
        order: what to do (`ordered`).
        progress: called with steps done, steps in all, and what is being done.
        cancelled: asked before every training step; what was done stays.

    Raises:
        InputError: a file cannot be read, or labels do not fit their image or the structures.
        OutputError: the folder holds another study, or the disk is full.
        Cancelled: ``cancelled`` said so.
        DeviceError: the device asked for is not there.
        PGTError: a training diverged.
    """
    device = choose_device(order.device)
    configuration, fingerprint = order.configuration, order.fingerprint
    cells = CellFolder(order.folder, fingerprint)
    cells.prepare(order.force)
    store = StudyStore(order.folder, fingerprint)
    if order.force:
        store.clear()
    progress(0, 0, "Reading the cases")
    task, left_out = _study_task(order)
    second = _second_task(order, task)
    experiments = Experiments(
        configuration, store, task, _pretraining_task(configuration, task), second, device, cancelled
    )
    with repeatable(device):
        found = run_cells(cells_of(configuration), cells, experiments.run, progress, cancelled)
    return gathered(
        configuration,
        found,
        task.scheme.names,
        left_out,
        second.scheme.names if second else None,
        len(experiments.split[0]),
    )


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """A graphics card computes the same each time, as far as its libraries can; a CPU does anyhow."""
    if device != "cuda":
        yield
        return
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


def _study_task(order: StudyOrder) -> tuple[SegmentationTask, tuple[str, ...]]:
    """The study's task with the structures that all versions can hold, and the names of the others."""
    configuration = order.configuration
    task = read_task(order.rows, _scheme(configuration.structures), configuration.spacing_mm)
    held = {version.name: _held(order, version, task) for version in configuration.columns}
    common = common_structures(task.scheme.names, held)
    if common != task.scheme.names:
        left_out = tuple(name for name in task.scheme.names if name not in common)
        return task.with_structures(task.scheme.only(common)), left_out
    return task, ()


def _held(order: StudyOrder, version: ColumnVersion, task: SegmentationTask) -> tuple[str, ...]:
    """The structures that labels from the case list can hold; every file is looked at before any training."""
    scheme, occurring = task.scheme, set()
    for row, case in zip(order.rows, task.cases, strict=True):
        path = column_file(row, version, order.configuration.cases)
        labels = read_on_grid(path, case.truth.geometry, row.case)
        task.names.check(path, labels)
        occurring |= set(scheme.classes_of(labels.voxels).ravel().tolist())
    if version.structures is not None:
        unknown = [name for name in version.structures if name not in scheme.names]
        if unknown:
            raise InputError(
                f"Label version {version.name} names the structure {unknown[0]}, which the study has not; it "
                f"has {', '.join(scheme.names)}."
            )
        return version.structures
    return tuple(
        name for name, number in zip(scheme.names, scheme.classes, strict=True) if number in occurring
    )


def _second_task(order: StudyOrder, task: SegmentationTask) -> SegmentationTask | None:
    tuning = order.configuration.fine_tuning
    if tuning is None:
        return None
    scheme = _scheme(tuning.structures) or task.scheme
    return read_task(order.second_rows, scheme, task.reader.spacing)


def _pretraining_task(configuration: LabelQualityConfiguration, task: SegmentationTask) -> SegmentationTask:
    tuning = configuration.fine_tuning
    if tuning is None or tuning.pretrained_on is None:
        return task
    scheme = _scheme(tuning.pretrained_on)
    assert scheme is not None
    # A structure of several values is written with its first.
    known = {values[0] for values in task.scheme.structures.values()}
    for name, values in scheme.structures.items():
        if not known & set(values):
            raise InputError(
                f"Pre-training on {name} is not possible: none of its label values belongs to a structure of "
                "the study."
            )
    return task.with_structures(scheme)


def _check_second(
    configuration: LabelQualityConfiguration, rows: Sequence[CaseRow], second_rows: Sequence[CaseRow]
) -> None:
    tuning = configuration.fine_tuning
    assert tuning is not None
    known = {row.image.resolve() for row in rows}
    both = [row.case for row in second_rows if row.image.resolve() in known]
    if both:
        raise InputError(
            f"{tuning.cases} has images of {configuration.cases} ({both[0]}); fine-tuning needs other cases."
        )
    if len(second_rows) < tuning.training_cases + 2:
        raise InputError(
            f"{tuning.cases} lists {len(second_rows)} cases; fine-tuning on {tuning.training_cases} leaves "
            "fewer than two to measure."
        )


def _scheme(structures: Sequence[Structure] | None) -> StructureScheme | None:
    if structures is None:
        return None
    named = [structure.name for structure in structures]
    if len(set(named)) != len(named):
        raise InputError(f"Two structures have the same name: {', '.join(named)}.")
    return StructureScheme({structure.name: structure.values for structure in structures})
