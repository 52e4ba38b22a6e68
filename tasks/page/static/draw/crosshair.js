/** Strokes by keyboard alone: arrows move a crosshair over the picture, Enter begins and ends a stroke, Escape drops it. */

import { byId } from "../base/elements.js";
import { say } from "../base/say.js";

/** @typedef {import("./geometry.js").Point} Point */

const FAR_PX = 10;
/** @type {Record<string, Point>} */
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @param {import("./hand.js").Hand} hand
 * @param {import("./view.js").View} view
 * @param {import("../base/store.js").Store} store
 */
export function listen(hand, view, store) {
  const box = byId("canvas");
  /** @type {Point} */
  let at = [0, 0];

  box.addEventListener("focus", () => aim(view.middle));
  box.addEventListener("blur", () => {
    hand.end();
    hand.aim(null);
  });
  box.addEventListener("keydown", (event) => {
    const way = WAYS[event.key];
    if (event.ctrlKey || event.metaKey) return;
    if (way) move(way, event.shiftKey ? FAR_PX : 1);
    else if (event.key === "Enter") press(event.altKey);
    else if (event.key === "Escape") hand.drop();
    else return;
    event.preventDefault();
  });

  /**
   * @param {Point} way
   * @param {number} far
   */
  function move(way, far) {
    aim([at[0] + way[0] * far, at[1] + way[1] * far]);
    if (hand.draws) hand.to([at]);
    view.reveal(at);
  }

  /** @param {Point} point */
  function aim(point) {
    const middleOf = (/** @type {0 | 1} */ axis) => Math.max(0, Math.min(view.size[axis] - 1, Math.floor(point[axis]))) + 0.5;
    at = [middleOf(0), middleOf(1)];
    hand.aim(at);
  }

  /** @param {boolean} background */
  function press(background) {
    const where = `column ${Math.floor(at[0])}, row ${Math.floor(at[1])}`;
    if (hand.draws) {
      hand.end();
      say(`ends at ${where}`);
    } else if (hand.begin(at, { background })) {
      if (store.state.tool === "click") hand.end();
      say(`${store.state.tool === "click" ? "a click at" : "begins at"} ${where}`);
    }
  }
}
