"use strict";
/* Networks: the forward pass of every network of a trial, and the training of one of dense layers.
   Nothing here needs a page: a worker runs the same text. Weights are Float32Arrays, sums have 64 bits. */

/* --- a trained network ----------------------------------------------------------------------- */

/** Returns erf(x) to 1e-15 up to 3 by its series, and beyond by its continued fraction. */
function erf(x) {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a > 3) {
    let tail = a;
    for (let k = 60; k > 0; k--) tail = a + k / 2 / tail;
    return Math.sign(x) * (1 - Math.exp(-a * a) / (tail * Math.sqrt(Math.PI)));
  }
  let [sum, term] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17; n++) sum += (term *= (-x * x) / n) / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** Those of digitexp/activations.py, which are put here. */
const ACTIVATIONS = {
  /* activations */
};

/** Writes inputs x kernel + bias into outputs. The kernel lies row by row; rows of inputs of 0 are skipped. */
function dense(inputs, { kernel, bias }, outputs) {
  const units = bias.length;
  outputs.set(bias);
  for (let i = 0, row = 0; i < inputs.length; i++, row += units) {
    const x = inputs[i];
    if (x === 0) continue;
    for (let j = 0; j < units; j++) outputs[j] += x * kernel[row + j];
  }
  return outputs;
}

/** Returns the maps (height, width, filters) of a convolution that keeps their size. */
function convolved({ values, height, width, channels }, { kernel, bias }) {
  const [side, , , filters] = kernel.shape;
  const before = (side - 1) >> 1;
  const outputs = new Float64Array(height * width * filters);
  for (let at = 0; at < outputs.length; at += filters) outputs.set(bias, at);
  for (let i = 0; i < values.length; i++) {
    const x = values[i];
    if (x === 0) continue;
    const channel = i % channels, place = (i - channel) / channels;
    const column = place % width, row = (place - column) / width;
    for (let ky = 0; ky < side; ky++) {
      const y = row - ky + before;
      if (y < 0 || y >= height) continue;
      for (let kx = 0; kx < side; kx++) {
        const across = column - kx + before;
        if (across < 0 || across >= width) continue;
        const from = ((ky * side + kx) * channels + channel) * filters;
        const to = (y * width + across) * filters;
        for (let f = 0; f < filters; f++) outputs[to + f] += x * kernel[from + f];
      }
    }
  }
  return { values: outputs, height, width, channels: filters };
}

/** Returns the maximum of each 2x2 cell; the last row or column of an odd side is its own. */
function pooled({ values, height, width, channels }) {
  const [rows, columns] = [Math.ceil(height / 2), Math.ceil(width / 2)];
  const outputs = new Float64Array(rows * columns * channels).fill(-Infinity);
  for (let i = 0; i < values.length; i++) {
    const channel = i % channels, place = (i - channel) / channels;
    const column = place % width, row = (place - column) / width;
    const to = ((row >> 1) * columns + (column >> 1)) * channels + channel;
    if (values[i] > outputs[to]) outputs[to] = values[i];
  }
  return { values: outputs, height: rows, width: columns, channels };
}

/**
 * Returns the logits of an image.
 * net: `shape` of an image, name of the `activation`, and `layers` of the kinds conv, pool and dense, the last
 * one linear. pixels: 0 (background) to 1 (ink), row by row.
 */
function logitsOf(net, pixels) {
  const activation = ACTIVATIONS[net.activation], last = net.layers.length - 1;
  let maps = { values: pixels, height: net.shape[0], width: net.shape[1], channels: 1 };
  net.layers.forEach((layer, i) => {
    if (layer.kind === "pool") { maps = pooled(maps); return; }
    if (layer.kind === "conv") maps = convolved(maps, layer);
    else maps = { values: dense(maps.values, layer, new Float64Array(layer.bias.length)) };
    const { values } = maps;
    if (i < last) for (let j = 0; j < values.length; j++) values[j] = activation(values[j]);
  });
  return maps.values;
}

/* --- training -------------------------------------------------------------------------------- */

