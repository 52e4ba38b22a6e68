/** What lies over each other in the view: the picture, the mask in colours, and the strokes with what is just being drawn. */

import { difference } from "./areas.js";
import { followDrawing } from "./drawing.js";
import { byId } from "../base/elements.js";
import { colourOf, paletteOf } from "../base/palette.js";
import { mask as maskOfStage, picture, stageShown } from "../base/pictures.js";
import { paint } from "../pixels.js";
import { complain } from "../base/say.js";
import { drawLines } from "./strokes.js";

/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").Mask} Mask */
/** @typedef {import("../types.js").Line} Line */
/** @typedef {import("./drawing.js").Rectangle} Rectangle */

/** @typedef {object} Sketch what is being drawn
 * @property {readonly Line[] | null} lines in the place of those that are drawn already, or null
 * @property {(pen: CanvasRenderingContext2D, look: import("./strokes.js").Look) => void} draw
 */

const COLUMNS_A_PIXEL = 640; // outlines of larger pictures are thicker, since these are shown smaller

export class Layers {
  #store;
  #view;
  #picture = penOn("picture-layer");
  #colours = penOn("mask-layer");
  /** @type {Mask | null} */
  #mask = null;
  #maskFrame = -1;
  /** What is being painted, in the place of the mask. @type {Mask | null} */
  #painted = null;
  #asked = 0;
  #shown = 0;
  #isDue = false;
  /** @type {() => Sketch} */
  #sketch;

