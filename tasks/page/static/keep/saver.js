/**
 * Saves what is drawn: into the journal of this browser at once, then to the server, one request at a time a frame and
 * the newest state. A server that is away is asked again and again; another version there is for a person to decide.
 */

import { Journal } from "./journal.js";
import { ask, overWhat, Refused, send, addressOf } from "../base/net.js";
import { packed } from "./packing.js";
import { bodyOf } from "./said.js";
import { draftAddress, Sheet } from "./sheet.js";
import { versionOf } from "./versions.js";

/** @typedef {import("../types.js").Said} Said */
/** @typedef {import("../types.js").Saving} Saving */
/** @typedef {{number: number, said: Said, mask: {width: number, height: number, packed: ArrayBuffer} | null}} Note of a change */

const OTHERWISE = [409, 412]; // the mask that strokes correct is gone; there is another version
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const MOST_KEPT_ALIVE_BYTES = 60_000; // of all requests that outlive a tab

export class Saver {
  journal = new Journal();
  /** @type {Set<Sheet>} */
  #unsaved = new Set();
  /** @type {WeakMap<Sheet, Promise<Note>>} */
  #notes = new WeakMap();
  /** @type {Set<() => void>} */
  #paused = new Set();
  #store;
  #onTheirs;

  /**
   * @param {import("../types.js").App} app
   * @param {(sheet: Sheet) => void} onTheirs somebody else has said something else
   */
  constructor({ store, events }, onTheirs) {
    this.#store = store;
    this.#onTheirs = onTheirs;
    events.on("open", () => this.#paused.forEach((goOn) => goOn()));
    addEventListener("pagehide", () => this.#keepAlive());
  }

  /**
   * Save it, if it is not.
   * @param {Sheet} sheet
   */
  save(sheet) {
    if (!sheet.isUnsaved && !sheet.isSending) return this.#forget(sheet);
    this.#unsaved.add(sheet);
    this.#note(sheet);
    this.#tell();
    this.#send(sheet);
  }

  /**
   * Once it lies in the journal.
   * @param {Sheet} sheet
   */
  noted(sheet) {
    return this.#notes.get(sheet);
  }

  /** @param {Sheet} sheet */
  #note(sheet) {
    const { number, drawing, place, frame, version, tag, base, origin, saved, sent } = sheet;
    const { said, mask: painted } = drawing;
    const changes = number - sheet.savedNumber;
    const note = async () => {
      const mask = said.kind === "mask" && painted ? { width: painted.width, height: painted.height, packed: await packed(painted.ids) } : null;
      const isNewest = sheet.number === number; // or else a newer one is there already, or on its way
      if (isNewest) await this.journal.write({ place, frame, version, number, changes, tag, base, origin, saved, sent: [...sent], said, mask });
      return { number, said, mask };
    };
    this.#notes.set(sheet, note());
  }

  /** @param {Sheet} sheet */
  async #send(sheet) {
    if (sheet.isSending || sheet.theirs) return;
    sheet.isSending = true;
    let wait = FIRST_WAIT_MS;
    while (sheet.isUnsaved && !sheet.theirs) {
      try {
        await this.#attempt(sheet);
        sheet.why = "";
        wait = FIRST_WAIT_MS;
      } catch (error) {
        sheet.why = error instanceof Error ? error.message : String(error);
        this.#tell();
        await this.#pause(wait);
        wait = Math.min(2 * wait, LONGEST_WAIT_MS);
      }
      this.#tell();
    }
    sheet.isSending = false;
    if (!sheet.isUnsaved) this.#forget(sheet);
    if (sheet.theirs) this.#onTheirs(sheet);
  }