/** Returns a function that draws numbers from [0, 1): mulberry32. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Trains a network of dense layers with ReLU by Adam, as Keras does with its defaults. */
class Trainer {
  /**
   * data: `ink`, bytes of images, one after the other, `labels`, `classes`, `shape` of an image, and `train`,
   * how many images train: the others validate. settings: `units` of the hidden layers, `rate`, `batch`,
   * `dropout` after each hidden layer, `seed`. All but units and seed may be changed between two steps.
   */
  constructor(data, settings) {
    Object.assign(this, { data, settings: { ...settings }, steps: 0 });
    this.random = generator(settings.seed);
    this.sizes = [data.shape[0] * data.shape[1], ...settings.units, data.classes];
    this.parameters = [];
    const layers = this.sizes.slice(1).map((units, i) => this.layer(this.sizes[i], units));
    this.net = { shape: data.shape, activation: "relu", layers };
    this.outputs = this.sizes.map((size) => new Float64Array(size));
    this.slopes = this.sizes.map((size) => new Float64Array(size));
    this.order = Int32Array.from({ length: data.train }, (_, i) => i);
    this.place = data.train;
    this.sum = this.seen = 0;
  }

  /** Returns a layer with Glorot's uniform weights. */
  layer(inputs, units) {
    const limit = Math.sqrt(6 / (inputs + units));
    const parameter = (length) => {
      const values = new Float32Array(length);
      const [slope, mean, square] = Array.from({ length: 3 }, () => new Float64Array(length));
      const made = { values, slope, mean, square };
      this.parameters.push(made);
      return made;
    };
    const [kernel, bias] = [parameter(inputs * units), parameter(units)];
    for (let i = 0; i < kernel.values.length; i++) kernel.values[i] = limit * (2 * this.random() - 1);
    return { kind: "dense", kernel: kernel.values, bias: bias.values, slopes: [kernel.slope, bias.slope] };
  }

  /** Returns the number of the next image: all in a random order, then all in another one. */
  next() {
    if (this.place === this.order.length) {
      for (let i = this.order.length - 1; i > 0; i--) {
        const j = Math.floor(this.random() * (i + 1));
        [this.order[i], this.order[j]] = [this.order[j], this.order[i]];
      }
      this.place = 0;
    }
    return this.order[this.place++];
  }

  pixels(number, into) {
    const from = number * into.length;
    for (let i = 0; i < into.length; i++) into[i] = this.data.ink[from + i] / 255;
    return into;
  }

  /** Takes one step on the next batch of images. */
  step() {
    const { batch, rate } = this.settings;
    for (let i = 0; i < batch; i++) this.learn(this.next());
    this.steps += 1;
    const corrected = (rate * Math.sqrt(1 - 0.999 ** this.steps)) / (1 - 0.9 ** this.steps);
    for (const parameter of this.parameters) adam(parameter, corrected, 1 / batch);
  }

  /** Adds an image's slopes of the loss to those of the batch. */
  learn(number) {
    const { outputs, slopes, random } = this;
    const { layers } = this.net, { dropout } = this.settings;
    const last = layers.length, kept = 1 - dropout;
    this.pixels(number, outputs[0]);
    for (let l = 0; l < last; l++) {
      const out = dense(outputs[l], layers[l], outputs[l + 1]);
      if (l === last - 1) break;
      for (let j = 0; j < out.length; j++) out[j] = out[j] > 0 && (dropout === 0 || random() < kept) ? out[j] / kept : 0;
    }
    this.sum += lossAndSlope(outputs[last], this.data.labels[number], slopes[last]);
    this.seen += 1;
    for (let l = last - 1; l >= 0; l--) this.back(layers[l], outputs[l], slopes[l + 1], l > 0 ? slopes[l] : null, kept);
  }

