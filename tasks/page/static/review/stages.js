/** The stages of a run in words: what each would do, and what it is doing. */

/** @type {Record<string, [does: string, doing: string]>} */
const WORDS = {
  frames: ["read the pictures", "reading the pictures"],
  anchors: ["choose the frames to scribble on", "choosing the frames to scribble on"],
  anchor_masks: ["segment", "segmenting"],
  tracks: ["carry masks", "carrying masks"],
  refined: ["refine edges", "refining edges"],
  provisional: ["put together the masks so far", "putting together the masks so far"],
  masks: ["put the masks together", "putting the masks together"],
};

/** @param {string} stage */
export function does(stage) {
  return WORDS[stage]?.[0] ?? stage;
}

/** @param {string} stage */
export function doing(stage) {
  return WORDS[stage]?.[1] ?? stage;
}
