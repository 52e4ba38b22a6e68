/** What a person decides of a frame as a whole: done, nothing is here, not now, an object is absent, away with the draft. */

import { shownSheet } from "./drafts.js";
import { waitingFrames } from "./frames.js";
import { byId, counted } from "../base/elements.js";
import { canDraw } from "../draw/hand.js";
import { savingInWords } from "../head.js";
import { saysSomething } from "./said.js";
import { complain, say } from "../base/say.js";
import { maskOf } from "./versions.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").ObjectId} ObjectId */

/** @param {App} app */
export function start({ store, actions }) {
  actions.add({
    "draft.done": { label: "Done, next frame", run: done, enabled: (state) => canDraw(state) && isSaid(state) && !state.theirs },
    "draft.nothing_here": { label: "Nothing is here", run: nothingHere, enabled: canDraw },
    "draft.skip": { label: "Skip, next frame", run: skip, enabled: (state) => canDraw(state) && waitingFrames(state).length > 0 },
    "draft.discard": { label: "Discard the draft", run: () => discard().catch(complain), enabled: (state) => canDraw(state) && hasDraft() },
    "draft.saved": { label: "Is all saved?", run: () => say(savingInWords(store.state)) },
  });
  let { place } = store.state;
  store.watch(["place"], (state) => {
    if (state.place?.sequence !== place?.sequence || state.place?.dataset !== place?.dataset) store.set({ skipped: [] });
    place = state.place;
  });

  function done() {
    const sheet = shownSheet();
    if (!sheet) return;
    const { said } = sheet.drawing;
    if (said.state !== "ready" && !sheet.isOrigin(said)) sheet.drawing.amend({ state: "ready" });
    const isByKeys = document.activeElement?.matches("button:focus-visible");
    goOn(`frame ${sheet.frame} is done`);
    if (isByKeys) byId("canvas").focus(); // nothing can be called done there yet: the button would lose the focus to nowhere
  }

  function nothingHere() {
    store.state.drawing?.apply({ kind: "empty", lines: [], absent: [], from_boxes: [] });
    say("nothing is here: Done, or undo");
  }

  function skip() {
    const { frame, skipped } = store.state;
    store.set({ skipped: [...skipped.filter((each) => each !== frame), frame] });
    goOn(`frame ${frame} is skipped`);
  }

  /** @param {string} what has happened */
  function goOn(what) {
    const waiting = waitingFrames(store.state);
    if (waiting.length) {
      say(`${what}; ${counted(waiting.length, "frame waits", "frames wait")}`);
      store.set({ frame: waiting[0] });
    } else say(`${what}; no other frame waits: run, or go to the next sequence`);
  }

  async function discard() {
    const sheet = shownSheet();
    if (!sheet || !confirm(`Discard what is drawn on frame ${sheet.frame}, and is not in the set? Undo brings it back while this tab is open.`)) return;
    const { origin } = sheet;
    sheet.drawing.applyAll(origin, origin.kind === "mask" ? await maskOf(sheet, "set") : null);
    sheet.origin = sheet.drawing.said;
  }
}

/**
 * Say that an object is absent on the frame, or take that back.
 * @param {State} state
 * @param {ObjectId} object
 */
export function toggleAbsent({ drawing }, object) {
  if (!drawing) return;
  const { absent, lines } = drawing.said;
  if (absent.includes(object)) return drawing.apply({ absent: absent.filter((id) => id !== object) });
  const from_boxes = drawing.said.from_boxes.filter((id) => id !== object);
  drawing.apply({ absent: [...absent, object], lines: lines.filter(({ object_id }) => object_id !== object), from_boxes });
}

/**
 * On a frame that is drawn anew, objects without a stroke are absent anyhow.
 * @param {State} state
 */
export function canBeAbsent(state) {
  const said = state.drawing?.said;
  return canDraw(state) && said?.kind === "strokes" && said.corrects !== "";
}

/** @param {State} state */
function isSaid({ drawing, sequence, frame }) {
  return drawing !== null && (saysSomething(drawing.said) || Boolean(sequence?.annotated.includes(frame)));
}

function hasDraft() {
  const sheet = shownSheet();
  return sheet !== null && (sheet.tag !== "" || !sheet.isOrigin(sheet.drawing.said));
}
