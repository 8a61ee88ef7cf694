"use strict";
/* Trainings played again, or trained here. One point of every training is drawn at a time, an epoch of a recorded
   one or some steps of one that is trained here; all to the same scales. */

const byClass = (values, K) => Array.from({ length: K }, (_, k) => Array.from(values.slice(k * K, (k + 1) * K)));
const totalOf = (row) => row.reduce((a, b) => a + b, 0);

/* A training: its name, `x` of each point (an epoch, or how many steps), `history` of each metric at each point,
   `confusion` of each point (rows: true), `best` and `diverged`, points from 0 or null. */
const RECORDED = DATA.trials.map((trial) => {
  const counts = unpack(trial.confusion), [epochs, K] = trial.confusion.shape;
  const { loss, val_loss: other = [] } = trial.history;
  const diverged = loss.findIndex((value, i) => value === null || other[i] === null);
  return {
    ...trial, classes: DATA.classes, x: Array.from({ length: epochs }, (_, e) => e + 1),
    kind: trial.penalised ? "cross-entropy + L2 penalty" : "cross-entropy, nats",
    confusion: Array.from({ length: epochs }, (_, e) => byClass(counts.subarray(e * K * K, (e + 1) * K * K), K)),
    best: trial.best_epoch === null ? null : trial.best_epoch - 1, diverged: diverged < 0 ? null : diverged,
  };
});
const MODES = {
  recorded: { unit: "epoch", trainings: RECORDED, point: 0, end: null },
  here: { unit: "step", trainings: [], point: 0, end: 1000 },
};
const state = { mode: RECORDED.length ? "recorded" : "here", timer: null };
const mode = () => MODES[state.mode];
const pointsOf = ({ trainings }) => Math.max(0, ...trainings.map((training) => training.x.length));
const valueAt = (training, metric, point) => training.history[metric]?.[point] ?? null;

/* --- what is drawn --------------------------------------------------------------------------- */

/** Returns the range of a logarithmic axis that all trainings' values of some metrics fit in. */
function logRange(trainings, metrics, margin) {
  const values = trainings.flatMap((one) => metrics.flatMap((metric) => one.history[metric] ?? [])).filter((v) => v > 0);
  if (!values.length) return [-1, 1];
  const logs = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))].map(Math.log10);
  return [logs[0] - margin, logs[1] + margin];
}

function lossRange(trainings) {
  const [low, high] = logRange(trainings, ["loss", "val_loss"], 0.08);
  const guessing = Math.log10(100 * Math.log(trainings[0].classes.length + 1)); // guessing costs log K
  return [low, Math.min(high, Math.max(guessing, low + 1))];
}

/** Returns ticks of a logarithmic axis: decades, or 1, 2 and 5 of each if that makes no more than `most`. */
function logTicks([low, high], most) {
  const every = Math.ceil((high - low) / most);
  const steps = 3 * (high - low) <= most ? [1, 2, 5] : [1];
  const decades = Array.from({ length: Math.floor(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  const ticks = decades.filter((d) => d % every === 0).flatMap((d) => steps.map((s) => Number(`${s}e${d}`)));
  return ticks.filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high);
}

/** Returns round ticks of a linear axis from 0. */
function ticksTo(end, most) {
  const rough = end / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].find((s) => s * power >= rough) * power);
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => i * step);
}

/** Returns the points that are the first with a smaller learning rate, if it falls by steps. */
function cutsOf(training) {
  const rates = training.history.learning_rate ?? [];
  const cuts = rates.flatMap((rate, i) => (i > 0 && rate < rates[i - 1] ? [i] : []));
  return cuts.length > rates.length / 2 ? [] : cuts; // a schedule lowers it all the time: its curve says it
}

function number(value, digits) {
  if (value === null) return "NaN";
  const isFar = value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e5);
  return isFar ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
}

function drawFacts(panel, training, point) {
  const { unit, end } = mode();
  const accuracy = valueAt(training, "val_accuracy", point);
  const loss = training.x[point] === 0 ? "–" : number(valueAt(training, "loss", point), 4);
  const facts = [
    [unit, `${training.x[point]} of ${end ?? training.x.length}`],
    ["validation accuracy", accuracy === null ? "–" : percent(accuracy)],
    ["validation loss", number(valueAt(training, "val_loss", point), 4)],
    ["training loss", loss],
    ["learning rate", number(valueAt(training, "learning_rate", point), 3)],
  ];
  panel.querySelector(".facts").replaceChildren(...facts.map(([name, value]) => {
    const [box, dt, dd] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    [dt.textContent, dd.textContent] = [name, value];
    box.append(dt, dd);
    return box;
  }));
  const { best, diverged } = training;
  panel.querySelector(".state").textContent =
    diverged !== null && point >= diverged ? `diverged in ${unit} ${training.x[diverged]}`
    : point < mode().point && state.mode === "recorded" ? `ended with ${unit} ${training.x.at(-1)}: it stays there`
    : point !== best || state.mode === "here" ? ""
    : "the best epoch: its weights were kept";
}

