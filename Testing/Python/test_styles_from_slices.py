"""A style found from a few annotated slices, on any grid and along any axis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from geometries import DIRECTIONS
from hypothesis import given, settings
from hypothesis import strategies as st
from style_cases import LOOSE, SHAPE, TIGHT, made_case
from trained_style_model import trained_style_model

from pgt.annotation import SparseAnnotation
from pgt.errors import Cancelled, InputError
from pgt.geometry import Geometry
from pgt.progress import Progress
from pgt.styles.drawn_labels import in_drawn_labels, with_drawn_slices
from pgt.styles.drawn_slices import drawn_slices, matched_classes, seen_windows
from pgt.styles.inference import segment
from pgt.styles.preparation import Preparation
from pgt.styles.style_from_slices import FitSettings, fit_style
from pgt.volume import LabelMap, Segment, Volume

QUICK = FitSettings(cases=3, refined=1, steps=10)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize(("size", "axis"), [(TIGHT, 2), (LOOSE, 0), (TIGHT, 1)])
def test_slices_of_a_rater_lead_to_the_rater_s_style(size: float, axis: int) -> None:
    model = trained_style_model()
    volume, label_map = made_case(200 + axis, size)
    middle = SHAPE[axis] // 2
    told: list[Progress] = []
    found = fit_style(
        model,
        volume,
        SparseAnnotation.from_label_map(label_map, axis, [middle - 2, middle, middle + 1]),
        settings=QUICK,
        progress=told.append,
    )
    truth = label_map.mask(1)
    styled = segment(model, volume, found.latent).label_map.mask(1)
    main = segment(model, volume).label_map.mask(1)
    assert dice(styled, truth) > dice(main, truth) + 0.1
    assert found.loss < found.main_loss
    assert found.dice > found.main_dice
    named = model.styles["tight" if size < 1 else "loose"]
    other = model.styles["loose" if size < 1 else "tight"]
    assert np.linalg.norm(np.subtract(found.latent, named)) < np.linalg.norm(np.subtract(found.latent, other))
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert told[-1].done <= told[-1].total
    assert found.slices == 3


def test_a_style_s_own_drawing_leads_back_to_its_prediction() -> None:
    model = trained_style_model()
    volume, _ = made_case(210, 1.0)
    drawn = segment(model, volume, model.styles["loose"]).label_map
    annotation = SparseAnnotation.from_label_map(drawn, 2, [4, 6, 7])
    found = fit_style(model, volume, annotation, settings=replace(QUICK, penalty=0.0))
    styled = segment(model, volume, found.latent).label_map.mask(1)
    main = segment(model, volume).label_map.mask(1)
    assert dice(styled, drawn.mask(1)) > 0.97 > dice(main, drawn.mask(1))
    again = fit_style(model, volume, annotation, settings=replace(QUICK, penalty=0.0))
    assert (again.latent, again.loss, again.starts) == (found.latent, found.loss, found.starts)


def test_a_turned_volume_leads_to_the_same_style() -> None:
    model = trained_style_model()
    volume, label_map = made_case(211, TIGHT)
    plain = fit_style(model, volume, SparseAnnotation.from_label_map(label_map, 2, [5, 7]), settings=QUICK)
    geometry = replace(volume.geometry, direction=DIRECTIONS["oblique"]).permuted((2, 0, 1)).flipped(0)

    def turned(voxels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.flip(voxels.transpose(2, 0, 1), 0))

    annotation = SparseAnnotation.from_label_map(
        LabelMap.from_voxels(turned(label_map.voxels), geometry), 0, [SHAPE[2] - 1 - 5, SHAPE[2] - 1 - 7]
    )
    found = fit_style(model, Volume(turned(volume.voxels), geometry), annotation, settings=QUICK)
    assert found.latent == pytest.approx(plain.latent, abs=1e-3)
    assert found.loss == pytest.approx(plain.loss, abs=1e-3)


@settings(max_examples=25)
@given(
    shape=st.tuples(*[st.integers(4, 20)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 2.5)] * 3),
    direction=st.sampled_from(sorted(DIRECTIONS)),
    axis=st.integers(0, 2),
    orientation=st.sampled_from(["RAS", "LPS", "SAR"]),
    data=st.data(),
)
def test_slices_are_those_of_the_whole_segmentation(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    direction: str,
    axis: int,
    orientation: str,
    data: st.DataObject,
) -> None:
    """What a window says of a slice is what the slice of the interpolated volume says."""
    geometry = Geometry(shape, spacing, (3.0, 1.0, -8.0), DIRECTIONS[direction])
    index = data.draw(st.integers(0, shape[axis] - 1))
    draw = np.random.default_rng(index)
    drawn = np.zeros(shape, np.uint8)
    drawn[(*[slice(None)] * axis, index)] = draw.integers(0, 2, np.delete(shape, axis))
    drawn[(*[slice(None)] * axis, index)].flat[0] = 1
    model = trained_style_model()
    preparation = Preparation((1.0, 1.0, 1.0), (1,), orientation)
    fitting = replace(model, preparation=preparation)
    label_map = LabelMap.from_voxels(drawn, geometry)
    (one,) = drawn_slices(SparseAnnotation.from_label_map(label_map, axis, [index]), fitting)
    grid = preparation.shape_of(geometry)
    patch = tuple(max(size, 4) for size in grid)
    matrices = preparation.grid_weights(geometry)
    (seen,) = seen_windows(torch.zeros(1, *grid), [one], matrices, patch, "cpu")
    (part,) = seen.slices
    fields = torch.rand(2, *grid, generator=torch.Generator().manual_seed(0))
    before = [(side - size) // 2 for side, size in zip(patch, grid, strict=True)]
    padded = torch.zeros(2, *patch)
    inside = (slice(b, b + s) for b, s in zip(before, grid, strict=True))
    padded[(slice(None), *inside)] = fields
    found = part.of(padded)[0].numpy()
    order, flips = geometry.turn_to(orientation)
    whole = preparation.on_grid(fields, geometry)[1].transpose(order)
    labels = drawn.transpose(order)
    for flipped in flips:
        whole, labels = np.flip(whole, flipped), np.flip(labels, flipped)
    np.testing.assert_allclose(found, whole.take(one.index, one.axis), atol=1e-5)
    np.testing.assert_array_equal(part.truth[0].numpy(), labels.take(one.index, one.axis))


def test_large_volumes_are_seen_through_windows_around_what_is_drawn() -> None:
    model = replace(trained_style_model(), patch=(8, 8, 6))
    shape = (40, 30, 24)
    geometry = Geometry(shape)
    labels = np.zeros(shape, np.uint8)
    labels[20:25, 10:14, 3] = 1
    labels[2:30, 10:14, 20] = 1
    annotation = SparseAnnotation.from_label_map(LabelMap.from_voxels(labels, geometry), 2, [3, 12, 20])
    drawn = drawn_slices(annotation, model)
    windows = seen_windows(
        torch.zeros(1, *shape), drawn, model.preparation.grid_weights(geometry), model.patch, "cpu"
    )
    assert 1 < len(windows) <= 8
    assert sum(window.weight for window in windows) == pytest.approx(1)
    assert all(window.image.shape == (1, 1, 8, 8, 6) for window in windows)
    seen = sum(float(part.truth.sum()) for window in windows for part in window.slices)
    assert seen >= labels.sum()


def test_labels_match_by_name_before_value() -> None:
    model = trained_style_model()
    grid = Geometry((2, 2, 2))
    voxels = np.zeros((2, 2, 2), np.uint8)

    def matched(*segments: Segment) -> dict[int, int]:
        return matched_classes(model, LabelMap(voxels, grid, segments))

    assert matched(Segment(1, "Other", (0, 0, 0)), Segment(5, "structure", (0, 0, 0))) == {5: 1}
    assert matched(Segment(1, "Hippocampus", (0, 0, 0))) == {1: 1}
    with pytest.raises(InputError, match=r"The model segments Structure; none of it is annotated \(Liver\)"):
        matched(Segment(3, "Liver", (0, 0, 0)))


def test_refusals_and_cancelling() -> None:
    model = trained_style_model()
    volume, label_map = made_case(212, 1.0)
    annotation = SparseAnnotation.from_label_map(label_map, 2, [5])
    with pytest.raises(Cancelled):
        fit_style(model, volume, annotation, cancelled=lambda: True)
    with pytest.raises(InputError, match="2 numbers, not 3"):
        fit_style(model, volume, annotation, starts=[(0.0, 0.0, 0.0)])
    moved = Volume(volume.voxels, replace(volume.geometry, origin=(0.0, 3.0, 0.0)))
    with pytest.raises(InputError, match="does not lie on the image: origin"):
        fit_style(model, moved, annotation)
    assert all(parameter.requires_grad for parameter in model.hypernetwork.parameters())


def test_drawn_slices_stay_as_they_were_in_the_rater_s_labels() -> None:
    grid = Geometry((6, 6, 6))
    draw = np.random.default_rng(0)
    drawn = LabelMap(
        draw.integers(0, 2, (6, 6, 6)).astype(np.uint8) * 7,
        grid,
        (Segment(7, "Structure", (0, 0, 0), identifier="S"), Segment(2, "Vessel", (0, 0, 0))),
    )
    found = LabelMap(
        draw.integers(0, 3, (6, 6, 6)).astype(np.uint8),
        grid,
        (Segment(1, "Structure", (0, 0, 0)), Segment(2, "Tumour", (1, 0, 0))),
    )
    joined = in_drawn_labels(found, drawn, {7: 1})
    assert [(one.value, one.name, one.identifier) for one in joined.segments] == [
        (7, "Structure", "S"), (2, "Vessel", ""), (8, "Tumour", ""),
    ]  # fmt: skip
    np.testing.assert_array_equal(joined.voxels, np.array([0, 7, 8])[found.voxels])
    locked = with_drawn_slices(joined, SparseAnnotation(drawn, {7: {1: (2, 4)}}))
    np.testing.assert_array_equal(locked.mask(7)[:, [2, 4]], drawn.mask(7)[:, [2, 4]])
    np.testing.assert_array_equal(locked.voxels[:, [0, 1, 3, 5]], joined.voxels[:, [0, 1, 3, 5]])