  /** @param {Sheet} sheet */
  #forget(sheet) {
    const { number } = sheet;
    sheet.savedNumber = number;
    this.#unsaved.delete(sheet);
    this.#notes.get(sheet)?.then(() => this.journal.remove(sheet, number));
    this.#tell();
  }

  /** @param {Sheet} sheet */
  async #attempt(sheet) {
    if (!sheet.isKnown) {
      const { version, inSet } = await versionOf(sheet, this.#store.state.sequence);
      if (version.tag || version.base !== null) return this.#weigh(sheet, version, inSet);
      sheet.correct(version.origin.corrects);
      sheet.goOnFrom(version);
      this.#note(sheet);
    }
    const note = /** @type {Note} */ (await this.#notes.get(sheet));
    if (!sheet.sent.includes(note.said)) sheet.sent.push(note.said);
    try {
      await this.#put(sheet, note);
    } catch (error) {
      sheet.isKnown &&= error instanceof Refused; // an answer that is lost leaves open what the server has
      if (!(error instanceof Refused) || !OTHERWISE.includes(error.status)) throw error;
      const { version, inSet } = await versionOf(sheet, this.#store.state.sequence);
      if (error.status === 409) sheet.theirs = { ...version, why: error.message };
      else this.#weigh(sheet, version, inSet);
      return;
    }
    this.#confirm(sheet, note);
  }

  /**
   * @param {Sheet} sheet
   * @param {Note} note
   */
  async #put(sheet, { said, mask }) {
    const { author } = this.#store.state;
    if (sheet.isOrigin(said)) {
      if (sheet.tag) await send("DELETE", draftAddress(sheet), undefined, sheet.tag);
      sheet.tag = "";
    } else if (mask) {
      const written = { method: "PUT", headers: overWhat(sheet.tag), body: mask.packed };
      sheet.tag = (await ask(draftAddress(sheet, "/mask", { author, base: sheet.base ?? "" }), written)).tag;
      if (said.state !== "ready") return;
      sheet.tag = (await send("POST", draftAddress(sheet, "/state"), { state: "ready" }, sheet.tag)).tag;
    } else {
      const body = { ...bodyOf(said, author), base: sheet.base };
      sheet.tag = (await send("PUT", draftAddress(sheet), body, sheet.tag)).tag;
    }
  }

  /**
   * The server has it.
   * @param {Sheet} sheet
   * @param {Note} note
   */
  #confirm(sheet, { said, number }) {
    sheet.saved = said;
    sheet.savedNumber = number;
    sheet.sent = [];
    this.#list(sheet);
    if (said.state === "ready") send("POST", addressOf(sheet.place, "anchors", { set: sheet.place.set }), {}).catch(() => {}); // ahead of the next run
  }

  /**
   * Lists of drafts show it before the server tells of it.
   * @param {Sheet} sheet
   */
  #list({ place, frame, tag, saved: { state } }) {
    const { sequence, author } = this.#store.state;
    if (sequence?.sequence !== place.sequence || sequence.dataset !== place.dataset || sequence.set !== place.set) return;
    const others = sequence.drafts.filter((draft) => draft.frame !== frame);
    const drafts = tag ? [...others, { frame, state, author }].sort((a, b) => a.frame - b.frame) : others;
    this.#store.set({ sequence: { ...sequence, drafts } });
  }

  /**
   * The server has something else: it may be what is drawn here, or what was saved or sent before.
   * @param {Sheet} sheet
   * @param {import("./sheet.js").Version} version
   * @param {import("./sheet.js").Version | null} inSet
   */
  #weigh(sheet, version, inSet) {
    const isReady = sheet.drawing.said.state === "ready";
    if (inSet) sheet.theirs = inSet;
    else if (sheet.isSaidBy(version) && (!version.tag || isReady === (version.said.state === "ready"))) {
      sheet.become(version);
      this.#list(sheet);
    } else if (sheet.isSaidBy(version) || sheet.goesBeyond(version.said)) sheet.goOnFrom(version);
    else sheet.theirs = version;
  }

  /** @param {number} ms at most: the server may be there again before */
  #pause(ms) {
    return new Promise((done) => {
      const goOn = () => {
        clearTimeout(timer);
        this.#paused.delete(goOn);
        done(undefined);
      };
      const timer = setTimeout(goOn, ms);
      this.#paused.add(goOn);
    });
  }

  /** The tab goes: try what may still arrive. The journal has all of it. */
  #keepAlive() {
    let left = MOST_KEPT_ALIVE_BYTES;
    for (const sheet of this.#unsaved) {
      const { said } = sheet.drawing;
      if (said.kind === "mask" || sheet.theirs || !sheet.isKnown || sheet.isOrigin(said)) continue;
      const body = { ...bodyOf(said, this.#store.state.author), base: sheet.base };
      left -= 3 * JSON.stringify(body).length; // at most three bytes a character
      if (left > 0) send("PUT", draftAddress(sheet), body, sheet.tag, { keepalive: true }).catch(() => {});
    }
  }

  #tell() {
    const sheets = [...this.#unsaved];
    const contested = sheets.find((sheet) => sheet.theirs);
    const why = contested ? `frame ${contested.frame}` : sheets.find((sheet) => sheet.why)?.why ?? "";
    const strokes = sheets.reduce((sum, sheet) => sum + sheet.number - sheet.savedNumber, 0);
    /** @type {Saving["state"]} */
    const state = contested ? "conflict" : why ? "waiting" : sheets.length ? "saving" : "saved";
    this.#store.set({ saving: { state, strokes, why } });
  }
}
