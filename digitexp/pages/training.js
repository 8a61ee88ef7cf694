"use strict";
/* Trainings played again: one epoch of every trial is drawn at a time, all to the same scales. */

const CLASSES = DATA.classes;
const K = CLASSES.length;
const TRIALS = DATA.trials.map((trial) => ({ ...trial, counts: unpack(trial.confusion), epochs: trial.confusion.shape[0] }));
const TICKS = { tickvals: CLASSES.map((_, k) => k), ticktext: CLASSES.map((name) => plain(short(name))) };
const LETTERS = Math.max(...CLASSES.map((name) => short(name).length));
const isCrowded = K * LETTERS > 60; // names under the bars would run into each other
/* Margins are fixed: otherwise plotly.js would measure all labels at every epoch. */
const FIXED = { fixedrange: true, automargin: false };
const CLASS_AXIS = { ...FIXED, ...TICKS, showgrid: false, zeroline: false };
const BELOW = { ...CLASS_AXIS, tickangle: isCrowded ? -90 : 0 };
const MARGIN = { left: 36 + 7.5 * LETTERS, below: isCrowded ? 22 + 7 * LETTERS : 34 };
const state = { epoch: DATA.epochs, timer: null };

/** Returns the counts after an epoch, from 1, as K rows: the classes that images of a class were taken for. */
function confusionAt(trial, epoch) {
  const from = (epoch - 1) * K * K;
  return CLASSES.map((_, k) => Array.from(trial.counts.subarray(from + k * K, from + (k + 1) * K)));
}

const totalOf = (row) => row.reduce((a, b) => a + b, 0);
const MOST = Math.max(1, ...TRIALS.flatMap((trial) => confusionAt(trial, 1).map(totalOf)));
const valueAt = (trial, metric, epoch) => trial.history[metric]?.[epoch - 1] ?? null;

/** Returns the range of a logarithmic axis that all trials' values of some metrics fit in. */
function logRange(metrics, margin) {
  const values = TRIALS.flatMap((trial) => metrics.flatMap((metric) => trial.history[metric] ?? [])).filter((v) => v > 0);
  if (!values.length) return [-1, 1];
  const logs = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))].map(Math.log10);
  return [logs[0] - margin, logs[1] + margin];
}
const LOSSES = logRange(["loss", "val_loss"], 0.08);
LOSSES[1] = Math.min(LOSSES[1], Math.max(Math.log10(100 * Math.log(K + 1)), LOSSES[0] + 1)); // guessing costs log K
const RATES = logRange(["learning_rate"], 0.25);
const SQUARE = window.matchMedia("(min-width: 980px)"); // as in training.css
SQUARE.addEventListener("change", () => redraw());

