/** The mask that strokes will make, shown while they are drawn: first of the object that was drawn last, then of the others. */

import { followDrawing } from "./drawing.js";
import { addressOf, askFor, maskIn, Refused, send, Unreachable } from "../base/net.js";
import { stageShown } from "../base/pictures.js";
import { say } from "../base/say.js";
import { mayWrite } from "../base/store.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").Said} Said */
/** @typedef {import("../types.js").Mask} Mask */
/** @typedef {import("./drawing.js").Drawing} Drawing */

const REST_MS = 300; // who passes through frames wants no previews of them
const WARM_MS = 5 * 60_000; // the worker ends when it has nothing to do for longer than that

/** @param {App} app */
export function start({ store }) {
  let asking = new AbortController();
  let resting = 0;
  let warmed = -Infinity;
  let lastSaid = "";
  /** What was said on the frame when it was looked at last. @type {{drawing: Drawing | null, said: Said | null}} */
  let seen = { drawing: null, said: null };

  followDrawing(store, (drawing) => {
    const { said: before, drawing: of } = seen;
    seen = { drawing, said: drawing?.said ?? null };
    if (!drawing || of !== drawing || !before) open();
    else if (isOther(before, drawing.said)) ask(drawing, drawnLast(before, drawing.said));
  });

  /** Another frame is shown. */
  function open() {
    const { drawing, sequence, place, frame } = store.state;
    asking.abort();
    clearTimeout(resting);
    if (!drawing || !sequence || !place || !mayWrite(store.state)) return;
    if (sequence.requested.includes(frame) && !sequence.annotated.includes(frame)) warm().catch(() => {});
    const isDraft = drawing.canUndo || sequence.drafts.some((draft) => draft.frame === frame);
    const isToBeSeen = isDraft || !stageShown(sequence, frame, "result");
    if (isToBeSeen && canBeAsked(drawing.said)) resting = setTimeout(() => ask(drawing, store.state.object), REST_MS);
  }

  /** Let the server get ready. */
  async function warm() {
    const { place } = store.state;
    if (!place || performance.now() - warmed < WARM_MS) return;
    warmed = performance.now();
    await send("POST", `/api/preview?${new URLSearchParams({ dataset: place.dataset })}`, { sequence: place.sequence });
  }

  /**
   * Ask for all that a drawing says; what was asked before is not waited for any more.
   * @param {Drawing} drawing
   * @param {number} object whose mask comes first
   */
  async function ask(drawing, object) {
    asking.abort();
    clearTimeout(resting);
    const { place, sequence } = store.state;
    const { signal } = (asking = new AbortController());
    if (!place || !sequence || !mayWrite(store.state)) return;
    if (!canBeAsked(drawing.said)) return store.set({ preview: null });
    const { lines, corrects, absent } = drawing.said;
    const address = addressOf(place, `set/${encodeURIComponent(place.set)}/preview/${drawing.frame}`);
    try {
      for (let next = [object]; next.length; ) {
        const body = JSON.stringify({ object: next[0], lines, corrects, absent });
        const answer = await askFor(address, { method: "POST", body, signal });
        const { left, seconds } = JSON.parse(answer.headers.get("X-Preview") ?? "{}");
        const made = await maskIn(answer);
        if (signal.aborted) return;
        const preview = { frame: drawing.frame, mask: enlarged(made, sequence.size), seconds, lines: made.height };
        store.set({ preview, ...(store.state.shown === "none" ? {} : { shown: "draft" }) });
        next = left ?? [];
      }
    } catch (error) {
      if (!signal.aborted) explain(error);
    }
  }

  /**
   * Drawing goes on without a preview, and whoever draws is told so once.
   * @param {unknown} error
   */
  function explain(error) {
    if (error instanceof Unreachable) return; // what is saved and what is not tells it
    if (error instanceof Refused && error.answer.superseded) return;
    const sentence = error instanceof Error ? error.message : String(error);
    if (sentence !== lastSaid) say((lastSaid = sentence));
  }
}

/** @param {Said} said */
function canBeAsked({ kind, lines, corrects, absent }) {
  return kind === "strokes" && (lines.some(({ object_id }) => object_id > 0) || (corrects !== "" && (lines.length > 0 || absent.length > 0)));
}

/**
 * Whether two drawings may have different masks.
 * @param {Said} a
 * @param {Said} b
 */
function isOther(a, b) {
  return a.lines !== b.lines || a.absent !== b.absent || a.corrects !== b.corrects || a.kind !== b.kind;
}

/**
 * The object that was drawn on, or of which something was erased; 0 is the background.
 * @param {Said} before
 * @param {Said} after
 */
function drawnLast(before, after) {
  const last = after.lines.findLast((line) => !before.lines.includes(line)) ?? before.lines.findLast((line) => !after.lines.includes(line));
  return last?.object_id ?? 0;
}

/**
 * A mask in the size of the picture: previews of large ones are smaller.
 * @param {Mask} mask
 * @param {[number, number]} size
 * @returns {Mask}
 */
function enlarged(mask, [width, height]) {
  if (mask.width === width && mask.height === height) return mask;
  const ids = new Uint8Array(width * height);
  const columns = Uint32Array.from({ length: width }, (_, column) => Math.floor(((column + 0.5) * mask.width) / width));
  for (let row = 0; row < height; row++) {
    const from = Math.floor(((row + 0.5) * mask.height) / height) * mask.width;
    for (let column = 0; column < width; column++) ids[row * width + column] = mask.ids[from + columns[column]];
  }
  return { width, height, ids };
}
