/**
 * What is drawn on each frame: sets `state.drawing` whenever another frame is shown, and has what was drawn saved. Frames
 * keep their drawings, with the steps to be undone, while the tab lives.
 */

import { unpacked } from "./gzip.js";
import { addressOf, ask, Refused } from "../base/net.js";
import { complain, say } from "../base/say.js";
import { Saver } from "./saver.js";
import { Sheet } from "./sheet.js";
import { versionOf } from "./versions.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").Place} Place */
/** @typedef {import("../types.js").State} State */

const REST_MS = 200; // who passes through frames asks nothing of them

/** @param {App} app */
export function start(app) {
  const { store, events } = app;
  /** @type {Map<string, Sheet>} */
  const sheets = new Map();
  const saver = new Saver(app, showTheirs);
  /** @type {Map<string, object>} the last question of each frame that waits for its answer */
  const looks = new Map();
  let resting = 0;

  store.watch(["place", "frame"], ({ place, frame, sequence, fps }) => {
    clearTimeout(resting);
    for (const [key, sheet] of sheets) if (sheet.isIdle) sheets.delete(key);
    if (!place || !sequence) return store.set({ drawing: null });
    const sheet = sheets.get(keyOf({ place, frame })) ?? (isUntouched(store.state) ? sheetOf({ place, frame }, sequence) : null);
    show(sheet);
    resting = setTimeout(() => look({ place, frame }), sheet || fps ? REST_MS : 0);
  });
  events.on("open", lookAgain);
  events.on("changed", ({ what }) => {
    if (["drafts", "set"].some((each) => what.includes(each))) lookAgain();
  });
  let seen = "";
  store.watch(["sequence"], ({ sequence }) => {
    const [before, now] = [seen, masksOf(sequence)];
    seen = now;
    if (before && now && before !== now) lookAgain(); // strokes correct the masks that are seen from now on
  });
  saver.journal.takeOver(takeOver).catch(complain);
  finder = () => {
    const { place, frame, drawing } = store.state;
    const sheet = place && sheets.get(keyOf({ place, frame }));
    return sheet && sheet.drawing === drawing ? sheet : null;
  };
  saveAgain = (sheet) => saver.save(sheet);

  /** @param {Sheet | null} sheet */
  function show(sheet) {
    store.set({ drawing: sheet?.drawing ?? null });
    showTheirs(sheet);
  }

  /** @param {Sheet | null} sheet that somebody else has drawn on, too */
  function showTheirs(sheet) {
    const { drawing } = store.state;
    if (sheet && sheet.drawing !== drawing) return say(`frame ${sheet.frame}: somebody else has drawn here, too; decide there`, "fault");
    const theirs = sheet?.theirs ?? null;
    store.set({ theirs, beside: theirs?.said.lines ?? [] });
  }

  /**
   * @param {{place: Place, frame: number}} at
   * @param {{version: string}} pictures
   */
  function sheetOf(at, { version }) {
    const key = keyOf(at);
    const sheet = sheets.get(key) ?? new Sheet(at.place, at.frame, version, (changed) => saver.save(changed));
    sheets.set(key, sheet);
    return sheet;
  }

  function lookAgain() {
    const { place, frame } = store.state;
    if (place) look({ place, frame });
  }

  /**
   * Ask the server what there is. What was drawn meanwhile stays: the server will say if it contradicts.
   * @param {{place: Place, frame: number}} at
   */
  async function look(at) {
    const { sequence } = store.state;
    const key = keyOf(at);
    const before = sheets.get(key);
    const tag = before?.tag;
    const mine = {};
    looks.set(key, mine);
    try {
      const { version, inSet } = await versionOf(at, sequence);
      if (looks.get(key) !== mine) return; // whoever asked later knows of newer masks, and may have been answered before
      const isShown = store.state.place === at.place && store.state.frame === at.frame;
      const sheet = sheets.get(key) ?? (isShown && sequence ? sheetOf(at, sequence) : null);
      if (!sheet || sheet.isUnsaved || sheet.isSending || sheet.theirs || sheet.tag !== (tag ?? "")) return;
      if (version.tag && version.tag === tag && sheet.isKnown) sheet.goOnFrom(version);
      else {
        if (version.tag && sheet.isKnown) say(`${version.said.author || "somebody"} has drawn on frame ${at.frame}`);
        sheet.become(version);
      }
      sheet.theirs = inSet;
      if (isShown) show(sheet);
    } catch (error) {
      if (!before) complain(error);
    } finally {
      if (looks.get(key) === mine) looks.delete(key);
    }
  }

  /**
   * Go on with what a tab has left behind; unless it belongs elsewhere, or somebody draws there already: then it waits.
   * @param {import("./journal.js").Entry} entry
   */
  async function takeOver({ place, frame, version, changes, tag, base, origin, saved, sent, said, mask }) {
    const elsewhere = await foreign(place, version);
    const ids = mask && (await unpacked(mask.packed));
    const sheet = sheetOf({ place, frame }, { version }); // from here to its first step nothing is awaited: idle sheets are forgotten
    const hindrance = elsewhere || (sheet.isUnsaved ? "another tab has drawn there, too; reload the page when that is saved" : "");
    if (hindrance) {
      say(`what was drawn on frame ${frame} of ${place.sequence} waits in this browser: ${hindrance}`, "fault");
      return false;
    }
    const { state } = said;
    sheet.become({ tag, base, origin, said: saved.kind === "mask" ? origin : saved, mask: null });
    sheet.number = changes - 1;
    sheet.savedNumber = 0;
    sheet.sent = sent;
    sheet.drawing.applyAll(said, mask && ids && { width: mask.width, height: mask.height, ids });
    if (state === "ready") sheet.drawing.amend({ state });
    await saver.noted(sheet);
    if (store.state.place && keyOf(sheet) === keyOf({ place: store.state.place, frame: store.state.frame })) show(sheet);
    return true;
  }
}

/**
 * Why strokes belong elsewhere: the address may be that of another project by now. Empty: they do not, as far as can be seen.
 * @param {Place} place
 * @param {string} version of the pictures that they were drawn on
 * @returns {Promise<string>}
 */
async function foreign(place, version) {
  try {
    const sequence = await ask(addressOf(place, "", { set: place.set }));
    return sequence.version === version ? "" : "its pictures are others now";
  } catch (error) {
    return error instanceof Refused ? error.message : "";
  }
}

/** @type {() => Sheet | null} */
let finder = () => null;
/** @type {(sheet: Sheet) => void} */
let saveAgain = () => {};

/** The frame that is shown, as far as it is known what is drawn there. */
export function shownSheet() {
  return finder();
}

/**
 * Save what a person has decided on.
 * @param {Sheet} sheet
 */
export function save(sheet) {
  saveAgain(sheet);
}

/** @param {{place: Place, frame: number}} at */
function keyOf({ place, frame }) {
  return JSON.stringify([place.dataset, place.sequence, place.set, frame]);
}

/**
 * Which masks people see of which sequence; empty: of none.
 * @param {State["sequence"]} sequence
 */
function masksOf(sequence) {
  if (!sequence) return "";
  const { masks, provisional } = sequence.contents;
  return JSON.stringify([sequence.dataset, sequence.sequence, sequence.set, masks, provisional]);
}

/**
 * Whether nobody has drawn on the frame that is shown, as far as is known here: drawing begins without a question.
 * @param {State} state
 */
function isUntouched({ sequence, frame }) {
  return sequence !== null && !sequence.drafts.some((draft) => draft.frame === frame) && !sequence.annotated.includes(frame);
}
