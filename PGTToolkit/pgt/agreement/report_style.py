"""Look and behaviour that an agreement report adds to the style of every page."""

from __future__ import annotations

REPORT_STYLE = """\
:root { --intra: #b35c00; --reference: #5b4b8a; --candidate: #b3261e; --band: #cfe6d2; }
h3 { font-size: 15px; margin: 22px 0 6px; } th { font-weight: 600; }
.number, b, dd { font-variant-numeric: tabular-nums; }
.answer { font-size: 17px; font-weight: 600; margin: 0 0 6px; } .further { margin: 0 0 6px; }
.facts { display: flex; flex-wrap: wrap; margin: 18px 0; border: solid var(--line); border-width: 1px 0; }
.facts div { padding: 8px 26px 8px 0; display: flex; flex-direction: column-reverse; }
.facts dt { color: var(--soft); font-size: 13px; } .facts dd { margin: 0; font-size: 22px; font-weight: 600; }
nav { margin: 14px 0; font-size: 14px; } nav a { margin-right: 16px; white-space: nowrap; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 2px; }
.wide { overflow-x: auto; } th, td { padding: 4px 12px 4px 0; vertical-align: top; }
td.number, th.number { padding: 4px 0 4px 16px; white-space: nowrap; }
.number + th:not(.number), .number + td:not(.number) { padding-left: 18px; }
.summary tbody tr:not(:last-child) td { border-bottom-color: #f0f3f6; }
.summary thead th, .chart thead th { border-bottom: 1.5px solid var(--soft); vertical-align: bottom; }
.summary tbody { break-inside: avoid; } .kind { white-space: nowrap; }
td.number b { font-weight: 600; }
.interval { display: block; color: var(--soft); font-size: 12.5px; line-height: 1.25; }
th .arrow, .arrow { color: var(--soft); font-weight: 400; } sup { color: var(--soft); font-size: 10.5px; }
.message { max-width: 62em; box-sizing: border-box; } .message ul { margin: 0; }
.message details { margin: 4px 0 0; }
.notes { font-size: 13px; color: var(--soft); list-style: lower-alpha; margin: 6px 0; }
.plain { font-size: 13.5px; color: var(--soft); margin: 8px 0; } .plain b { color: var(--ink); }
details { margin: 12px 0; } summary { cursor: pointer; padding: 4px 0; }
.key { font-size: 14px; margin: 6px 0; max-width: none; } .key svg { vertical-align: -1px; }
svg.key-mark { width: 12px; height: 12px; margin-right: 6px; flex: none; vertical-align: -1px; }
i.band { background: var(--band); outline: 1px solid #5d8a64; } i.box { background: #dfe6ec; }
.inter { fill: var(--accent); stroke: var(--accent); } .intra { fill: #fff; stroke: var(--intra);
  stroke-width: 1.6; }
.reference { fill: #fff; stroke: var(--reference); stroke-width: 1.6; }
.candidate { fill: var(--candidate); stroke: var(--candidate); }
.whisker { fill: none; stroke-width: 1.8; } .policy { fill: none; stroke-width: 1.6; }
.beyond { stroke: none; }
.beyond.intra { fill: var(--intra); } .beyond.reference { fill: var(--reference); }
path.inter:not(.mark):not(.whisker):not(.policy) { fill-opacity: 0.6; }
svg rect.band { fill: var(--band); stroke: #5d8a64; stroke-width: 0.8; }
svg .box { fill: #dfe6ec; } svg .median { stroke: var(--ink); stroke-width: 1.6; }
svg .bias { stroke: var(--ink); stroke-width: 1.5; } svg .bias-interval { fill: #bcd5e2; }
svg .limit { stroke: var(--ink); stroke-dasharray: 6 4; } svg .limit-interval { fill: #edf1f4; }
svg .case { fill: var(--accent); fill-opacity: 0.75; stroke: #fff; stroke-width: 0.6; }
svg .better { fill: var(--ink); } svg .first { text-anchor: start; } path:hover,
circle:hover { stroke: #000; }
.panels > input { position: absolute; opacity: 0; pointer-events: none; }
.panels > label { display: inline-block; padding: 3px 11px; margin: 0 4px 6px 0;
  border: 1px solid var(--line);
  border-radius: 14px; cursor: pointer; font-size: 13.5px; }
.panels > input:checked + label { background: var(--accent); border-color: var(--accent); color: #fff; }
.panels > input:focus-visible + label { outline: 2px solid var(--drawn); }
.panel { display: none; } .panel h3 { margin-top: 8px; } .all:checked ~ .panel { display: block; }
%TABS%
.chart { width: 100%; } .chart th:first-child { width: 150px; overflow-wrap: anywhere; font-size: 14px; }
.chart td, .chart tbody th { padding-top: 1px; padding-bottom: 1px; vertical-align: middle; }
.chart td.beside { padding-top: 4px; padding-bottom: 4px; } th.number { white-space: normal; }
.chart .plot { width: 560px; padding: 0 14px 0 0; } .chart svg { display: block; }
.beside { font-size: 13px; line-height: 1.35; } .beside div { display: flex; flex-wrap: wrap;
  align-items: center; }
.beside svg { display: inline-block; } .beside .count { min-width: 2.4em; color: var(--soft); }
.chart tr { break-inside: avoid; } .state { font-weight: 600; } .beside .number { padding: 0; }
.matrices { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(var(--matrix), 100%), 1fr));
  gap: 6px 28px; }
.matrix { margin: 6px 0; break-inside: avoid; } .matrix figcaption { margin: 0 0 5px; }
figcaption b { color: var(--ink); }
.matrix table { font-size: 13px; font-variant-numeric: tabular-nums; }
.matrix th { padding: 2px 8px 2px 0; border: 0; font-weight: 400; white-space: nowrap; max-width: 150px;
  overflow: hidden; text-overflow: ellipsis; vertical-align: middle; } .matrix th i { color: var(--soft);
  font-style: normal; }
.matrix tr:first-child th { text-align: center; vertical-align: bottom; padding: 2px 4px; }
.matrix td { border: 1px solid #fff; padding: 5px 8px; text-align: center; min-width: 3.6em; }
.matrix td.dark { color: #fff; } .matrix td.none { background: #f6f8f9; color: var(--soft); }
.plots, .pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr));
  gap: 10px 24px; }
.plots figure, .pictures figure { margin: 6px 0; break-inside: avoid; } figcaption { font-size: 13px; }
.definitions td, .definitions th { font-size: 13.5px; } footer { margin-top: 40px; }
@media print {
  body { max-width: none; padding: 0; font-size: 12px; } nav, .panels > label { display: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } h2, h3 { break-after: avoid; }
  .wide { overflow: visible; } .interval { font-size: 10.5px; } td.number, th.number { padding-left: 8px; }
  .lead, .answer { font-size: 14px; } .facts dd { font-size: 17px; } .facts div { padding-right: 16px; }
  .chart { table-layout: fixed; } .chart .plot { width: 50%; } .chart th:first-child { width: 16%; }
  .chart tbody th { font-size: 11.5px; } .beside { font-size: 10.5px; } .key { font-size: 12px; }
  .choose select { appearance: none; border: 0; padding: 0; font: inherit; color: inherit; background: none; }
  .matrices { grid-template-columns: repeat(auto-fill, minmax(min(calc(0.75 * var(--matrix)), 100%), 1fr)); }
  .matrix table { font-size: 9.5px; } .matrix td { padding: 3px 3px; min-width: 3em; }
  .plots, .pictures { grid-template-columns: 1fr 1fr 1fr; } summary { break-after: avoid; }
}
""".replace("%TABS%", "\n".join(f".tab{i}:checked ~ .panel{i} {{ display: block; }}" for i in range(20)))

