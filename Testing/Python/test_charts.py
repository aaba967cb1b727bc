"""Charts put numbers where they belong, and pictures of slices show who drew what, where it is."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from geometries import DIRECTIONS
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor

from pgt.agreement.charts import Axis, CasePoint, Lane, band_row, bland_altman_chart, strip_row
from pgt.agreement.masks import CroppedMask
from pgt.agreement.metrics import metric
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.agreement.results import Band, BandState, BlandAltman, Estimate, PairKind, WorstSlice
from pgt.agreement.slice_pictures import COLORS, slice_pictures
from pgt.geometry import Geometry
from pgt.volume import Volume

finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.sampled_from(["dice", "hd95_mm", "volume_difference_ml", "kappa"]), st.lists(finite, max_size=8))
def test_every_number_is_drawn_within_the_chart(key: str, values: list[float]) -> None:
    sizes = [abs(value) for value in values] if metric(key).unit else values
    axis = Axis.of(metric(key), sizes)
    assert axis.low < axis.high
    assert len(axis.ticks) >= 2
    for value in sizes:
        assert axis.left <= axis.x(value) <= axis.right
        assert not axis.beyond(value)


def test_better_is_on_the_right() -> None:
    overlap, distance = Axis.of(metric("dice"), [0.6, 0.9]), Axis.of(metric("hd95_mm"), [1.0, 9.0])
    assert overlap.x(0.9) > overlap.x(0.6)
    assert distance.x(1.0) > distance.x(9.0)
    assert distance.x(0.0) == distance.right
    assert overlap.high <= 1


def test_a_strip_has_a_mark_for_every_case_and_a_box_from_five() -> None:
    axis = Axis.of(metric("dice"), [0.5, 1.0])
    points = tuple(CasePoint(0.5 + place / 10, f"case {place}") for place in range(6))
    several = str(strip_row(axis, (Lane(PairKind.INTER, points),)))
    assert several.count("<title>case") == 6
    assert 'class="box"' in several
    (median,) = re.findall(r'class="median" d="M([\d.]+) ', several)
    assert float(median) == pytest.approx(axis.x(0.75), abs=0.06)
    assert 'class="box"' not in str(strip_row(axis, (Lane(PairKind.INTER, points[:4]),)))


def test_a_number_beyond_the_scale_or_by_a_policy_looks_different() -> None:
    axis = Axis.of(metric("hd95_mm"), [1.0, 10.0])
    points = (CasePoint(400.0, "far", True), CasePoint(3.0, "rule", True), CasePoint(2.0, "plain"))
    row = str(strip_row(axis, (Lane(PairKind.INTER, points),)))
    assert re.findall(r'<path class="([^"]+)" d="[^"]*"><title>(\w+)', row) == [
        ("inter beyond", "far"), ("inter policy", "rule"), ("inter", "plain"),
    ]  # fmt: skip


def test_the_band_lies_between_the_bounds() -> None:
    axis = Axis.of(metric("hd95_mm"), [0.0, 10.0])
    lower, upper = Estimate(6.0, 5.0, 7.0, 8), Estimate(2.0, 1.0, 3.0, 8)
    band = Band("Liver", "hd95_mm", lower, upper, BandState.BAND, "")
    row = str(band_row(axis, band))
    (left, width) = re.findall(r'class="band" x="([\d.]+)" y="1" width="([\d.]+)"', row)[0]
    assert float(left) == pytest.approx(axis.x(6.0), abs=0.1)
    assert float(left) + float(width) == pytest.approx(axis.x(2.0), abs=0.1)
    whiskers = re.findall(r'class="whisker \w+" d="M([\d.]+) [\d.]+ H([\d.]+)"', row)
    expected = [(axis.x(7.0), axis.x(5.0)), (axis.x(3.0), axis.x(1.0))]
    np.testing.assert_allclose(np.array(whiskers, float), expected, atol=0.06)
    assert 'class="band"' not in str(band_row(axis, replace(band, state=BandState.CROSSED)))


def test_bland_altman_lines_and_points() -> None:
    plot = BlandAltman(
        "Liver", Sitting("A"), Sitting("B"), ("one", "two", "three"), (10.0, 20.0, 30.0), (-1.0, 0.0, 4.0),
        Estimate(1.0, -1.0, 3.0, 3), Estimate(-4.2, -6.0, -2.0, 3), Estimate(6.2, 4.0, 8.0, 3),
    )  # fmt: skip
    chart = str(bland_altman_chart(plot))
    points = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart)]
    assert points[0][0] < points[1][0] < points[2][0]
    assert points[0][1] > points[1][1] > points[2][1]
    (bias,) = re.findall(r'class="bias" [^>]*y1="([\d.]+)"', chart)
    # Heights are linear in ml: the bias of 1 ml lies a fourth of the way from the point at 0 to that at 4.
    assert float(bias) == pytest.approx(points[1][1] + (points[2][1] - points[1][1]) / 4, abs=0.15)
    assert len(re.findall(r'class="limit"', chart)) == 2


def test_one_case_has_a_chart_without_limits() -> None:
    nothing = Estimate(None, note="One case.")
    plot = BlandAltman(
        "L", Sitting("A"), Sitting("B"), ("x",), (0.0,), (0.0,), Estimate(0.0), nothing, nothing
    )
    chart = str(bland_altman_chart(plot))
    assert 'class="limit"' not in chart
    assert not re.search("nan|inf", chart)


def reading(rater: str, mask: np.ndarray, geometry: Geometry, **more: object) -> Reading:
    made = Reading("case", Sitting(rater), geometry, {"Liver": CroppedMask.of(mask)})
    return replace(made, **more)  # type: ignore[arg-type]


def pixels_like(picture: bytes, color: str) -> np.ndarray:
    """Rows and columns of the picture, without its legend, in about this colour."""
    image = np.asarray(Image.open(BytesIO(picture)).convert("RGB")).astype(int)
    image = image[: image.shape[1]]
    distance = np.abs(image - np.array(ImageColor.getrgb(color))).sum(axis=2)
    return np.argwhere(distance < 40)


def anatomical_mask(geometry: Geometry) -> np.ndarray:
    """A ball on the patient's left, in front of the middle of the grid, in millimetres."""
    indices = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1)
    matrix = geometry.ijk_to_ras
    places = indices @ matrix[:3, :3].T + matrix[:3, 3]
    middle = matrix[:3, :3] @ (np.array(geometry.shape) - 1) / 2 + matrix[:3, 3]
    # In RAS the left is negative and the front positive.
    return np.asarray(np.linalg.norm(places - middle - np.array([-9.0, 7.0, 0.0]), axis=-1) < 8)


