"use strict";
/* Logits and a temperature in, probabilities out. Charts are drawn again at every move. */

const CLASSES = DATA.classes;
const K = CLASSES.length;
const IMAGES = DATA.images && { ...DATA.images, ink: unpack(DATA.images.ink), logits: unpack(DATA.images.logits) };
const ROW = K > 20 ? 22 : 30; // pixels: a slider stands beside its bar
const EDGE = { above: 6, below: 36 };
const COLDEST = Math.min(0.1, DATA.fitted ?? 1);
const HOTTEST = Math.max(10, DATA.fitted ?? 1);
const LOWEST = Math.floor(Array.from(IMAGES ? IMAGES.logits : []).reduce((a, z) => Math.min(a, z), -10));
const HIGHEST = Math.ceil(Array.from(IMAGES ? IMAGES.logits : []).reduce((a, z) => Math.max(a, z), 10));
const TEMPERATURES = Array.from({ length: 121 }, (_, i) => COLDEST * (HOTTEST / COLDEST) ** (i / 120));

const TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];

const state = { image: null, temperature: 1, logits: CLASSES.map((_, k) => Math.max(4 - 1.5 * k, -1)) };

const argmax = (values) => values.indexOf(Math.max(...values));
const entropy = (probabilities) => -probabilities.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0);
const logitsOf = (image) => Array.from(IMAGES.logits.subarray(image * K, (image + 1) * K));
const signed = (z) => z.toFixed(2).replace("-", "−");
const temperatureText = (t) => String(Number(t.toPrecision(3)));

function ink(image) {
  const [, height, width] = IMAGES.ink.shape;
  return [IMAGES.ink.subarray(image * height * width, (image + 1) * height * width), height, width];
}

function makeSliders() {
  byId("logits").style.setProperty("--letters", `${Math.max(...CLASSES.map((name) => short(name).length)) + 3}ch`);
  byId("logits").style.padding = `${EDGE.above}px 0 ${EDGE.below}px`;
  CLASSES.forEach((name, k) => {
    const row = document.createElement("div");
    row.className = "logit";
    row.style.height = `${ROW}px`;
    const label = Object.assign(document.createElement("label"), { textContent: short(name), title: name });
    const slider = Object.assign(document.createElement("input"), {
      type: "range", id: `logit-${k}`, min: LOWEST, max: HIGHEST, step: "any",
    });
    label.htmlFor = slider.id;
    slider.addEventListener("input", () => {
      state.image = null;
      state.logits[k] = slider.valueAsNumber;
      redraw();
    });
    row.append(label, slider, document.createElement("output"));
    byId("logits").append(row);
  });
}

function makeGallery() {
  if (!IMAGES) return;
  IMAGES.labels.forEach((label, image) => {
    const said = argmax(logitsOf(image));
    const isWrong = said !== label;
    const button = document.createElement("button");
    button.title = describe(image);
    button.dataset.image = image;
    const canvas = Object.assign(document.createElement("canvas"), { className: "digit" });
    drawDigit(canvas, ...ink(image));
    const caption = document.createElement("span");
    caption.textContent = isWrong ? `${short(CLASSES[label])}→${short(CLASSES[said])}` : short(CLASSES[label]);
    caption.className = isWrong ? "wrong" : "";
    button.setAttribute("aria-label", `${caption.textContent}: ${button.title}`); // begins with what is seen
    button.append(canvas, caption);
    button.addEventListener("click", () => choose(image));
    byId(image < IMAGES.mistakes ? "mistakes" : "right").append(button);
  });
}

function describe(image) {
  const logits = logitsOf(image);
  const said = argmax(logits);
  const sure = percent(softmax(logits, 1)[said]);
  const label = IMAGES.labels[image];
  const answer = said === label ? `recognised with ${sure}` : `taken for ${CLASSES[said]} with ${sure}`;
  return `Image ${IMAGES.numbers[image]} of ${DATA.part}: ${CLASSES[label]}, ${answer} (T = 1)`;
}

function choose(image) {
  state.image = image;
  state.logits = logitsOf(image);
  drawDigit(byId("portrait"), ...ink(image));
  byId("said").textContent = describe(image);
  redraw();
}

function setTemperature(value) {
  state.temperature = value;
  redraw();
}

function makeTemperature() {
  const slider = byId("temperature");
  [slider.min, slider.max] = [Math.log10(COLDEST), Math.log10(HOTTEST)];
  slider.addEventListener("input", () => setTemperature(10 ** slider.valueAsNumber));
  byId("reset").addEventListener("click", () => setTemperature(1));
  for (const value of new Set([COLDEST, 1, HOTTEST])) mark(value, temperatureText(value), "");
  if (DATA.fitted === null) return;
  mark(DATA.fitted, "fitted", "fitted");
  byId("fitted").textContent = `T = ${temperatureText(DATA.fitted)}, fitted`;
  byId("fitted").addEventListener("click", () => setTemperature(DATA.fitted));
}

function mark(temperature, text, kind) {
  const place = Math.log(temperature / COLDEST) / Math.log(HOTTEST / COLDEST);
  const made = Object.assign(document.createElement("span"), { textContent: text, className: kind });
  made.style.left = `calc(8px + ${place} * (100% - 16px))`; // a thumb is 16 px wide
  byId("marks").append(made);
}

