/** Pictures and masks of frames: a few are kept, and those that are likely next are fetched before they are asked for. */

import { addressOf, askFor, maskIn, Refused } from "./net.js";

/** @typedef {import("../types.js").Place} Place */
/** @typedef {import("../types.js").Sequence} Sequence */
/** @typedef {import("../types.js").MaskStage} MaskStage */
/** @typedef {{mask: import("../types.js").Mask, digest: string}} Seen a mask, and the sha256 of its file */

const FULL_KEPT = 12;
const SMALL_KEPT = 120;
const MASKS_KEPT = 12;
/** @type {MaskStage[]} */
const WITHOUT_CHOICE = ["result", "provisional", "anchor"];
const AHEAD = [1, 2, -1, 3, 4, -2, 5, 6];

/**
 * What was asked for last. What falls out is given up if it is still on its way.
 * @template T
 */
class Newest {
  /** @type {Map<string, {value: Promise<T>, giveUp: AbortController}>} */
  #entries = new Map();
  #most;
  #release;

  /**
   * @param {number} most that are kept
   * @param {(value: T) => void} [release] what has fallen out
   */
  constructor(most, release = () => {}) {
    this.#most = most;
    this.#release = release;
  }

  /**
   * @param {string} key
   * @param {(signal: AbortSignal) => Promise<T>} fetchIt
   * @returns {Promise<T>}
   */
  get(key, fetchIt) {
    let entry = this.#entries.get(key);
    if (entry) this.#entries.delete(key); // to come back as the newest
    else {
      const giveUp = new AbortController();
      const made = (entry = { value: fetchIt(giveUp.signal), giveUp });
      made.value.catch(() => this.#entries.get(key) === made && this.#entries.delete(key));
    }
    this.#entries.set(key, entry);
    if (this.#entries.size > this.#most) this.drop(/** @type {string} */ (this.#entries.keys().next().value));
    return entry.value;
  }

  /** @param {string} key */
  drop(key) {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    entry?.giveUp.abort();
    entry?.value.then(this.#release, () => {});
  }

  clear() {
    [...this.#entries.keys()].forEach((key) => this.drop(key));
  }
}

/** @type {Newest<ImageBitmap>} */
const full = new Newest(FULL_KEPT, (bitmap) => bitmap.close());
/** @type {Newest<ImageBitmap>} */
const small = new Newest(SMALL_KEPT, (bitmap) => bitmap.close());
/** @type {Newest<Seen | null>} */
const masks = new Newest(MASKS_KEPT);
/** The picture that was asked for last, not ahead of time. */
let wanted = "";
/** What the masks in memory belong to. */
let ofWhat = "";
/** @type {Sequence | null} */
let lastSeen = null;

/**
 * The picture of a frame. Draw it at once: it is closed when enough others were asked for.
 * @param {Place} place
 * @param {Sequence} sequence
 * @param {number} frame
 * @param {number} [width] the most columns that are wanted, for a small one
 * @returns {Promise<ImageBitmap>}
 */
export function picture(place, sequence, frame, width) {
  const address = pictureAddress(place, sequence, frame, width);
  if (width) return small.get(address, fetchPicture(address));
  wanted = address;
  const found = full.get(address, fetchPicture(address));
  found.then(() => fetchAhead(address, place, sequence, frame)).catch(() => {});
  return found;
}

/**
 * Where a picture is; its version is in the address, so browsers keep it.
 * @param {Place} place
 * @param {Sequence} sequence
 * @param {number} frame
 * @param {number} [width]
 */
export function pictureAddress(place, sequence, frame, width) {
  return addressOf(place, `frame/${frame}`, { v: sequence.version, ...(width ? { w: width } : {}) });
}

/**
 * The mask of a frame at a stage; null if there is none. A new result is a new sequence, and what was kept is forgotten.
 * @param {Place} place
 * @param {Sequence} sequence
 * @param {number} frame
 * @param {MaskStage} stage
 * @returns {Promise<Seen | null>}
 */
export function mask(place, sequence, frame, stage) {
  if (sequence !== lastSeen) {
    lastSeen = sequence;
    const now = JSON.stringify([place, sequence.contents, sequence.made]);
    if (now !== ofWhat) masks.clear();
    ofWhat = now;
  }
  if (!stagesOf(sequence, frame).includes(stage)) return Promise.resolve(null);
  const address = addressOf(place, `mask/${frame}`, { stage });
  return masks.get(address, (signal) => fetchMask(address, signal));
}

/**
 * The masks that people see of every frame: while there are provisional ones, they are newer than a result beside them.
 * @param {Sequence["contents"]} contents
 * @returns {"result" | "provisional" | null} null: there are none yet
 */
export function stageSeen(contents) {
  return "provisional" in contents ? "provisional" : "masks" in contents ? "result" : null;
}

/**
 * Where the masks of an anchor lie, as `contents` names it.
 * @param {number} frame
 */
export function anchorFolder(frame) {
  return `anchor_masks/${String(frame).padStart(5, "0")}`;
}

/**
 * The stages that a frame has a mask of.
 * @param {Sequence} sequence
 * @param {number} frame
 * @returns {MaskStage[]}
 */
export function stagesOf({ contents, made }, frame) {
  const has = (/** @type {[number, number][]} */ runs) => runs.some(([first, last]) => first <= frame && frame <= last);
  const anchor = anchorFolder(frame) in contents;
  /** @type {[MaskStage, boolean][]} */
  const there = [
    ["result", stageSeen(contents) === "result"],
    ["provisional", stageSeen(contents) === "provisional"],
    ["coarse", anchor || has(made.coarse)],
    ["refined", has(made.refined)],
    ["anchor", anchor],
  ];
  return there.filter(([, is]) => is).map(([stage]) => stage);
}

/**
 * The stage whose mask is shown on a frame, if another is wanted that it has not.
 * @param {Sequence} sequence
 * @param {number} frame
 * @param {string} wanted
 * @returns {MaskStage | null}
 */
export function stageShown(sequence, frame, wanted) {
  const there = stagesOf(sequence, frame);
  return there.find((each) => each === wanted) ?? WITHOUT_CHOICE.find((each) => there.includes(each)) ?? null;
}

/** @param {string} address */
function fetchPicture(address) {
  return async (/** @type {AbortSignal} */ signal) => createImageBitmap(await (await askFor(address, { signal })).blob());
}

/**
 * @param {string} address
 * @param {AbortSignal} signal
 * @returns {Promise<Seen | null>}
 */
async function fetchMask(address, signal) {
  let answer;
  try {
    answer = await askFor(address, { signal });
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null; // a run has just taken it away
    throw error;
  }
  return { mask: await maskIn(answer), digest: answer.headers.get("X-Digest") ?? "" };
}

/**
 * Fetch the neighbours, one after the other, until another frame is asked for.
 * @param {string} address of the frame in their middle
 * @param {Place} place
 * @param {Sequence} sequence
 * @param {number} frame
 */
async function fetchAhead(address, place, sequence, frame) {
  const { connection } = /** @type {{connection?: {saveData: boolean}}} */ (navigator);
  if (connection?.saveData) return;
  for (const by of AHEAD) {
    const next = frame + by;
    if (next < 0 || next >= sequence.frame_count) continue;
    if (wanted !== address) return;
    const its = pictureAddress(place, sequence, next);
    await full.get(its, fetchPicture(its));
  }
}
