"""Groups, exemplars and suspicious cases on maps whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from made_maps import equal_raters, spike_alone, spike_and_rays
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from style_cases import prepared_cases, tiny_model

from pgt.errors import Cancelled, InputError
from pgt.styles.case_looks import doubt_of
from pgt.styles.clustering import ALONE, groups, spread_out
from pgt.styles.latent_map import EXEMPLARS, latent_map
from pgt.styles.signatures import reference_cases, signatures
from pgt.styles.suspicion import Doubt, Suggestion, isolations, norms, scores, suggest


def named(latents: np.ndarray) -> dict[str, tuple[float, ...]]:
    return {f"case{number:03d}": tuple(latent) for number, latent in enumerate(latents.tolist())}


# --- groups


@pytest.mark.parametrize("seed", range(8))
def test_styles_along_rays_are_found_without_being_told_how_many(seed: int) -> None:
    latents, truth = spike_and_rays(seed)
    found = groups(spread_out(latents))
    assert adjusted_rand_score(truth, found) >= 0.9
    assert found.max() + 1 in (3, 4, 5)  # one and two voxels of erosion may count as two styles


@pytest.mark.parametrize(
    ("seed", "cases", "dimensions"), [(20, 600, 2), (21, 150, 6), (22, 150, 3), (23, 60, 2)]
)
def test_more_cases_and_more_dimensions(seed: int, cases: int, dimensions: int) -> None:
    latents, truth = spike_and_rays(seed, cases, dimensions=dimensions)
    assert adjusted_rand_score(truth, groups(spread_out(latents))) >= 0.9


@pytest.mark.parametrize("seed", range(3))
def test_four_raters_of_equal_share(seed: int) -> None:
    latents, truth = equal_raters(seed)
    found = groups(spread_out(latents))
    assert found.max() + 1 == 4
    assert adjusted_rand_score(truth, found) >= 0.9


@pytest.mark.parametrize("seed", range(4))
def test_one_style_stays_one(seed: int) -> None:
    latents, _ = spike_alone(seed)
    assert groups(spread_out(latents)).max() == 0


def test_a_case_far_from_all_lies_alone() -> None:
    latents, _ = equal_raters(0, blur=0.01)
    latents[7] = [0.6, 0.6]
    found = groups(spread_out(latents))
    assert found[7] == ALONE
    assert (found == ALONE).sum() == 1


@pytest.mark.parametrize(("scale", "turn"), [(1e-3, 0.5), (700.0, 4.0)])
def test_scale_and_rotation_of_the_map_mean_nothing(scale: float, turn: float) -> None:
    latents, _ = equal_raters(1, cases=60, blur=0.01)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    turned = groups(spread_out(scale * latents @ rotation.T))
    assert adjusted_rand_score(groups(spread_out(latents)), turned) == 1


def test_few_or_equal_cases_are_one_group() -> None:
    assert groups(spread_out(np.zeros((20, 2)))).tolist() == [0] * 20
    assert groups(spread_out(np.array([[0.0, 1.0], [5.0, 2.0], [9.0, -3.0]]))).tolist() == [0] * 3
    assert groups(np.array([[1.0, 2.0]])).tolist() == [0]


def test_spreading_out_keeps_directions_and_order() -> None:
    latents = np.array([[0.0, 0.0], [0.003, 0.004], [0.03, 0.04], [-3.0, -4.0]])
    spread = spread_out(latents)
    scale = (0.005 + 0.05) / 2
    assert np.allclose(norms(spread), np.arcsinh(norms(latents) / scale))
    assert np.allclose(latents[:, 0] * spread[:, 1], latents[:, 1] * spread[:, 0])
    assert (latents * spread >= 0).all()


# --- the map


def test_main_style_names_and_exemplars() -> None:
    latents, truth = equal_raters(2, blur=0.01)
    cases = named(latents)
    found = latent_map(cases, {"clinic": (0.0, 0.17), "faraway": (9.0, 9.0), "of 3": (1.0, 1.0, 1.0)})
    main = found.clusters[0]
    assert main.is_main
    assert main.name == "main"
    assert main.centre == (0.0, 0.0)
    assert set(main.cases) == {case for case, kind in zip(cases, truth, strict=True) if kind == 0}
    assert [one.is_main for one in found.clusters[1:]] == [False] * 3
    names = {one.name for one in found.clusters}
    assert "clinic" in names
    assert len(names) == 4
    clinic = next(one for one in found.clusters if one.name == "clinic")
    assert np.allclose(clinic.centre, [-0.02, 0.18], atol=0.01)
    for cluster in found.clusters:
        away = {case: math.dist(cases[case], cluster.centre) for case in cluster.cases}
        assert list(cluster.exemplars) == sorted(away, key=away.__getitem__)[:EXEMPLARS]
    assert {case for case, name in found.cluster_of.items() if name == "clinic"} == set(clinic.cases)


def test_two_names_in_one_group_and_a_name_like_ours() -> None:
    latents, _ = equal_raters(2, blur=0.01)
    found = latent_map(named(latents), {"far": (0.0, 0.3), "near": (-0.02, 0.18), "style 2": (0.12, -0.06)})
    names = [one.name for one in found.clusters]
    assert "near" in names
    assert "far" not in names
    assert len(set(names)) == len(names) == 4


def test_suspects_by_norm_and_isolation_as_in_the_paper() -> None:
    latents, truth = spike_and_rays(3)
    found = latent_map(named(latents))
    assert len(found.suspects) == len(latents)
    assert [one.score for one in found.suspects] == sorted((s.score for s in found.suspects), reverse=True)
    first = found.suspects[0]
    assert first.norm == pytest.approx(math.hypot(*first.latent))
    others = [math.dist(first.latent, latent) for case, latent in found.latents.items() if case != first.case]
    assert first.isolation == pytest.approx(sum(others) / len(others))
    by_case = {one.case: one.score for one in found.suspects}
    assert roc_auc_score(truth > 0, [by_case[case] for case in found.latents]) >= 0.97
    assert {one.suggestion for one in found.suspects} == {Suggestion.OTHER_STYLE, Suggestion.UNKNOWN}


def test_scores_run_from_0_to_1() -> None:
    latents = np.array([[0.0], [1.0], [-2.0], [8.0]])
    assert isolations(latents) == pytest.approx([11 / 3, 11 / 3, 15 / 3, 25 / 3])
    assert scores(norms(latents), isolations(latents)) == pytest.approx([0.5 / 6, 1.5 / 6, 4 / 6, 1.0])
    assert isolations(latents[:1]).tolist() == [0.0]
    assert scores(np.array([3.0]), np.array([0.0])).tolist() == [0.0]


def test_one_case_has_a_map_and_none_has_not() -> None:
    found = latent_map({"only": (0.2, 0.1)})
    assert found.clusters[0].cases == ("only",)
    assert found.suspects[0].case == "only"
    with pytest.raises(InputError, match="no training cases"):
        latent_map({})
    with pytest.raises(InputError, match="not all finite"):
        latent_map({"a": (0.0, math.nan), "b": (0.0, 0.0)})


# --- suggestions


def test_suggestions_rest_on_disagreement_beyond_uncertainty() -> None:
    draw = np.random.default_rng(0)
    doubts: list[Doubt | None] = [
        Doubt(0.1 + draw.normal(0, 0.01), 0.08 + draw.normal(0, 0.005)) for _ in range(40)
    ]
    doubts += [Doubt(0.5, 0.09), Doubt(0.42, 0.4), Doubt(0.3, 0.08), None, None]
    main = np.array([True] * 42 + [False, True, False])
    alone = np.array([False] * 44 + [True])
    found = suggest(doubts, main, alone)
    assert found[40:] == [
        Suggestion.BAD_LABEL,  # the prediction is sure, and the label another
        Suggestion.HARD_CASE,  # they differ as far as the prediction expects
        Suggestion.OTHER_STYLE,
        Suggestion.UNKNOWN,
        Suggestion.UNKNOWN,
    ]
    assert found[:40].count(Suggestion.USUAL) >= 38


def test_doubt_by_hand() -> None:
    shares = torch.zeros(3, 1, 1, 4)
    shares[1, 0, 0] = torch.tensor([0.9, 0.8, 0.3, 0.0])
    shares[0] = 1 - shares[1]
    labels = torch.zeros_like(shares)
    labels[1, 0, 0] = torch.tensor([0.0, 1.0, 1.0, 1.0])
    labels[0] = 1 - labels[1]
    found = doubt_of(shares, labels)  # the third class is in neither and does not count
    assert found.disagreement == pytest.approx(1 - 2 * 1 / (2 + 3))
    assert found.uncertainty == pytest.approx(1 - 2 * 1.7 / (2 + 2.0))
    nothing = torch.tensor([1.0, 0.0, 0.0])[:, None, None, None].expand(3, 1, 1, 4)
    assert doubt_of(nothing, nothing) == Doubt(0.0, 0.0)


# --- signatures


def test_distances_of_signatures_are_those_of_predictions() -> None:
    model, references = tiny_model(seed=1), prepared_cases([1.0, 0.9])
    latents = {"a": (0.0, 0.0), "b": (2.0, -1.0), "c": (-3.0, 2.0)}
    found = signatures(model, latents, references)
    predicted = []
    with torch.inference_mode():
        for latent in latents.values():
            rows = [
                model.logits(case.image[None], torch.tensor([latent])).softmax(dim=1)[0, 1]
                for case in references
            ]
            predicted.append(torch.stack(rows))

    # Only voxels near a structure count; these volumes have no others but in their corners.
    def apart(one: int, other: int) -> float:
        return float((predicted[one] - predicted[other]).square().sum().sqrt())

    ratio = math.dist(found[0], found[1]) / math.dist(found[0], found[2])
    assert ratio == pytest.approx(apart(0, 1) / apart(0, 2), rel=0.05)
    assert np.allclose(found.mean(axis=0), 0)


def test_directions_that_change_nothing_vanish_from_signatures() -> None:
    model = tiny_model(seed=2)
    with torch.no_grad():
        model.hypernetwork.trunk[0][0].weight[:, 1] = 0  # type: ignore[index]
    latents = {"a": (0.0, 0.0), "b": (0.0, 3.0), "c": (2.0, -1.0)}
    found = signatures(model, latents, prepared_cases([1.0]))
    assert math.dist(found[0], found[1]) < 1e-3 * math.dist(found[0], found[2])


def test_many_cases_share_places() -> None:
    model, draw = tiny_model(seed=3), np.random.default_rng(0)
    latents = named(draw.normal(size=(300, 2)))
    seen: list[tuple[int, int]] = []
    found = signatures(
        model, latents, prepared_cases([1.0]), progress=lambda done, total: seen.append((done, total))
    )
    assert len(found) == 300
    assert seen[-1] == (256, 256)
    assert len(np.unique(found.round(9), axis=0)) <= 256
    with pytest.raises(Cancelled):
        signatures(model, latents, prepared_cases([1.0]), cancelled=lambda: True)


def test_references_are_the_most_ordinary_cases() -> None:
    latents = {f"c{n}": (float(n), 0.0) for n in range(10)}
    assert reference_cases(latents, ["c9", "c3", "c7"]) == ("c3", "c7", "c9")
    assert len(reference_cases(latents, list(latents))) == 6
