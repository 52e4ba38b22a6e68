/** A video as a strip: one bar a frame for its doubt, marks for what people did, and where one is. */

/**
 * @typedef {object} Span The frames on the strip.
 * @property {number} count of all frames of the video
 * @property {number} [first] on the strip, if it does not begin with the video
 * @property {number} [last] on the strip, if it does not end with the video
 */

/**
 * @typedef {object} Said What is shown of them.
 * @property {ArrayLike<number | null>} doubt of each frame, 0 to 1; null where it is not known
 * @property {number} now the frame that is looked at
 * @property {ReadonlyArray<Mark>} marks
 * @property {ReadonlyArray<Curve>} [curves] over the bars
 * @property {ReadonlyArray<readonly [number, number]>} [stale] stretches, first to last frame, that will be made again
 * @property {ReadonlyArray<readonly [number, number]>} [approved] stretches, first to last frame, that a person approved
 * @property {ReadonlyArray<readonly [number, number]>} [changed] stretches, first to last frame, that became others
 */

/** @typedef {Span & Said} Strip */

/**
 * @typedef {object} Mark
 * @property {number} frame
 * @property {"anchor" | "asked" | "draft"} kind a dot: people said something of it; a ring: they are asked to;
 *   a triangle: they are about to
 */

/** @typedef {{values: ArrayLike<number | null>, colour: string, dashed?: boolean}} Curve of one number a frame, 0 to 1 */

/** @typedef {{bar: string, mark: string, asked: string, now: string, stale: string, approved: string, changed: string}} Colours */

const MARKS_HEIGHT = 14;
const LANE_HEIGHT = 3;

/**
 * Draw it over the whole of a canvas, as sharp as the screen is.
 * @param {HTMLCanvasElement} canvas its size is that of its style
 * @param {Strip} strip
 * @param {Colours} [colours]
 */
export function drawStrip(canvas, strip, colours = coloursOf(canvas)) {
  const { context, width, height } = fitted(canvas);
  const floor = height - LANE_HEIGHT * (strip.changed ? 2 : 1), high = floor - MARKS_HEIGHT;
  for (const stretch of strip.stale ?? []) hatch(context, strip, stretch, width, high, colours.stale);
  drawBars(context, strip, width, floor, high, colours.bar);
  for (const curve of strip.curves ?? []) drawCurve(context, strip, curve, width, floor, high);
  drawLane(context, strip, strip.approved ?? [], width, height - LANE_HEIGHT, colours.approved);
  drawLane(context, strip, strip.changed ?? [], width, floor, colours.changed);
  for (const mark of strip.marks) drawMark(context, mark, xOf(strip, mark.frame, width), colours);
  context.fillStyle = colours.now;
  context.fillRect(Math.round(xOf(strip, strip.now, width)) - 1, 0, 2, height);
}

/**
 * The frame under a place.
 * @param {Span} strip
 * @param {number} x from the left edge of the canvas
 * @param {number} width of the canvas, in the same unit
 */
export function frameAt(strip, x, width) {
  const { first, frames } = span(strip);
  return first + Math.max(0, Math.min(frames - 1, Math.floor((x / width) * frames)));
}

/**
 * The middle of a frame.
 * @param {Span} strip
 * @param {number} frame
 * @param {number} width of the canvas
 */
export function xOf(strip, frame, width) {
  const { first, frames } = span(strip);
  return ((frame - first + 0.5) / frames) * width;
}

/**
 * What the style sheet says of a canvas: `--strip-bar`, `--strip-mark`, and so on; the colour of its text where it is silent.
 * @param {HTMLCanvasElement} canvas
 * @returns {Colours}
 */
export function coloursOf(canvas) {
  // A variable may hold an expression, such as `light-dark()`: only as somebody's colour it becomes one.
  const probe = document.createElement("span");
  canvas.append(probe);
  const colour = (/** @type {string} */ name) => {
    probe.style.color = `var(--strip-${name}, currentcolor)`;
    return getComputedStyle(probe).color;
  };
  const colours = {
    bar: colour("bar"), mark: colour("mark"), asked: colour("asked"),
    now: colour("now"), stale: colour("stale"), approved: colour("approved"), changed: colour("changed"),
  };
  probe.remove();
  return colours;
}

/**
 * A canvas with as many pixels as the screen has for it, empty; sizes are those of its style.
 * @param {HTMLCanvasElement} canvas
 */
