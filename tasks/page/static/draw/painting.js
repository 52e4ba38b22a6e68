/** Brush, rubber and fill: they make the mask of a frame, from the one that is shown. Locked objects are not painted over. */

import { brushed, connected, enclosed } from "./areas.js";
import { cut } from "./drawing.js";
import { drawRing, drawTrace, extend, traceOf } from "./strokes.js";

/** @typedef {import("./gestures.js").Gesture} Gesture */
/** @typedef {import("./gestures.js").Work} Work */
/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {import("../types.js").Mask} Mask */
/** @typedef {import("./drawing.js").Rectangle} Rectangle */

const CLICK_PX = 3; // on the screen: an outline that stays within it is a click

/**
 * Begin to paint.
 * @param {Work} work
 * @param {Point} point where
 * @returns {Gesture | string} or why it cannot be
 */
export function painting(work, point) {
  const seen = work.drawing.said.kind === "mask" ? work.drawing.mask : work.layers.mask;
  if (seen === undefined) return "The mask of this frame is still on its way; try again.";
  const [width, height] = work.view.size;
  if (work.state.shown === "none") work.store.set({ shown: "draft" });
  const paint = new Paint(work, { width, height, ids: seen ? seen.ids.slice() : new Uint8Array(width * height) });
  return work.state.tool === "fill" ? filling(work, paint, point) : brushing(work, paint, point);
}

/** A mask that is being painted on; the drawing's is another one until the step is done. */
class Paint {
  #work;
  #locked;
  #id;
  /** Where it is not what the drawing has. @type {Rectangle | null} */
  #changed = null;

  /**
   * @param {Work} work
   * @param {Mask} mask
   */
  constructor(work, mask) {
    const { tool, locked } = work.state;
    this.#work = work;
    this.mask = mask;
    this.#id = tool === "rubber" || tool === "eraser" ? 0 : work.object;
    this.#locked = new Uint8Array(256);
    for (const id of locked) if (id !== this.#id) this.#locked[id] = 1;
  }

  /**
   * @param {(take: import("./areas.js").TakeRun) => void} find hands over the runs that are to be painted
   */
  over(find) {
    const { ids, width } = this.mask;
    /** @type {Rectangle | null} */
    let where = null;
    find((row, first, end) => {
      for (let pixel = row * width + first; pixel < row * width + end; pixel++) if (!this.#locked[ids[pixel]]) ids[pixel] = this.#id;
      where = joined(where, { left: first, top: row, width: end - first, height: 1 });
    });
    if (!where) return;
    this.#changed = joined(this.#changed, where);
    this.#work.layers.showPainted(this.mask, where);
  }

  /** Make it a step of the drawing. */
  end() {
    const { drawing, layers, store } = this.#work;
    if (!this.#changed) return;
    const isFirst = drawing.said.kind !== "mask";
    if (!drawing.mask) drawing.paintOn({ ...this.mask, ids: new Uint8Array(this.mask.ids.length) });
    const before = /** @type {Mask} */ (drawing.mask);
    const where = isFirst ? { left: 0, top: 0, width: before.width, height: before.height } : this.#changed;
    store.set({ shown: "draft" });
    drawing.apply(
      { kind: "mask", lines: [], absent: [], from_boxes: [], corrects: "" },
      { where, before: cut(before, where), after: cut(this.mask, where) },
    );
    layers.endPainting(before, drawing.frame);
  }

  /** Show again what was there before. */
  drop() {
    this.#work.layers.endPainting(null, this.#work.drawing.frame);
  }
}

/**
 * @param {Work} work
 * @param {Paint} paint
 * @param {Point} first
 * @returns {Gesture}
 */
function brushing({ state: { brushPx } }, paint, first) {
  let last = first;
  const go = (/** @type {Point} */ point) => {
    paint.over((take) => brushed(paint.mask, last, point, brushPx / 2, take));
    last = point;
  };
  go(first);
  return {
    lines: null,
    to: go,
    draw: (pen, look) => drawRing(pen, last, brushPx / 2, look.scale),
    end: () => paint.end(),
    drop: () => paint.drop(),
  };
}

/**
 * An outline that is closed and filled; a click fills what hangs together there.
 * @param {Work} work
 * @param {Paint} paint
 * @param {Point} first
 * @returns {Gesture}
 */
function filling({ object, view }, paint, first) {
  const outline = [first];
  const isClick = () => outline.every(([x, y]) => Math.hypot(x - first[0], y - first[1]) * view.scale <= CLICK_PX);
  return {
    lines: null,
    to: (point) => extend(outline, point),
    draw: (pen, look) => drawTrace(pen, traceOf(outline), object, look),
    end() {
      paint.over((take) => (isClick() ? connected(paint.mask, first, take) : enclosed(paint.mask, outline, take)));
      paint.end();
    },
  };
}

/**
 * @param {Rectangle | null} a
 * @param {Rectangle} b
 * @returns {Rectangle} around both
 */
function joined(a, b) {
  if (!a) return b;
  const left = Math.min(a.left, b.left), top = Math.min(a.top, b.top);
  const right = Math.max(a.left + a.width, b.left + b.width), bottom = Math.max(a.top + a.height, b.top + b.height);
  return { left, top, width: right - left, height: bottom - top };
}
