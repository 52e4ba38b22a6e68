/** What is looked at, in the address: it can be reloaded, gone back to, and sent to somebody with the same server. */

import { addressOf, ask } from "./net.js";
import { complain } from "./say.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").Place} Place */

/** What is known of a sequence that has just been opened. */
const NOTHING_YET = { drawing: null, doubts: null, review: null, run: null, progress: null, ahead: null };
const SETTLED_MS = 300; // browsers refuse addresses that change with every frame of playback

/** @param {App} app */
export function start({ store, actions, events }) {
  actions.add({
    "inbox.open": {
      label: "Inbox",
      run: () => go(null),
      enabled: ({ place }) => place !== null,
    },
    "frame.before": { label: "Frame before", run: () => step(-1), enabled: canStep },
    "frame.after": { label: "Frame after", run: () => step(1), enabled: canStep },
    "frame.ten_before": { label: "Ten frames before", run: () => step(-10), enabled: canStep },
    "frame.ten_after": { label: "Ten frames after", run: () => step(10), enabled: canStep },
    "frame.anchor_before": { label: "Anchor before", run: () => toAnchor(-1), enabled: canStep },
    "frame.anchor_after": { label: "Anchor after", run: () => toAnchor(1), enabled: canStep },
  });

  addEventListener("popstate", follow);
  let settling = 0;
  store.watch(["place", "frame"], () => {
    clearTimeout(settling);
    settling = setTimeout(noteWhere, SETTLED_MS);
  });
  addEventListener("pagehide", noteWhere);
  store.watch(["place"], ({ place }) => events.watch(place));
  follow();

  /** Show what the address names. */
  function follow() {
    const asked = new URLSearchParams(location.search);
    const sequence = asked.get("seq");
    const frame = Number(asked.get("frame") ?? NaN);
    const wanted = { sequence: sequence ?? "", dataset: asked.get("dataset") ?? "", set: asked.get("set") ?? "" };
    open(sequence ? wanted : null, Number.isInteger(frame) && frame >= 0 ? frame : null).catch(complain);
  }

  function noteWhere() {
    const { place, frame } = store.state;
    if (place) history.replaceState(null, "", `?${new URLSearchParams({ seq: place.sequence, ...rest(place), frame: String(frame) })}`);
    document.title = place ? `${place.sequence}, frame ${frame}: LIS` : "Inbox: LIS";
  }

  /**
   * Show a sequence, or the inbox.
   * @param {Place | null} place
   * @param {number | null} frame
   */
  async function open(place, frame = null) {
    if (!place) {
      store.set({ place: null, sequence: null, ...NOTHING_YET });
      return;
    }
    const sequence = await ask(addressOf(place, "", place.set ? { set: place.set } : {}));
    const shown = frame ?? firstOf(sequence);
    store.set({
      place: { sequence: sequence.sequence, dataset: sequence.dataset, set: sequence.set },
      sequence,
      frame: Math.min(shown, sequence.frame_count - 1),
      ...NOTHING_YET,
    });
  }

  /**
   * @param {Place | null} place
   * @param {number | null} frame
   */
  function go(place, frame = null) {
    history.pushState(null, "", place ? `?${new URLSearchParams({ seq: place.sequence, ...rest(place) })}` : "/");
    return open(place, frame).catch(complain);
  }
  opener = go;

  /** @param {number} by */
  function step(by) {
    const { frame, sequence } = store.state;
    if (sequence) store.set({ frame: Math.max(0, Math.min(sequence.frame_count - 1, frame + by)) });
  }

  /** @param {-1 | 1} way */
  function toAnchor(way) {
    const { frame, sequence } = store.state;
    const anchors = sequence?.anchors ?? [];
    const next = way > 0 ? anchors.find((each) => each > frame) : anchors.findLast((each) => each < frame);
    if (next !== undefined) store.set({ frame: next });
  }
}

/** @type {(place: Place | null, frame?: number | null) => Promise<void>} */
let opener = async () => {};

/**
 * Show a sequence (at a frame; null: where a person is needed), or the inbox.
 * @param {Place | null} place an empty `set` is the one that runs take
 * @param {number | null} [frame]
 */
export function openPlace(place, frame) {
  return opener(place, frame);
}

/** @param {import("../types.js").Sequence} sequence */
function firstOf({ drafts, requested, annotated }) {
  const known = new Set([...annotated, ...drafts.filter(({ state }) => state === "ready").map(({ frame }) => frame)]);
  const undecided = drafts.find(({ state }) => state === "conflict");
  return undecided?.frame ?? requested.find((frame) => !known.has(frame)) ?? requested[0] ?? 0;
}

/** @param {Place} place */
function rest({ dataset, set }) {
  return { dataset, ...(set ? { set } : {}) };
}

/** @param {import("../types.js").State} state */
function canStep({ sequence }) {
  return sequence !== null;
}
