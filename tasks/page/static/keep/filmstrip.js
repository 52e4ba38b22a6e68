/** The frames that people are asked for or have drawn on, as a strip of small pictures that say how each stands. */

import { byId, make } from "../base/elements.js";
import { framesOfPeople, SIGNS, standings } from "./frames.js";
import { pictureAddress } from "../base/pictures.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */
/** @typedef {{button: HTMLButtonElement, standing: HTMLElement}} Item */

const PICTURE_PX = 160;

/** @param {App} app */
export function start({ store, events }) {
  const strip = make("ol", { className: "strip", "aria-label": "Frames that people draw on" });
  /** @type {Map<number, Item>} */
  let items = new Map();
  let listed = "";
  /** @type {HTMLButtonElement | undefined} */
  let reached;
  byId("filmstrip").append(strip);

  strip.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button) store.set({ frame: Number(button.dataset.frame) });
  });
  strip.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const frames = [...items.keys()];
    const at = frames.findIndex((frame) => items.get(frame)?.button === event.target);
    const next = frames[at + (by ?? 0)];
    if (!by || at < 0 || next === undefined) return;
    event.preventDefault();
    store.set({ frame: next });
    items.get(next)?.button.focus();
  });
  store.watch(["sequence", "review", "skipped"], (state) => {
    list(state);
    mark(state);
    point(state);
  });
  store.watch(["frame"], point);
  events.on("open", () => {
    for (const image of strip.querySelectorAll("img")) if (image.complete && !image.naturalWidth) image.src = image.src; // cut off before
  });

  /** @param {State} state */
  function list({ sequence, place }) {
    const frames = sequence ? framesOfPeople(sequence) : [];
    const wanted = JSON.stringify([sequence?.dataset, sequence?.sequence, sequence?.version, frames]);
    if (wanted === listed || !place || !sequence) return;
    listed = wanted;
    items = new Map(frames.map((frame) => [frame, item(frame, pictureAddress(place, sequence, frame, PICTURE_PX))]));
    strip.replaceChildren(...[...items.values()].map(({ button }) => make("li", {}, button)));
    strip.style.setProperty("--shape", `${sequence.size[0]} / ${sequence.size[1]}`);
  }

  /** @param {State} state */
  function mark(state) {
    const standing = standings(state);
    for (const [frame, each] of items) {
      const found = standing(frame);
      const text = found ? `${SIGNS[found]} ${found}` : "";
      if (each.standing.textContent !== text) each.standing.textContent = text;
      each.button.dataset.standing = found ?? "";
    }
  }

  /**
   * Mark the frame that is shown, or the last one before it: the strip's one stop for Tab.
   * @param {State} state
   */
  function point({ frame }) {
    if (reached) reached.tabIndex = -1;
    reached?.removeAttribute("aria-current");
    const frames = [...items.keys()];
    const at = frames.findLast((each) => each <= frame) ?? frames[0];
    reached = items.get(at)?.button;
    if (!reached) return;
    reached.tabIndex = 0;
    if (at === frame) reached.setAttribute("aria-current", "true");
    reveal(reached);
  }

  /** @param {HTMLElement} button */
  function reveal(button) {
    const [shown, wanted] = [strip.getBoundingClientRect(), button.getBoundingClientRect()];
    if (wanted.left < shown.left) strip.scrollLeft -= shown.left - wanted.left;
    else if (wanted.right > shown.right) strip.scrollLeft += wanted.right - shown.right;
  }
}

/**
 * @param {number} frame
 * @param {string} address of its picture
 * @returns {Item}
 */
function item(frame, address) {
  const standing = make("span", {});
  const picture = make("img", { alt: "", loading: "lazy", decoding: "async", src: address });
  const number = make("span", { className: "number" }, String(frame));
  const button = make("button", { type: "button", className: "quiet", "data-frame": frame, tabIndex: -1 }, picture, number, " ", standing);
  return { button, standing };
}