function fitted(canvas) {
  const width = canvas.clientWidth, height = canvas.clientHeight, scale = devicePixelRatio;
  canvas.width = Math.round(width * scale); // empties it, too
  canvas.height = Math.round(height * scale);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(scale, scale);
  return { context, width, height };
}

/** @param {Span} strip */
function span(strip) {
  const first = strip.first ?? 0;
  return { first, frames: Math.max(1, (strip.last ?? strip.count - 1) - first + 1) };
}

/**
 * Where a stretch begins and ends.
 * @param {Span} strip
 * @param {number} first
 * @param {number} last
 * @param {number} width
 */
function edges(strip, first, last, width) {
  const half = width / span(strip).frames / 2;
  return [xOf(strip, first, width) - half, xOf(strip, last, width) + half];
}

/**
 * A bar a frame; where frames are narrower than a pixel, the worst of them.
 * @param {CanvasRenderingContext2D} context
 * @param {Strip} strip
 * @param {number} width
 * @param {number} floor
 * @param {number} high
 * @param {string} colour
 */
function drawBars(context, strip, width, floor, high, colour) {
  const { first, frames } = span(strip);
  const bars = Math.min(frames, Math.ceil(width));
  const worst = new Float32Array(bars);
  for (let index = 0; index < frames; index++) {
    const bar = Math.floor((index * bars) / frames);
    worst[bar] = Math.max(worst[bar], strip.doubt[first + index] || 0);
  }
  context.fillStyle = colour;
  context.beginPath();
  worst.forEach((doubt, bar) => {
    const left = (bar / bars) * width;
    context.rect(left, floor - doubt * high, ((bar + 1) / bars) * width - left, doubt * high);
  });
  context.fill();
}

/**
 * A thin line along stretches.
 * @param {CanvasRenderingContext2D} context
 * @param {Strip} strip
 * @param {ReadonlyArray<readonly [number, number]>} stretches
 * @param {number} width
 * @param {number} top
 * @param {string} colour
 */
function drawLane(context, strip, stretches, width, top, colour) {
  context.fillStyle = colour;
  for (const [first, last] of stretches) {
    const [left, right] = edges(strip, first, last, width);
    context.fillRect(left, top, right - left, LANE_HEIGHT);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Strip} strip
 * @param {Curve} curve with gaps where it has no number
 * @param {number} width
 * @param {number} floor
 * @param {number} high
 */
function drawCurve(context, strip, curve, width, floor, high) {
  const { first, frames } = span(strip);
  context.strokeStyle = curve.colour;
  context.lineWidth = 1.5;
  context.setLineDash(curve.dashed ? [4, 3] : []);
  context.beginPath();
  let drawing = false;
  for (let frame = first; frame < first + frames; frame++) {
    const value = curve.values[frame];
    const known = value !== null && Number.isFinite(value);
    if (known) context[drawing ? "lineTo" : "moveTo"](xOf(strip, frame, width), floor - value * high);
    drawing = known;
  }
  context.stroke();
  context.setLineDash([]);
}

/**
 * Slanted lines over a stretch.
 * @param {CanvasRenderingContext2D} context
 * @param {Strip} strip
 * @param {readonly [number, number]} stretch
 * @param {number} width
 * @param {number} high
 * @param {string} colour
 */
function hatch(context, strip, [first, last], width, high, colour) {
  const [left, right] = edges(strip, first, last, width);
  context.save();
  context.beginPath();
  context.rect(left, MARKS_HEIGHT, right - left, high);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = left - high; x < right; x += 6) {
    context.moveTo(x, MARKS_HEIGHT + high);
    context.lineTo(x + high, MARKS_HEIGHT);
  }
  context.stroke();
  context.restore();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Mark} mark
 * @param {number} x
 * @param {Colours} colours
 */
function drawMark(context, mark, x, colours) {
  context.fillStyle = colours.mark;
  context.strokeStyle = colours.asked;
  context.lineWidth = 2;
  context.beginPath();
  if (mark.kind === "draft") {
    context.moveTo(x - 4, 3);
    context.lineTo(x + 4, 3);
    context.lineTo(x, 11);
    context.closePath();
  } else context.arc(x, 7, mark.kind === "asked" ? 4 : 3, 0, 2 * Math.PI);
  if (mark.kind === "asked") context.stroke();
  else context.fill();
}
