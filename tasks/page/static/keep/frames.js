/** How frames stand that people are asked for or have drawn on: one word for each, and which is next. */

import { anchorFolder } from "../base/pictures.js";

/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").Sequence} Sequence */

/** Every state of a frame, with a sign that is told apart without colours. */
export const SIGNS = {
  "to decide": "!",
  draft: "✎",
  ready: "✓",
  painted: "▨",
  "to approve": "?",
  skipped: "…",
  "asked for": "○",
  approved: "★",
  given: "■",
  computed: "◆",
  "in the set": "●",
};
/** @typedef {keyof typeof SIGNS} Standing */

/**
 * The frames that people were asked for, or have drawn on; ascending.
 * @param {Sequence} sequence
 */
export function framesOfPeople({ anchors, requested, annotated, painted, drafts }) {
  const all = new Set([...anchors, ...requested, ...annotated, ...painted, ...drafts.map(({ frame }) => frame)]);
  return [...all].sort((a, b) => a - b);
}

/**
 * What holds of each of many frames, worked out once.
 * @param {State} state
 * @returns {(frame: number) => Standing | null} null: nobody asks for it
 */
export function standings({ sequence, review, skipped }) {
  if (!sequence) return () => null;
  const drafts = new Map(sequence.drafts.map(({ frame, state }) => [frame, state]));
  const { annotated, given, painted, requested } = sequence;
  const [inSet, asMask, asPicture, asked] = [annotated, given, painted, requested].map((each) => new Set(each));
  const waits = new Set(sequence.state === "waiting for approval" ? review?.anchors.waiting : []);
  const later = new Set(skipped);
  return (frame) => {
    const draft = drafts.get(frame);
    if (draft) return draft === "conflict" ? "to decide" : draft;
    if (asPicture.has(frame)) return "painted";
    if (waits.has(frame)) return "to approve";
    if (review && frame in review.anchors.approved) return "approved";
    if (asMask.has(frame)) return "given";
    if (inSet.has(frame)) return anchorFolder(frame) in sequence.contents ? "computed" : "in the set";
    if (!asked.has(frame)) return null;
    return later.has(frame) ? "skipped" : "asked for";
  };
}

/**
 * The frames that wait for a person: those behind the present one first, those that were skipped last.
 * @param {State} state
 * @returns {number[]}
 */
export function waitingFrames(state) {
  const standing = standings(state);
  const waiting = (state.sequence?.requested ?? []).filter((frame) => {
    const found = standing(frame);
    return found === "asked for" || found === "to decide" || (found === "draft" && frame !== state.frame);
  });
  const behind = waiting.filter((frame) => frame > state.frame);
  const before = waiting.filter((frame) => frame < state.frame);
  const later = state.skipped.filter((frame) => frame !== state.frame && standing(frame) === "skipped");
  return [...behind, ...before, ...later];
}
