"""The agreement page says everything that a study found, needs nothing else, and takes names for names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from made_readings import Habit, MadeStudy

from pgt.agreement.masks import CroppedMask
from pgt.agreement.metrics import DEFAULT_METRICS, SURFACE, metric
from pgt.agreement.pair_matrix import matrices
from pgt.agreement.readings import DrawnSlices, Reading, Sitting
from pgt.agreement.report_page import report_html
from pgt.agreement.report_panels import BAND_WORDS
from pgt.agreement.report_tables import recommendations
from pgt.agreement.report_words import answer, signed
from pgt.agreement.results import (
    Agreement,
    Band,
    BandState,
    Estimate,
    Missing,
    Outlier,
    PairKind,
    Placement,
    RatingCorrelation,
    Recommendation,
)
from pgt.agreement.slice_pictures import SlicePicture, slice_pictures
from pgt.agreement.study import StudyOptions, study

VOID = {"meta", "input", "img", "br", "link", "hr"}
CASES = tuple(f"case {place}" for place in range(1, 7))


class Page(HTMLParser):
    """A page's elements, with what is not well formed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.addresses: list[str] = []
        self.identifiers: list[str] = []
        self.coordinates: list[str] = []
        self.words: list[str] = []
        self.names: dict[str, int] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] = self.names.get(tag, 0) + 1
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data"):
                self.addresses.append(value or "")
            if name == "id":
                self.identifiers.append(value or "")
            if name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "d", "viewBox"):
                self.coordinates.append(value or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self._open[-1:]}, line {self.getpos()[0]}")
        elif self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        """What a reader sees, spaces made one."""
        return " ".join("".join(self.words).split())


def checked(html: str) -> Page:
    """The page, which is well formed, self-contained and finite."""
    page = Page(html)
    assert page.faults == []
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in page.addresses)
    targets = [address[1:] for address in page.addresses if address.startswith("#")]
    assert set(targets) <= set(page.identifiers)
    assert len(page.identifiers) == len(set(page.identifiers))
    assert not re.search(r"https?://|url\(|@import|<link|<iframe", html)
    assert page.coordinates
    assert not [text for text in page.coordinates if re.search(r"nan|inf|None|e\+", text, re.IGNORECASE)]
    assert "None" not in page.text
    assert " nan" not in page.text
    return page


def without_tumour(reading: Reading) -> Reading:
    empty = CroppedMask.empty(reading.geometry.shape)
    return replace(reading, masks={**reading.masks, "Tumour": empty})


@pytest.fixture(scope="module")
def readings() -> tuple[Reading, ...]:
    """Three raters, one of whom draws large; two repeat; one missed a tumour, one a case; and a model."""
    made = MadeStudy(("Liver", "Tumour"), CASES).readings(
        (
            Habit("Anna", error_mm=0.2, sessions=("1", "2")),
            Habit("Ben", error_mm=0.2, sessions=("1", "2")),
            Habit("Chris", size=1.15),
            Habit("nnU-Net", error_mm=0.1),
        )
    )
    kept = [r for r in made if not (r.case == "case 5" and r.sitting.rater == "Chris")]
    return tuple(without_tumour(r) if r.case == "case 3" and r.sitting.rater == "Ben" else r for r in kept)


@pytest.fixture(scope="module")
def agreement(readings: tuple[Reading, ...]) -> Agreement:
    return study(readings, StudyOptions(candidates=("nnU-Net",)))


@pytest.fixture(scope="module")
def pictures(readings: tuple[Reading, ...], agreement: Agreement) -> tuple[SlicePicture, ...]:
    return slice_pictures(readings, agreement.worst_slices, count=2)