  /** Adds a layer's slopes; writes those of its inputs into `before`: 0 where ReLU or dropout gave 0. */
  back({ kernel, slopes: [ofKernel, ofBias] }, inputs, after, before, kept) {
    const units = after.length;
    for (let j = 0; j < units; j++) ofBias[j] += after[j];
    for (let i = 0, row = 0; i < inputs.length; i++, row += units) {
      const x = inputs[i];
      let sum = 0;
      if (x !== 0) {
        for (let j = 0; j < units; j++) ofKernel[row + j] += x * after[j];
        if (before !== null) for (let j = 0; j < units; j++) sum += kernel[row + j] * after[j];
      }
      if (before !== null) before[i] = sum / kept;
    }
  }

  /** Returns the losses, the rate, and the counts (classes x classes) of the validation images by now. */
  checkpoint() {
    const { classes, labels, train } = this.data;
    const confusion = new Array(classes * classes).fill(0);
    const pixels = this.outputs[0], slope = new Float64Array(classes);
    let right = 0, loss = 0;
    for (let number = train; number < labels.length; number++) {
      const logits = logitsOf(this.net, this.pixels(number, pixels));
      let said = 0;
      for (let k = 1; k < classes; k++) if (logits[k] > logits[said]) said = k;
      loss += lossAndSlope(logits, labels[number], slope);
      confusion[labels[number] * classes + said] += 1;
      right += said === labels[number];
    }
    const shown = labels.length - train;
    const trained = this.seen ? this.sum / this.seen : null;
    this.sum = this.seen = 0;
    return {
      step: this.steps, loss: trained, val_loss: loss / shown, val_accuracy: right / shown,
      learning_rate: this.settings.rate, confusion,
    };
  }
}

/** Moves a parameter by the slopes that a batch left, a `share` of them, and clears these. */
function adam({ values, slope, mean, square }, rate, share) {
  for (let i = 0; i < values.length; i++) {
    const g = slope[i] * share;
    mean[i] += 0.1 * (g - mean[i]);
    square[i] += 0.001 * (g * g - square[i]);
    values[i] -= (rate * mean[i]) / (Math.sqrt(square[i]) + 1e-7);
    slope[i] = 0;
  }
}

/** Returns the cross-entropy of logits, and writes its slope by them: softmax - one-hot. */
function lossAndSlope(logits, label, slope) {
  let largest = -Infinity, sum = 0;
  for (let k = 0; k < logits.length; k++) if (logits[k] > largest) largest = logits[k];
  for (let k = 0; k < logits.length; k++) sum += slope[k] = Math.exp(logits[k] - largest);
  for (let k = 0; k < logits.length; k++) slope[k] /= sum;
  slope[label] -= 1;
  return largest + Math.log(sum) - logits[label];
}

const IMAGES_A_CHECKPOINT = 800;

/**
 * Returns a function that takes messages, as a worker does: {start: {data, settings, steps}}, {change: settings}
 * and {stop: true}. A training goes on in slices of so many ms; `tell` gets its checkpoints, {checkpoint}, the
 * first one before any step, and {ended: ms of training}.
 */
function trainingBy(tell, slice) {
  let trainer = null, steps = 0, due = null, spent = 0;
  const check = () => {
    const checkpoint = trainer.checkpoint();
    due = trainer.steps + Math.ceil(IMAGES_A_CHECKPOINT / trainer.settings.batch);
    tell({ checkpoint });
    return Number.isFinite(checkpoint.val_loss);
  };
  const goOn = (mine) => {
    if (trainer !== mine) return;
    const from = performance.now();
    let isGoing = due !== null || check();
    while (isGoing && performance.now() - from < slice) {
      mine.step();
      isGoing = (mine.steps < due && mine.steps < steps) || (check() && mine.steps < steps);
    }
    spent += performance.now() - from;
    if (isGoing) { setTimeout(goOn, 0, mine); return; }
    trainer = null;
    tell({ ended: spent });
  };
  return ({ start, change, stop }) => {
    if (start) {
      trainer = new Trainer(start.data, start.settings);
      [steps, due, spent] = [start.steps, null, 0];
      setTimeout(goOn, 0, trainer);
    }
    if (change && trainer) Object.assign(trainer.settings, change);
    if (stop) trainer = null;
  };
}
