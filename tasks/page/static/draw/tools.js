/** The tools: which one draws, how large it is, and steps back and forth. */

import { followDrawing } from "./drawing.js";
import { button, byId, make } from "../base/elements.js";
import { mayWrite } from "../base/store.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").Tool} Tool */

/** What each is called, and what it does. @type {Record<Tool, [string, string]>} */
const TOOLS = {
  stroke: ["Stroke", "Draw strokes on the object"],
  background: ["Background", "Draw strokes where no object is"],
  click: ["Click", "Click on the object; right button: where it is not"],
  box: ["Box", "Draw a box around the object"],
  eraser: ["Eraser", "Erase strokes; in a painted mask, paint"],
  brush: ["Brush", "Paint the object's mask"],
  rubber: ["Rubber", "Rub the mask out"],
  fill: ["Fill", "Fill an outline of the mask, or what hangs together"],
  pan: ["Pan", "Move the picture"],
};
const LARGER = 1.25;
const LARGEST_PX = 512;

/** @param {App} app */
export function start({ store, actions }) {
  const size = make("output", { className: "number", "aria-label": "Size of eraser and brush, in pixels" });
  const smaller = button("brush.smaller", "\u2212", { "aria-label": "Smaller" });
  const larger = button("brush.larger", "+", { "aria-label": "Larger" });
  const tools = Object.entries(TOOLS).map(([tool, [name, what]]) => button(`tool.${tool}`, name, { title: what }));
  byId("tools").classList.add("writes");
  byId("tools").append(
    ...tools,
    make("div", { className: "size", role: "group", "aria-label": "Size" }, smaller, size, larger),
    button("edit.undo", "Undo"),
    button("edit.redo", "Redo"),
  );
  byId("tools").addEventListener("mousedown", (event) => event.preventDefault()); // keys mean the page, unless one goes there by keys
  store.watch(["tool"], ({ tool }) => {
    for (const each of tools) each.setAttribute("aria-pressed", String(each.dataset.action === `tool.${tool}`));
  });
  store.watch(["brushPx"], ({ brushPx }) => (size.textContent = `${brushPx} px`));
  followDrawing(store, () => actions.showEnabled());

  for (const [tool, [, what]] of /** @type {[Tool, [string, string]][]} */ (Object.entries(TOOLS))) {
    actions.add({ [`tool.${tool}`]: { label: what, run: () => store.set({ tool }), enabled: mayWrite } });
  }
  const resize = (/** @type {number} */ brushPx) => store.set({ brushPx: Math.max(1, Math.min(LARGEST_PX, brushPx)) });
  actions.add({
    "brush.smaller": {
      label: "Smaller eraser and brush",
      run: () => resize(Math.min(store.state.brushPx - 1, Math.round(store.state.brushPx / LARGER))),
      enabled: mayWrite,
    },
    "brush.larger": {
      label: "Larger eraser and brush",
      run: () => resize(Math.max(store.state.brushPx + 1, Math.round(store.state.brushPx * LARGER))),
      enabled: mayWrite,
    },
    "edit.undo": {
      label: "Undo",
      run: () => store.state.drawing?.undo(),
      enabled: (state) => mayWrite(state) && Boolean(state.drawing?.canUndo),
    },
    "edit.redo": {
      label: "Redo",
      run: () => store.state.drawing?.redo(),
      enabled: (state) => mayWrite(state) && Boolean(state.drawing?.canRedo),
    },
  });
}
