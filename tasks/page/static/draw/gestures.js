/** What a person does with a tool, from where she puts it down to where she lifts it: one step of the drawing each. */

import { addressOf, send } from "../base/net.js";
import { complain } from "../base/say.js";
import { drawRing, drawTrace, erased, extend, pathOf, traceOf, WIDTH_ON_SCREEN } from "./strokes.js";
import { painting } from "./painting.js";

/** @typedef {import("../types.js").Line} Line */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("./drawing.js").Drawing} Drawing */
/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {import("./layers.js").Sketch & {to(point: Point): void, end(): void, drop?(): void}} Gesture */

/**
 * @typedef {object} Work What a gesture is made on.
 * @property {State} state as it was when the gesture began
 * @property {Drawing} drawing
 * @property {number} object 0 is background
 * @property {import("./view.js").View} view
 * @property {import("./layers.js").Layers} layers
 * @property {import("../base/store.js").Store} store
 */

const IS_A_MASK = "The mask of this frame is painted, strokes do not count beside it. Paint on; or undo what is painted, or discard the draft.";

/**
 * Begin a gesture.
 * @param {Work} work
 * @param {Point} point where
 * @returns {Gesture | string} or why it cannot be
 */
export function begin(work, point) {
  const { tool } = work.state;
  const paints = tool === "brush" || tool === "rubber" || tool === "fill" || (tool === "eraser" && work.drawing.said.kind === "mask");
  if (paints) return painting(work, point);
  if (work.drawing.said.kind === "mask") return IS_A_MASK;
  if (tool === "eraser") return erasing(work, point);
  if (tool === "box") return boxing(work, point);
  return stroking(work, point);
}

/**
 * A line; of one point if it is a click.
 * @param {Work} work
 * @param {Point} first
 * @returns {Gesture}
 */
function stroking({ drawing, object, view, state }, first) {
  const start_time = timeOn(drawing);
  const points = [first];
  return {
    lines: null,
    to: (point) => state.tool !== "click" && extend(points, point),
    draw: (pen, look) => drawTrace(pen, traceOf(points), object, look),
    end() {
      const drawn = withinReach(points, view.size);
      if (drawn.length) addLines(drawing, [{ object_id: object, path: pathOf(drawn, view.size), start_time, end_time: timeOn(drawing) }], []);
    },
  };
}

/**
 * A line from where it comes into the picture to where it leaves it for good.
 * @param {Point[]} points
 * @param {import("./strokes.js").Size} size
 */
function withinReach(points, size) {
  const isInside = (/** @type {Point} */ point) => point.every((at, axis) => at >= 0 && at <= size[axis]);
  const first = points.findIndex(isInside);
  return first < 0 ? [] : points.slice(Math.max(0, first - 1), points.findLastIndex(isInside) + 2);
}

/**
 * Takes away what it touches of lines; not of objects that are locked, or are not to be seen.
 * @param {Work} work
 * @param {Point} first
 * @returns {Gesture}
 */
function erasing({ drawing, view, state: { brushPx, locked, hidden } }, first) {
  const radius = brushPx / 2 + WIDTH_ON_SCREEN / 2 / view.scale;
  const way = [first];
  /** @type {(lines: readonly Line[], to: Point, each: number) => readonly Line[]} */
  const erase = (lines, to, each) =>
    lines.flatMap((line) => {
      const isKept = locked.has(line.object_id) || hidden.has(line.object_id);
      return isKept ? [line] : erased(line, way[Math.max(0, each - 1)], to, radius, view.size);
    });
  let lines = erase(drawing.said.lines, first, 0);
  return {
    get lines() {
      return lines;
    },
    to(point) {
      way.push(point);
      lines = erase(lines, point, way.length - 1);
    },
    draw: (pen, look) => drawRing(pen, way[way.length - 1], brushPx / 2, look.scale),
    end() {
      const { said } = drawing; // it may be another one by now: undone, or somebody else's
      const left = way.reduce(erase, said.lines);
      if (left.length === said.lines.length && left.every((line, each) => line === said.lines[each])) return;
      const drawn = new Set(left.map(({ object_id }) => object_id));
      drawing.apply({ lines: left, from_boxes: said.from_boxes.filter((id) => drawn.has(id)) });
    },
  };
}

/**
 * A box, for which the server knows strokes.
 * @param {Work} work
 * @param {Point} first
 * @returns {Gesture}
 */
function boxing({ drawing, view, state: { place, object } }, first) {
  const start = timeOn(drawing);
  let last = first;
  const corners = () => {
    const inside = (/** @type {number} */ at, /** @type {0 | 1} */ axis) => Math.max(0, Math.min(1, at / view.size[axis]));
    const [x, y] = /** @type {const} */ ([0, 1]).map((axis) => [first[axis], last[axis]].map((at) => inside(at, axis)).sort((a, b) => a - b));
    return [x[0], y[0], x[1], y[1]];
  };
  return {
    lines: null,
    to: (point) => (last = point),
    draw(pen, look) {
      const trace = new Path2D();
      trace.rect(first[0], first[1], last[0] - first[0], last[1] - first[1]);
      drawTrace(pen, trace, object, { ...look, dashed: true });
    },
    async end() {
      const box = corners(), end = timeOn(drawing);
      if (!place || box[0] === box[2] || box[1] === box[3]) return;
      const { corrects } = drawing.said;
      try {
        const found = await send("POST", addressOf(place, `frame/${drawing.frame}/box`), { object_id: object, box, corrects });
        const isDrawn = drawing.said.lines.some(({ object_id }) => object_id === object); // then its middle need not be guessed
        const lines = found.lines.filter((/** @type {Line} */ { object_id }) => object_id === 0 || !isDrawn);
        addLines(drawing, lines.map((/** @type {Line} */ line) => ({ ...line, start_time: start, end_time: end })), isDrawn ? [] : found.from_boxes);
      } catch (error) {
        complain(error);
      }
    },
  };
}

/**
 * @param {Drawing} drawing
 * @param {Line[]} lines
 * @param {number[]} boxed objects that have them from a box
 */
function addLines(drawing, lines, boxed) {
  const { said } = drawing;
  const drawn = new Set(lines.map(({ object_id }) => object_id));
  const others = said.from_boxes.filter((id) => !drawn.has(id));
  drawing.apply({
    kind: "strokes",
    lines: [...said.lines, ...lines],
    absent: said.absent.filter((id) => !drawn.has(id)),
    from_boxes: [...others, ...boxed].sort((a, b) => a - b),
  });
}

/** When drawing on a frame began, as the browser counts. @type {WeakMap<Drawing, number>} */
const began = new WeakMap();

/**
 * Milliseconds since drawing on its frame began; what was drawn earlier comes before it.
 * @param {Drawing} drawing
 */
function timeOn(drawing) {
  const now = performance.now();
  if (!began.has(drawing)) began.set(drawing, now - Math.max(0, ...drawing.said.lines.map(({ end_time }) => end_time)));
  return Math.round(now - /** @type {number} */ (began.get(drawing)));
}