const BOX = { left: 58, right: 12, top: 40, loss: 232, rate: 264, bottom: 312 };

/** Draws the losses up to a point, and the learning rate below them, as an SVG as wide as its element. */
function drawLosses(panel, training, point) {
  const element = panel.querySelector(".chart"), width = Math.max(element.clientWidth, 240);
  const { unit, end, trainings } = mode();
  const most = end ?? Math.max(...trainings.map((one) => one.x.length)), first = end === null ? 0.5 : 0;
  const [losses, rates] = [lossRange(trainings), logRange(trainings, ["learning_rate"], 0.25)];
  const x = (value) => BOX.left + ((value - first) / (most + (end === null ? 0.5 : 0) - first)) * (width - BOX.left - BOX.right);
  const scale = ([low, high], top, bottom) => (value) =>
    bottom - ((Math.min(Math.max(Math.log10(value), low), high) - low) / (high - low)) * (bottom - top);
  const [y, ofRate] = [scale(losses, BOX.top, BOX.loss), scale(rates, BOX.rate, BOX.bottom)];
  const grid = (ticks, place) => ticks.map((tick) => `<line class="grid" x1="${BOX.left}" x2="${width - BOX.right}"
    y1="${place(tick)}" y2="${place(tick)}"/><text x="${BOX.left - 6}" y="${place(tick) + 4}" text-anchor="end">${number(tick, 1)}</text>`);
  const below = ticksTo(most, width / 70).filter((tick) => tick >= first).map((tick) =>
    `<text x="${x(tick)}" y="${BOX.bottom + 17}" text-anchor="middle">${tick}</text>`);
  const line = (metric, name, place) => {
    const shown = training.x.slice(0, point + 1).map((at, i) => [at, valueAt(training, metric, i)]);
    const known = shown.filter(([, value]) => value > 0).map(([at, value]) => `${x(at).toFixed(1)},${place(value).toFixed(1)}`);
    const [, last] = shown.at(-1);
    const dot = last > 0 ? `<circle class="${name}" cx="${x(training.x[point])}" cy="${place(last)}" r="4"/>` : "";
    return known.length ? `<path class="${name}" d="M${known.join("L")}"/>${metric === "learning_rate" ? "" : dot}` : "";
  };
  const upright = (at, name) => `<line class="${name}" x1="${at}" x2="${at}" y1="${BOX.top}" y2="${BOX.bottom}"/>`;
  const { best } = training, isRight = best !== null && x(training.x[best]) > 0.7 * width;
  const marks = cutsOf(training).map((cut) => upright((x(training.x[cut]) + x(training.x[cut - 1])) / 2, "cut"));
  if (best !== null && best <= point) {
    marks.push(upright(x(training.x[best]), "best"), `<text x="${x(training.x[best]) + (isRight ? -4 : 4)}" y="${BOX.top + 10}"
      text-anchor="${isRight ? "end" : "start"}">best: ${unit} ${training.x[best]}</text>`);
  }
  const legend = [["training", 0], ["validation", 78], ...(marks.some((mark) => mark.includes('"cut"')) ? [["rate cut", 166]] : [])];
  element.innerHTML = `<svg viewBox="0 0 ${width} 336" preserveAspectRatio="none">
    ${[...grid(logTicks(losses, 7), y), ...grid(logTicks(rates, 3), ofRate), ...below, ...marks].join("")}
    ${legend.map(([name, at]) => `<line class="${name === "rate cut" ? "cut" : name}" stroke-width="3" x1="${BOX.left + at}" x2="${BOX.left + at + 14}" y1="16" y2="16"/>
      <text x="${BOX.left + at + 19}" y="20">${name}</text>`).join("")}
    ${line("loss", "training", y)}${line("val_loss", "validation", y)}${line("learning_rate", "rate", ofRate)}
    <text x="4" y="${BOX.rate - 8}">learning rate</text><text x="4" y="20">loss</text>
    <text x="4" y="${BOX.bottom + 17}">${unit}</text></svg>`;
  const losses_ = ["loss", "val_loss"].map((metric) => number(valueAt(training, metric, point), 3));
  element.setAttribute("aria-label", `Losses and learning rate up to ${unit} ${training.x[point]}: training ${losses_[0]}, validation ${losses_[1]}`);
}

