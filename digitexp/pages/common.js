"use strict";
/* Functions of all tools: arrays, digits as pictures, colours of the paper, charts. */

const ARRAYS = {
  uint8: Uint8Array, uint16: Uint16Array, int16: Int16Array, int32: Int32Array, float32: Float32Array,
};

/** Turns an array of `pack` into a typed array, which knows its `shape`. */
function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.bytes), (c) => c.charCodeAt(0));
  const array = new ARRAYS[packed.dtype](bytes.buffer);
  array.shape = packed.shape;
  return array;
}

/** Draws a digit: ink, 0 to 255, row by row, onto a canvas of height x width cells. */
function drawDigit(canvas, ink, height, width) {
  canvas.height = height;
  canvas.width = width;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    picture.data.set([255 - ink[i], 255 - ink[i], 255 - ink[i], 255], 4 * i);
  }
  context.putImageData(picture, 0, 0);
}

/** Returns softmax(logits / temperature), the largest logit subtracted first. */
function softmax(logits, temperature) {
  const scaled = logits.map((z) => z / temperature);
  const largest = Math.max(...scaled);
  const powers = scaled.map((z) => Math.exp(z - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

const isDark = () => window.matchMedia("(prefers-color-scheme: dark)").matches;
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Ten colours of classes, told apart with every common colour blindness as far as ten can be. */
const CLASS_COLORS = [
  "#0072B2", "#D55E00", "#00795A", "#B87A00", "#A4467C",
  "#56B4E9", "#8A8A8A", "#C2185B", "#6A4C93", "#7A8B00",
];
const classColor = (k) => CLASS_COLORS[k % CLASS_COLORS.length];

/** Merges the look of the paper into a layout of plotly.js. */
function onPaper(layout) {
  const axis = { gridcolor: color("grid"), zerolinecolor: color("rule"), linecolor: color("rule") };
  const made = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: color("ink"), size: 12, family: "system-ui, sans-serif" },
    margin: { l: 48, r: 12, t: 28, b: 40 }, ...layout,
  };
  for (const name of Object.keys(made).filter((key) => /^[xy]axis\d*$/.test(key))) {
    made[name] = { ...axis, automargin: true, ...made[name] };
  }
  return made;
}

/** Returns a text as plotly.js shows it letter by letter: it would take <b> for a tag. */
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");
/** Returns a name that fits beside an axis. */
const short = (name) => (name.length > 12 ? `${name.slice(0, 11)}…` : name);

/** Returns a share, 0 to 1, in percent; it is never rounded to 0 or 100 %. */
function percent(share) {
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  if (share < 1 && share > 0.9995) return "> 99.9 %";
  return `${(100 * share).toFixed(1)} %`;
}

/** Draws a bar a class into an element: `shares` from 0 to 1, null where there is none; `chosen` stand out. */
function drawBars(element, names, shares, isChosen) {
  if (element.children.length !== names.length) {
    element.replaceChildren(...names.map((name) => {
      const row = Object.assign(document.createElement("div"), { className: "bar" });
      row.setAttribute("role", "listitem");
      row.innerHTML = '<span class="name"></span><span class="track"><div class="fill"></div></span><span class="number"></span>';
      Object.assign(row.querySelector(".name"), { textContent: short(name), title: name });
      return row;
    }));
  }
  shares.forEach((share, k) => {
    const row = element.children[k];
    row.classList.toggle("chosen", isChosen(k));
    row.querySelector(".fill").style.width = `${100 * (share ?? 0)}%`;
    row.querySelector(".number").textContent = share === null ? "–" : percent(share);
  });
}

const CHART = { displayModeBar: false, responsive: true };
const byId = (id) => document.getElementById(id);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
