"use strict";
// Draws FIGURES, whose colours are names of roles, with COLORS for light or dark paper.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
let paper = dark.matches ? "dark" : "light";
const isNarrow = window.matchMedia("screen and (max-width: 900px)"); // as in page.css
document.documentElement.dataset.paper = paper; // before anything is seen
/** Pixels that a chart has on paper, where it has no window to fill; null on a screen. */
let printed = null;
const ON_PAPER = { wide: 670, half: 320, third: 205 };

function painted(value, key) {
  if (key === "bgcolor" && value === "paper") return css("--paper");
  if (key === "colorscale" && value === "Cividis") return [0, 1, 2, 3, 4].map((i) => [i / 4, onScale(i / 4)]);
  if (typeof value === "string" && key === "color") {
    if (value === "ink") return css("--ink");
    if (value.startsWith("scale:")) return onScale(parseFloat(value.slice(6)));
    return value in COLORS ? COLORS[value][paper === "dark" ? 1 : 0] : value;
  }
  if (Array.isArray(value) && key !== "data" && typeof value[0] !== "object") return value;
  if (Array.isArray(value)) return value.map((item) => painted(item, ""));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, painted(v, k)]));
  }
  return value;
}

// Cividis, as in matplotlib: five of its colours, and what lies between.
const SCALE = [[0, 34, 78], [73, 82, 108], [125, 124, 120], [188, 175, 111], [254, 232, 56]];

function onScale(place) {
  const from = paper === "dark" ? 0.25 + 0.75 * place : place; // its darkest blue is lost on dark paper
  const step = Math.min(Math.floor(from * 4), 3);
  const mixed = SCALE[step].map((low, i) => Math.round(low + (SCALE[step + 1][i] - low) * (from * 4 - step)));
  return `rgb(${mixed.join(",")})`;
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function layoutOf(figure) {
  const axis = { gridcolor: css("--grid"), linecolor: css("--rule"), tickcolor: css("--rule") };
  const layout = painted(figure.layout, "");
  return {
    ...layout,
    ...(printed && { width: printed, height: Math.min(layout.height, printed * 1.1), autosize: false }),
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: css("--ink") },
    hoverlabel: { bgcolor: css("--paper"), bordercolor: css("--rule"), font: { color: css("--ink") }, align: "left" },
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
    ...(isNarrow.matches && layout.yaxis.ticktext && broken(layout, axis)),
  };
}

/** Returns names of rows with their numbers below them, where there is no room beside. */
function broken(layout, axis) {
  const ticktext = layout.yaxis.ticktext.map((text) => text.replace("  ", "<br>"));
  return { height: layout.height + 14 * ticktext.length, yaxis: { ...axis, ...layout.yaxis, ticktext } };
}

function draw() {
  document.documentElement.dataset.paper = paper;
  const config = { displaylogo: false, responsive: true, displayModeBar: false };
  return Promise.all(
    [...document.querySelectorAll("[data-chart]")].map((place) => {
      const figure = FIGURES[place.dataset.chart];
      if (printed !== null) printed = ON_PAPER[place.parentElement.classList[1]];
      return Plotly.react(place, painted(figure.data, "data"), layoutOf(figure), config);
    })
  ).then(() => { document.documentElement.dataset.drawn = "true"; });
}

function number(text) {
  const value = parseFloat(text.replace("#", ""));
  return Number.isNaN(value) ? null : value;
}

function compare(a, b) {
  const [x, y] = [number(a), number(b)];
  if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
  return x !== null && y !== null ? x - y : a.localeCompare(b);
}

function makeSearchable(block) {
  const body = block.querySelector("tbody");
  const heads = [...block.querySelectorAll("th")];
  heads.forEach((head, column) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = head.ariaSort === "ascending" ? "descending" : "ascending";
      heads.forEach((other) => { other.ariaSort = null; });
      head.ariaSort = order;
      const cell = (row) => row.cells[column].textContent;
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [cell(a), cell(b)];
        if (x === "" || y === "") return compare(x, y); // empty cells stay below
        return order === "ascending" ? compare(x, y) : compare(y, x);
      });
      body.append(...rows);
    });
  });
  block.querySelector("input").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}

/** Unfolds what holds the target of a link. */
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let place = target; place; place = place.parentElement) {
    if (place.tagName === "DETAILS") place.open = true;
  }
  target?.scrollIntoView();
}

document.querySelectorAll(".searchable").forEach(makeSearchable);
document.getElementById("paper").addEventListener("click", () => {
  paper = paper === "dark" ? "light" : "dark";
  draw();
});
isNarrow.addEventListener("change", draw);
dark.addEventListener("change", (event) => { paper = event.matches ? "dark" : "light"; draw(); });
window.addEventListener("hashchange", unfold);

// Paper is light, and nothing on it is folded.
let before = null;
window.addEventListener("beforeprint", () => {
  const folded = [...document.querySelectorAll("main details:not([open])")];
  before = { paper, folded };
  folded.forEach((one) => { one.open = true; });
  [paper, printed] = ["light", 0];
  draw();
});
window.addEventListener("afterprint", () => {
  before.folded.forEach((one) => { one.open = false; });
  [paper, printed] = [before.paper, null];
  draw();
});

// On a phone the contents come first, so they begin folded.
if (isNarrow.matches) document.querySelector("nav details").open = false;
draw().then(() => { if (location.hash) unfold(); });
