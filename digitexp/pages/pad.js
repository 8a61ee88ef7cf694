"use strict";
/* Strokes or a picture -> what each network sees, answers, and answers for. */

const PAPER = 560; // pixels of the pad, whatever its size on the screen
const SHOWN_PEN = 0.075; // width of the line that is shown, in sides of the pad
const SURE = 0.7; // an answer below is called unsure: on digits not trained on, about half of these were wrong
const ROUND = 1; // so many pixels around each one are erased with it
const MOMENT = 12; // ms of erasing before the page is heard again

const NETWORKS = DATA.networks.map((network, i) => ({
  ...network,
  net: {
    ...network.net,
    layers: network.net.layers.map(({ kind, kernel, bias }) => (kernel ? { kind, kernel: unpack(kernel), bias: unpack(bias) } : { kind })),
  },
  element: document.querySelectorAll(".network")[i],
}));
const EXAMPLES = DATA.examples && { ...DATA.examples, ink: unpack(DATA.examples.ink) };
const state = { strokes: [], picture: null, temperature: null, pointer: null, frame: null, asked: 0 };
const canvas = byId("canvas"), context = canvas.getContext("2d");
const isBlank = () => !state.strokes.length && !state.picture;
const argmax = (values) => values.indexOf(Math.max(...values));

/** Returns the drawing as a network sees it. */
const framedFor = ({ framing }) => (state.picture ? framedPicture(state.picture, framing) : framedStrokes(state.strokes, framing));

/* --- answers --------------------------------------------------------------------------------- */

function answer() {
  state.frame = null;
  state.asked += 1;
  paint();
  for (const network of NETWORKS) {
    network.image = framedFor(network);
    network.logits = Array.from(logitsOf(network.net, network.image.values));
    showImage(network);
    showAnswer(network);
  }
  clearTimeout(state.timer);
  if (!isBlank()) state.timer = setTimeout(explain, state.pointer === null ? 0 : 150, state.asked);
}

/** Answers before the next frame, once, however often it is called. */
function ask() {
  state.frame ??= requestAnimationFrame(answer);
}

function showImage({ element, image }) {
  const ink = Uint8Array.from(image.values, (value) => Math.round(255 * clamp(value)));
  drawDigit(element.querySelector(".prepared"), ink, image.height, image.width);
  drawDigit(element.querySelector(".speaking"), ink.map((value) => value / 4), image.height, image.width);
}

function showAnswer({ element, classes, logits, temperature }) {
  const t = state.temperature ?? temperature;
  const probabilities = isBlank() ? classes.map(() => null) : softmax(logits, t);
  const order = classes.map((_, k) => k).sort((a, b) => probabilities[b] - probabilities[a]);
  const [first, second] = order, said = element.querySelector(".said"), sure = element.querySelector(".sure");
  drawBars(element.querySelector(".bars"), classes, probabilities, (k) => !isBlank() && k === first);
  element.querySelector(".at").textContent = `at temperature ${Number(t.toPrecision(3))}${state.temperature === null ? ", as fitted" : ""}`;
  said.textContent = isBlank() ? "–" : classes[first];
  said.classList.toggle("long", !isBlank() && classes[first].length > 3);
  element.querySelector(".answer-name").textContent = isBlank() ? "the answer" : classes[first];
  const isUnsure = !isBlank() && classes.length > 1 && probabilities[first] < SURE;
  for (const one of [said, sure]) one.classList.toggle("unsure", isUnsure);
  sure.textContent = isBlank() ? "nothing is drawn yet"
    : isUnsure ? `unsure: ${classes[first]} (${percent(probabilities[first])}) or ${classes[second]} (${percent(probabilities[second])})`
    : `${percent(probabilities[first])} sure`;
}

/** Returns the logarithm of the odds of a class at temperature 1. */
function logOdds(logits, k) {
  const others = logits.filter((_, other) => other !== k), largest = Math.max(...others);
  return logits[k] - largest - Math.log(others.reduce((sum, z) => sum + Math.exp(z - largest), 0));
}

/** Returns the image with no ink around a pixel; null if there was none. */
function erased({ values, height, width }, row, column) {
  const without = values.slice();
  let found = false;
  for (let y = Math.max(0, row - ROUND); y <= Math.min(height - 1, row + ROUND); y++) {
    for (let x = Math.max(0, column - ROUND); x <= Math.min(width - 1, column + ROUND); x++) {
      found ||= values[y * width + x] > INK;
      without[y * width + x] = 0;
    }
  }
  return found ? without : null;
}

/** Shows what each pixel's ink does to the odds of each network's answer, unless the drawing changes meanwhile. */
async function explain(asked) {
  for (const network of NETWORKS) {
    const { net, image, logits } = network, { height, width } = image;
    const said = argmax(logits), whole = logOdds(logits, said), falls = new Float64Array(height * width);
    let heard = performance.now();
    for (let i = 0; i < falls.length; i++) {
      const without = erased(image, Math.floor(i / width), i % width);
      if (without === null) continue;
      falls[i] = whole - logOdds(Array.from(logitsOf(net, without)), said);
      if (performance.now() - heard < MOMENT) continue;
      await new Promise((goOn) => setTimeout(goOn));
      if (asked !== state.asked) return;
      heard = performance.now();
    }
    network.falls = falls;
    showSpeaking(network);
  }
}

