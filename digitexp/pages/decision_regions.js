"use strict";
/* Images as dots in three dimensions, and a plane through them that has the colours of the classes. */

const IMAGES = unpack(DATA.images);
const LABELS = unpack(DATA.labels);
const PREDICTED = unpack(DATA.predicted);
const PROBABILITIES = unpack(DATA.probabilities);
const N_PIXELS = DATA.height * DATA.width;
const { positions, side } = DATA;
const ARRAYS_OF_A_SPACE = ["mean", "components", "points", "low", "high", "classes", "probabilities"];
const SPACES = Object.fromEntries(Object.entries(DATA.spaces).map(([key, space]) => {
  const arrays = ARRAYS_OF_A_SPACE.map((name) => [name, unpack(space[name])]);
  return [key, { ...space, ...Object.fromEntries(arrays) }];
}));
const RIGHT = 0, WRONG = 1, CHOSEN = 2, PLANE = 3;
const CORNER = { x: 1.35, y: -1.35, z: 0.85 };
const CENTRE = { x: 0, y: 0, z: -0.12 };
const DISTANCE = 2.1;

const plot = byId("plot");
const value = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
const space = () => SPACES[value("space")];
const axis = () => Number(byId("axis").value);
const isWrong = (i) => LABELS[i] !== PREDICTED[i];
const inPercent = (share, digits = 0) => `${(100 * share).toFixed(digits)}\u00a0%`;
/** Returns text that plotly.js does not read as markup. */
const asText = (name) => name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
let chosen = null;

