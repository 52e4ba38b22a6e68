/** Asks the server what there is of a frame: a draft, what the set says, and the mask that strokes would correct. */

import { NOTHING_SAID } from "../draw/drawing.js";
import { ask, askFor, maskIn } from "../base/net.js";
import { mask as maskSeen, stageSeen } from "../base/pictures.js";
import { saidOf } from "./said.js";
import { draftAddress } from "./sheet.js";

/** @typedef {import("./sheet.js").Version} Version */
/** @typedef {import("../types.js").Place} Place */
/** @typedef {import("../types.js").Sequence} Sequence */
/** @typedef {{place: Place, frame: number}} At */

/**
 * What there is now; and what the set says, if that contradicts it by the server's own word.
 * @param {At} at
 * @param {Sequence | null} sequence
 * @returns {Promise<{version: Version, inSet: Version | null}>}
 */
export async function versionOf(at, sequence) {
  const { tag, draft, in_set } = await ask(draftAddress(at));
  const origin = await originOf(at, sequence, in_set);
  const inSet = async () => {
    const mask = origin.kind === "mask" ? await maskOf(at, "set") : null;
    return { tag, base: in_set.base, origin, said: origin, mask };
  };
  if (!draft) return { version: await inSet(), inSet: null };
  const mask = draft.kind === "mask" ? await maskOf(at, "draft") : null;
  const version = { tag, base: draft.base, origin, said: saidOf(draft), mask };
  return { version, inSet: draft.state === "conflict" ? await inSet() : null };
}

/**
 * What a frame says without any draft: what the set says; or nothing yet, of the mask that strokes would correct.
 * @param {At} at
 * @param {Sequence | null} sequence
 * @param {Record<string, any>} inSet
 */
async function originOf({ place, frame }, sequence, inSet) {
  const isOurs = sequence?.sequence === place.sequence && sequence.dataset === place.dataset;
  const isCorrection = inSet.base === null ? !sequence?.requested.includes(frame) : inSet.corrects !== "";
  const stage = stageSeen(sequence?.contents ?? {});
  if (!isOurs || !isCorrection || !stage) return saidOf(inSet);
  const corrects = (await maskSeen(place, sequence, frame, stage))?.digest ?? "";
  return corrects === inSet.corrects ? saidOf(inSet) : { ...NOTHING_SAID, corrects };
}

/**
 * @param {At} at
 * @param {"draft" | "set"} of
 * @returns {Promise<import("../types.js").Mask>}
 */
export async function maskOf(at, of) {
  return maskIn(await askFor(draftAddress(at, "/mask", { of })));
}