/** Shades right answers blue and mistakes orange, both by the logarithm of their count: one mistake is seen. */
function drawConfusion(panel, training, point) {
  const table = panel.querySelector(".counts"), counts = training.confusion[point], { classes } = training;
  if (!table.rows.length) makeTable(table, classes);
  const most = Math.max(1, ...training.confusion[0].map(totalOf));
  counts.forEach((row, t) => row.forEach((count, s) => {
    const cell = table.tBodies[0].rows[t].cells[s + 1];
    const shade = count ? 15 + (85 * Math.log1p(count)) / Math.log1p(most) : 0;
    cell.style.background = count ? `color-mix(in srgb, ${t === s ? "#0b66a8" : "#c2560a"} ${shade.toFixed(0)}%, var(--paper))` : "";
    cell.style.color = count ? textOn(t === s, shade) : "";
    cell.textContent = count && classes.length <= 20 ? count : "";
    cell.title = `${classes[t]}, taken for ${classes[s]}: ${count}`;
  }));
}

/** Returns black or white, whichever is read more easily on a shade. */
const textOn = (isRight, shade) => (isDark() || (isRight && shade > 85) ? "#fff" : "#000");

function makeTable(table, classes) {
  const cell = (tag, text) => Object.assign(document.createElement(tag), { textContent: text, title: text });
  table.classList.toggle("crowded", classes.length > 20);
  table.createCaption().textContent = "down: the true class; across: what it was taken for";
  const head = table.createTHead().insertRow(), body = table.createTBody();
  head.append(cell("td", ""), ...classes.map((name) => Object.assign(cell("th", short(name)), { scope: "col", title: name })));
  for (const name of classes) {
    const row = body.insertRow();
    row.append(Object.assign(cell("th", short(name)), { scope: "row", title: name }), ...classes.map(() => cell("td", "")));
  }
}

function drawRecalls(panel, training, point) {
  const shares = training.confusion[point].map((row, k) => (totalOf(row) ? row[k] / totalOf(row) : null));
  drawBars(panel.querySelector(".bars"), training.classes, shares, () => true);
}

/** Makes the panels of the trainings that are shown. */
function layOut() {
  const { trainings } = mode();
  byId("trials").classList.toggle("two", trainings.length > 1);
  byId("trials").replaceChildren(...trainings.map((training) => {
    const panel = byId("panels").content.cloneNode(true).firstElementChild;
    const who = trainings.length > 1 ? `: ${training.name}` : "";
    panel.setAttribute("aria-label", training.name);
    for (const one of panel.querySelectorAll(".who")) one.textContent = who;
    for (const name of ["name", "description", "kind"]) panel.querySelector(`.${name}`).textContent = training[name];
    return panel;
  }));
  const isHere = state.mode === "here";
  for (const id of ["bench", "here-words"]) byId(id).hidden = !isHere;
  for (const id of ["recorded-words", "compared"]) if (byId(id)) byId(id).hidden = isHere;
  for (const id of ["here", "recorded"]) byId(id)?.setAttribute("aria-pressed", String(id === state.mode));
  byId("unit").textContent = mode().unit;
  redraw();
}

/** Draws everything again, as other colours or sizes ask for. */
function redraw() {
  for (const training of mode().trainings) training.shown = null;
  draw();
}

function draw() {
  const { trainings, point, end } = mode(), points = pointsOf(mode());
  byId("player").hidden = !points;
  if (!points) return;
  const longest = trainings.find((one) => one.x.length === points);
  Object.assign(byId("epoch"), { max: points, value: point + 1 });
  byId("epoch").setAttribute("aria-valuetext", `${mode().unit} ${longest.x[point]}`);
  byId("epoch-value").textContent = longest.x[point];
  byId("last").textContent = end ?? points;
  byId("play").textContent = state.timer ? "❚❚ pause" : "▶ play";
  byId("play").setAttribute("aria-label", state.timer ? "pause" : "play");
  trainings.forEach((training, i) => {
    const panel = byId("trials").children[i], at = Math.min(point, training.x.length - 1);
    if (at < 0) return; // it has not begun
    drawFacts(panel, training, at);
    if (training.shown === at && state.mode === "recorded") return; // it has ended, or only the button changed
    training.shown = at;
    drawLosses(panel, training, at);
    drawConfusion(panel, training, at);
    drawRecalls(panel, training, at);
  });
}