def test_the_page_says_what_was_found(agreement: Agreement, pictures: tuple[SlicePicture, ...]) -> None:
    html = report_html(agreement, pictures)
    page = checked(html)
    for name in (*agreement.labels, *map(str, agreement.sittings), "case 5", *agreement.messages):
        assert name in page.text
    for (label, key, _), estimate in agreement.summaries.items():
        if not metric(key).unit:
            assert label in page.text
            assert estimate.value is not None
            assert estimate.interval is not None
            low, high = (signed(end, 3) for end in estimate.interval)
            # A letter between the two points to a footnote.
            assert re.search(rf"{signed(estimate.value, 3)}[a-z]? {low} to {high}", page.text)
    for picture in pictures:
        assert picture.caption in page.text
        assert picture.address in html
    for band in agreement.bands:
        for placement in band.placements:
            places = (placement.below, placement.inside, placement.beyond)
            shares = "below {:.0%}, inside {:.0%}, beyond {:.0%}".format(*places)
            assert f"{placement.name} is {shares}" in page.text


def test_every_definition_and_policy_is_printed(agreement: Agreement) -> None:
    page = checked(report_html(agreement))
    squeezed = page.text
    for key in DEFAULT_METRICS:
        described = metric(key)
        own = described.definition.replace(SURFACE, "").strip()
        for text in (own, described.both_empty, described.one_empty):
            assert " ".join(text.split()) in squeezed
    assert " ".join(SURFACE.split()) in squeezed


def test_empty_masks_are_counted_in_the_open(agreement: Agreement) -> None:
    """Ben missed the tumour of one case in both sessions: with Anna and Chris, and with himself."""
    page = checked(report_html(agreement))
    assert "Empty masks" in page.text
    inter = [p for p in agreement.pairs if p.label == "Tumour" and p.kind is PairKind.INTER]
    first = [
        p for p in inter if p.a.session == p.b.session == "1" and "nnU-Net" not in (p.a.rater, p.b.rater)
    ]
    assert f"2 of {len(first)}" in page.text


def test_missing_readings_are_listed_once(agreement: Agreement) -> None:
    page = checked(report_html(agreement))
    assert [(gap.case, gap.sitting.rater) for gap in agreement.missing] == [("case 5", "Chris")]
    assert "case 5 Chris the whole case" in page.text.replace("case 5Chris", "case 5 Chris ").replace(
        "  ", " "
    )


def test_structures_that_the_same_metrics_suit_stand_together(agreement: Agreement) -> None:
    reason = "Agreement of the boundary. Set its tolerance to {} mm, by raters. Small."
    advice = (
        Recommendation("Lens", "nsd", reason.format("0.5")),
        Recommendation("Liver", "dice", "The usual overlap."),
        Recommendation("Liver", "nsd", "Agreement of the boundary."),
        Recommendation("Cochlea", "nsd", reason.format("0.7")),
    )
    small, large = recommendations(replace(agreement, recommendations=advice))
    assert (small.labels, large.labels) == ("Lens, Cochlea", "Liver")
    (nsd,) = small.metrics
    assert nsd.reason == "Agreement of the boundary. Small."
    assert nsd.by_label == (
        ("Lens", "Set its tolerance to 0.5 mm, by raters."),
        ("Cochlea", "Set its tolerance to 0.7 mm, by raters."),
    )
    assert [(one.title, one.reason, one.by_label) for one in large.metrics] == [
        ("Dice", "The usual overlap.", ()),
        ("NSD", "Agreement of the boundary.", ()),
    ]
    same = replace(agreement, recommendations=(advice[0], replace(advice[0], label="Cochlea")))
    assert [group.labels for group in recommendations(same)] == ["All structures"]
    page = checked(report_html(replace(agreement, recommendations=advice)))
    assert page.text.count("Agreement of the boundary.") == 2


def test_why_nobody_stands_apart_is_on_the_page(agreement: Agreement) -> None:
    for notes in (("One reason.",), ("One reason.", "Another.")):
        page = checked(report_html(replace(agreement, outliers=(), no_outliers=notes)))
        assert all(note in page.text for note in notes)
        assert "Who stands apart" in page.text
    nothing = report_html(replace(agreement, outliers=(), no_outliers=()))
    assert "Who stands apart" not in checked(nothing).text


def test_two_raters_one_case_one_label() -> None:
    made = MadeStudy(("Liver",), ("one",)).readings((Habit("A"), Habit("B")))
    found = study(made, StudyOptions())
    html = report_html(found, slice_pictures(made, found.worst_slices))
    page = checked(html)
    dice = found.pairs[0].values["dice"]
    assert f"Dice of {dice:.3f} (1 case, no interval)" in page.text
    assert "no rater drew twice" in page.text
    assert "all structures" not in page.text


