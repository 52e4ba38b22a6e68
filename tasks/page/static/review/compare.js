/** What refinement did: the mask before it beside the one after, behind a wiper, in turns, or where both differ. */

import { byId, make } from "../base/elements.js";
import { mask, stagesOf } from "../base/pictures.js";
import { complain } from "../base/say.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").Mask} Mask */

const BLINK_MS = 600; // well below three flashes a second
const WIPER_STEP = 0.02;
/** @type {[State["compare"], string][]} */
const WAYS = [
  ["", "no comparison"],
  ["before", "before refinement"],
  ["wiper", "wiper: before, after"],
  ["blink", "blink: before, after"],
  ["difference", "what refinement changed"],
];

/** @param {App} app */
export function start({ store, actions }) {
  const choice = make("select", { "aria-label": "Compare with the mask before refinement" }, ...WAYS.map(([value, text]) => make("option", { value }, text)));
  const wiper = make("div", { id: "wiper", role: "slider", tabIndex: 0, hidden: true, "aria-label": "Before refinement on the left, after it on the right", "aria-valuemin": 0, "aria-valuemax": 100 });
  byId("stage-bar").append(choice);
  byId("canvas").append(wiper);
  let until = 0.5;
  let isBefore = true;
  let blinking = 0;
  /** @type {{frame: number, before: Mask, after: Mask} | null} */
  let compared = null;
  /** @type {State["compare"]} */
  let beforeHeld = "";

  actions.add({
    "compare.hold": {
      label: "Show the mask before refinement, while held",
      run: () => (beforeHeld = store.state.compare, store.set({ compare: "before" })),
      release: () => store.set({ compare: beforeHeld }),
      enabled: canCompare,
    },
  });
  choice.addEventListener("change", () => store.set({ compare: /** @type {State["compare"]} */ (choice.value) }));
  store.watch(["sequence", "frame", "compare"], (state) => {
    choice.hidden = !canCompare(state);
    choice.value = state.compare;
    find().catch(complain);
  });

  wiper.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // nothing is drawn
    wiper.setPointerCapture(event.pointerId);
  });
  wiper.addEventListener("pointermove", (event) => {
    if (!wiper.hasPointerCapture(event.pointerId)) return;
    const { left, width } = byId("mask-layer").getBoundingClientRect();
    wipe((event.clientX - left) / width);
  });
  wiper.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation(); // nor is the crosshair moved
    wipe(until + way * WIPER_STEP);
  });

  /** @param {number} place in [0, 1] of the picture's width */
  function wipe(place) {
    until = Math.max(0, Math.min(1, place));
    show();
  }

  /** Fetch both masks of the frame, if they are wanted. */
  async function find() {
    const { place, sequence, frame, compare } = store.state;
    if (compared?.frame !== frame) compared = null;
    show();
    if (!place || !sequence || !compare || !canCompare(store.state)) return;
    const [before, after] = await Promise.all([mask(place, sequence, frame, "coarse"), mask(place, sequence, frame, afterOf(store.state) ?? "result")]);
    if (store.state.frame !== frame || store.state.sequence !== sequence) return;
    compared = before && after ? { frame, before: before.mask, after: after.mask } : null;
    show();
  }

  /** Lay over the picture what is compared. */
  function show() {
    const { compare } = store.state;
    clearTimeout(blinking);
    const isWiped = wiper.hidden;
    wiper.hidden = !compared || compare !== "wiper";
    if (isWiped && !wiper.hidden) follow();
    if (!compared || !compare) return store.set({ overlay: null });
    if (compare === "wiper") store.set({ overlay: { mask: compared.before, until } });
    else if (compare === "difference") store.set({ overlay: { mask: difference(compared.before, compared.after), until: 1 } });
    else if (compare === "before" || isBefore) store.set({ overlay: { mask: compared.before, until: 1 } });
    else store.set({ overlay: null });
    wiper.setAttribute("aria-valuenow", String(Math.round(100 * until)));
    if (compare === "blink") blinking = setTimeout(() => (isBefore = !isBefore, show()), BLINK_MS);
  }

  /** Keep the wiper on the picture, wherever that is moved to. */
  function follow() {
    if (wiper.hidden) return;
    const box = byId("canvas").getBoundingClientRect();
    const { left, width } = byId("mask-layer").getBoundingClientRect();
    wiper.style.left = `${left - box.left + until * width}px`;
    requestAnimationFrame(follow);
  }
}

/** @param {State} state */
function canCompare(state) {
  return state.sequence !== null && afterOf(state) !== undefined && stagesOf(state.sequence, state.frame).includes("coarse");
}

/**
 * The stage that has the mask after refinement.
 * @param {State} state
 */
function afterOf({ sequence, frame }) {
  const there = sequence ? stagesOf(sequence, frame) : [];
  return there.find((stage) => stage === "refined") ?? there.find((stage) => stage === "result");
}

/**
 * Where two masks differ: what came there, or what was taken away.
 * @param {Mask} before
 * @param {Mask} after
 * @returns {Mask}
 */
export function difference(before, after) {
  const ids = after.ids.map((id, at) => (id === before.ids[at] ? 0 : id || before.ids[at]));
  return { width: after.width, height: after.height, ids };
}
