"""The page on which a study is read: words, tables, curves; one file that needs nothing beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgt.page_style import page_environment
from pgt.studies.study_charts import LineChart, colour_of


@dataclass(frozen=True)
class PageTable:
    """A table.

    Args:
        header: of the columns.
        rows: of text, one entry a column.
        caption: what to read from it.
        words: how many columns at the left hold words; the others hold numbers and stand to the right.
        best: (row, column) of entries to stress.
        mean_rows: rows that sum up others.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    words: int = 1
    best: frozenset[tuple[int, int]] = frozenset()
    mean_rows: frozenset[int] = frozenset()


@dataclass(frozen=True)
class PagePart:
    """A part of a page, in this order.

    Args:
        title: its heading.
        paragraphs: of plain text.
        messages: what a reader must not overlook.
        points: a list.
        tables: of numbers.
        charts: side by side.
        folded: notes below a line that has to be opened.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    charts: tuple[LineChart, ...] = ()
    tables: tuple[PageTable, ...] = ()
    folded: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyPage:
    """A page.

    Args:
        title: of the page.
        lead: the answer, first.
        parts: what it rests on.
        facts: how it was found out, name and value.
    """

    title: str
    lead: tuple[str, ...]
    parts: tuple[PagePart, ...]
    facts: tuple[tuple[str, str], ...] = field(default=())


def page_html(page: StudyPage) -> str:
    """The page as HTML; names of cases and labels stay text, whatever is in them."""
    return _TEMPLATE.render(page=page, colour_of=colour_of)


_TEMPLATE = page_environment().from_string(
    """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ page.title }}</title>
<style>{{ page_style }}
.charts { display: flex; flex-wrap: wrap; gap: 24px; } .charts figure { flex: 1 1 420px; max-width: 640px; }
.wide { overflow-x: auto; } caption { caption-side: top; text-align: left; color: var(--soft);
  padding: 10px 0 4px; }
td { vertical-align: top; } .facts th { font-weight: 600; white-space: nowrap; }
@media print { body { max-width: none; padding: 0; font-size: 12px; } figure, tr { break-inside: avoid; } }
</style>
</head>
<body>
<h1>{{ page.title }}</h1>
{% for sentence in page.lead %}
<p class="lead">{{ sentence }}</p>
{% endfor %}
{% for part in page.parts %}
<h2>{{ part.title }}</h2>
{% for text in part.messages %}
<p class="message">{{ text }}</p>
{% endfor %}
{% for text in part.paragraphs %}
<p>{{ text }}</p>
{% endfor %}
{% if part.points %}
<ul>
{% for text in part.points %}
<li>{{ text }}</li>
{% endfor %}
</ul>
{% endif %}
{% if part.charts %}
<div class="charts">
{% for chart in part.charts %}
<figure>
{{ chart.svg() }}
<figcaption>{{ chart.caption }}</figcaption>
<p class="key">
{% for line in chart.series %}
<span><i style="background: {{ colour_of(loop.index0) }}"></i>{{ line.name }}</span>
{% endfor %}
</p>
</figure>
{% endfor %}
</div>
{% endif %}
{% for table in part.tables %}
<div class="wide">
<table>
{% if table.caption %}
<caption>{{ table.caption }}</caption>
{% endif %}
<thead><tr>
{% for name in table.header %}
<th{% if loop.index0 >= table.words %} class="number"{% endif %}>{{ name }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in table.rows %}
{% set number = loop.index0 %}
<tr{% if number in table.mean_rows %} class="mean"{% endif %}>
{% for entry in row %}
<td class="{{ 'number' if loop.index0 >= table.words }}{{ ' best' if (number, loop.index0) in table.best }}">\
{{ entry }}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
</div>
{% endfor %}
{% if part.folded %}
<details><summary>Notes</summary>
<ul>
{% for text in part.folded %}
<li>{{ text }}</li>
{% endfor %}
</ul>
</details>
{% endif %}
{% endfor %}
{% if page.facts %}
<h2>How it was found out</h2>
<table class="facts">
{% for name, value in page.facts %}
<tr><th>{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</table>
{% endif %}
</body>
</html>
"""
)
