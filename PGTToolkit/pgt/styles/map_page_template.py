"""The words and the look of the map's page."""

from __future__ import annotations

MAP_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Annotation styles of {{ name }}</title>
<style>
{{ page_style }}
th { font-weight: 600; } td.number { white-space: nowrap; }
.controls { display: flex; flex-wrap: wrap; gap: 6px 22px; align-items: center; margin: 14px 0 8px; }
.controls select, .controls button { font: inherit; padding: 2px 6px; }
.chart { display: grid; grid-template-columns: minmax(0, 1fr) 300px; gap: 22px; }
@media (max-width: 820px) { .chart { grid-template-columns: 1fr; } }
#map { border: 1px solid var(--line); border-radius: 4px; touch-action: none; cursor: grab; display: block;
  user-select: none; -webkit-user-select: none; }
#map.moving { cursor: grabbing; } #map circle, #map path.case { cursor: pointer; }
#map .case { fill-opacity: 0.8; stroke: #fff; stroke-width: 0.8; }
#map .case:hover { stroke: var(--ink); stroke-width: 1.5; } #map .chosen { stroke: #000; stroke-width: 2.4; }
#map .faded { opacity: 0.12; } #map .named { fill: none; stroke: var(--ink); stroke-width: 1.6; }
#map text.named { fill: var(--ink); stroke: #fff; stroke-width: 3px; paint-order: stroke; font-size: 12px; }
#legend { display: flex; flex-wrap: wrap; gap: 2px 14px; min-height: 1.6em; font-size: 14px; }
#legend button { font: inherit; border: 0; background: none; padding: 0; cursor: pointer; color: inherit; }
#legend button.off { opacity: 0.35; }
#legend i, td i.dot { display: inline-block; width: 11px; height: 11px; border-radius: 6px;
  margin-right: 6px; }
#legend .ramp { width: 120px; height: 10px; border-radius: 2px; margin: 0 6px; }
#tip { position: fixed; pointer-events: none; background: #fff; border: 1px solid var(--line); z-index: 2;
  padding: 6px 10px; font-size: 13px; line-height: 1.4; border-radius: 4px; max-width: 320px;
  box-shadow: 0 2px 10px #0002; }
#tip b, #card h3 { overflow-wrap: anywhere; } [hidden] { display: none !important; }
#card { font-size: 14px; } #card h3 { margin: 0 0 6px; font-size: 16px; }
#card img, .gallery img { width: 100%; border-radius: 4px; display: block; background: #0b0d10; }
#card dl { display: grid; grid-template-columns: max-content 1fr; gap: 1px 12px; margin: 8px 0; }
#card dt { color: var(--soft); }
#card dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } tr[data-case] { cursor: pointer; } tr[data-case]:hover { background: #f3f7fa; }
.galleries { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(480px, 100%), 1fr));
  gap: 8px 34px; }
.gallery { display: grid; grid-template-columns: repeat(3, 1fr); gap: 10px; }
svg .ring { fill: none; }
.gallery figure { margin: 0; cursor: pointer; }
.gallery figcaption { font-size: 12.5px; overflow-wrap: anywhere; }
h3 { font-size: 15px; margin: 18px 0 6px; }
.outline { display: inline-block; width: 22px; border-top: 2px solid; vertical-align: middle;
  margin: 0 5px 0 2px; }
</style>
</head>
<body>
<h1>Annotation styles of {{ name }}</h1>
<p class="lead">{{ found.latents|length }} training cases,
{% if found.clusters|length == 1 %}all in one style{% else %}{{ found.clusters|length }} groups{% endif %}
{%- if alone %}, {{ alone|length }} {{ "case" if alone|length == 1 else "cases" }} alone{% endif %}.
The main style
{%- if found.clusters[0].name != "main" %}, {{ found.clusters[0].name }},{% endif %} lies at the crossing
of the axes.</p>
{% for message in messages %}
<p class="message">{{ message }}</p>
{% endfor %}