  /**
   * @param {import("../base/store.js").Store} store
   * @param {import("./view.js").View} view
   * @param {() => Sketch} sketch what is being drawn at this moment
   */
  constructor(store, view, sketch) {
    this.#store = store;
    this.#view = view;
    this.#sketch = sketch;
    store.watch(["place"], () => this.#showMask(null, -1));
    store.watch(["place", "frame", "sequence", "shown", "preview"], () => this.#load());
    store.watch(["shown", "opacity", "colours", "hidden", "overlay"], () => this.#paintMask());
    store.watch(["beside", "colours", "hidden", "tool", "brushPx"], () => this.drawStrokes());
    followDrawing(store, (drawing, patch) => {
      const isWritten = patch !== null && drawing?.mask === this.#mask;
      if (isWritten) this.#paintMask(patch.where);
      if (!isWritten || drawing?.said.kind !== "mask") this.#load();
      this.drawStrokes();
    });
  }

  /** The mask that is shown, or would be if masks were not switched off; undefined while it is on its way. */
  get mask() {
    return this.#maskFrame === this.#store.state.frame ? this.#mask : undefined;
  }

  /**
   * Show a mask while it is painted on.
   * @param {Mask} mask
   * @param {Rectangle} changed where it has just become another one
   */
  showPainted(mask, changed) {
    this.#painted = mask;
    this.#paintMask(changed);
  }

  /**
   * Nothing is painted any more.
   * @param {Mask | null} outcome what it has become, if it has: it looks like what is shown already
   * @param {number} frame
   */
  endPainting(outcome, frame) {
    this.#painted = null;
    if (outcome && frame === this.#maskFrame) this.#mask = outcome;
    else this.#paintMask();
  }

  #load() {
    this.#tell();
    this.#show().catch(complain);
  }

  /** Say whether the picture and the mask of this frame are here, or still on their way. */
  #tell() {
    byId("canvas").ariaBusy = String(this.mask === undefined);
  }

  /** Show what the state names, unless something newer is there already. */
  async #show() {
    const { place, sequence, frame } = this.#store.state;
    if (!place || !sequence) return;
    const asked = ++this.#asked;
    const coming = this.#maskOf(this.#store.state);
    coming.catch(() => {}); // it is told below
    const bitmap = await picture(place, sequence, frame);
    if (asked < this.#shown || this.#store.state.place !== place) return;
    this.#shown = asked;
    this.#view.show(sequence.size);
    this.#picture.drawImage(bitmap, 0, 0, ...sequence.size);
    if (this.#maskFrame !== frame) this.#showMask(null, -1);
    const mask = await coming;
    if (asked >= this.#shown && this.#store.state.place === place) this.#showMask(mask, frame);
  }

  /**
   * @param {State} state
   * @returns {Promise<Mask | null>}
   */
  async #maskOf({ place, sequence, frame, drawing, preview, shown }) {
    if (!place || !sequence) return null;
    if (shown === "draft" && drawing?.frame === frame) {
      if (drawing.said.kind !== "strokes") return drawing.said.kind === "mask" ? drawing.mask : null;
      if (preview?.frame === frame) return preview.mask;
    }
    const stage = stageShown(sequence, frame, shown);
    return stage ? ((await maskOfStage(place, sequence, frame, stage))?.mask ?? null) : null;
  }

  /**
   * @param {Mask | null} mask
   * @param {number} frame
   */
  #showMask(mask, frame) {
    const before = this.#painted ? null : this.#mask;
    this.#maskFrame = frame;
    this.#mask = mask;
    this.#tell();
    if (mask === before && !this.#painted) return;
    if (before && mask && !this.#store.state.overlay) {
      const changed = difference(before, mask);
      if (changed) this.#paintMask(changed);
    } else this.#paintMask();
  }

  /** @param {Rectangle | null} [changed] where it has become another one; everywhere */
  #paintMask(changed = null) {
    const { shown, overlay } = this.#store.state;
    const [columns, rows] = this.#view.size;
    const whole = { left: 0, top: 0, width: columns, height: rows };
    const split = overlay ? Math.round(overlay.until * columns) : 0;
    const mask = shown === "none" ? null : (this.#painted ?? this.#mask);
    this.#colour(mask, changed ? this.#around(changed) : { ...whole, left: split, width: columns - split });
    if (overlay && split) this.#colour(overlay.mask, { ...whole, width: split });
  }

  /** How thick outlines are, in pixels of the picture. */
  get #outline() {
    return Math.max(1, Math.round(this.#view.size[0] / COLUMNS_A_PIXEL));
  }

  /**
   * A rectangle with all that looks another way when ids in it have changed.
   * @param {Rectangle} where
   */
  #around({ left, top, width, height }) {
    const by = this.#outline + 1, [columns, rows] = this.#view.size;
    const x = Math.max(0, left - by), y = Math.max(0, top - by);
    return { left: x, top: y, width: Math.min(columns, left + width + by) - x, height: Math.min(rows, top + height + by) - y };
  }

  /**
   * @param {Mask | null} mask
   * @param {Rectangle} where
   */
  #colour(mask, where) {
    if (where.width <= 0 || where.height <= 0) return;
    const { opacity, colours, hidden } = this.#store.state;
    const [width, height] = this.#view.size;
    if (!mask || mask.width !== width || mask.height !== height) {
      this.#colours.clearRect(where.left, where.top, where.width, where.height);
      return;
    }
    const only = hidden.size ? new Set([...Array(256).keys()].filter((id) => id && !hidden.has(id))) : undefined;
    const part = { x: where.left, y: where.top, width: where.width, height: where.height };
    this.#colours.putImageData(paint(mask.ids, width, height, paletteOf(colours), { opacity, outline: this.#outline, only, part }), part.x, part.y);
  }

  /** Draw the strokes anew before the next frame of the screen. */
  drawStrokes() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#draw();
    });
  }

  #draw() {
    const { drawing, beside, colours, hidden, frame } = this.#store.state;
    const view = this.#view, pen = view.cleared();
    const look = { size: view.size, scale: view.scale, colour: (/** @type {number} */ id) => colourOf(id, colours) };
    const sketch = this.#sketch();
    const own = sketch.lines ?? (drawing?.frame === frame ? drawing.said.lines : []);
    drawLines(pen, beside, { ...look, dashed: true });
    drawLines(pen, own.filter(({ object_id }) => !hidden.has(object_id)), look);
    sketch.draw(pen, look);
  }
}

/** @param {string} id of a canvas */
function penOn(id) {
  return /** @type {CanvasRenderingContext2D} */ (/** @type {HTMLCanvasElement} */ (byId(id)).getContext("2d"));
}