@pytest.mark.parametrize("direction", ["RAS", "LPS", "flipped", "permuted"])
def test_outlines_lie_where_the_patient_has_them(direction: str) -> None:
    """Two raters: one ball in front on the left, another behind on the right; left is on the right."""
    geometry = Geometry((60, 50, 24), (1.0, 1.2, 2.5), direction=DIRECTIONS[direction])
    axis = next(a for a in range(3) if geometry.orientation[a] in "SI")
    left = anatomical_mask(geometry)
    right = left[::-1, ::-1, ::-1]
    worst = WorstSlice("case", "Liver", axis, geometry.shape[axis] // 2, 100.0)
    (picture,) = slice_pictures([reading("L", left, geometry), reading("R", right, geometry)], [worst])
    first, second = (pixels_like(picture.png, color).mean(axis=0) for color in COLORS[:2])
    assert first[1] > second[1] + 50, "the patient's left is on the right of the picture"
    assert first[0] < second[0] - 50, "the front is up"
    assert picture.caption.startswith("case, Liver: axial slice")


def test_a_ball_is_round_whatever_the_voxels() -> None:
    geometry = Geometry((80, 40, 20), (0.5, 1.0, 2.0))
    steps = [np.arange(size) * mm for size, mm in zip(geometry.shape, geometry.spacing, strict=True)]
    i, j, k = np.meshgrid(*steps, indexing="ij")
    ball = (i - 20) ** 2 + (j - 20) ** 2 + (k - 20) ** 2 < 14**2
    for axis in range(3):
        worst = WorstSlice("case", "Liver", axis, geometry.shape[axis] // 2, 0.0)
        (picture,) = slice_pictures([reading("A", ball, geometry)], [worst])
        height, width = np.ptp(pixels_like(picture.png, COLORS[0]), axis=0)
        assert width / height == pytest.approx(1, abs=0.1)


def test_the_image_is_shown_only_on_its_own_grid() -> None:
    geometry = Geometry((30, 30, 10), (1.0, 1.0, 2.0))
    mask = np.zeros(geometry.shape, bool)
    mask[10:20, 8:22, 5] = True
    ramp = np.broadcast_to(np.linspace(0, 100, 30)[:, None, None], geometry.shape).astype(np.float32)
    worst = [WorstSlice("case", "Liver", 2, 5, 12.0)]
    mine = [reading("A", mask, geometry)]
    with_image = slice_pictures(mine, worst, {"case": Volume(ramp, geometry)})[0]
    without = slice_pictures(mine, worst)[0]
    elsewhere = Volume(ramp, replace(geometry, origin=(50.0, 0.0, 0.0)))
    misplaced = slice_pictures(mine, worst, {"case": elsewhere})[0]
    assert "share of raters" not in with_image.caption
    assert "share of raters" in without.caption
    assert misplaced.png == without.png
    assert with_image.png != without.png


def test_captions_tell_who_drew_nothing_and_what_a_machine_filled() -> None:
    geometry = Geometry((20, 20, 6), (1.0, 1.0, 3.0))
    mask = np.zeros(geometry.shape, bool)
    mask[5:15, 5:15, 1:5] = True
    raters = [
        reading("A", mask, geometry),
        reading("B", np.zeros_like(mask), geometry),
        reading("C", mask, geometry, drawn={"Liver": DrawnSlices(2, (1, 4))}),
    ]
    (picture,) = slice_pictures(raters, [WorstSlice("case", "Liver", 2, 3, 1234.6)])
    assert "1,235 mm²" in picture.caption
    assert "B: nothing here" in picture.caption
    assert "C: not drawn here, filled by a machine" in picture.caption
    assert "A:" not in picture.caption


def test_slices_of_unknown_cases_are_left_out() -> None:
    geometry = Geometry((8, 8, 4), (1.0, 1.0, 1.0))
    mask = np.ones(geometry.shape, bool)
    worst = [WorstSlice("other", "Liver", 2, 1, 1.0), WorstSlice("case", "Spleen", 2, 1, 1.0)]
    assert slice_pictures([reading("A", mask, geometry)], worst) == ()


def test_names_with_dollar_signs_are_written_as_they_are() -> None:
    geometry = Geometry((8, 8, 4), (1.0, 1.0, 1.0))
    mine = [reading("$\\frac{", np.ones(geometry.shape, bool), geometry)]
    assert len(slice_pictures(mine, [WorstSlice("case", "Liver", 2, 1, 1.0)])) == 1
