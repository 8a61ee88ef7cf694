"use strict";
/* Brings drawings and pictures of a digit into a frame as the training images fill theirs. An image here has
   `values`, 0 (paper) to 1 (ink), row by row, `height` and `width`. A framing says how the training images fill
   their frame: see `Framing` in digitexp/pages/page.py, which measures it. */

const INK = 0.05; // pixels above this share of the darkest are ink: photographed paper is never quite 0
const FINE = 16; // strokes are drawn so many times finer, then averaged, for soft edges as a scanner makes them
const PEN = 0.12; // width of a stroke, in sides of the digit: about what MNIST's writers used
const SMALL = 64; // longer side of a picture that is taken pixel for pixel, as a data set's images are
const LARGE = 1024; // longer side that a larger picture is brought to first: digits end up at 20 or 28 pixels

const imageOf = (height, width) => ({ values: new Float64Array(height * width), height, width });
const largestOf = ({ values }) => values.reduce((a, b) => Math.max(a, b), 0);
const clamp = (value) => Math.min(Math.max(value, 0), 1);

/** Returns a part of an image, from a row and a column that may lie outside of it: paper is there. */
function part(image, top, left, height, width) {
  const made = imageOf(height, width);
  for (let y = Math.max(0, -top); y < Math.min(height, image.height - top); y++) {
    for (let x = Math.max(0, -left); x < Math.min(width, image.width - left); x++) {
      made.values[y * width + x] = image.values[(y + top) * image.width + x + left];
    }
  }
  return made;
}

/** Returns the box of what is more than `ink`; 0 x 0 if there is nothing. */
function cut(image, ink = 0) {
  let [top, left, bottom, right] = [Infinity, Infinity, -1, -1];
  for (let i = 0; i < image.values.length; i++) {
    if (image.values[i] <= ink) continue;
    const x = i % image.width, y = (i - x) / image.width;
    [top, left, bottom, right] = [Math.min(top, y), Math.min(left, x), Math.max(bottom, y), Math.max(right, x)];
  }
  return bottom < 0 ? imageOf(0, 0) : part(image, top, left, bottom - top + 1, right - left + 1);
}

/** Cuts an image to the box of its ink and centres it, smaller margins above and left; of a larger box the middle is kept. */
function cutAndCentre(image, [height, width]) {
  const box = cut(image);
  const offset = (side, length) => (length > side ? Math.floor((length - side) / 2) : -Math.floor((side - length) / 2));
  return part(box, offset(height, box.height), offset(width, box.width), height, width);
}

/** Returns how far (rows, columns) the centre of mass lies below and right of the middle. */
function offCentre({ values, height, width }) {
  let [total, down, across] = [0, 0, 0];
  values.forEach((value, i) => {
    total += value;
    down += value * Math.floor(i / width);
    across += value * (i % width);
  });
  return total ? [down / total - (height - 1) / 2, across / total - (width - 1) / 2] : [0, 0];
}

function placed(box, framing) {
  const framed = cutAndCentre({ ...box, values: box.values.map(clamp) }, framing.shape);
  if (!framing.by_mass) return framed;
  const [down, across] = offCentre(framed).map(Math.round);
  return part(framed, down, across, framed.height, framed.width);
}

/** Returns an image in another size: each pixel is the mean of what it covers. */
function resized(image, height, width) {
  const along = (values, lines, length, wanted, at) => { // wanted: pixels of each line; at: place of a pixel in a line
    const made = new Float64Array(lines * wanted), each = length / wanted;
    for (let line = 0; line < lines; line++) {
      for (let to = 0; to < wanted; to++) {
        let sum = 0;
        for (let from = Math.floor(to * each); from < Math.min((to + 1) * each, length); from++) {
          sum += values[at(line, from)] * (Math.min(from + 1, (to + 1) * each) - Math.max(from, to * each));
        }
        made[line * wanted + to] = sum / each;
      }
    }
    return made;
  };
  const across = along(image.values, image.height, image.width, width, (y, x) => y * image.width + x);
  const down = along(across, width, image.height, height, (x, y) => y * width + x);
  const made = imageOf(height, width);
  for (let i = 0; i < made.values.length; i++) made.values[i] = down[(i % width) * height + Math.floor(i / width)];
  return made;
}

/**
 * Brings a picture of one digit into the frame. One of the frame's own size stays as it is. One whose ink fits the
 * frame, and which is no more than 1.4 times as large (as MNIST's images are beside digits20), is taken pixel for
 * pixel. Any other is scaled until its ink is as large as that of the training images.
 */
