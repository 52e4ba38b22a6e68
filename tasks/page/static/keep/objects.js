/** Which objects there are, and the button that chooses the one that is drawn: in the panel, and below the picture where that is far away. */

import { make } from "../base/elements.js";
import { colourOf } from "../base/palette.js";

/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").ObjectId} ObjectId */
/** @typedef {import("../base/store.js").Store} Store */

/**
 * Every object that is listed, drawn, in a result, or about to be drawn; ascending.
 * @param {State} state
 * @returns {ObjectId[]}
 */
export function objectsOf({ sequence, drawing, doubts, object }) {
  const listed = (sequence?.objects ?? []).map(({ id }) => id), inResult = Object.keys(doubts?.objects ?? {}).map(Number);
  const ids = new Set([object, ...listed, ...(sequence?.drawn ?? []), ...inResult]);
  drawing?.said.lines.forEach(({ object_id }) => ids.add(object_id));
  drawing?.said.absent.forEach((id) => ids.add(id));
  ids.delete(0);
  return [...ids].sort((a, b) => a - b);
}

/**
 * Draw this one from now on.
 * @param {Store} store
 * @param {ObjectId} id
 */
export function choose(store, id) {
  const { tool } = store.state;
  store.set({ object: id, ...(tool === "background" ? { tool: /** @type {const} */ ("stroke") } : {}) });
}

/**
 * @param {Store} store
 * @param {ObjectId} id
 * @returns {{element: HTMLButtonElement, update(state: State): void}}
 */
export function chooser(store, id) {
  const swatch = make("span", { className: "swatch" });
  const element = make("button", { type: "button", className: "quiet choose", onclick: () => choose(store, id) }, swatch, make("span", { className: "number" }, String(id)));
  return {
    element,
    update({ sequence, object, colours }) {
      const name = sequence?.objects.find((each) => each.id === id)?.name;
      swatch.style.background = colourOf(id, colours);
      element.setAttribute("aria-label", `Draw object ${id}${name ? `, ${name}` : ""}`);
      element.setAttribute("aria-pressed", String(object === id));
    },
  };
}
