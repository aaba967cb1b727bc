"""Pages of studies: one file, names stay text, points in their places."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from pgt.studies.study_charts import LineChart, Point, Series
from pgt.studies.study_page import PagePart, PageTable, StudyPage, page_html


def chart(logarithmic: bool = False, name: str = "one") -> LineChart:
    points = (Point(10, 0.5, 0.4, 0.6), Point(20, 0.7, 0.65, 0.75), Point(40, 0.8))
    return LineChart((Series(name, points),), "slices", "Dice", "What to see", logarithmic)


def circles(one: LineChart) -> list[tuple[float, float]]:
    drawing = ElementTree.fromstring(str(one.svg()))
    return [(float(mark.attrib["cx"]), float(mark.attrib["cy"])) for mark in drawing.iter("circle")]


def test_points_lie_where_their_numbers_say() -> None:
    (a, b, c), doubled = circles(chart()), circles(chart(logarithmic=True))
    assert a[0] < b[0] < c[0]
    assert (c[0] - b[0]) / (b[0] - a[0]) == pytest.approx(2, abs=0.02)
    assert (doubled[2][0] - doubled[1][0]) / (doubled[1][0] - doubled[0][0]) == pytest.approx(1, abs=0.02)
    assert (a[1] - b[1]) / (b[1] - c[1]) == pytest.approx(2, abs=0.05)  # up is more


def test_intervals_and_numbers_are_drawn() -> None:
    drawing = ElementTree.fromstring(str(chart().svg()))
    titles = [mark.text for mark in drawing.iter("title")]
    assert titles == ["one, 10: 0.500 (0.400 to 0.600)", "one, 20: 0.700 (0.650 to 0.750)", "one, 40: 0.800"]
    assert len([line for line in drawing.iter("line") if line.get("class") is None]) == 2
    marks = [text.text for text in drawing.iter("text") if text.get("class") == "tick"]
    assert marks == ["10", "20", "40", "slices"]


def test_numbers_below_the_scale_never_overlap() -> None:
    points = tuple(Point(x, 0.5) for x in (97, 98, 99, 102, 195, 197))
    drawing = ElementTree.fromstring(str(LineChart((Series("s", points),), "x", "y").svg()))
    places = [float(text.attrib["x"]) for text in drawing.iter("text") if text.get("class") == "tick"][:-1]
    assert len(places) == 2
    assert places[1] - places[0] > 30


def test_one_point_and_none() -> None:
    assert len(circles(LineChart((Series("s", (Point(3, 0.5),)),), "x", "y"))) == 1
    assert str(LineChart((Series("s", ()),), "x", "y").svg()) == ""


def test_the_page_is_whole_and_names_stay_text() -> None:
    evil = "<script>alert(1)</script>"
    table = PageTable(("a", evil), ((evil, "1.0"), ("mean", "2.0")), "c", mean_rows=frozenset({1}))
    part = PagePart(evil, (evil,), (evil,), (evil,), (chart(name=evil),), (table,), (evil,))
    page = page_html(StudyPage(evil, (evil,), (part,), ((evil, evil),)))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 12
    assert re.search(r"(src|href)=", page) is None

    depth: list[str] = []

    class Balanced(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "circle", "line", "polyline"):
                depth.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in ("circle", "line", "polyline"):
                assert depth.pop() == tag

    Balanced().feed(page)
    assert depth == []
