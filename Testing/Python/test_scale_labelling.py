"""Pseudo-labels by workers: the same labels and scores as by one process, and a bad case stops nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracle_reference import CARD, made_rows

from pgt.errors import PGTError
from pgt.plain_data import from_plain
from pgt.reference.pseudo_label_manifest import ScoredCase
from pgt.reference.pseudo_label_plan import RoundSettings, RoundsOrder
from pgt.reference.settings import ReferenceSettings
from pgt.scale.case_runs import ScaleSettings
from pgt.volume_io import read_label_map, read_volume


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def untrained(cases: object, settings: ReferenceSettings, folder: Path, *_: object) -> Any:
    """A model of a round that has learnt nothing, but is another one for every seed."""
    from pgt.reference.networks import ReferenceNetworks
    from pgt.reference.reference_model import ReferenceModel

    torch.manual_seed(settings.seed)
    model = ReferenceModel(CARD, ReferenceNetworks(CARD.classes, CARD.size), torch.device("cpu"))
    model.save(folder)
    return model


def test_workers_label_as_one_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    from pgt.reference import pseudo_label_rounds
    from pgt.reference.pseudo_labels import pseudo_label
    from pgt.reference.reference_model import ReferenceModel

    monkeypatch.setattr(pseudo_label_rounds, "train_reference", untrained)
    monkeypatch.setattr(pseudo_label_rounds, "_check_images", lambda *_: None)  # it would find the bad one
    rows = made_rows(tmp_path, 1, 2)
    bad, good = rows[1:]
    bad.image.write_bytes(bad.image.read_bytes()[:500])
    folder = tmp_path / "rounds"
    order = RoundsOrder(
        tuple(rows),
        folder,
        RoundSettings(2, threshold=0.5, rounds=1, training=ReferenceSettings.of_size("small", device="cpu")),
        scale=ScaleSettings(folder, workers=1, gpu=False),
    )
    with pytest.raises(PGTError, match=f"1 of 2 cases could not be labelled.*{bad.case}: .*{bad.image}"):
        pseudo_label_rounds.run_rounds(order)

    made = folder / "round-1" / "scored"
    assert {path.name.partition(".")[0] for path in made.iterdir()} == {good.case}
    case = from_plain(ScoredCase, json.loads((made / f"{good.case}.json").read_text()))
    models = [ReferenceModel.load(folder / "round-1" / "models" / name) for name in ("1", "2")]
    alone = pseudo_label(models, read_volume(good.image))
    found = read_label_map(made / Path(case.label).name)
    np.testing.assert_array_equal(found.voxels, alone.label_map.voxels)
    assert [one.name for one in found.segments] == list(CARD.names)
    assert case.score == pytest.approx(alone.score.score, abs=1e-5)
