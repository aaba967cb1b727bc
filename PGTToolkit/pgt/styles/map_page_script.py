"""What the map's page does: drawing, colours, zoom and the card of a case."""

from __future__ import annotations

MAP_SCRIPT = r"""
const byId = id => document.getElementById(id);
const svg = byId("map"), tip = byId("tip"), card = byId("card"), legend = byId("legend");
const WIDTH = 820, HEIGHT = 600, RIM = 34, RADIUS = 5.5;
const PALETTE = ["#0b6e99", "#d1495b", "#e0a100", "#3b8b5a", "#7a4fa3", "#8a5a2b", "#c2559d", "#4a5568",
  "#5aa9c9", "#a3b04a"];
const NOTHING = "#9aa5b1";
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [235, 200, 30]];
let view = data.views[0], box = [0, 0, WIDTH, HEIGHT], chosen = null, off = new Set(), colours = null;

function element(kind, attributes, parent, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}
function html(kind, parent, text, className) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  parent.appendChild(made);
  return made;
}

// --- colours

function ramp(share) {
  const at = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(at), RAMP.length - 2);
  const mixed = RAMP[low].map((part, i) => Math.round(part + (RAMP[low + 1][i] - part) * (at - low)));
  return `rgb(${mixed.join(",")})`;
}
const fields = [
  { name: "group", of: one => one.cluster < 0 ? "alone" : data.clusters[one.cluster], order: data.clusters },
  { name: "suspicion score", of: one => one.score, numeric: true },
  { name: "suggestion", of: one => one.suggestion },
];
if (data.cases.some(one => one.doubt))
  fields.push({ name: "disagreement with the main style", numeric: true,
    of: one => one.doubt ? one.doubt[0] : "" });
data.columns.forEach((name, place) => {
  const values = data.cases.map(one => one.columns[place]).filter(value => value !== "");
  const numeric = values.length > 0 && values.every(value => isFinite(value)) && new Set(values).size > 8;
  fields.push({ name, numeric, of: one => numeric && one.columns[place] !== ""
    ? Number(one.columns[place]) : one.columns[place] });
});
let field = fields[0];

function chooseColours() {
  const values = data.cases.map(field.of);
  if (field.numeric) {
    const known = values.filter(value => value !== "");
    const low = Math.min(...known), high = Math.max(...known);
    const of = value => value === "" ? NOTHING : ramp(high > low ? (value - low) / (high - low) : 0.5);
    return { low, high, of };
  }
  const counts = new Map();
  values.forEach(value => counts.set(value, (counts.get(value) || 0) + 1));
  const present = [...counts.keys()].filter(value => value !== "" && !(field.order && value === "alone"));
  present.sort(field.order ? (a, b) => field.order.indexOf(a) - field.order.indexOf(b)
    : (a, b) => counts.get(b) - counts.get(a) || String(a).localeCompare(String(b)));
  const coloured = field.order ? field.order : present;
  const of = value => {
    const place = coloured.indexOf(value);
    return place < 0 || (!field.order && place >= PALETTE.length) ? NOTHING : PALETTE[place % PALETTE.length];
  };
  const rest = [...counts.keys()].filter(value => !present.includes(value));
  return { names: [...present, ...rest], counts, of };
}
function drawLegend() {
  legend.replaceChildren();
  if (field.numeric) {
    html("span", legend, shortly(colours.low));
    const bar = html("i", legend, "", "ramp");
    bar.style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map(ramp).join(",")})`;
    html("span", legend, shortly(colours.high));
    return;
  }
  for (const name of colours.names.slice(0, 24)) {
    const button = html("button", legend);
    html("i", button).style.background = colours.of(name);
    button.append(`${name === "" ? "not given" : name} (${colours.counts.get(name)})`);
    button.title = "Click to fade these cases";
    button.type = "button";
    button.classList.toggle("off", off.has(name));
    button.addEventListener("click", () => { off.has(name) ? off.delete(name) : off.add(name); draw(); });
  }
  if (colours.names.length > 24) html("span", legend, `and ${colours.names.length - 24} more`);
}
const shortly = number => Number(Number(number).toPrecision(3)).toString().replace("-", "−");

// --- the map

function scales() {
  const places = [...view.places, ...view.styles.map(one => one.place)];
  if (view.origin) places.push(view.origin);
  const range = place => {
    const values = places.map(one => one[place]);
    return [Math.min(...values), Math.max(...values)];
  };
  const [left, right] = range(0), [low, high] = range(1);
  // The same length on the screen for the same distance both ways.
  const scale = Math.min((WIDTH - 2 * RIM) / Math.max(right - left, 1e-9),
    (HEIGHT - 2 * RIM) / Math.max(high - low, 1e-9));
  const x = value => WIDTH / 2 + (value - (left + right) / 2) * scale;
  const y = value => HEIGHT / 2 - (value - (low + high) / 2) * scale;
  return { x, y, scale };
}
function draw() {
  colours = chooseColours();
  svg.replaceChildren();
  svg.setAttribute("viewBox", box.join(" "));
  const zoom = WIDTH / box[2], { x, y, scale } = scales();
  if (view.origin) {
    const [across, up] = [x(view.origin[0]), y(view.origin[1])];
    const thin = { class: "grid", "stroke-width": 1 / zoom };
    element("line", { ...thin, x1: -WIDTH * 9, x2: WIDTH * 9, y1: up, y2: up }, svg);
    element("line", { ...thin, x1: across, x2: across, y1: -HEIGHT * 9, y2: HEIGHT * 9 }, svg);
    for (const ring of view.rings) {
      const r = ring.radius * scale;
      element("circle", { ...thin, class: "grid ring", cx: across, cy: up, r }, svg);
      const diagonal = { x: across + r * 0.7071 + 3 / zoom, y: up - r * 0.7071 };
      const label = element("text", diagonal, svg, ring.label);
      label.style.fontSize = `${11 / zoom}px`;
    }
  }
  const order = data.cases.map((one, place) => place).sort((a, b) =>
    (data.cases[a] === chosen) - (data.cases[b] === chosen) || data.cases[a].score - data.cases[b].score);
  for (const place of order) {
    const one = data.cases[place], [across, up] = view.places[place].map((v, i) => i ? y(v) : x(v));
    const value = field.of(one), size = RADIUS / zoom;
    const look = { class: "case" + (one === chosen ? " chosen" : "") + (off.has(value) ? " faded" : ""),
      fill: colours.of(value) };
    const mark = one.cluster < 0
      ? element("path", { ...look, d: `M${across} ${up - 1.4 * size}l${1.4 * size} ${1.4 * size}`
        + `l${-1.4 * size} ${1.4 * size}l${-1.4 * size} ${-1.4 * size}z` }, svg)
      : element("circle", { ...look, cx: across, cy: up, r: size }, svg);
    mark.style.strokeWidth = (one === chosen ? 2.4 : 0.8) / zoom;
    mark.addEventListener("pointerenter", event => showTip(one, event));
    mark.addEventListener("pointermove", event => placeTip(event));
    mark.addEventListener("pointerleave", () => { tip.hidden = true; });
    mark.addEventListener("click", () => { if (!moved) choose(one); });
  }
  for (const style of view.styles) {
    const [across, up] = [x(style.place[0]), y(style.place[1])], arm = 7 / zoom;
    element("path", { class: "named", "stroke-width": 1.6 / zoom,
      d: `M${across - arm} ${up}h${2 * arm}M${across} ${up - arm}v${2 * arm}` }, svg);
    const place = { x: across + 9 / zoom, y: up - 6 / zoom };
    const label = element("text", { class: "named", ...place }, svg, style.name);
    label.style.fontSize = `${12 / zoom}px`;
    label.style.strokeWidth = `${3 / zoom}px`;
  }
  drawLegend();
  byId("remark").textContent = view.remark + (view.rings.length ? " Rings: length of the latent vector." : "")
    + (data.cases.some(one => one.cluster < 0)
    ? " Diamonds: cases that lie alone." : "");
}

// --- a case

function rows(one) {
  const found = [["group", one.cluster < 0 ? "alone" : data.clusters[one.cluster]]];
  data.columns.forEach((name, place) => {
    if (one.columns[place] !== "") found.push([name, one.columns[place]]);
  });
  found.push(["score", one.score.toFixed(2)]);
  return found;
}
function showTip(one, event) {
  tip.replaceChildren();
  html("b", tip, one.name);
  for (const [name, value] of rows(one)) html("div", tip, `${name}: ${value}`);
  tip.hidden = false;
  placeTip(event);
}
function placeTip(event) {
  const size = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - size.width - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - size.height - 8)}px`;
}
function choose(one) {
  chosen = one;
  card.replaceChildren();
  html("h3", card, one.name);
  if (one.picture) {
    const picture = html("img", card);
    picture.src = one.picture;
    picture.alt = "Label and prediction";
    html("p", card, "Solid: the label. Dashed: the main style. The slice on which they differ most.", "soft");
  } else {
    html("p", card, "There is no picture of this case.", "soft");
  }
  const list = html("dl", card);
  const told = [...rows(one), ["norm", shortly(one.norm)], ["isolation", shortly(one.isolation)]];
  if (one.doubt) told.push(["disagreement", one.doubt[0].toFixed(2)], ["expected", one.doubt[1].toFixed(2)]);
  told.push(["perhaps", one.suggestion], ["latent vector", one.latent.map(shortly).join(", ")]);
  for (const [name, value] of told) { html("dt", list, name); html("dd", list, value); }
  draw();
}

// --- zoom and pan

let moved = false, held = null;
const fingers = new Map();
const onMap = (event) => {
  const area = svg.getBoundingClientRect();
  return [box[0] + (event.clientX - area.left) / area.width * box[2],
    box[1] + (event.clientY - area.top) / area.height * box[3]];
};
function zoomAt([x, y], factor) {
  const width = Math.min(Math.max(box[2] * factor, WIDTH / 400), WIDTH * 1.5), by = width / box[2];
  box = [x - (x - box[0]) * by, y - (y - box[1]) * by, width, width * HEIGHT / WIDTH];
  draw();
}
svg.addEventListener("wheel", event => {
  event.preventDefault();
  zoomAt(onMap(event), Math.exp(event.deltaY * 0.0015));
}, { passive: false });
svg.addEventListener("pointerdown", event => {
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  held = { at: [event.clientX, event.clientY], box: [...box] };
  moved = false;
});
addEventListener("pointermove", event => {
  if (!held || !fingers.has(event.pointerId)) return;
  const before = [...fingers.values()];
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  const area = svg.getBoundingClientRect();
  if (fingers.size === 2) {
    const apart = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    zoomAt(onMap(event), apart(before) / Math.max(apart([...fingers.values()]), 1));
    moved = true;
    return;
  }
  const [dx, dy] = [event.clientX - held.at[0], event.clientY - held.at[1]];
  if (Math.hypot(dx, dy) < 4 && !moved) return;
  moved = true;
  svg.classList.add("moving");
  box[0] = held.box[0] - dx / area.width * box[2];
  box[1] = held.box[1] - dy / area.height * box[3];
  svg.setAttribute("viewBox", box.join(" "));
});
for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, event => {
  fingers.delete(event.pointerId);
  held = null;
  svg.classList.remove("moving");
});

// --- the rest of the page

fields.forEach((one, place) => byId("colour").add(new Option(one.name, place)));
data.views.forEach((one, place) => byId("view").add(new Option(one.title, place)));
byId("colour").addEventListener("change", event => {
  field = fields[event.target.value];
  off.clear();
  draw();
});
byId("view").addEventListener("change", event => {
  view = data.views[event.target.value];
  box = [0, 0, WIDTH, HEIGHT];
  draw();
});
byId("reset").addEventListener("click", () => { box = [0, 0, WIDTH, HEIGHT]; draw(); });
const byName = new Map(data.cases.map(one => [one.name, one]));
document.querySelectorAll("img[data-picture]").forEach(one => {
  one.src = byName.get(one.dataset.picture).picture;
});
document.querySelectorAll("i.dot").forEach(one => {
  one.style.background = PALETTE[one.dataset.cluster % PALETTE.length];
});
document.querySelectorAll("[data-case]").forEach(one => one.addEventListener("click", () => {
  choose(byName.get(one.dataset.case));
  svg.scrollIntoView({ behavior: "smooth", block: "center" });
}));
draw();
"""
