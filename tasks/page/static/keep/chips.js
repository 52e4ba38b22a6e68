/** The objects in a row below the picture, in windows so narrow that the panel is out of sight. */

import { followDrawing } from "../draw/drawing.js";
import { button, byId, fill } from "../base/elements.js";
import { chooser, objectsOf } from "./objects.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */

/** @param {App} app */
export function start({ store, actions }) {
  /** @type {ReturnType<typeof chooser>[]} */
  let chips = [];
  store.watch(["sequence", "object", "doubts", "colours"], show);
  followDrawing(store, () => show(store.state));

  /** @param {State} state */
  function show(state) {
    const ids = objectsOf(state);
    fill(byId("chips"), ids, () => {
      chips = ids.map((id) => chooser(store, id));
      return [...chips.map(({ element }) => element), button("object.new", "+", { "aria-label": "New object", className: "writes" })];
    });
    for (const each of chips) each.update(state);
    actions.showEnabled();
  }
}
