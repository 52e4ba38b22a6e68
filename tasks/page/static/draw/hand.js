/** The hand that draws: one gesture at a time, with mouse, pen, finger or keys, on the drawing that is shown when it begins. */

import { begin } from "./gestures.js";
import { say } from "../base/say.js";
import { mayWrite } from "../base/store.js";
import { drawCross, drawRing } from "./strokes.js";

/** @typedef {import("../types.js").State} State */
/** @typedef {import("./geometry.js").Point} Point */

const ROUND = new Set(["eraser", "brush", "rubber"]);

export class Hand {
  /** @type {import("./gestures.js").Gesture | null} */
  #gesture = null;
  /** Where the hand is while it does not draw. @type {Point | null} */
  #over = null;
  /** @type {Point | null} */
  #aim = null;
  #store;
  /** @type {import("./view.js").View} */
  #view;
  /** @type {import("./layers.js").Layers} */
  #layers;

  /**
   * @param {import("../base/store.js").Store} store
   * @param {import("./view.js").View} view
   * @param {import("./layers.js").Layers} layers
   */
  constructor(store, view, layers) {
    this.#store = store;
    this.#view = view;
    this.#layers = layers;
    store.watch(["drawing"], () => this.end()); // it goes on no other frame
  }

  get draws() {
    return this.#gesture !== null;
  }

  /**
   * Put it down.
   * @param {Point} point in pixels of the picture
   * @param {{background?: boolean, erases?: boolean}} [how] background: whatever object is chosen; erases: whatever tool is
   * @returns {boolean} whether it draws
   */
  begin(point, { background = false, erases = false } = {}) {
    this.end();
    const { state } = this.#store;
    const { drawing, tool } = state;
    if (!canDraw(state) || !drawing || tool === "pan") return false;
    const work = {
      state: erases ? { ...state, tool: /** @type {const} */ ("eraser") } : state,
      drawing,
      object: background || tool === "background" ? 0 : state.object,
      view: this.#view,
      layers: this.#layers,
      store: this.#store,
    };
    const gesture = begin(work, point);
    if (typeof gesture === "string") {
      say(gesture);
      return false;
    }
    this.#gesture = gesture;
    this.#layers.drawStrokes();
    return true;
  }

  /** @param {Point[]} points */
  to(points) {
    for (const point of points) this.#gesture?.to(point);
    this.hover(points.at(-1) ?? null);
  }

  /** Lift it: what was drawn stays. */
  end() {
    const gesture = this.#gesture;
    this.#gesture = null;
    gesture?.end();
    this.#layers.drawStrokes();
  }

  /** Forget what was drawn since it was put down. */
  drop() {
    const gesture = this.#gesture;
    this.#gesture = null;
    gesture?.drop?.();
    this.#layers.drawStrokes();
  }

  /** @param {Point | null} point */
  hover(point) {
    this.#over = point;
    this.#layers.drawStrokes();
  }

  /**
   * Show a crosshair, where the keyboard draws.
   * @param {Point | null} point
   */
  aim(point) {
    this.#aim = point;
    this.#layers.drawStrokes();
  }

  /** What is to be seen of it. @returns {import("./layers.js").Sketch} */
  get sketch() {
    const gesture = this.#gesture, over = this.#over, aim = this.#aim;
    const { tool, brushPx } = this.#store.state;
    return {
      lines: gesture?.lines ?? null,
      draw(pen, look) {
        if (gesture) gesture.draw(pen, look);
        else if (over && ROUND.has(tool)) drawRing(pen, over, brushPx / 2, look.scale);
        if (aim) drawCross(pen, aim, look.scale);
      },
    };
  }
}

/**
 * Whether anything can be drawn now.
 * @param {State} state
 */
export function canDraw(state) {
  return state.drawing !== null && mayWrite(state);
}
