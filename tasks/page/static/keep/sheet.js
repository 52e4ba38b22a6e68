/** A frame that is drawn on: the drawing, what the server has of it, and what the frame says without any draft. */

import { Drawing, NOTHING_SAID } from "../draw/drawing.js";
import { addressOf } from "../base/net.js";
import { isSame } from "./said.js";

/** @typedef {import("../types.js").Said} Said */
/** @typedef {import("../types.js").Mask} Mask */
/** @typedef {import("../types.js").Place} Place */

/**
 * @typedef {object} Version What the server knows of a frame.
 * @property {string} tag of the draft; "": there is none
 * @property {string | null} base what the set says, as one digest
 * @property {Said} origin what the frame says without any draft
 * @property {Said} said
 * @property {Mask | null} mask if that is what is said
 * @property {string} [why] it is another one
 */

export class Sheet {
  /** Of the draft that drawing goes on from. */
  tag = "";
  /** @type {string | null} */
  base = null;
  origin = NOTHING_SAID;
  /** What of the drawing the server has. */
  saved = NOTHING_SAID;
  /** What was sent since; some of it may have come, though the answer was lost. @type {Said[]} */
  sent = [];
  /** Whether the server was asked what there is. */
  isKnown = false;
  /** How often it was changed, and which change is saved. */
  number = 0;
  savedNumber = 0;
  isSending = false;
  /** Why it is not saved; "": nothing is wrong. */
  why = "";
  /** What somebody else says, until a person has decided. @type {Version | null} */
  theirs = null;
  #isTold = false;

  /**
   * @param {Place} place
   * @param {number} frame
   * @param {string} version of the pictures
   * @param {(sheet: Sheet) => void} onChange a person has changed it
   */
  constructor(place, frame, version, onChange) {
    this.place = place;
    this.frame = frame;
    this.version = version;
    this.drawing = new Drawing(frame);
    this.drawing.onChange(() => {
      if (this.#isTold) return;
      this.number++;
      onChange(this);
    });
  }

  get isUnsaved() {
    return this.drawing.said !== this.saved || this.sent.length > 0; // what was sent without an answer may have arrived
  }

  /** Whether nothing is lost if it is forgotten. */
  get isIdle() {
    return !this.isUnsaved && !this.isSending && !this.theirs && !this.drawing.canUndo && !this.drawing.canRedo;
  }

  /** @param {Said} said whether it needs no draft */
  isOrigin(said) {
    return said.state === "draft" && isSame(said, this.origin);
  }

  /**
   * @param {Version} version
   * @returns {boolean} whether it says what is drawn here
   */
  isSaidBy({ said, mask }) {
    const here = this.drawing;
    if (said.kind !== "mask" || here.said.kind !== "mask") return isSame(said, here.said);
    return mask !== null && here.mask !== null && mask.ids.every((id, pixel) => id === here.mask?.ids[pixel]);
  }

  /**
   * @param {Said} said
   * @returns {boolean} whether drawing has gone on from it here
   */
  goesBeyond(said) {
    return [this.saved, ...this.sent].some((earlier) => isSame(said, earlier));
  }

  /**
   * Be what the server says, from now on. Steps that led to the same are kept, the others led elsewhere.
   * @param {Version} version
   */
  become(version) {
    this.#isTold = true;
    const { said, mask } = version;
    if (this.isSaidBy(version)) this.drawing.amend({ state: said.state, author: said.author, corrects: said.corrects });
    else this.drawing.replace(said, mask);
    this.#isTold = false;
    this.goOnFrom(version);
    this.saved = this.drawing.said;
    this.savedNumber = this.number;
    this.sent = [];
    if (said === version.origin) this.origin = this.saved;
  }

  /**
   * Go on from what the server has, and stay what it is.
   * @param {Version} version
   */
  goOnFrom({ tag, base, origin }) {
    Object.assign(this, { tag, base, origin, isKnown: true });
  }

  /**
   * What was drawn before it was known which mask it corrects.
   * @param {string} corrects
   */
  correct(corrects) {
    this.#isTold = true;
    this.drawing.amend({ corrects });
    this.#isTold = false;
  }
}

/**
 * Where a frame's draft is.
 * @param {{place: Place, frame: number}} at
 * @param {string} [more] what of it
 * @param {Record<string, string>} [query]
 */
export function draftAddress({ place, frame }, more = "", query = {}) {
  return addressOf(place, `set/${encodeURIComponent(place.set)}/draft/${frame}${more}`, query);
}