function redraw() {
  const now = softmax(state.logits, state.temperature);
  drawControls(now);
  drawProbabilities(now, softmax(state.logits, 1));
  drawCurve();
}

function drawControls(now) {
  const [first, nats] = [argmax(now), entropy(now)];
  byId("temperature").value = Math.log10(state.temperature);
  byId("temperature-value").textContent = temperatureText(state.temperature);
  byId("most-likely").textContent = short(CLASSES[first]);
  byId("largest").textContent = percent(now[first]);
  byId("entropy").textContent = `${nats.toFixed(3)} nats`;
  byId("entropy-share").textContent = K > 1 ? percent(nats / Math.log(K)) : "–";
  byId("whose").textContent = state.image === null ? "my own" : `image ${IMAGES.numbers[state.image]}`;
  document.querySelectorAll(".logit").forEach((row, k) => {
    row.querySelector("input").value = state.logits[k];
    row.querySelector("output").textContent = signed(state.logits[k]);
    row.classList.toggle("first", k === first);
    row.classList.toggle("true", state.image !== null && k === IMAGES.labels[state.image]);
  });
  document.querySelectorAll(".gallery button").forEach((button) => {
    button.setAttribute("aria-pressed", String(Number(button.dataset.image) === state.image));
  });
}

function drawProbabilities(now, plainly) {
  const y = CLASSES.map((_, k) => k);
  const first = argmax(now);
  const bar = { type: "bar", orientation: "h", y, width: 0.72, hoverinfo: "skip" };
  const fill = y.map((k) => color(k === first ? "accent" : "muted"));
  const traces = [
    { ...bar, name: "T", x: now, marker: { color: fill, opacity: 0.85 } },
    { ...bar, name: "T = 1", x: plainly, marker: { color: "rgba(0,0,0,0)", line: { color: color("ink"), width: 1.5 } } },
    {
      type: "scatter", mode: "text", y, x: y.map(() => 1), text: now.map((p) => `\u00a0${plain(percent(p))}`), hoverinfo: "skip",
      textposition: "middle right", cliponaxis: false,
    },
  ];
  const layout = onPaper({
    barmode: "overlay", showlegend: false, height: EDGE.above + K * ROW + EDGE.below, dragmode: false,
    margin: { l: 6, r: 66, t: EDGE.above, b: EDGE.below },
    xaxis: { range: [0, 1], tickformat: ".0%", fixedrange: true, automargin: false },
    yaxis: {
      range: [K - 0.5, -0.5], showticklabels: false, showgrid: false, zeroline: false, fixedrange: true, automargin: false,
    },
  });
  Plotly.react("probabilities", traces, layout, CHART);
}

function drawCurve() {
  const all = TEMPERATURES.map((t) => softmax(state.logits, t));
  const line = (name, y, role, yaxis) => ({
    type: "scatter", mode: "lines", name, x: TEMPERATURES, y, yaxis, line: { color: color(role), width: 2.5 },
  });
  const now = softmax(state.logits, state.temperature);
  const traces = [
    { ...line("largest probability", all.map((p) => Math.max(...p)), "accent", "y"), hovertemplate: "%{y:.1%}" },
    { ...line("entropy, nats", all.map(entropy), "warn", "y2"), hovertemplate: "%{y:.3f} nats" },
    { ...dot(Math.max(...now), "accent"), yaxis: "y" }, { ...dot(entropy(now), "warn"), yaxis: "y2" },
  ];
  const upright = (t, dash, role) => ({
    type: "line", x0: t, x1: t, y0: 0, y1: 1, yref: "paper", line: { color: color(role), width: 1.5, dash },
  });
  const fitted = DATA.fitted === null ? [] : [upright(DATA.fitted, "dot", "warn")];
  const y = { fixedrange: true, rangemode: "tozero" };
  const layout = onPaper({
    height: 280, hovermode: "x unified", dragmode: false, legend: { orientation: "h", y: 1.2, x: 0 },
    hoverlabel: { bgcolor: color("paper"), bordercolor: color("rule"), font: { color: color("ink") } },
    shapes: [upright(state.temperature, "solid", "ink"), ...fitted],
    xaxis: {
      type: "log", title: { text: "temperature T" }, fixedrange: true, tickvals: TICKS, ticktext: TICKS.map(String),
      range: [Math.log10(COLDEST), Math.log10(HOTTEST)], hoverformat: ".3g",
    },
    yaxis: { ...y, range: [0, 1.03], tickformat: ".0%", title: { text: "largest probability" } },
    yaxis2: {
      ...y, range: [0, 1.03 * Math.log(Math.max(K, 2))], overlaying: "y", side: "right", showgrid: false,
      tickmode: "linear", dtick: 0.5, title: { text: "entropy, nats" },
    },
  });
  Plotly.react("curve", traces, layout, CHART);
}

function dot(value, role) {
  return {
    type: "scatter", mode: "markers", x: [state.temperature], y: [value], marker: { color: color(role), size: 10 },
    showlegend: false, hoverinfo: "skip",
  };
}

makeSliders();
makeTemperature();
makeGallery();
if (IMAGES) choose(0); else redraw();