/** More than ten classes get colours around the circle: the ten would come again. */
function colorOf(k) {
  if (DATA.class_names.length <= CLASS_COLORS.length) return classColor(k);
  const hue = (137.508 * k) % 360, light = [0.42, 0.56, 0.68][k % 3];
  const channel = (n) => {
    const at = (n + hue / 30) % 12;
    const part = light - 0.65 * Math.min(light, 1 - light) * Math.max(-1, Math.min(at - 3, 9 - at, 1));
    return Math.round(255 * part).toString(16).padStart(2, "0");
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

/** Returns the mix of two #rrggbb, with a share of the first. */
function mixed(first, second, share) {
  const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const [a, b] = [channels(first), channels(second)];
  return `rgb(${a.map((c, i) => Math.round(c * share + b[i] * (1 - share))).join(",")})`;
}

/** Returns which images are to be seen. */
function visible() {
  const pair = byId("pair").value === "" ? null : DATA.pairs[Number(byId("pair").value)];
  const isOfPair = (i) => pair === null || LABELS[i] === pair.first || LABELS[i] === pair.second;
  const all = Array.from(LABELS, (_, i) => i);
  return all.filter((i) => isOfPair(i) && (!byId("wrong").checked || isWrong(i)));
}

/** Returns x, y and z of images, and the other facts of their dots. */
function dots(images) {
  const byClass = value("colour") === "class";
  const { points } = space();
  const colorByAnswer = (i) => color(isWrong(i) ? "warn" : "muted");
  return {
    x: images.map((i) => points[3 * i]),
    y: images.map((i) => points[3 * i + 1]),
    z: images.map((i) => points[3 * i + 2]),
    customdata: images,
    text: images.map((i) => {
      const name = asText(DATA.class_names[LABELS[i]]);
      return isWrong(i) ? `${name}, taken for ${asText(DATA.class_names[PREDICTED[i]])}` : name;
    }),
    colors: images.map((i) => (byClass ? colorOf(LABELS[i]) : colorByAnswer(i))),
  };
}

function dotTraces() {
  const images = visible();
  const looks = [
    { symbol: "circle", size: 4, line: { width: 0.5, color: color("paper") } },
    { symbol: "diamond", size: 5, line: { width: 1.5, color: color("ink") } },
  ];
  const kinds = [images.filter((i) => !isWrong(i)), images.filter(isWrong)];
  const traces = kinds.map((kind, trace) => {
    const { colors, ...rest } = dots(kind);
    return { ...rest, marker: { ...looks[trace], color: colors, opacity: 1 } };
  });
  const ring = { symbol: "circle-open", size: 16, color: color("ink"), line: { width: 3, color: color("ink") } };
  const { colors, ...rest } = dots(chosen !== null && images.includes(chosen) ? [chosen] : []);
  traces.push({ ...rest, marker: ring, hoverinfo: "skip" });
  return traces.map((trace) => (
    { type: "scatter3d", mode: "markers", hovertemplate: "%{text}<extra></extra>", ...trace }
  ));
}

/** Returns where the middle of a cell is on an axis that is cut into `count` of them. */
const middle = (along, at, count) => {
  const { low, high } = space();
  return low[along] + (at + 0.5) * ((high[along] - low[along]) / count);
};

/** Returns the parts of the mesh that change as it moves: four corners a cell, two coloured triangles. */
function planeAt() {
  const { low, high, classes, probabilities } = space();
  const across = axis(), position = Number(byId("position").value);
  const [along, up] = [0, 1, 2].filter((other) => other !== across);
  const corners = [[], [], []], facecolor = [], paper = color("paper");
  const first = (across * positions + position) * side * side;
  const fewest = 1 / DATA.class_names.length;
  const edge = (a, at) => low[a] + (at / side) * (high[a] - low[a]);
  for (let cell = 0; cell < side * side; cell++) {
    const [row, column] = [Math.floor(cell / side), cell % side];
    for (const [right, above] of [[0, 0], [1, 0], [1, 1], [0, 1]]) {
      corners[across].push(middle(across, position, positions));
      corners[along].push(edge(along, column + right));
      corners[up].push(edge(up, row + above));
    }
    const certain = Math.max(0, (probabilities[first + cell] / 255 - fewest) / (1 - fewest));
    const shade = mixed(colorOf(classes[first + cell]), paper, 0.15 + 0.6 * certain);
    facecolor.push(shade, shade);
  }
  return { x: corners[0], y: corners[1], z: corners[2], facecolor };
}

/** Returns the slice as a mesh: with corners of their own, no cells share a mixed colour. */
function plane() {
  const cells = Array.from({ length: side ** 2 }, (_, cell) => 4 * cell);
  const triangles = {
    i: cells.flatMap((corner) => [corner, corner]),
    j: cells.flatMap((corner) => [corner + 1, corner + 2]),
    k: cells.flatMap((corner) => [corner + 2, corner + 3]),
  };
  const lighting = { ambient: 1, diffuse: 0, specular: 0, fresnel: 0 };
  return {
    type: "mesh3d", ...triangles, ...planeAt(), lighting, flatshading: true, opacity: 0.8, hoverinfo: "none",
    visible: byId("plane").checked,
  };
}

function layout() {
  const { low, high, shares } = space();
  const along = (a) => ({
    title: { text: `component ${a + 1} (${inPercent(shares[a])})` },
    range: [low[a], high[a]], showspikes: false, showbackground: false,
    gridcolor: color("rule"), zerolinecolor: color("rule"), linecolor: color("rule"),
    tickfont: { color: color("muted"), size: 10 }, nticks: 5,
  });
  const scene = {
    xaxis: along(0), yaxis: along(1), zaxis: along(2), aspectmode: "auto", dragmode: "orbit",
    camera: plot._fullLayout?.scene?.camera ?? { eye: CORNER, center: CENTRE },
  };
  return onPaper({
    scene, margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, uirevision: "same", hovermode: "closest",
  });
}

/** Draws everything anew. */
function redraw() {
  const drawn = Plotly.react(plot, [...dotTraces(), plane()], layout(), CHART);
  writeLegend();
  writeStatus();
  writePosition();
  return drawn;
}

/** Moves the plane, and nothing else. */
function movePlane() {
  const moved = Object.fromEntries(Object.entries(planeAt()).map(([key, list]) => [key, [list]]));
  writePosition();
  return Plotly.restyle(plot, moved, [PLANE]);
}

function writePosition() {
  byId("at").value = middle(axis(), Number(byId("position").value), positions).toFixed(2);
  for (const id of ["axis", "position"]) byId(id).disabled = !byId("plane").checked;
}

const inWords = (count, one) => `${count} ${count === 1 ? one : `${one}s`}`;

function writeStatus() {
  const images = visible();
  const wrong = images.filter(isWrong).length;
  let text = `${inWords(images.length, "image")} shown, ${wrong} of them wrong.`;
  if (byId("pair").value !== "") {
    const { first, second, there, back } = DATA.pairs[Number(byId("pair").value)];
    const [a, b] = [DATA.class_names[first], DATA.class_names[second]];
    text += ` Of all ${DATA.n_images} images: ${a} taken for ${b} ${there}×, ${b} taken for ${a} ${back}×.`;
  }
  byId("status").textContent = text;
}

function entry(text, background, kind = "") {
  const made = document.createElement("span"), dot = document.createElement("i");
  dot.className = kind;
  if (background) dot.style.background = background;
  made.append(dot, text);
  return made;
}

function writeLegend() {
  const byClass = value("colour") === "class";
  const classes = DATA.class_names.map((name, k) => entry(name, colorOf(k)));
  const dotsOf = byClass
    ? [entry("right", "", "right"), entry("wrong", "", "wrong")]
    : [entry("right", color("muted")), entry("wrong", color("warn"), "wrong")];
  const seen = byClass || byId("plane").checked;
  const about = byClass || !seen ? [] : ["the plane:"];
  byId("legend").replaceChildren(...dotsOf, ...about, ...(seen ? classes : []));
}

/** Fills the panel: terms with their texts; a class has its colour before it. */
function say(entries) {
  byId("said").replaceChildren(...entries.flatMap(([term, text, k]) => {
    const [name, what] = [document.createElement("dt"), document.createElement("dd")];
    name.textContent = term;
    if (k !== undefined) {
      what.append(document.createElement("i"));
      what.firstChild.style.background = colorOf(k);
    }
    what.append(text);
    return [name, what];
  }));
}

function showInk(ink, kind) {
  const picture = byId("picture");
  picture.classList.toggle("empty", ink === null);
  picture.dataset.kind = kind;
  if (ink === null) picture.getContext("2d").clearRect(0, 0, DATA.width, DATA.height);
  else drawDigit(picture, ink, DATA.height, DATA.width);
}

function showImage(i) {
  showInk(IMAGES.subarray(i * N_PIXELS, (i + 1) * N_PIXELS), "image");
  say([
    ["It is", DATA.class_names[LABELS[i]], LABELS[i]],
    [isWrong(i) ? "The network says, wrongly" : "The network says", DATA.class_names[PREDICTED[i]], PREDICTED[i]],
    ["Probability it gives that", inPercent(PROBABILITIES[i], 1)],
  ]);
}

/** Returns the ink, 0 to 255, of a point among pixels, the other components at their mean. */
function inkAt(point) {
  const { mean, components, size } = SPACES.pixels;
  const ink = new Uint8ClampedArray(size);
  for (let i = 0; i < size; i++) {
    const sum = point.reduce((total, z, c) => total + z * components[c * size + i], mean[i]);
    ink[i] = 255 * sum;
  }
  return ink;
}

function showCell(cell) {
  const { classes, probabilities } = space();
  const across = axis(), position = Number(byId("position").value);
  const [along, up] = [0, 1, 2].filter((other) => other !== across);
  const point = [0, 0, 0];
  point[across] = middle(across, position, positions);
  point[along] = middle(along, cell % side, side);
  point[up] = middle(up, Math.floor(cell / side), side);
  const at = (across * positions + position) * side * side + cell;
  const isOfPixels = value("space") === "pixels";
  showInk(isOfPixels ? inkAt(point) : null, "plane");
  say([
    ["A point of the plane", `(${point.map((z) => z.toFixed(2)).join(", ")})`],
    ["The network says", DATA.class_names[classes[at]], classes[at]],
    ["Probability it gives that", inPercent(probabilities[at] / 255)],
    ...(isOfPixels ? [] : [["Its image", "none: a hidden layer cannot be read backwards"]]),
  ]);
}

function pointedAt(event) {
  const { curveNumber, pointNumber, customdata } = event.points[0];
  if (curveNumber === PLANE) showCell(Math.floor(pointNumber / 4));
  else if (curveNumber !== CHOSEN) showImage(customdata);
}

/** Rings an image, and shows it. */
function choose(i) {
  chosen = i;
  showImage(i);
  const { x, y, z, customdata } = dots([i]);
  return Plotly.restyle(plot, { x: [x], y: [y], z: [z], customdata: [customdata] }, [CHOSEN]);
}

function step(by) {
  const images = visible();
  if (!images.length) return;
  const now = images.indexOf(chosen);
  choose(images[now < 0 ? (by > 0 ? 0 : images.length - 1) : (now + by + images.length) % images.length]);
}

function look(view) {
  const eyes = [{ x: DISTANCE, y: 0, z: 0 }, { x: 0, y: -DISTANCE, z: 0 }, { x: 0, y: 0, z: DISTANCE }];
  const eye = view === "corner" ? CORNER : eyes[Number(view)];
  const up = view === "2" ? { x: 0, y: 1, z: 0 } : { x: 0, y: 0, z: 1 };
  Plotly.relayout(plot, { "scene.camera": { eye, up, center: view === "corner" ? CENTRE : { x: 0, y: 0, z: 0 } } });
}

/** Says once how much the spaces keep. */
function writeKept() {
  const names = { pixels: "the pixels", hidden: "the outputs of the last hidden layer" };
  const keys = Object.keys(SPACES);
  const sum = (list) => list.reduce((a, b) => a + b, 0);
  byId("kept").textContent = keys.map((key) => {
    const { shares, size } = SPACES[key];
    const each = shares.map((share) => inPercent(share)).join(" + ");
    return `Of the ${size} dimensions of ${names[key]}, three hold ${inPercent(sum(shares))} of the variance (${each}).`;
  }).join(" ");
  byId("agreement").textContent = "With all but these three components moved to their mean, "
    + keys.map((key) => `${inPercent(SPACES[key].agreement)} of the images shown`
      + ` (${key === "pixels" ? "pixels" : "last hidden layer"})`).join(", and ")
    + " are still given the class that they are given as they are.";
}

byId("position").max = positions - 1;
byId("position").value = Math.floor(positions / 2);
for (const input of document.querySelectorAll("input[type=radio], #pair, #wrong, #plane")) {
  input.addEventListener("change", redraw);
}
byId("axis").addEventListener("change", movePlane);
byId("position").addEventListener("input", movePlane);
byId("before").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => look(button.dataset.view));
}
writeKept();
redraw().then(() => {
  plot.on("plotly_hover", pointedAt);
  plot.on("plotly_click", (event) => {
    const { curveNumber, customdata } = event.points[0];
    if (curveNumber < CHOSEN) choose(customdata);
    else pointedAt(event);
  });
  document.documentElement.dataset.drawn = "true";
});