def test_a_note_that_a_column_shares_is_marked_at_its_head(agreement: Agreement) -> None:
    place = ("Liver", "volume_difference_ml", PairKind.INTER)
    shared = agreement.summaries[place].note
    special = replace(agreement.summaries[place], note=f"{shared} Mind this one.")
    page = checked(report_html(replace(agreement, summaries={**agreement.summaries, place: special})))
    assert shared.startswith("Mean size")
    value = f"{special.value:.2f}"
    assert "Volume difference, mla" in page.text
    assert re.search(rf"{re.escape(value)}b ", page.text)
    assert page.text.count("Mind this one.") == 1


def test_one_rater_who_repeats() -> None:
    made = MadeStudy(("Liver",), CASES).readings((Habit("A", sessions=("1", "2")),))
    page = checked(report_html(study(made, StudyOptions())))
    assert "Raters who drew twice agree with themselves" in page.text
    assert "there is no second rater" in page.text


def test_machine_filled_slices_are_reported() -> None:
    made = MadeStudy(("Liver",), CASES[:3]).readings((Habit("A"), Habit("B")))
    drawn = DrawnSlices(2, (6, 8, 10))
    found = study([replace(one, drawn={"Liver": drawn}) for one in made], StudyOptions())
    share = sum(pair.compared_share for pair in found.pairs) / len(found.pairs)
    page = checked(report_html(found))
    assert "Voxels compared" in page.text
    assert f"{share:.0%}" in page.text
    assert "of voxels drawn by both, compared" in page.text


def band(state: BandState, placements: tuple[Placement, ...] = ()) -> Band:
    upper = Estimate(None) if state is BandState.NO_REPEATS else Estimate(0.93, 0.91, 0.95, 6)
    lower = Estimate(None) if state is BandState.NO_OTHER_RATER else Estimate(0.85, 0.8, 0.88, 6)
    return Band("Liver", "dice", lower, upper, state, f"Why {state.value}.", placements)


@pytest.mark.parametrize("state", BandState)
def test_a_band_or_the_reason_for_none(agreement: Agreement, state: BandState) -> None:
    placements = (Placement("M", Estimate(0.9, 0.88, 0.92, 6), 0.1, 0.7, 0.2),)
    shown = band(state, placements if state is BandState.BAND else ())
    html = report_html(replace(agreement, bands=(shown,)))
    page = checked(html)
    assert ('class="band" x=' in html) == (state is BandState.BAND)
    assert f"Why {state.value}." in page.text
    if state is BandState.BAND:
        assert "M is below 10%, inside 70%, beyond 20%" in page.text
        assert "M most probably lies inside it." in page.text
    else:
        assert BAND_WORDS[state] in page.text
        assert "There is no Peak Ground Truth band on Dice" in page.text


def test_names_never_become_markup(agreement: Agreement) -> None:
    """A label, rater, case and candidate from a hostile file."""
    evil = "</script><script>alert('x')</script>\"'&<b>"
    label = agreement.labels[0]
    sitting = Sitting(evil)
    pairs = tuple(
        replace(pair, label=evil, a=sitting, case=evil) for pair in agreement.pairs if pair.label == label
    )
    placement = Placement(evil, Estimate(0.9, 0.88, 0.92, 6), 0.1, 0.7, 0.2)
    hostile = replace(
        agreement,
        labels=(evil,),
        cases=(evil,),
        sittings=(sitting, *agreement.sittings),
        pairs=pairs,
        summaries={(evil, key, kind): e for (_, key, kind), e in agreement.summaries.items()},
        bands=(replace(band(BandState.BAND, (placement,)), label=evil, note=evil),),
        bland_altman=tuple(
            replace(plot, label=evil, a=sitting, cases=(evil,) * len(plot.cases))
            for plot in agreement.bland_altman
        ),
        reliabilities=tuple(replace(one, label=evil, region=evil) for one in agreement.reliabilities),
        outliers=(Outlier(evil, evil, "larger", 12.0, 0.99, evil),),
        correlations=(RatingCorrelation("dice", evil, Estimate(0.5, 0.2, 0.7, 6, note=evil)),),
        missing=(Missing(evil, sitting, evil),),
        messages=(evil,),
        no_outliers=(evil, evil),
        recommendations=(Recommendation(evil, "dice", evil),),
        candidates=(evil,),
    )
    html = report_html(hostile)
    page = checked(html)
    assert page.names["script"] == 1
    assert "alert('x')" in page.text
    assert not re.search(r"<script>alert|\"'&<b>", html)


