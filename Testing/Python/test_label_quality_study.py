"""A study of label quality from configuration to results, on made cases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from label_quality_cases import write_cases, write_configuration

from pgt.errors import Cancelled, InputError, OutputError
from pgt.studies.configuration import read_configuration
from pgt.studies.label_quality_configuration import LabelQualityConfiguration
from pgt.studies.label_quality_results import LabelQualityResults
from pgt.studies.label_quality_study import ordered, run_study
from pgt.volume_io import read_label_map

VERSIONS = {
    "propagated": [{"name": "2 slices", "slices": 2, "axis": 2}],
    "predicted": [{"name": "network", "channels": [4, 4, 8], "steps": 3, "folds": 2}],
    "columns": [{"name": "copy", "column": "same"}],
}
TUNING = {"cases": "second.csv", "training_cases": 2, "steps": 2}


@dataclass
class Ran:
    """What a study came to, and the cells that were done for it."""

    results: LabelQualityResults
    done: list[str]


def run(configuration: Path, folder: Path, force: bool = False) -> Ran:
    done: list[str] = []
    read = read_configuration(configuration, LabelQualityConfiguration)
    order = ordered(read, folder, "cpu", force)
    results = run_study(order, lambda _done, total, said: done.append(said) if total else None)
    return Ran(results, done)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("label-quality")
    write_cases(folder, "cases", 10)
    write_cases(folder, "second", 4, first=50)
    return folder


@pytest.fixture(scope="module")
def studied(made) -> tuple[Path, Ran]:
    configuration = write_configuration(made, **VERSIONS, fine_tuning=TUNING)
    return made / "study", run(configuration, made / "study")


def test_versions_are_judged_and_only_labels_differ_between_trainings(studied):
    results, done = studied[1].results, studied[1].done
    assert results.versions == ("base", "2 slices", "network", "thin", "copy")
    assert results.labels.shape == (5, 10, 2, 2)
    assert results.in_domain.scores.shape == (5, 1, 2, 2, 2)
    assert results.label_quality("copy", "dice").mean == 1.0
    assert 0.3 < results.label_quality("thin", "dice").mean < 1
    assert 0.3 < results.label_quality("2 slices", "dice").mean < 1
    # The same labels in other files: first weights, cases and order are the same, so the networks are, too.
    for task in (results.in_domain, results.fine_tuned):
        assert task is not None
        base, copy, thin = (task.scores[task.row(name)] for name in ("base", "copy", "thin"))
        assert (base == copy).all()
        assert (base != thin).any()
    assert results.fine_tuned is not None
    assert results.fine_tuned.versions[0] == "no pre-training"
    assert results.fine_tuned.scores.shape == (6, 1, 2, 2, 2)
    assert len(done) == 2 + 4 + 5 + 6


def test_label_maps_lie_on_their_cases_and_nobody_is_named(studied):
    folder, _ = studied
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    assert "labels/thin/0001.nii.gz" in names
    assert not [name for name in names if "Doe" in name]
    assert not [path for path in folder.rglob("*.json") if "Doe" in path.read_text()]
    base = read_label_map(folder.parent / "cases-0-base.nrrd")
    thin = read_label_map(folder / "labels" / "thin" / "0001.nii.gz")
    assert thin.geometry.difference(base.geometry) is None
    assert set(thin.values) == {3, 5}
    assert not (thin.voxels != 0)[base.voxels == 0].any()


def test_a_second_run_does_what_is_missing(studied, made, monkeypatch):
    folder, ran = studied
    configuration = made / "study.json"
    assert run(configuration, folder).done == []
    monkeypatch.chdir(made)
    assert run(Path("study.json"), Path("study")).done == []
    cells = folder / "cells"
    for name in ("labels-network", "trained-thin-0", "finetuned-thin-0"):
        (cells / f"{name}.json").unlink()
    (cells / "finetuned-base-0.json").write_text("{")
    (folder / "networks" / "trained-thin-0.safetensors").write_bytes(b"damaged")
    (folder / "labels" / "network" / "version.json").unlink()
    again = run(configuration, folder)
    assert again.done == ["labels-network", "trained-thin-0", "finetuned-base-0", "finetuned-thin-0"]
    assert (again.results.in_domain.scores == ran.results.in_domain.scores).all()
    assert again.results.fine_tuned is not None
    assert ran.results.fine_tuned is not None
    assert (again.results.fine_tuned.scores == ran.results.fine_tuned.scores).all()
    assert (again.results.labels == ran.results.labels).all()

    content = json.loads(configuration.read_text())
    more = made / "more.json"
    more.write_text(json.dumps(content | {"seeds": [0, 3], "fine_tuning": None}))
    with pytest.raises(OutputError, match="another configuration or other cases"):
        run(more, folder)
    more.write_text(json.dumps(content | {"seeds": [0, 3]}))
    seeded = run(more, folder)
    assert len(seeded.done) == 5 + 6
    assert {name[-1] for name in seeded.done} == {"3"}
    assert seeded.results.in_domain.scores.shape[1] == 2
    assert (seeded.results.in_domain.scores[:, 0] != seeded.results.in_domain.scores[:, 1]).any()


def test_structures_that_a_version_cannot_hold_are_left_out(made, tmp_path):
    columns = [{"name": "half", "column": "half"}]
    found = run(write_configuration(made, "half.json", columns=columns), tmp_path / "half").results
    assert (found.structures, found.left_out) == (("lower",), ("upper",))
    assert found.label_quality("half", "dice").mean == 1.0
    # A version that merely failed to label a structure is measured by it.
    columns[0]["structures"] = ["lower", "upper"]
    found = run(write_configuration(made, "both.json", columns=columns), tmp_path / "both").results
    assert found.left_out == ()
    assert found.label_quality("half", "dice").mean == pytest.approx(0.5)
    columns[0]["structures"] = ["lower", "middle"]
    with pytest.raises(InputError, match="names the structure middle, which the study has not"):
        run(write_configuration(made, "wrong.json", columns=columns), tmp_path / "wrong")


def test_pre_training_on_other_structures_has_networks_of_its_own(made, tmp_path):
    tuning = {**TUNING, "pretrained_on": [{"name": "whole", "values": [3, 5]}]}
    ran = run(write_configuration(made, "own.json", fine_tuning=tuning), tmp_path / "own")
    assert "pretrained-thin-0" in ran.done
    assert ran.results.fine_tuned is not None
    assert ran.results.fine_tuned.structures == ("lower", "upper")
    tuning["pretrained_on"] = [{"name": "nothing", "values": [9]}]
    with pytest.raises(InputError, match="Pre-training on nothing is not possible"):
        run(write_configuration(made, "none.json", fine_tuning=tuning), tmp_path / "none")


def test_turned_files_are_the_same_study(made, tmp_path):
    write_cases(tmp_path, "cases", 10, turn="PIL")
    straight = run(write_configuration(made, "plain.json"), tmp_path / "straight").results
    turned = run(write_configuration(tmp_path, "turned.json"), tmp_path / "turned").results
    assert turned.labels == pytest.approx(straight.labels, abs=1e-5)
    assert turned.in_domain.scores == pytest.approx(straight.in_domain.scores, abs=0.02)


def test_cancelling_keeps_what_was_done(made, tmp_path):
    read = read_configuration(write_configuration(made, "stop.json"), LabelQualityConfiguration)
    done: list[str] = []
    with pytest.raises(Cancelled):
        run_study(
            ordered(read, tmp_path / "stop", "cpu"),
            lambda _done, total, said: done.append(said) if total else None,
            lambda: "trained-base-0" in done,
        )
    assert [path.name for path in (tmp_path / "stop" / "cells").iterdir()] == ["labels-thin.json"]
    assert not list((tmp_path / "stop").rglob("*.safetensors"))


def test_scores_are_those_of_the_kept_networks(studied, made):
    """What a cell says can be computed anew from the network that the study kept."""
    from pgt.studies.label_quality_task import read_task
    from pgt.studies.label_versions import split_cases
    from pgt.studies.networks import NetworkShape, build_network
    from pgt.studies.structure_scheme import StructureScheme
    from pgt.studies.study_cases import study_rows
    from pgt.studies.study_store import StudyStore
    from pgt.studies.supervised import TrainingSettings, patch_for

    folder, ran = studied
    fingerprint = json.loads((folder / "cells" / "trained-thin-0.json").read_text())["study"]
    shape = NetworkShape("dynunet", 3, "dynunet", (4, 4, 8))
    network = build_network(shape, 3, seed=99)
    assert StudyStore(folder, fingerprint).restore_network("trained-thin-0", network)
    assert not StudyStore(folder, "another").restore_network("trained-thin-0", network)
    scheme = StructureScheme({"lower": (3,), "upper": (5,)})
    task = read_task(study_rows(made / "cases.csv"), scheme, (1.0, 1.0, 1.0))
    settings = TrainingSettings(patch_for([case.image.shape for case in task.cases], 3, 2, shape.divisor))
    _, kept = split_cases(10, 0.2, 0)
    scores = [task.scored(task.predicted(network, int(n), settings), int(n), 1.0) for n in kept]
    row = ran.results.in_domain.row("thin")
    assert np.array(scores) == pytest.approx(ran.results.in_domain.scores[row, 0], abs=1e-5)