<div class="controls">
<label>Colour by <select id="colour"></select></label>
<label>Show <select id="view"></select></label>
<button id="reset" type="button">Whole map</button>
<span class="soft">Wheel or two fingers: zoom. Drag: move. Click: look at a case.</span>
</div>
<div id="legend" class="key"></div>
<div class="chart">
<div>
<svg id="map" viewBox="0 0 820 600" role="img" aria-label="Map of the training cases"></svg>
<p class="soft" id="remark"></p>
</div>
<aside id="card"><p class="soft">Click a case to see its label beside what the main style
predicts.</p></aside>
</div>
<div id="tip" hidden></div>

<h2>Groups</h2>
<div class="wide"><table>
<tr><th>Style</th><th class="number">Cases</th><th>Centre</th><th>Typical cases</th></tr>
{% for cluster in found.clusters %}
<tr><td><i class="dot" data-cluster="{{ loop.index0 }}"></i>{{ cluster.name }}</td>
<td class="number">{{ cluster.cases|length }}</td>
<td><code>{% for value in cluster.centre %}{{ "%.3g"|format(value) }}{{ "," if not loop.last }}\
{% endfor %}</code></td>
<td>{{ cluster.exemplars|join(", ") }}</td></tr>
{% endfor %}
</table></div>
<p class="soft">A group is a style that several cases share; the main one may be segmented with as
<code>--style main</code>, the others by their centre. Groups are found by a mixture of Gaussians; their
number is not given.</p>
{% if pictures %}
<div class="galleries">
{% for cluster in found.clusters if cluster.exemplars|select("in", pictures)|list %}
<section>
<h3>Typical of {{ cluster.name }}</h3>
<div class="gallery">
{% for case in cluster.exemplars if case in pictures %}
<figure data-case="{{ case }}"><img data-picture="{{ case }}" alt="{{ pictures[case].caption }}">
<figcaption>{{ case }}</figcaption></figure>
{% endfor %}
</div>
</section>
{% endfor %}
</div>
<p class="key"><span class="outline" style="border-color: {{ label_color }}"></span>label
<span class="outline" style="border-color: {{ prediction_color }}; border-top-style: dashed;
margin-left: 18px"></span>prediction in the main style, on the slice on which they differ most</p>
{% endif %}

<h2>Suspicious cases</h2>
<div class="wide"><table>
<tr><th>Case</th><th>Group</th><th class="number">Score</th><th class="number">Norm</th>
<th class="number">Isolation</th>
{% if looked %}<th class="number">Disagreement</th><th class="number">Expected</th>{% endif %}
<th>Perhaps</th></tr>
{% for suspect in suspects %}
<tr data-case="{{ suspect.case }}"><td>{{ suspect.case }}</td>
<td>{{ cluster_of[suspect.case] or "alone" }}</td>
<td class="number">{{ "%.2f"|format(suspect.score) }}</td>
<td class="number">{{ "%.3f"|format(suspect.norm) }}</td>
<td class="number">{{ "%.3f"|format(suspect.isolation) }}</td>
{% if looked %}
<td class="number">{{ "%.2f"|format(suspect.doubt.disagreement) if suspect.doubt else "–" }}</td>
<td class="number">{{ "%.2f"|format(suspect.doubt.uncertainty) if suspect.doubt else "–" }}</td>
{% endif %}
<td>{{ suspect.suggestion.value }}</td></tr>
{% endfor %}
</table></div>
<ul class="soft">
<li>Norm: length of the latent vector, 0 being the main style. Isolation: mean distance to all other cases.
Score: the mean of the two ranks, 1 for the most suspicious case. A clean set of cases has a most suspicious
case, too.</li>
{% if looked %}
<li>Disagreement: 1 − Dice of the label and the main style's prediction. Expected: the same of the prediction
and its own probabilities, that is, how unsure it is. A case outside the groups may be a <em>bad label</em>
if it disagrees by unusually more than expected, a <em>hard case</em> if unusually much was expected; a case
of another group is <em>another style</em>. These are suggestions; look at the case.</li>
{% endif %}
</ul>
<p class="soft">PGT Toolkit {{ version }}. Case names on this page may be patients' names. For research; not a
medical device.</p>
<script>
const data = {{ data|tojson }};
{{ script }}
</script>
</body>
</html>
"""