function framedPicture(image, framing) {
  const [height, width] = framing.shape, least = Math.min(height, width);
  if (image.height === height && image.width === width) return image;
  const isSmall = Math.max(image.height, image.width) <= 1.4 * Math.max(height, width);
  const fits = (box) => isSmall && Math.max(box.height, box.width) <= least;
  const whole = cut(image);
  if (fits(whole)) return placed(whole, framing); // the faintest pixel counts, as in `cutAndCentre`
  const box = cut(image, INK * largestOf(image));
  if (fits(box) || !box.height) return placed(box, framing);
  const factor = framing.side / Math.max(box.height, box.width);
  const [rows, columns] = [box.height, box.width].map((length) => Math.max(Math.round(length * factor), 1));
  return placed(resized(box, rows, columns), framing);
}

/** Draws strokes, each a list of [x, y], at the size of the training digits with their pen. */
function framedStrokes(strokes, framing) {
  const points = strokes.flat();
  if (!points.length) return imageOf(...framing.shape);
  const low = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
  const extent = [0, 1].map((axis) => Math.max(...points.map((point) => point[axis])) - low[axis]);
  const pen = PEN * framing.side;
  const scale = Math.min((framing.side - pen) / Math.max(...extent, 1e-9), 1e6);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = extent.map((length) => Math.ceil(length * scale + 2 * pen) * FINE);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  drawStrokes(context, strokes.map((stroke) => stroke.map((point) => point.map((p, axis) => ((p - low[axis]) * scale + pen) * FINE))), pen * FINE);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const drawn = imageOf(canvas.height, canvas.width);
  for (let i = 0; i < drawn.values.length; i++) drawn.values[i] = data[4 * i + 3] / 255;
  const box = cut(drawn);
  // A pen's edge may be rounded up: no more than the side is kept. Then whole pixels, what is lacking shared by both sides.
  const sides = [box.height, box.width].map((length) => Math.ceil(Math.min(length, framing.side * FINE) / FINE) * FINE);
  const fine = part(box, ...sides.map((side, axis) => Math.trunc(([box.height, box.width][axis] - side) / 2)), ...sides);
  return placed(resized(fine, fine.height / FINE, fine.width / FINE), framing);
}

/** Draws strokes with a round pen. */
function drawStrokes(context, strokes, width) {
  Object.assign(context, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    context.beginPath();
    context.arc(...stroke[0], width / 2, 0, 2 * Math.PI); // a dot: a line of no length is none
    context.fill();
    context.beginPath();
    for (const point of stroke) context.lineTo(...point);
    context.stroke();
  }
}

/**
 * Returns the ink of a picture file. The border is paper, whether dark or light. In a photograph (any picture larger
 * than `SMALL`) paper is not even and ink not black: pixels that differ from the paper no more than the border itself
 * does are paper too, and the strongest ink becomes 1. An Error says what is wrong.
 */
async function inkOf(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file); // turned upright, as its camera says
  } catch {
    throw new Error("no picture that this browser can read");
  }
  const factor = Math.min(1, LARGE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((length) => Math.max(1, Math.round(length * factor)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return inkOfGrey(greyOf(context.getImageData(0, 0, width, height).data), height, width);
}

/** Returns grey values, 0 to 255; transparent parts are paper: dark below light ink. */
function greyOf(rgba) {
  const grey = new Float64Array(rgba.length / 4);
  let [light, opaque] = [0, 0];
  for (let i = 0; i < grey.length; i++) {
    const [r, g, b, a] = rgba.subarray(4 * i, 4 * i + 4);
    grey[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    light += (grey[i] * a) / 255;
    opaque += a / 255;
  }
  const paper = light / Math.max(opaque, 1e-9) > 127 ? 0 : 255;
  for (let i = 0; i < grey.length; i++) {
    const share = rgba[4 * i + 3] / 255;
    grey[i] = Math.round(grey[i] * share + paper * (1 - share));
  }
  return grey;
}

function inkOfGrey(grey, height, width) {
  const isBorder = (i) => i < width || i >= grey.length - width || i % width === 0 || i % width === width - 1;
  const border = grey.filter((_, i) => isBorder(i)).sort();
  const paper = border[Math.floor(border.length / 2)], isLight = paper > 127;
  const span = isLight ? paper : 255 - paper;
  const image = { values: grey.map((value) => Math.max(isLight ? paper - value : value - paper, 0) / span), height, width };
  if (Math.max(height, width) <= SMALL) return image;
  const apart = border.map((value) => Math.abs(value - paper)).sort();
  const uneven = (2 * apart[Math.floor(0.95 * (apart.length - 1))]) / span;
  if (uneven >= 1) throw new Error("its border is no paper: leave an even margin around the digit");
  image.values = image.values.map((value) => Math.max(value - uneven, 0));
  const strongest = Math.max(largestOf(image), 1e-9);
  image.values = image.values.map((value) => value / strongest);
  return image;
}