/** Colours each pixel by what its ink says, stronger where it says more, over the ink in grey. */
function showSpeaking({ element, image, falls }) {
  const strongest = falls.reduce((most, fall) => Math.max(most, Math.abs(fall)), 1e-9);
  const target = element.querySelector(".speaking").getContext("2d");
  const picture = target.createImageData(image.width, image.height);
  falls.forEach((fall, i) => {
    const share = Math.abs(fall) / strongest, grey = 255 - 60 * clamp(image.values[i]);
    const hue = fall > 0 ? [11, 102, 168] : [194, 86, 10];
    picture.data.set([...hue.map((c) => grey + (c - grey) * share), 255], 4 * i);
  });
  target.putImageData(picture, 0, 0);
}

/* --- the pad --------------------------------------------------------------------------------- */

function paint() {
  context.clearRect(0, 0, PAPER, PAPER);
  byId("hint").hidden = !isBlank();
  for (const id of ["undo", "clear"]) byId(id).disabled = isBlank();
  context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
  if (!state.picture) { drawStrokes(context, state.strokes, SHOWN_PEN * PAPER); return; }
  const { values, height, width } = state.picture, side = Math.min(PAPER / height, PAPER / width);
  const [left, top] = [(PAPER - side * width) / 2, (PAPER - side * height) / 2];
  values.forEach((value, i) => {
    context.globalAlpha = clamp(value);
    if (value > 0) context.fillRect(left + (i % width) * side, top + Math.floor(i / width) * side, side + 0.5, side + 0.5);
  });
  context.globalAlpha = 1;
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * PAPER, ((event.clientY - box.top) / box.height) * PAPER];
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || state.pointer !== null) return;
  event.preventDefault();
  canvas.focus({ preventScroll: true });
  canvas.setPointerCapture(event.pointerId);
  Object.assign(state, { picture: null, pointer: event.pointerId });
  state.strokes.push([place(event)]);
  say("");
  ask();
});
canvas.addEventListener("pointermove", (event) => {
  if (event.pointerId !== state.pointer) return;
  const events = event.getCoalescedEvents?.() ?? [];
  state.strokes.at(-1).push(...(events.length ? events : [event]).map(place));
  ask();
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, (event) => {
    if (event.pointerId !== state.pointer) return;
    state.pointer = null;
    ask();
  });
}

const say = (text) => { byId("trouble").textContent = text; };

function undo() {
  if (state.picture) state.picture = null; else state.strokes.pop();
  say("");
  ask();
}

function clear() {
  Object.assign(state, { strokes: [], picture: null, pointer: null });
  say("");
  ask();
}

function showPicture(image) {
  Object.assign(state, { strokes: [], picture: image, pointer: null });
  say("");
  ask();
}

async function read(file) {
  try {
    showPicture(await inkOf(file));
  } catch (error) {
    say(`${file.name}: ${error.message}`);
  }
}

/** Takes a pasted or dropped picture; other things are left alone. */
function take(transfer, event) {
  const files = [...(transfer?.files ?? [])];
  if (!files.length) return;
  event.preventDefault();
  read(files.find((file) => file.type.startsWith("image/")) ?? files[0]);
}

byId("undo").addEventListener("click", undo);
byId("clear").addEventListener("click", clear);
byId("choose").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  if (event.target.files[0]) read(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});
document.addEventListener("paste", (event) => take(event.clipboardData, event));
document.addEventListener("dragover", (event) => { event.preventDefault(); byId("frame").classList.add("over"); });
document.addEventListener("dragleave", () => byId("frame").classList.remove("over"));
document.addEventListener("drop", (event) => { byId("frame").classList.remove("over"); take(event.dataTransfer, event); });
document.addEventListener("keydown", (event) => {
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); undo(); }
  if (event.key === "Escape") clear();
});

function setTemperature(value) {
  state.temperature = value;
  byId("temperature").value = value === null ? 0 : Math.log10(value);
  byId("temperature-value").textContent = value === null ? "as fitted" : `T = ${Number(value.toPrecision(3))}`;
  byId("fitted").setAttribute("aria-pressed", String(value === null));
  NETWORKS.forEach(showAnswer);
}
byId("temperature").addEventListener("input", (event) => setTemperature(10 ** event.target.valueAsNumber));
byId("fitted").addEventListener("click", () => setTemperature(null));

function makeExamples() {
  if (!EXAMPLES) return;
  const [, height, width] = EXAMPLES.ink.shape;
  EXAMPLES.labels.forEach((label, i) => {
    const ink = EXAMPLES.ink.subarray(i * height * width, (i + 1) * height * width);
    const button = document.createElement("button"), small = document.createElement("canvas");
    small.className = "digit";
    drawDigit(small, ink, height, width);
    button.setAttribute("aria-label", `an image of ${NETWORKS[0].classes[label]}`);
    button.title = `image ${EXAMPLES.numbers[i]} of ${EXAMPLES.part}`;
    button.append(small);
    button.addEventListener("click", () => showPicture({ values: Float64Array.from(ink, (v) => v / 255), height, width }));
    byId("examples").append(button);
  });
}

/** Draws everything again, as other colours ask for. */
const redraw = paint;

makeExamples();
answer();
setTemperature(null);
