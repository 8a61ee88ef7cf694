"use strict";
// Draws FIGURES, whose colours are names of roles, with COLORS for light or dark paper.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
let paper = dark.matches ? "dark" : "light";

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
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: css("--ink") },
    hoverlabel: { bgcolor: css("--paper"), bordercolor: css("--rule"), font: { color: css("--ink") }, align: "left" },
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

function draw() {
  document.documentElement.dataset.paper = paper;
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
  return Promise.all(
    [...document.querySelectorAll("[data-chart]")].map((place) => {
      const figure = FIGURES[place.dataset.chart];
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
  block.querySelectorAll("th").forEach((head, column) => {
    head.addEventListener("click", () => {
      const order = head.dataset.order === "up" ? "down" : "up";
      block.querySelectorAll("th").forEach((other) => delete other.dataset.order);
      head.dataset.order = order;
      const cell = (row) => row.cells[column].textContent;
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [cell(a), cell(b)];
        if (x === "" || y === "") return compare(x, y); // empty cells stay below
        return order === "up" ? compare(x, y) : compare(y, x);
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

document.querySelectorAll(".searchable").forEach(makeSearchable);
document.getElementById("paper").addEventListener("click", () => {
  paper = paper === "dark" ? "light" : "dark";
  draw();
});
dark.addEventListener("change", (event) => { paper = event.matches ? "dark" : "light"; draw(); });
draw();