/** Returns ticks of a logarithmic axis: decades, or 1, 2 and 5 of each if that makes no more than `most`. */
function logTicks([low, high], most) {
  const every = Math.ceil((high - low) / most);
  const steps = 3 * (high - low) <= most ? [1, 2, 5] : [1];
  const decades = Array.from({ length: Math.floor(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  const tickvals = decades.filter((d) => d % every === 0).flatMap((d) => steps.map((s) => Number(`${s}e${d}`)));
  return { tickvals, ticktext: tickvals.map((value) => number(value, 1)) };
}

/** Returns the epochs that are the first with a smaller learning rate, if it falls by steps. */
function cutsOf(trial) {
  const rates = trial.history.learning_rate ?? [];
  const cuts = rates.flatMap((rate, i) => (i > 0 && rate < rates[i - 1] ? [i + 1] : []));
  return cuts.length > rates.length / 2 ? [] : cuts; // a schedule lowers it all the time: its curve says it
}

const divergedAt = (trial) => {
  const index = trial.history.loss.findIndex((loss, i) => loss === null || (trial.history.val_loss ?? [])[i] === null);
  return index < 0 ? null : index + 1;
};

function number(value, digits) {
  if (value === null) return "NaN";
  const isFar = value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5);
  return isFar ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
}

function drawFacts(trial, i, epoch) {
  const accuracy = valueAt(trial, "val_accuracy", epoch);
  const facts = [
    ["epoch", `${epoch} of ${trial.epochs}`],
    ["validation accuracy", accuracy === null ? "–" : percent(accuracy)],
    ["validation loss", number(valueAt(trial, "val_loss", epoch), 4)],
    ["training loss", number(valueAt(trial, "loss", epoch), 4)],
    ["learning rate", number(valueAt(trial, "learning_rate", epoch), 3)],
  ];
  byId(`facts-${i}`).replaceChildren(...facts.map(([name, value]) => {
    const [box, dt, dd] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    [dt.textContent, dd.textContent] = [name, value];
    box.append(dt, dd);
    return box;
  }));
  const diverged = divergedAt(trial);
  byId(`state-${i}`).textContent =
    diverged !== null && epoch >= diverged ? `diverged in epoch ${diverged}`
    : epoch < state.epoch ? `ended with epoch ${trial.epochs}: it stays there`
    : epoch === trial.best_epoch ? "the best epoch: its weights were kept" : "";
}

function drawLosses(trial, i, epoch) {
  const x = Array.from({ length: epoch }, (_, e) => e + 1);
  const line = (name, metric, role, more) => ({
    type: "scatter", mode: "lines", name, x, y: x.map((e) => valueAt(trial, metric, e)), line: { color: color(role), width: 2.2 },
    hovertemplate: "%{y:.4g}", ...more,
  });
  const last = (metric, role) => ({
    type: "scatter", mode: "markers", x: [epoch], y: [valueAt(trial, metric, epoch)], showlegend: false, hoverinfo: "skip",
    marker: { color: color(role), size: 8 },
  });
  const inLegend = {
    type: "scatter", mode: "lines", name: "rate cut", x: [null], y: [null], line: { color: color("muted"), dash: "dot" },
  };
  const rate = { yaxis: "y2", showlegend: false, line: { color: color("muted"), width: 2, shape: "hvh" } };
  const traces = [
    line("training", "loss", "accent"), line("validation", "val_loss", "warn"),
    line("learning rate", "learning_rate", "muted", rate),
    ...(cutsOf(trial).length ? [inLegend] : []),
    last("loss", "accent"), last("val_loss", "warn"),
  ];
  Plotly.react(`loss-${i}`, traces, lossLayout(trial), CHART);
}

function lossLayout(trial) {
  const upright = (x, dash, role) => ({
    type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper", line: { color: color(role), width: 1.5, dash },
  });
  const cuts = cutsOf(trial);
  const best = trial.best_epoch === null ? [] : [trial.best_epoch];
  return onPaper({
    height: 380, hovermode: "x unified", dragmode: false, margin: { l: 64, r: 14, t: 44, b: 40 },
    hoverlabel: { bgcolor: color("paper"), bordercolor: color("rule"), font: { color: color("ink") } },
    legend: { orientation: "h", x: 0, y: 1.16 },
    shapes: [...best.map((e) => upright(e, "solid", "ink")), ...cuts.map((e) => upright(e - 0.5, "dot", "muted"))],
    annotations: best.map((e) => ({
      x: e, y: 1, yref: "paper", text: `best: epoch ${e}`, showarrow: false, yanchor: "bottom",
      xanchor: e > 0.7 * DATA.epochs ? "right" : "left", font: { size: 11, color: color("ink") },
    })),
    xaxis: { range: [0.5, DATA.epochs + 0.5], title: { text: "epoch" }, ...FIXED, anchor: "y2", zeroline: false },
    yaxis: { type: "log", range: LOSSES, domain: [0.28, 1], title: { text: "loss", standoff: 4 }, ...FIXED, ...logTicks(LOSSES, 7) },
    yaxis2: { type: "log", range: RATES, domain: [0, 0.2], title: { text: "rate", standoff: 4 }, ...FIXED, ...logTicks(RATES, 4) },
  });
}

/** Draws right answers blue and mistakes orange, both by the logarithm of their count: one mistake is seen. */
function drawConfusion(trial, i, epoch) {
  const counts = confusionAt(trial, epoch);
  const shade = (count) => (count ? 0.15 + (0.85 * Math.log1p(count)) / Math.log1p(MOST) : 0);
  const trace = {
    type: "heatmap", z: counts.map((row, t) => row.map((count, s) => (t === s ? -shade(count) : shade(count)))),
    zmin: -1, zmax: 1, colorscale: [[0, "#0b66a8"], [0.5, color("paper")], [1, "#c2560a"]],
    customdata: counts, text: counts.map((row) => row.map((count) => (count && K <= 20 ? String(count) : ""))),
    texttemplate: "%{text}", showscale: false, xgap: 1, ygap: 1, hoverinfo: "text",
    hovertext: counts.map((row, t) => row.map((count, s) => `${plain(CLASSES[t])}, taken for ${plain(CLASSES[s])}: ${count}`)),
  };
  const layout = onPaper({
    height: TRIALS.length === 1 && SQUARE.matches ? 670 : 400, dragmode: false,
    margin: { l: MARGIN.left, r: 10, t: 8, b: MARGIN.below + (isCrowded ? 24 : 16) },
    xaxis: { ...BELOW, title: { text: "taken for", standoff: 4 } },
    yaxis: { ...CLASS_AXIS, range: [K - 0.5, -0.5], title: { text: "true" } },
  });
  Plotly.react(`confusion-${i}`, [trace], layout, CHART);
}

function drawRecalls(trial, i, epoch) {
  const shares = confusionAt(trial, epoch).map((row, k) => (totalOf(row) ? row[k] / totalOf(row) : null));
  const trace = {
    type: "bar", x: TICKS.tickvals, y: shares, marker: { color: color("accent"), opacity: 0.85 }, hoverinfo: "text",
    hovertext: shares.map((share, k) => `${plain(CLASSES[k])}: ${share === null ? "no image" : percent(share)}`),
    text: shares.map((share) => (share === null || K > 20 ? "" : (100 * share).toFixed(0))),
    textposition: "outside", cliponaxis: false,
  };
  const layout = onPaper({
    height: 240, dragmode: false, margin: { l: 48, r: 10, t: 18, b: MARGIN.below }, bargap: 0.35,
    xaxis: { ...BELOW, range: [-0.6, K - 0.4] },
    yaxis: { range: [0, 1], tickformat: ".0%", ...FIXED },
  });
  Plotly.react(`recalls-${i}`, [trace], layout, CHART);
}

/** Draws everything again, as other colours or sizes ask for. */
function redraw() {
  TRIALS.forEach((trial) => { trial.shown = null; });
  draw();
}

function draw() {
  byId("epoch").value = state.epoch;
  byId("epoch-value").textContent = state.epoch;
  byId("play").textContent = state.timer ? "❚❚ pause" : "▶ play";
  byId("play").setAttribute("aria-label", state.timer ? "pause" : "play");
  TRIALS.forEach((trial, i) => {
    const epoch = Math.min(state.epoch, trial.epochs);
    drawFacts(trial, i, epoch);
    if (trial.shown === epoch) return; // it has ended, or only the button changed
    trial.shown = epoch;
    drawLosses(trial, i, epoch);
    drawConfusion(trial, i, epoch);
    drawRecalls(trial, i, epoch);
  });
}

function go(epoch) {
  state.epoch = Math.min(Math.max(epoch, 1), DATA.epochs);
  draw();
}

function pause() {
  clearTimeout(state.timer);
  state.timer = null;
  draw();
}

function play() {
  const tick = () => {
    if (state.epoch >= DATA.epochs) return pause();
    state.timer = setTimeout(tick, 1000 / Number(byId("speed").value));
    return go(state.epoch + 1);
  };
  if (state.epoch >= DATA.epochs) state.epoch = 0; // tick goes on to the first
  tick();
}

const toggle = () => (state.timer ? pause() : play());

/** Fills the rows of the table that compare the results of two configurations. */
function drawOutcomes() {
  if (!byId("outcomes")) return;
  const cuts = (trial) => cutsOf(trial).join(", ") || "none";
  const best = (trial) => (trial.best_epoch === null ? null : valueAt(trial, "val_accuracy", trial.best_epoch));
  const rows = [
    ["epochs", (trial) => trial.epochs + (divergedAt(trial) === null ? "" : ", diverged")],
    ["best epoch", (trial) => trial.best_epoch ?? "none"],
    ["validation accuracy there", (trial) => (best(trial) === null ? "–" : percent(best(trial)))],
    ["learning rate cut before epoch", cuts],
  ];
  for (const [name, value] of rows) {
    const row = byId("outcomes").insertRow();
    for (const text of [name, ...TRIALS.map(value)]) row.insertCell().textContent = text;
  }
}

byId("play").addEventListener("click", toggle);
byId("back").addEventListener("click", () => go(state.epoch - 1));
byId("on").addEventListener("click", () => go(state.epoch + 1));
byId("epoch").addEventListener("input", (event) => go(event.target.valueAsNumber));
document.addEventListener("keydown", (event) => {
  const isSlider = event.target.id === "epoch"; // it moves by arrows itself
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest?.("select")) return;
  if (event.key === " " && !event.target.closest?.("button")) toggle();
  else if (event.key === "ArrowLeft" && !isSlider) go(state.epoch - 1);
  else if (event.key === "ArrowRight" && !isSlider) go(state.epoch + 1);
  else return;
  event.preventDefault();
});

drawOutcomes();
draw();