def test_the_matrix_reads_the_same_both_ways_where_it_should(agreement: Agreement) -> None:
    by_key = {matrix.metric.key: matrix.overall for matrix in matrices(agreement, DEFAULT_METRICS)}
    for a, b in by_key["dice"]:
        assert by_key["dice"][a, b] == by_key["dice"][b, a]
        assert by_key["sensitivity"][a, b].value == pytest.approx(by_key["precision"][b, a].value)
        both = by_key["volume_difference_ml"][a, b].value + by_key["volume_difference_ml"][b, a].value
        assert both == pytest.approx(0, abs=1e-9)


def test_the_matrix_is_the_mean_over_cases_then_labels(agreement: Agreement) -> None:
    matrix = matrices(agreement, ("dice",))[0]
    a, b = (agreement.sittings.index(Sitting(name)) for name in ("Anna", "Chris"))
    means = []
    for label in agreement.labels:
        values = [
            pair.values["dice"]
            for pair in agreement.pairs
            if pair.label == label and {pair.a, pair.b} == {Sitting("Anna"), Sitting("Chris")}
        ]
        assert len(values) == 5
        means.append(sum(values) / 5)
    assert matrix.overall[a, b].value == pytest.approx(sum(means) / len(means))
    assert matrix.overall[a, b].cases == 5
    stored = json.loads(re.search(r"const matrices = (.*);\n", report_html(agreement))[1])  # type: ignore[index]
    assert [a, b, pytest.approx(means[0], rel=1e-4), 5] in stored[0]["labels"][1]


def test_many_labels_and_cases_stay_small() -> None:
    """21 labels, 18 cases, five raters: with a dozen pictures the page stays below 5 MB."""
    small = MadeStudy(("Liver",), CASES[:3]).readings([Habit(name) for name in "ABCDE"])
    one = study(small, StudyOptions())
    labels = tuple(f"structure {place}" for place in range(21))
    cases = tuple(f"case {place}" for place in range(18))
    by_pair = one.pairs[: len(one.pairs) // 3]
    pairs = tuple(
        replace(pair, label=label, case=case) for label in labels for case in cases for pair in by_pair
    )
    summaries: Mapping[tuple[str, str, PairKind], Estimate] = {
        (label, key, kind): estimate for label in labels for (_, key, kind), estimate in one.summaries.items()
    }
    large = replace(
        one,
        labels=labels,
        cases=cases,
        pairs=pairs,
        summaries=summaries,
        bands=tuple(replace(shown, label=label) for label in labels for shown in one.bands),
    )
    html = report_html(large)
    page = checked(html)
    assert all(label in page.text for label in labels)
    pictures = slice_pictures(small, one.worst_slices * 4)
    assert len(pictures) == 12
    assert len(html) + sum(len(picture.address) for picture in pictures) < 5_000_000


def test_the_answer_names_the_worst_and_the_best_structure(agreement: Agreement) -> None:
    inter = {
        label: agreement.summaries[label, "dice", PairKind.INTER].value or 0.0 for label in agreement.labels
    }
    worst, best = min(inter, key=inter.__getitem__), max(inter, key=inter.__getitem__)
    first = answer(agreement)[0]
    assert re.search(rf"from {inter[worst]:.3f} .* on {worst} to {inter[best]:.3f} .* on {best};", first)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(-0.0004, 3, "0.000"), (-1.25, 1, "−1.2"), (12.0, 0, "12"), (-0.0, 2, "0.00"), (-0.006, 2, "−0.01")],
)
def test_numbers_have_a_true_minus_and_no_negative_zero(value: float, decimals: int, text: str) -> None:
    assert signed(value, decimals) == text