REPORT_SCRIPT = """\
const chooser = document.getElementById("label");
const good = (better, value) => better === "higher" ? value : better === "lower" ? -value : -Math.abs(value);
function showLabel() {
  const label = Number(chooser.value);
  const counts = matrices.flatMap(matrix => matrix.labels[label].map(entry => entry[3]));
  const least = Math.min(...counts), most = Math.max(...counts);
  document.getElementById("over").textContent = (least === most ? "" : `${least} to `)
    + `${most} ${most === 1 ? "case" : "cases"}` + (label === 0 ? ", then over structures" : "");
  matrices.forEach((matrix, place) => {
    document.querySelectorAll(`[id^="m${place}-"]`).forEach(cell => {
      cell.textContent = "–"; cell.removeAttribute("style"); cell.className = "none"; cell.title = "";
    });
    const scores = matrix.labels[label].map(entry => good(matrix.better, entry[2]));
    const low = Math.min(...scores), high = Math.max(...scores);
    matrix.labels[label].forEach(([row, column, value, cases], entry) => {
      const cell = document.getElementById(`m${place}-${row}-${column}`);
      const dark = high - low < 1e-9 ? 0.5 : (scores[entry] - low) / (high - low);
      const text = value.toFixed(matrix.decimals);
      cell.textContent = Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
      cell.className = dark > 0.82 ? "dark" : "";
      cell.style.background = `hsl(200 60% ${(96 - 62 * dark).toFixed(0)}%)`;
      cell.title = `${cases} ${cases === 1 ? "case" : "cases"}`;
    });
  });
}
chooser.addEventListener("change", showLabel);
addEventListener("beforeprint",
() => document.querySelectorAll("details").forEach(part => { part.open = true; }));
"""
