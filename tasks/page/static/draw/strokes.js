/** Strokes: how points of the picture become lines of a scribble set, and how these are drawn. */

import { distance, pieces, simplified } from "./geometry.js";

/** @typedef {import("../types.js").Line} Line */
/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {[number, number]} Size width and height */

/**
 * @typedef {object} Look How lines are drawn.
 * @property {Size} size of the picture
 * @property {number} scale of the view: lines are as thick on the screen however near one looks
 * @property {(id: number) => string} colour
 * @property {boolean} [dashed] for what is not one's own
 */

export const WIDTH_ON_SCREEN = 4;
const NEAREST_PX = 0.5;

/**
 * Go on with a line, unless the point is too near to its last one.
 * @param {Point[]} points
 * @param {Point} point
 */
export function extend(points, point) {
  if (!points.length || distance(points[points.length - 1], point) >= NEAREST_PX) points.push(point);
}

/**
 * What a scribble set says of points: pixel (x, y) has the fractions x / width and y / height, of which six decimals are kept.
 * @param {Point[]} points
 * @param {Size} size
 * @returns {Line["path"]}
 */
export function pathOf(points, [width, height]) {
  return simplified(points, NEAREST_PX).map(([x, y]) => [fraction(x, width), fraction(y, height)]);
}

/**
 * @param {number} at
 * @param {number} side
 */
function fraction(at, side) {
  return Math.round((Math.max(0, Math.min(side - 1, at - 0.5)) / side) * 1e6) / 1e6;
}

/**
 * @param {Line["path"]} path
 * @param {Size} size
 * @returns {Point[]}
 */
export function pointsOf(path, [width, height]) {
  return path.map(([x, y]) => [x * width + 0.5, y * height + 0.5]);
}

/**
 * What an eraser leaves of a line: the very same line if it does not touch it.
 * @param {Line} line
 * @param {Point} from where it was
 * @param {Point} to where it has come to
 * @param {number} radius its own, and half of the line's width
 * @param {Size} size
 * @returns {Line[]}
 */
export function erased(line, from, to, radius, size) {
  const points = pointsOf(line.path, size);
  const left = pieces(points, from, to, radius);
  return left[0] === points ? [line] : left.map((piece) => ({ ...line, path: pathOf(piece, size) }));
}

/** Lines never change: each is traced once. @type {WeakMap<Line, Path2D>} */
const traced = new WeakMap();

/**
 * Draw lines on a canvas whose units are pixels of the picture.
 * @param {CanvasRenderingContext2D} pen
 * @param {readonly Line[]} lines
 * @param {Look} look
 */
export function drawLines(pen, lines, look) {
  for (const line of lines) {
    let trace = traced.get(line);
    if (!trace) traced.set(line, (trace = traceOf(pointsOf(line.path, look.size))));
    drawTrace(pen, trace, line.object_id, look);
  }
}

/** @param {Point[]} points */
export function traceOf(points) {
  const trace = new Path2D();
  trace.moveTo(...points[0]);
  for (const [x, y] of points.slice(1)) trace.lineTo(x, y);
  if (points.length === 1) trace.lineTo(points[0][0] + 0.01, points[0][1]); // a line without length is not drawn
  return trace;
}

/**
 * A dark and a light line around the colour are seen on any picture; background is dotted, since colour must not be the only sign.
 * @param {CanvasRenderingContext2D} pen
 * @param {Path2D} trace
 * @param {number} id
 * @param {Look} look
 */
export function drawTrace(pen, trace, id, { scale, colour, dashed = false }) {
  const width = WIDTH_ON_SCREEN / scale;
  pen.lineCap = pen.lineJoin = "round";
  pen.setLineDash(dashed ? [3 * width, 2 * width] : []);
  stroke(pen, trace, "rgb(0 0 0 / 75%)", 2 * width);
  stroke(pen, trace, "#fff", 1.5 * width);
  if (id === 0) pen.setLineDash([0.01, 2 * width]);
  stroke(pen, trace, id === 0 ? "#000" : colour(id), width);
  pen.setLineDash([]);
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Path2D} trace
 * @param {string} colour
 * @param {number} width
 */
function stroke(pen, trace, colour, width) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.stroke(trace);
}

/**
 * A circle as large as the eraser or the brush.
 * @param {CanvasRenderingContext2D} pen
 * @param {Point} middle
 * @param {number} radius in pixels of the picture
 * @param {number} scale
 */
export function drawRing(pen, middle, radius, scale) {
  const ring = new Path2D();
  ring.arc(...middle, radius, 0, 2 * Math.PI);
  drawMark(pen, ring, scale);
}

/**
 * A cross where the keyboard draws; its middle is left open.
 * @param {CanvasRenderingContext2D} pen
 * @param {Point} middle
 * @param {number} scale
 */
export function drawCross(pen, [x, y], scale) {
  const cross = new Path2D();
  for (const [right, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    cross.moveTo(x + (4 / scale) * right, y + (4 / scale) * down);
    cross.lineTo(x + (16 / scale) * right, y + (16 / scale) * down);
  }
  drawMark(pen, cross, scale);
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Path2D} trace
 * @param {number} scale
 */
function drawMark(pen, trace, scale) {
  stroke(pen, trace, "rgb(0 0 0 / 75%)", 3.5 / scale);
  stroke(pen, trace, "#fff", 1.5 / scale);
}