/* --- the player ------------------------------------------------------------------------------ */

function go(point) {
  mode().point = Math.min(Math.max(point, 0), pointsOf(mode()) - 1);
  draw();
}

function pause() {
  clearTimeout(state.timer);
  state.timer = null;
  draw();
}

function play() {
  const tick = () => {
    if (mode().point >= pointsOf(mode()) - 1) return pause();
    state.timer = setTimeout(tick, 1000 / Number(byId("speed").value));
    return go(mode().point + 1);
  };
  if (mode().point >= pointsOf(mode()) - 1) mode().point = -1; // tick goes on to the first
  tick();
}

const toggle = () => (state.timer ? pause() : play());

function show(name) {
  pause();
  state.mode = name;
  layOut();
}

/** Fills the rows of the table that compare the results of two configurations. */
function drawOutcomes() {
  if (!byId("outcomes")) return;
  const best = (trial) => (trial.best === null ? null : valueAt(trial, "val_accuracy", trial.best));
  const rows = [
    ["best validation accuracy", (trial) => (best(trial) === null ? "–" : percent(best(trial)))],
    ["best epoch", (trial) => trial.best_epoch ?? "–"],
    ["epochs trained", (trial) => trial.x.length],
    ["rate cut in epoch", (trial) => cutsOf(trial).map((cut) => trial.x[cut]).join(", ") || "none"],
  ];
  for (const [name, value] of rows) {
    const row = byId("outcomes").insertRow();
    for (const text of [name, ...RECORDED.map(value)]) row.insertCell().textContent = text;
  }
}

/* --- training here --------------------------------------------------------------------------- */

const SLICE = { worker: 60, page: 25 }; // ms of training between two messages, or two frames
const bench = { trainers: [], going: 0, run: null, frame: null };
const RATES = [-4, -3, -2].flatMap((power) => [1, 1.5, 2, 3, 5, 7].map((times) => Number(`${times}e${power}`))).concat(0.1);
const rateOf = (i) => RATES[byId(`rate-${i}`).valueAsNumber];
const changed = (i) => ({ rate: rateOf(i), batch: 2 ** byId("batch").valueAsNumber, dropout: byId("dropout").valueAsNumber });

