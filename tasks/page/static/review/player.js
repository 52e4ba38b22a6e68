/** Playback, and which mask lies over the picture. */

import { button, byId, make } from "../base/elements.js";
import { mask, picture, stageShown, stagesOf } from "../base/pictures.js";
import { remember, remembered } from "../base/settings.js";
import { complain } from "../base/say.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */

const USUAL_RATE = 24;
const MASKS_AHEAD = 3;
/** @type {Record<State["shown"], string>} */
const MASKS = {
  draft: "what is drawn",
  result: "result",
  provisional: "provisional",
  coarse: "before refinement",
  refined: "refined",
  anchor: "anchor",
  none: "no mask",
};

/** @param {App} app */
export function start({ store, actions }) {
  const speed = make(
    "select",
    { "aria-label": "Speed of playback" },
    ...[["12", "12 a second"], ["24", "24 a second"], ["real", "real speed"]].map(([value, text]) => make("option", { value }, text)),
  );
  speed.value = remembered("speed", "real");
  speed.addEventListener("change", () => {
    remember("speed", speed.value);
    if (store.state.fps) play();
  });
  const toggle = button("play.toggle", "Play", { className: "main" });
  byId("transport").append(
    button("frame.anchor_before", "\u21e4", { "aria-label": "Anchor before" }),
    button("frame.before", "\u2190", { "aria-label": "Frame before" }),
    toggle,
    button("frame.after", "\u2192", { "aria-label": "Frame after" }),
    button("frame.anchor_after", "\u21e5", { "aria-label": "Anchor after" }),
    speed,
  );
  actions.add({
    "play.toggle": {
      label: "Play or stop",
      run: () => (store.state.fps ? store.set({ fps: 0 }) : play()),
      enabled: ({ sequence }) => sequence !== null && sequence.frame_count > 1,
    },
  });
  store.watch(["fps"], ({ fps }) => (toggle.textContent = fps ? "Stop" : "Play"));
  startMasks(store);

  function play() {
    const { sequence, frame } = store.state;
    if (!sequence) return;
    if (frame >= sequence.frame_count - 1) store.set({ frame: 0 });
    store.set({ fps: speed.value === "real" ? (sequence.rate ?? USUAL_RATE) : Number(speed.value) });
    playOn(store).catch((error) => {
      store.set({ fps: 0 });
      complain(error);
    });
  }
}

/**
 * Show frame after frame as the clock says; frames that come late are left out. It ends when somebody goes elsewhere.
 * @param {import("../base/store.js").Store} store
 */
async function playOn(store) {
  const { place, sequence, fps, frame: first } = store.state;
  if (!place || !sequence) return;
  const last = sequence.frame_count - 1;
  const began = performance.now();
  let shown = first;
  while (store.state.fps === fps && store.state.place === place && store.state.frame === shown && shown < last) {
    const due = Math.min(last, first + Math.floor(((performance.now() - began) / 1000) * fps));
    if (due !== shown) {
      await fetched(store.state, due);
      if (store.state.frame !== shown || !store.state.fps) break;
      store.set({ frame: (shown = due) });
    }
    await new Promise(requestAnimationFrame);
  }
  if (store.state.fps === fps) store.set({ fps: 0 });
}

/**
 * Wait for what a frame shows, and fetch what comes after.
 * @param {State} state
 * @param {number} frame
 */
async function fetched({ place, sequence, shown }, frame) {
  if (!place || !sequence) return;
  const masks = [];
  for (let next = frame; next <= Math.min(frame + MASKS_AHEAD, sequence.frame_count - 1); next++) {
    const stage = shown === "none" ? null : stageShown(sequence, next, shown);
    if (stage) masks.push(mask(place, sequence, next, stage));
  }
  masks.slice(1).forEach((each) => each.catch(() => {})); // whoever shows it tells
  await Promise.all([picture(place, sequence, frame), masks[0]]);
}

/**
 * The choice of the mask, and how strong it is.
 * @param {import("../base/store.js").Store} store
 */
function startMasks(store) {
  const choice = make("select");
  const opacity = make("input", { type: "range", min: "0.1", max: "1", step: "0.05", "aria-label": "Strength of the mask" });
  const smaller = make("span", { className: "soft" });
  byId("stage-bar").append(make("div", { className: "row" }, make("label", {}, "Mask ", choice), opacity, smaller));
  choice.addEventListener("change", () => store.set({ shown: /** @type {State["shown"]} */ (choice.value) }));
  opacity.addEventListener("input", () => store.set({ opacity: Number(opacity.value) }));
  store.watch(["opacity"], (state) => (opacity.value = String(state.opacity)));
  store.watch(["sequence", "frame", "shown", "preview"], ({ sequence, frame, shown, preview }) => {
    smaller.hidden = !sequence || shown !== "draft" || preview?.frame !== frame || preview.lines >= sequence.size[1];
    smaller.textContent = smaller.hidden ? "" : `preview at ${preview?.lines} lines`;
  });
  store.watch(["sequence", "frame", "shown", "drawing"], ({ sequence, frame, shown, drawing }) => {
    if (!sequence) return;
    const isDrawn = drawing?.frame === frame && (drawing.said.lines.length > 0 || drawing.said.kind === "mask");
    /** @type {State["shown"][]} */
    const there = [...(isDrawn ? /** @type {const} */ (["draft"]) : []), ...stagesOf(sequence, frame), "none"];
    if (there.join() !== [...choice.options].map(({ value }) => value).join())
      choice.replaceChildren(...there.map((each) => make("option", { value: each }, MASKS[each])));
    choice.value = there.includes(shown) ? shown : (stageShown(sequence, frame, shown) ?? "none");
  });
}
