/** All frames as a strip: where to look, what people did, where one is. It is dragged along, hovered over, and a slider. */

import { colourOf } from "../base/palette.js";
import { byId, make } from "../base/elements.js";
import { picture } from "../base/pictures.js";
import { remember, remembered } from "../base/settings.js";
import { complain } from "../base/say.js";
import { coloursOf, drawStrip, frameAt, xOf } from "../strip.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */

const PEEK_PX = 160;
const LEGEND = "bars: doubt; dots: anchors; rings: asked for; triangles: drafts; lines: approved, changed; hatched: made again next";
/** What a slider does at a key: frames to go by, or where to. @type {Record<string, number>} */
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };

/** @param {App} app */
export function start({ store }) {
  const canvas = make("canvas");
  const slider = make("div", { id: "strip", role: "slider", tabIndex: 0, "aria-label": "Frames", "aria-valuemin": 0 }, canvas);
  const seen = make("canvas");
  const words = make("span");
  const peek = make("div", { id: "peek", hidden: true, "aria-hidden": true }, seen, words);
  const withCurves = make("input", { type: "checkbox", checked: remembered("curves", false) });
  const curvesOf = make("span");
  const curves = make("label", { id: "curves", title: "Line: how far both directions agree. Dashes: area, of its largest." }, withCurves, curvesOf);
  byId("timeline").append(slider, peek);
  byId("transport").append(curves, make("p", { id: "legend" }, LEGEND));
  let isDue = false;
  let isDragged = false;
  let peeked = -1;

  store.watch(["place", "sequence", "frame", "doubts", "review", "ahead", "object", "colours"], draw);
  new ResizeObserver(draw).observe(canvas);
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["class"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  withCurves.addEventListener("change", () => (remember("curves", withCurves.checked), draw()));

  slider.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    slider.setPointerCapture(event.pointerId);
    isDragged = true;
    hidePeek();
    store.set({ frame: frameUnder(event) });
  });
  slider.addEventListener("pointermove", (event) => {
    if (isDragged) store.set({ frame: frameUnder(event) });
    else if (event.pointerType === "mouse") showPeek(frameUnder(event)).catch(complain);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) slider.addEventListener(end, () => (isDragged = false));
  slider.addEventListener("pointerleave", hidePeek);
  slider.addEventListener("keydown", (event) => {
    const { sequence, frame } = store.state;
    const step = STEPS[event.key];
    if (!sequence || step === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const by = event.shiftKey ? 10 * step : step;
    store.set({ frame: Math.max(0, Math.min(sequence.frame_count - 1, frame + by)) });
  });

  /** Draw it anew before the next frame of the screen. */
  function draw() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      const { state } = store;
      const { sequence, frame, doubts, object } = state;
      if (!sequence) return;
      slider.setAttribute("aria-valuemax", String(sequence.frame_count - 1));
      slider.setAttribute("aria-valuenow", String(frame));
      slider.setAttribute("aria-valuetext", inWords(state, frame));
      curves.hidden = !(object in (doubts?.agreement ?? {}));
      curvesOf.textContent = `agreement and area of object ${object}`;
      drawStrip(canvas, stripOf(state, withCurves.checked));
    });
  }

  /** @param {PointerEvent} event */
  function frameUnder(event) {
    const { left, width } = canvas.getBoundingClientRect();
    return frameAt(stripOf(store.state, false), event.clientX - left, width);
  }

  /** @param {number} frame */
  async function showPeek(frame) {
    const { place, sequence, frame: now } = store.state;
    if (!place || !sequence || frame === peeked) return;
    peeked = frame;
    if (frame === now) return hidePeek();
    const bitmap = await picture(place, sequence, frame, PEEK_PX);
    if (peeked !== frame) return;
    [seen.width, seen.height] = [bitmap.width, bitmap.height];
    seen.getContext("2d")?.drawImage(bitmap, 0, 0);
    words.textContent = inWords(store.state, frame);
    const x = xOf(stripOf(store.state, false), frame, canvas.clientWidth);
    peek.style.left = `${Math.max(0, Math.min(canvas.clientWidth - PEEK_PX, x - PEEK_PX / 2))}px`;
    peek.hidden = false;
  }

  function hidePeek() {
    peeked = -1;
    peek.hidden = true;
  }

  /**
   * @param {State} state
   * @param {boolean} hasCurves
   * @returns {import("../strip.js").Strip}
   */
  function stripOf({ sequence, frame, doubts, review, ahead, object, colours }, hasCurves) {
    const annotated = new Set(sequence?.annotated);
    const anchors = sequence?.anchors ?? [];
    return {
      count: sequence?.frame_count ?? 1,
      now: frame,
      doubt: doubts?.doubt ?? [],
      marks: [
        ...anchors.map((each) => ({ frame: each, kind: annotated.has(each) ? /** @type {const} */ ("anchor") : /** @type {const} */ ("asked") })),
        ...(sequence?.drafts ?? []).map((each) => ({ frame: each.frame, kind: /** @type {const} */ ("draft") })),
      ],
      curves: hasCurves && doubts ? curvesOfObject(doubts, object, colours, coloursOf(canvas).now) : [],
      stale: ahead?.stretches ?? [],
      approved: (review?.result.approved ?? []).map(([first, last]) => [first, last]),
      changed: doubts?.changed ?? [],
    };
  }
}

/**
 * What a frame is, for who cannot see the strip.
 * @param {State} state
 * @param {number} frame
 */
export function inWords({ sequence, doubts }, frame) {
  const doubt = doubts?.doubt[frame];
  const why = doubts?.why[frame]?.[1];
  const parts = [`frame ${frame} of ${sequence?.frame_count}`];
  if (sequence?.anchors.includes(frame)) parts.push(sequence.annotated.includes(frame) ? "anchor" : "scribbles are asked for");
  if (sequence?.drafts.some((each) => each.frame === frame)) parts.push("draft");
  if (doubt !== undefined) parts.push(`doubt ${doubt.toFixed(2)}`);
  if (why) parts.push(why);
  return parts.join(", ");
}

/**
 * How far both directions agree on an object, and its area, which is shown of its largest.
 * @param {import("../types.js").Doubts} doubts
 * @param {number} object
 * @param {State["colours"]} colours
 * @param {string} ink
 */
function curvesOfObject({ agreement, area }, object, colours, ink) {
  const areas = area[object] ?? [];
  const largest = Math.max(...areas) || 1;
  return [
    { values: agreement[object] ?? [], colour: ink },
    { values: areas.map((each) => each / largest), colour: colourOf(object, colours), dashed: true },
  ];
}
