"""The HTML of an agreement report. Every name in it is text: the environment escapes what files bring."""

from __future__ import annotations

REPORT = """\
<!DOCTYPE html>
<html lang="en">
{% macro estimate(number) %}
<td class="number"><b>{{ number.value }}</b>{% if number.mark %}<sup>{{ number.mark }}</sup>{% endif +%}
{% if number.interval %}<span class="interval">{{ number.interval }}</span>{% endif %}</td>
{% endmacro %}
{% macro footnotes(notes) %}
{% if notes %}
<ol class="notes">{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ol>
{% endif %}
{% endmacro %}
{% macro mark(css) %}
<svg class="key-mark" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
<path class="mark {{ css }}"
 d="{{ {"inter": "M2 6 a4 4 0 1 0 8 0 a4 4 0 1 0 -8 0 z", "intra": "M2.4 2.4 h7.2 v7.2 h-7.2 z",
 "reference": "M6 1.6 l4.4 7.8 h-8.8 z", "candidate": "M6 0 l5 6 l-5 6 l-5 -6 z"}[css] }}"/></svg>
{% endmacro %}
{% macro tabs(name, panels) %}
{% for panel in panels %}
<input type="radio" class="tab tab{{ loop.index0 }}" name="{{ name }}" id="{{ name }}-{{ loop.index0 }}"
{{ "checked" if loop.first }}><label for="{{ name }}-{{ loop.index0 }}">{{ heading(panel.metric) }}</label>
{% endfor %}
{% if panels|length > 1 %}
<input type="radio" class="tab all" name="{{ name }}" id="{{ name }}-all">
<label for="{{ name }}-all">all</label>
{% endif %}
{% endmacro %}
{% macro summary_table(table) %}
<div class="wide"><table class="summary">
<thead><tr><th>Structure</th><th>Agreement</th><th class="number">Cases</th>
{% for metric in table.metrics %}
<th class="number">{{ heading(metric) }}{% if table.marks[metric.key] %}<sup>
{{- table.marks[metric.key] }}</sup>{% endif %}
&nbsp;<span class="arrow">{{ arrow[metric.better] }}</span></th>
{% endfor %}
{% if table.some_by_policy %}<th class="number">Empty masks</th>{% endif %}
{% if table.some_left_out %}<th class="number">Voxels compared</th>{% endif %}
</tr></thead>
{% for label, rows in table.rows.items() %}
<tbody>
{% for row in rows %}
<tr>
{% if loop.first %}<th scope="rowgroup" rowspan="{{ rows|length }}">{{ label }}</th>{% endif %}
<td class="kind">{{ mark(row.css) }}{{ row.kind }}</td>
<td class="number">{{ row.cases }}</td>
{% for number in row.numbers %}{{ estimate(number) }}{% endfor %}
{% if table.some_by_policy %}<td class="number">{{ row.by_policy }}</td>{% endif %}
{% if table.some_left_out %}<td class="number">{{ row.compared }}</td>{% endif %}
</tr>
{% else %}
<tr><th>{{ label }}</th><td class="soft" colspan="{{ table.metrics|length + 2 + table.some_by_policy
 + table.some_left_out }}">nobody to compare with</td></tr>
{% endfor %}
</tbody>
{% endfor %}
</table></div>
{{ footnotes(table.notes) }}
{% endmacro %}
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rater agreement: {{ agreement.labels|join(", ")|truncate(80) }}</title>
<style>
{{ page_style }}
{{ report_style }}
</style>
</head>
<body>
<header>
<h1>Rater agreement</h1>
<p class="lead">{{ compared }}</p>
{% for sentence in answer %}
<p class="{{ "answer" if loop.first else "further" }}">{{ sentence }}</p>
{% endfor %}
<dl class="facts">
{% for value, name in facts %}<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>{% endfor %}
</dl>
{% if agreement.messages|length > 2 %}
<div class="message"><ul>
{% for message in agreement.messages[:most_messages] %}<li>{{ message }}</li>{% endfor %}
</ul>
{% if agreement.messages|length > most_messages %}
<details><summary>{{ agreement.messages|length - most_messages }} more</summary><ul>
{% for message in agreement.messages[most_messages:] %}<li>{{ message }}</li>{% endfor %}</ul></details>
{% endif %}</div>
{% else %}
{% for message in agreement.messages %}
<p class="message">{{ message }}</p>
{% endfor %}
{% endif %}
<nav><a href="#summary">Agreement</a>{% if bands %}<a href="#band">Peak Ground Truth</a>{% endif %}
{% if recommendations %}<a href="#choice">Which metric</a>{% endif %}<a href="#cases">Cases</a>
<a href="#matrix">Pairs of raters</a>{% if volumes %}<a href="#volumes">Volumes</a>{% endif %}
{% if reliability.rows %}<a href="#reliability">Reliability</a>{% endif %}
{% if agreement.outliers or agreement.no_outliers %}<a href="#outliers">Outliers</a>{% endif %}
{% if pictures %}<a href="#slices">Slices in dispute</a>{% endif %}
{% if correlations.rows %}<a href="#experts">Expert ratings</a>{% endif %}
{% if missing %}<a href="#missing">Missing readings</a>{% endif %}
<a href="#definitions">Definitions</a></nav>
</header>

<section id="summary">
<h2>Agreement by structure</h2>
<p class="soft">Means over cases, each case the mean of its pairs, with {{ level }} intervals over cases.
↑ higher is better, ↓ lower is better. NSD counts boundaries within
{{ "%g"|format(agreement.tolerance_mm) }} mm as agreed. Of differences in volume the size is averaged.
{% if summary.some_by_policy %}Comparisons with an empty mask take the number of the metric’s
<a href="#definitions">policy</a>; none is left out.{% endif %}
{% if summary.some_left_out %}Only slices that both raters drew are compared; voxels elsewhere were
filled by a machine.{% endif %}</p>
{{ summary_table(summary) }}
{% if details %}
<details><summary>The other metrics</summary>
{{ summary_table(details) }}
</details>
{% endif %}
</section>

{% if bands %}
<section id="band">
<h2>Peak Ground Truth</h2>
<p class="soft">Beyond some similarity to the reference, more of it stops meaning a better model (Kofler
et al., <cite>Approaching Peak Ground Truth</cite>). That peak lies with high likelihood between agreement
among different raters, the lower bound, and agreement of raters with their own repeats, the upper one. A
model below the band still learns from the labels; inside it gains may be noise; beyond it the model fits the
annotators’ errors. Errors that raters share, and a rater’s own habits, make both bounds look better
than they are.</p>
<p class="key"><span>{{ mark("inter") }}lower bound, different raters</span>
<span>{{ mark("intra") }}upper bound, same rater again</span>
{% if agreement.candidates %}<span>{{ mark("candidate") }}candidate</span>{% endif %}
<span><i class="band"></i>band</span>
<span>lines: {{ level }} intervals</span></p>
<div class="panels">
{{ tabs("bands", bands) }}
{% for panel in bands %}
<div class="panel panel{{ loop.index0 }}">
<h3>{{ heading(panel.metric) }}</h3>
<table class="chart"><thead><tr><th>Structure</th><th class="plot">{{ panel.scale }}</th>
<th></th></tr></thead>
<tbody>
{% for row in panel.rows %}
<tr><th>{{ row.label }}</th><td class="plot">{{ row.chart }}</td><td class="beside">
{% for css, name, text in row.texts %}
<div>{{ mark(css) if css }}{% if name %}<b>{{ name }}</b>&nbsp;{% endif %}
<span class="number">{{ text }}</span></div>
{% endfor %}
{% if row.note %}<div class="state">{{ row.note }}</div>{% endif %}</td></tr>
{% endfor %}
</tbody></table>
{% if panel.notes %}
<ul class="plain">
{% for labels, note in panel.notes %}<li><b>{{ labels }}:</b> {{ note }}</li>{% endfor %}
</ul>
{% endif %}
</div>
{% endfor %}
</div>
</section>
{% endif %}

{% if recommendations %}
<section id="choice">
<h2>Which metric to look at</h2>
<p class="soft">After Metrics Reloaded (Maier-Hein, Reinke et al. 2024), from what was measured or
answered about each structure.</p>
<table class="choice">
<tr><th>For</th><th>Metric</th><th>Why</th></tr>
{% for group in recommendations %}
<tbody>
{% for advice in group.metrics %}
<tr>{% if loop.first %}<th rowspan="{{ group.metrics|length }}">{{ group.labels }}</th>{% endif %}
<td>{{ advice.title }}</td><td>{{ advice.reason }}
{% if advice.by_label %}
<details><summary>by structure</summary><ul>
{% for label, words in advice.by_label %}<li>{{ label }}: {{ words }}</li>{% endfor %}</ul></details>
{% endif %}</td></tr>
{% endfor %}
</tbody>
{% endfor %}
</table>
</section>
{% endif %}

<section id="cases">
<h2>Every case</h2>
<p class="key">{% for css, name in kinds %}<span>{{ mark(css) }}{{ name }}</span>{% endfor %}
<span><i class="box"></i>half of the cases, line: median</span>
{% if summary.some_by_policy %}<span>× by an empty-mask policy</span>{% endif %}
<span class="soft">one mark a case; point at it for its name</span></p>
<div class="panels">
{{ tabs("strips", strips) }}
{% for panel in strips %}
<div class="panel panel{{ loop.index0 }}">
<h3>{{ heading(panel.metric) }}</h3>
<table class="chart"><thead><tr><th>Structure</th><th class="plot">{{ panel.scale }}</th>
<th class="beside">Cases, median (range)</th></tr></thead>
<tbody>
{% for row in panel.rows %}
<tr><th>{{ row.label }}</th><td class="plot">{{ row.chart }}</td><td class="beside">
{% for css, count, text in row.texts %}
<div>{{ mark(css) }}<span class="count">{{ count }}</span><span class="number">{{ text }}</span></div>
{% endfor %}</td></tr>
{% endfor %}
</tbody></table>
{% if panel.beyond %}
<p class="soft">{{ panel.beyond }} {{ "case" if panel.beyond == 1 else "cases" }} far beyond all others
{{ "is" if panel.beyond == 1 else "are" }} drawn as an arrowhead at the edge.</p>
{% endif %}
</div>
{% endfor %}
</div>
</section>

<section id="matrix">
<h2>Every rater against every other</h2>
<p class="choose">Structure: <select id="label" aria-label="Structure">
{% if agreement.labels|length > 1 %}<option value="0">all structures, mean</option>{% endif %}
{% for label in agreement.labels %}<option value="{{ loop.index }}">{{ label }}</option>{% endfor %}
</select></p>
<p class="soft">Means over <span id="over">{{ matrix_cases }}
{%- if agreement.labels|length > 1 %}, then over structures{% endif %}</span>. The darker, the better:
within each matrix from the worst to the best of its cells.</p>
<div class="matrices" style="--matrix: {{ 170 + 58 * agreement.sittings|length }}px">
{% for matrix in matrices %}
<figure class="matrix"><figcaption><b>{{ heading(matrix.metric) }}</b>
<span class="arrow">{{ arrow[matrix.metric.better] }}</span>
{%- if matrix.reading %} · {{ matrix.reading }}{% endif %}</figcaption>
<div class="wide"><table data-matrix="{{ loop.index0 }}">
<tr><th></th>{% for sitting in agreement.sittings %}<th title="{{ sitting }}">
{{ sitting if short_names else loop.index }}</th>{% endfor %}</tr>
{% for row_sitting in agreement.sittings %}
{% set row = loop.index0 %}
<tr><th title="{{ row_sitting }}">{% if not short_names %}<i>{{ loop.index }}</i> {% endif %}
{{ row_sitting }}</th>
{% for column in range(agreement.sittings|length) %}
{% set cell = matrix.overall[(row, column)] %}
{% if cell %}
{% set dark = shade(matrix, matrix.overall, cell.value) %}
<td id="m{{ matrices.index(matrix) }}-{{ row }}-{{ column }}" class="{{ "dark" if dark > 0.82 }}"
 style="background: hsl(200 60% {{ "%.0f"|format(96 - 62 * dark) }}%)"
 title="{{ cell.cases }} cases">{{ signed(cell.value, matrix.decimals) }}</td>
{% else %}
<td class="none">{{ "" if row == column else "–" }}</td>
{% endif %}
{% endfor %}
</tr>
{% endfor %}
</table></div></figure>
{% endfor %}
</div>
</section>

{% if volumes %}
<section id="volumes">
<h2>Volumes: Bland–Altman</h2>
<p class="soft">Each point is a case: the difference of the two volumes over their mean, in ml. Solid: bias.
Dashed: 95 % limits of agreement. Shaded and in brackets: their {{ level }} intervals.</p>
{% for part in volumes %}
<details {{ "open" if loop.first or volumes|length <= 4 }}>
<summary><b>{{ part.label }}</b> <span class="soft">{{ part.summary }}</span></summary>
<div class="plots">
{% for plot in part.plots %}
<figure><figcaption><b>{{ plot.title }}</b></figcaption>{{ plot.chart }}
<figcaption class="number">{{ plot.texts|join("; ") }}
{% for note in plot.notes %}<br>{{ note }}{% endfor %}</figcaption></figure>
{% endfor %}
</div>
</details>
{% endfor %}
</section>
{% endif %}

{% if reliability.rows %}
<section id="reliability">
<h2>Reliability of all raters together</h2>
<p class="soft">Higher is better, 1 is full agreement, 0 what chance gives. {{ level }} intervals over cases.
{% if reliability.icc_form %}ICC of volumes: {{ reliability.icc_form }}.{% endif %}</p>
<div class="wide"><table>
<tr><th>Structure</th><th class="number">Raters</th><th class="number">Cases</th>
<th class="number">Fleiss’ kappa&nbsp;↑</th><th class="number">Krippendorff’s alpha&nbsp;↑</th>
<th class="number">ICC of volumes&nbsp;↑</th>
{% if not reliability.icc_form %}<th>Form of the ICC</th>{% endif %}</tr>
{% for row in reliability.rows %}
<tr><th>{{ row.label }}<sup>{{ row.region_mark }}</sup></th><td class="number">{{ row.raters }}</td>
<td class="number">{{ row.cases }}</td>
{% for number in row.numbers %}{{ estimate(number) }}{% endfor %}
{% if not reliability.icc_form %}<td>{{ row.icc_form }}</td>{% endif %}</tr>
{% endfor %}
</table></div>
{{ footnotes(reliability.notes) }}
</section>
{% endif %}

{% if agreement.outliers or agreement.no_outliers %}
<section id="outliers">
<h2>Who stands apart</h2>
{% if agreement.outliers %}
<div class="wide"><table>
<tr><th>Structure</th><th>Rater</th><th>How</th><th class="number">Confidence</th><th></th></tr>
{% for outlier in agreement.outliers %}
<tr><th>{{ outlier.label }}</th><td>{{ outlier.rater }}</td><td>{{ outlier.direction }}</td>
<td class="number">{{ "%.0f"|format(100 * outlier.probability) }}%</td><td>{{ outlier.note }}</td></tr>
{% endfor %}
</table></div>
<p class="soft">Confidence: share of resamples of the cases in which the same rater stands furthest apart.</p>
{% endif %}
{% if agreement.no_outliers|length == 1 %}
<p>{{ agreement.no_outliers[0] }}</p>
{% elif agreement.no_outliers %}
<details><summary>{{ agreement.no_outliers|length }} structures on which nobody is named</summary><ul>
{% for note in agreement.no_outliers %}<li>{{ note }}</li>{% endfor %}</ul></details>
{% endif %}
</section>
{% endif %}

{% if pictures %}
<section id="slices">
<h2>Slices most in dispute</h2>
<div class="pictures">
{% for picture in pictures %}
<figure><img src="{{ picture.address }}" alt="{{ picture.caption }}">
<figcaption>{{ picture.caption }}</figcaption></figure>
{% endfor %}
</div>
</section>
{% endif %}

{% if correlations.rows %}
<section id="experts">
<h2>Which metric follows the experts</h2>
<p class="soft">Spearman’s correlation of each metric with the experts’ ratings (1 to 6), {{ level }}
intervals; the farther from 0, the closer the metric follows. Strongest first.</p>
<div class="wide"><table>
<tr><th>Metric</th>{% for column in correlations.columns %}
<th class="number">{{ column or "all structures" }}</th>{% endfor %}</tr>
{% for row in correlations.rows %}
<tr><th>{{ heading(row.metric) }} <span class="arrow">{{ arrow[row.metric.better] }}</span></th>
{% for number in row.numbers %}{{ estimate(number) }}{% endfor %}</tr>
{% endfor %}
<tr><td class="soft">cases</td>
{% for count in correlations.rows[0].cases %}<td class="number soft">{{ count }}</td>{% endfor %}</tr>
</table></div>
{{ footnotes(correlations.notes) }}
</section>
{% endif %}

{% if missing %}
<section id="missing">
<h2>Missing readings</h2>
<p class="soft">A complete study would have these. They are left out, not counted as disagreement.</p>
<table>
<tr><th>Case</th><th>Rater</th><th>Missing</th></tr>
{% for row in missing %}
<tr><td>{{ row.case }}</td><td>{{ row.sitting }}</td><td>{{ row.labels }}</td></tr>
{% endfor %}
</table>
</section>
{% endif %}

<section id="definitions">
<h2>Definitions</h2>
<div class="wide"><table class="definitions">
<tr><th>Metric</th><th>Better</th><th>Definition</th><th>Both masks empty</th><th>One mask empty</th></tr>
{% for metric in definitions %}
<tr><th>{{ heading(metric) }}</th><td>{{ metric.better.value }}</td>
<td>{{ metric.definition|replace(surface, "")|trim }}</td>
<td>{{ metric.both_empty }}</td><td>{{ metric.one_empty }}</td></tr>
{% endfor %}
</table></div>
{% if on_surfaces %}
<h3>Surfaces</h3>
<p>For {{ on_surfaces }}: {{ surface }}</p>
{% endif %}
<h3>Intervals</h3>
<p>{{ intervals }}</p>
<h3>What counts</h3>
<p>A and B are two readings of one structure in one case. Different raters are compared by the first session
each has of the case; repeats compare sessions of the same rater. A missing reading is listed and left out; an
empty mask is a reading and counts.{% if agreement.candidates %} Candidates count neither as different
raters nor as repeats.{% endif %} Only slices that both raters drew or confirmed are compared; what a machine
filled is not.</p>
</section>
<footer class="soft">PGT Toolkit {{ version }}. For research; not a medical device.</footer>
<script>
const matrices = {{ matrix_data|tojson }};
{{ report_script }}
</script>
</body>
</html>
"""
