/** The picture that is drawn on: its view, its layers, and who draws on it. */

import * as crosshair from "./crosshair.js";
import { followDrawing } from "./drawing.js";
import { button, byId, make } from "../base/elements.js";
import { canDraw, Hand } from "./hand.js";
import { Layers } from "./layers.js";
import * as pointer from "./pointer.js";
import { View } from "./view.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */

const CLOSER = 1.25;

/** @param {App} app */
export function start({ store, actions }) {
  const zoomed = make("output", { className: "number", "aria-label": "Zoom" });
  byId("stage-bar").append(
    make(
      "div",
      { className: "row", role: "group", "aria-label": "View" },
      button("view.farther", "\u2212", { "aria-label": "Farther" }), zoomed, button("view.closer", "+", { "aria-label": "Closer" }),
      button("view.fit", "Fit"), button("view.full", "100 %"),
    ),
  );

  const view = new View(() => {
    zoomed.textContent = `${Math.round(view.scale * 100)} %`;
    layers.drawStrokes();
  });
  /** @type {Layers} */
  const layers = new Layers(store, view, () => hand.sketch);
  /** @type {Hand} */
  const hand = new Hand(store, view, layers);
  let isHeld = false; // the key that moves the view
  const pans = () => isHeld || store.state.tool === "pan" || !canDraw(store.state);
  pointer.listen(hand, view, pans);
  crosshair.listen(hand, view, store);
  const showCursor = () => byId("canvas").classList.toggle("pans", pans());
  store.watch(["tool", "drawing", "readOnly", "sequence"], showCursor);
  store.watch(["place"], ({ sequence }) => {
    if (sequence) view.show(sequence.size); // its first picture comes later
    view.fit();
  });

  /** @param {boolean} is */
  function hold(is) {
    isHeld = is;
    showCursor();
  }

  /** What is shown when masks are switched on again. @type {State["shown"]} */
  let last = "result";
  store.watch(["shown"], ({ shown }) => {
    if (shown !== "none") last = shown;
  });
  followDrawing(store, (drawing) => {
    const { shown, sequence, frame } = store.state;
    const isPainted = drawing?.said.kind === "mask" && sequence?.drafts.some((draft) => draft.frame === frame);
    if (isPainted && shown === "result") store.set({ shown: "draft" }); // it is newer than the result
  });
  const enabled = (/** @type {State} */ { sequence }) => sequence !== null;
  actions.add({
    "view.pan": { label: "Move the picture (hold, and drag)", run: () => hold(true), release: () => hold(false), enabled },
    "view.fit": { label: "Fit the picture into the window", run: () => view.fit(), enabled },
    "view.full": { label: "Picture at 100 %", run: () => view.full(), enabled },
    "view.closer": { label: "Closer", run: () => view.zoom(CLOSER), enabled },
    "view.farther": { label: "Farther", run: () => view.zoom(1 / CLOSER), enabled },
    "mask.toggle": {
      label: "Mask on or off",
      run: () => store.set({ shown: store.state.shown === "none" ? last : "none" }),
      enabled,
    },
  });
}
