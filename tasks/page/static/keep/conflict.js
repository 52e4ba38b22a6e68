/** Two have said different things of a frame: shows both, and does what a person decides. Undo brings the other back. */

import { shownSheet, save } from "./drafts.js";
import { followDrawing } from "../draw/drawing.js";
import { byId, button, make } from "../base/elements.js";
import { inWords, joinedLines } from "./said.js";
import { say } from "../base/say.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").Said} Said */
/** @typedef {import("./sheet.js").Sheet} Sheet */
/** @typedef {import("./sheet.js").Version} Version */
/** @typedef {"mine" | "theirs" | "both"} Choice */

/** @param {App} app */
export function start({ store, actions }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("conflict"));
  const isOpen = () => store.state.theirs !== null;
  actions.add({
    "conflict.mine": { label: "Keep mine", run: () => decide("mine"), enabled: isOpen },
    "conflict.theirs": { label: "Take theirs", run: () => decide("theirs"), enabled: isOpen },
    "conflict.both": { label: "Keep both", run: () => decide("both"), enabled: () => canJoin(shownSheet()) },
  });
  followDrawing(store, (drawing) => {
    const { theirs } = store.state;
    if (theirs && drawing && dialog.open) show(theirs, drawing.said);
  });
  store.watch(["theirs"], ({ theirs, frame }) => {
    const sheet = shownSheet();
    if (!theirs || !sheet) return dialog.close();
    show(theirs, sheet.drawing.said);
    const { activeElement } = document;
    if (!dialog.open) dialog.show(); // beside the picture, not over it: one has to look at both
    if (activeElement instanceof HTMLElement && activeElement !== document.body) activeElement.focus();
    else /** @type {HTMLElement} */ (document.activeElement)?.blur(); // Enter was not meant for a button that has just come
    say(`frame ${frame}: somebody else has drawn here, too; decide what holds`, "fault");
  });

  /**
   * @param {Version} theirs
   * @param {Said} mine
   */
  function show(theirs, mine) {
    const whose = theirs.said === theirs.origin ? "The scribble set" : theirs.said.author || "Somebody else";
    dialog.replaceChildren(
      make("h2", { id: "conflict-title" }, "Who is right?"),
      ...(theirs.why ? [make("p", {}, theirs.why)] : []),
      make("p", {}, make("bdi", {}, whose), ` says: ${inWords(theirs.said) || "nothing"} (dashed in the picture).`),
      make("p", {}, `You say: ${inWords(mine) || "nothing"}.`),
      make("p", { className: "soft" }, "Nothing was written over. Undo brings back what you do not choose."),
      make("div", { className: "row" }, button("conflict.mine", "Keep mine"), button("conflict.theirs", "Take theirs"), button("conflict.both", "Keep both")),
    );
  }

  /** @param {Choice} choice */
  function decide(choice) {
    const sheet = shownSheet();
    if (!sheet?.theirs) return;
    settle(sheet, sheet.theirs, choice);
    store.set({ theirs: null, beside: [] });
    save(sheet);
    byId("canvas").focus();
  }
}

/**
 * @param {Sheet} sheet
 * @param {Version} theirs
 * @param {Choice} choice
 */
function settle(sheet, theirs, choice) {
  const { drawing } = sheet;
  const { said: mine, mask } = drawing;
  const painted = mask && { ...mask, ids: mask.ids.slice() };
  sheet.goOnFrom(theirs);
  drawing.applyAll(theirs.said, theirs.mask);
  if (theirs.said !== theirs.origin || !theirs.tag) sheet.saved = drawing.said;
  const corrects = mine.corrects && (theirs.origin.corrects || mine.corrects); // the mask that is there now
  if (choice === "mine") drawing.applyAll({ ...mine, corrects }, mine.kind === "mask" ? painted : null);
  if (choice === "both") drawing.apply(joined(theirs.said, mine));
  sheet.theirs = null; // until here nothing is sent
}

/**
 * @param {Said} theirs
 * @param {Said} mine
 * @returns {Partial<Said>}
 */
function joined(theirs, mine) {
  const lines = joinedLines(theirs, mine);
  const drawn = (/** @type {readonly import("../types.js").Line[]} */ some) => new Set(some.map(({ object_id }) => object_id));
  const absent = [...new Set([...theirs.absent, ...mine.absent])].filter((id) => !drawn(lines).has(id));
  const boxed = (/** @type {Said} */ one, /** @type {Said} */ other) =>
    one.from_boxes.filter((id) => !drawn(other.lines).has(id) || other.from_boxes.includes(id));
  const from_boxes = [...new Set([...boxed(theirs, mine), ...boxed(mine, theirs)])];
  return { kind: "strokes", lines, absent, from_boxes, corrects: theirs.corrects || mine.corrects };
}

/** @param {Sheet | null} sheet */
function canJoin(sheet) {
  return sheet?.theirs?.said.kind === "strokes" && sheet.drawing.said.kind === "strokes";
}