/** Returns the digits: bytes of ink, and how many of them train. */
async function readDigits() {
  const { ink, labels, shape, train, classes } = DATA.digits;
  const packed = Uint8Array.from(atob(ink), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return { ink: bytes, labels: unpack(labels), shape, train, classes: classes.length };
}

/**
 * Starts a trainer in a worker, or in the page where there may be none. `tell` gets what it says, `ready` two
 * functions, one that sends it a message and one that ends it, and where it trains.
 */
function makeTrainer(tell, ready) {
  const inPage = () => {
    const send = trainingBy(tell, SLICE.page);
    ready(send, () => send({ stop: true }), "page");
  };
  let worker;
  try {
    const text = `${byId("net-script").textContent}\nonmessage = (() => {
      const take = trainingBy((said) => postMessage(said), ${SLICE.worker});
      postMessage("ready");
      return ({ data }) => take(data);
    })();`;
    worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  } catch {
    inPage();
    return;
  }
  worker.onerror = (event) => { event.preventDefault(); worker.terminate(); inPage(); };
  worker.onmessage = () => {
    worker.onerror = null;
    worker.onmessage = ({ data }) => tell(data);
    ready((message) => worker.postMessage(message), () => worker.terminate(), "worker");
  };
}

async function train() {
  stop();
  const units = [...document.querySelectorAll(".units")].map((input) => {
    input.value = Math.min(Math.max(Math.round(input.valueAsNumber) || 0, 0), DATA.settings.most_units);
    return Number(input.value);
  }).filter(Boolean);
  const steps = Number(byId("steps").value), which = byId("both").checked ? [0, 1] : [0];
  const run = (bench.run = {});
  Object.assign(MODES.here, {
    point: 0, end: steps,
    trainings: which.map((i) => ({
      name: `learning rate ${rateOf(i)}`, description: [DATA.digits.shape[0] * DATA.digits.shape[1], ...units, DATA.digits.classes.length].join("-"),
      kind: "cross-entropy, nats", classes: DATA.digits.classes, x: [], confusion: [], best: null, diverged: null,
      history: { loss: [], val_loss: [], val_accuracy: [], learning_rate: [] },
    })),
  });
  bench.going = which.length;
  sayHow();
  layOut();
  bench.digits ??= readDigits();
  const data = await bench.digits;
  which.forEach((i) => {
    const tell = (said) => bench.run === run && take(MODES.here.trainings[i], said);
    makeTrainer(tell, (send, end, where) => {
      if (bench.run !== run) { end(); return; }
      document.documentElement.dataset.trains = where;
      bench.trainers.push({ i, send, end });
      send({ start: { data, steps, settings: { units, seed: 0, ...changed(i) } } });
    });
  });
}

/** Takes a message of a trainer: a checkpoint becomes a point; the newest one is shown, unless an earlier one was chosen. */
function take(training, { checkpoint, ended }) {
  if (ended !== undefined) {
    training.ms = ended;
    bench.going -= 1;
    if (!bench.going) stop();
    return;
  }
  const isNewest = MODES.here.point >= pointsOf(MODES.here) - 1;
  const { step, confusion, ...metrics } = checkpoint;
  training.x.push(step);
  training.confusion.push(byClass(confusion, training.classes.length));
  for (const [metric, value] of Object.entries(metrics)) training.history[metric].push(Number.isFinite(value) ? value : null);
  const losses = training.history.val_loss, last = losses.length - 1;
  if (losses[last] === null) training.diverged = last;
  else if (training.best === null || losses[last] < losses[training.best]) training.best = last;
  if (isNewest) MODES.here.point = pointsOf(MODES.here) - 1;
  bench.frame ??= requestAnimationFrame(() => {
    bench.frame = null;
    if (state.mode === "here") draw();
  });
}

/** Ends all that trains. */
function stop() {
  for (const { end } of bench.trainers) end();
  Object.assign(bench, { trainers: [], going: 0, run: null });
  sayHow();
}

function sayHow() {
  byId("train").textContent = bench.going ? "Stop" : "Train";
  const ended = MODES.here.trainings.map((one) => (one.ms === undefined ? "stopped" : `${one.x.at(-1)} steps in ${(one.ms / 1000).toFixed(1)} s`));
  byId("status").textContent = bench.going ? "trains …" : ended.join(" and ");
}

function showSettings(event) {
  for (const i of [0, 1]) {
    byId(`rate-${i}-value`).textContent = rateOf(i);
    byId(`rate-${i}`).setAttribute("aria-valuetext", rateOf(i));
  }
  byId("batch-value").textContent = 2 ** byId("batch").valueAsNumber;
  byId("dropout-value").textContent = byId("dropout").valueAsNumber.toFixed(2);
  byId("rate-1").disabled = !byId("both").checked;
  byId("rate-1").parentElement.classList.toggle("off", !byId("both").checked);
  if (event) for (const { i, send } of bench.trainers) send({ change: changed(i) });
}

/* --- controls -------------------------------------------------------------------------------- */

byId("play").addEventListener("click", toggle);
byId("back").addEventListener("click", () => go(mode().point - 1));
byId("on").addEventListener("click", () => go(mode().point + 1));
byId("epoch").addEventListener("input", (event) => go(event.target.valueAsNumber - 1));
for (const name of ["here", "recorded"]) byId(name)?.addEventListener("click", () => show(name));
byId("train").addEventListener("click", () => (bench.going ? stop() : train()));
byId("bench").addEventListener("input", showSettings);
document.addEventListener("keydown", (event) => {
  const isControl = event.target.closest?.("input, select"); // which moves by arrows itself
  if (event.ctrlKey || event.altKey || event.metaKey || (isControl && event.target.id !== "epoch")) return;
  if (event.key === " " && !event.target.closest?.("button")) toggle();
  else if (event.key === "ArrowLeft" && !isControl) go(mode().point - 1);
  else if (event.key === "ArrowRight" && !isControl) go(mode().point + 1);
  else return;
  event.preventDefault();
});
let drawnWidth = 0;
new ResizeObserver(([{ contentRect }]) => {
  if (contentRect.width === drawnWidth) return;
  drawnWidth = contentRect.width;
  redraw();
}).observe(byId("trials"));

MODES.recorded.point = Math.max(0, pointsOf(MODES.recorded) - 1);
DATA.settings.rates.forEach((rate, i) => {
  const apart = RATES.map((one) => Math.abs(Math.log(one / rate)));
  Object.assign(byId(`rate-${i}`), { max: RATES.length - 1, value: apart.indexOf(Math.min(...apart)) });
});
showSettings();
drawOutcomes();
layOut();
