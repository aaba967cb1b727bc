"""Equation 1 of the FLARE22 paper against calculations by hand, and what several models make of a volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geometries import DIRECTIONS
from oracle_reference import CARD, Oracle, made_volume

from pgt.errors import Cancelled, InputError
from pgt.reference.consensus_score import consensus_score
from pgt.reference.pseudo_labels import pseudo_label
from pgt.resampling import reoriented
from pgt.volume import Volume


def volume_of(*slices: list[int]) -> np.ndarray:
    """A label array [i, j, k] with one row of voxels a slice; slices lie across k."""
    return np.array(slices).T[:, None, :]


def test_equation_1_by_hand() -> None:
    aggregate = volume_of([1, 1, 0, 0], [0, 1, 1, 1])
    first = volume_of([1, 1, 0, 0], [0, 1, 1, 0])  # DSC 1 and 2*2/(2+3)
    second = volume_of([1, 0, 0, 0], [1, 1, 1, 1])  # DSC 2*1/(1+2) and 2*3/(4+3)
    found = consensus_score([first, second], aggregate, [1], axis=2)
    assert found.score == pytest.approx((1 + 4 / 5 + 2 / 3 + 6 / 7) / 4)
    assert found.slices == {1: 2}


def test_slices_that_nobody_draws_on_do_not_count() -> None:
    drawn = [1, 1, 0, 0]
    aggregate, other = volume_of(drawn, [0] * 4, [0] * 4), volume_of([1, 0, 0, 0], [0] * 4, [0] * 4)
    found = consensus_score([aggregate, other], aggregate, [1], axis=2)
    assert found.score == pytest.approx((1 + 2 / 3) / 2)
    assert found.slices == {1: 1}


def test_a_slice_that_one_model_alone_draws_on_counts_against_it() -> None:
    aggregate = volume_of([1, 1, 0, 0], [0, 0, 0, 0])
    strays = volume_of([1, 1, 0, 0], [0, 0, 1, 0])
    found = consensus_score([aggregate, strays], aggregate, [1], axis=2)
    # On the second slice the first model agrees that there is nothing, the other has DSC 0.
    assert found.score == pytest.approx((1 + 1 + 1 + 0) / 4)


def test_structures_count_alike_however_large() -> None:
    aggregate = volume_of([1, 1, 1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 1, 1, 0, 0])
    missing = volume_of([1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 0, 0])
    found = consensus_score([aggregate, missing], aggregate, [1, 2, 5], axis=2)
    assert found.structures == {1: pytest.approx(1.0), 2: pytest.approx(0.5)}
    assert found.score == pytest.approx(0.75)


def test_nothing_found_is_worth_nothing() -> None:
    empty = volume_of([0, 0], [0, 0])
    assert consensus_score([empty, empty], empty, [1], axis=2).score == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_score_against_the_formula_written_out(axis: int) -> None:
    draw = np.random.default_rng(axis)
    aggregate = draw.integers(0, 3, (5, 6, 7))
    outputs = [np.where(draw.random(aggregate.shape) < 0.7, aggregate, 0) for _ in range(3)]
    means = []
    for value in (1, 2):
        terms = []
        for number in range(aggregate.shape[axis]):
            mean_mask = np.take(aggregate, number, axis) == value
            for output in outputs:
                mask = np.take(output, number, axis) == value
                if mask.sum() + mean_mask.sum():
                    terms.append(2 * (mask & mean_mask).sum() / (mask.sum() + mean_mask.sum()))
        means.append(np.mean(terms))
    found = consensus_score(outputs, aggregate, [1, 2], axis)
    assert found.score == pytest.approx(np.mean(means))


def test_one_model_cannot_agree() -> None:
    one = volume_of([1, 0])
    with pytest.raises(InputError, match="two models"):
        consensus_score([one], one, [1], axis=2)
    with pytest.raises(InputError, match="two models"):
        pseudo_label([Oracle()], made_volume()[0])


def test_models_that_agree_are_certain_and_right() -> None:
    volume, truth = made_volume()
    found = pseudo_label([Oracle(), Oracle()], volume)
    assert found.score.score == 1.0
    assert np.array_equal(found.label_map.voxels, truth.voxels)
    assert [(s.value, s.name) for s in found.label_map.segments] == [(1, "Pale"), (3, "Bright")]


def test_the_aggregate_is_of_averaged_probabilities() -> None:
    """Two unsure models are outvoted by a third that is sure, which counting votes would not give."""
    volume, truth = made_volume()
    unsure = Oracle(sure=0.45, unsure=0.45, blind=((0, 1),))
    found = pseudo_label([unsure, unsure, Oracle(sure=0.98)], volume)
    assert np.array_equal(found.label_map.voxels, truth.voxels)
    assert found.score.score == pytest.approx(1 / 3)


def test_less_agreement_is_a_lower_score() -> None:
    volume, _ = made_volume()
    scores = [
        pseudo_label([Oracle(sure=0.95), Oracle(shift=shift)], volume).score.score for shift in (0, 1, 2)
    ]
    assert scores[0] > scores[1] > scores[2]


def test_stored_otherwise_it_is_the_same() -> None:
    volume, _ = made_volume()
    models = [Oracle(sure=0.95), Oracle(shift=1)]
    expected = pseudo_label(models, volume)
    twin = reoriented(volume, "SPL")
    found = pseudo_label(models, Volume(np.ascontiguousarray(twin.voxels), twin.geometry))
    assert found.score == expected.score
    assert np.array_equal(reoriented(found.label_map, "RAS").voxels, expected.label_map.voxels)
    oblique = replace(volume.geometry, direction=DIRECTIONS["oblique"])
    found = pseudo_label(models, Volume(volume.voxels, oblique))
    assert found.score == expected.score
    assert found.label_map.geometry == oblique


def test_models_of_other_structures_are_refused() -> None:
    volume, _ = made_volume()
    for other in (replace(CARD, values=(1, 2)), replace(CARD, names=("Bright", "Pale"))):
        with pytest.raises(InputError, match="same structures"):
            pseudo_label([Oracle(), Oracle(card=other)], volume)


def test_cancelling_is_heard() -> None:
    with pytest.raises(Cancelled):
        pseudo_label([Oracle(), Oracle()], made_volume()[0], cancelled=lambda: True)
