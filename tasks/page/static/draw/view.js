/** Where the picture lies in its box: zoomed, moved, and back. One CSS transform moves picture and mask. */

import { byId } from "../base/elements.js";

/** @typedef {import("./geometry.js").Point} Point */

const PIXELS_FROM = 2;
const LARGEST = 40;
const STAYS_PX = 48; // of the picture stay in the box, wherever it is moved

export class View {
  #box = byId("canvas");
  #layers = byId("layers");
  #strokes = /** @type {HTMLCanvasElement} */ (byId("stroke-layer"));
  #pen = /** @type {CanvasRenderingContext2D} */ (this.#strokes.getContext("2d"));
  /** @type {[number, number]} */
  #size = [1, 1];
  #fits = true;
  #left = 0;
  #top = 0;
  #scale = 1;
  #onMove;

  /** @param {() => void} onMove what is drawn with the pen is to be drawn anew */
  constructor(onMove) {
    this.#onMove = onMove;
    new ResizeObserver(() => (this.#fits ? this.fit() : this.#place())).observe(this.#box);
  }

  /** Width and height of the picture. */
  get size() {
    return this.#size;
  }

  /** Pixels on the screen that a pixel of the picture is wide. */
  get scale() {
    return this.#scale;
  }

  /** @param {[number, number]} size */
  show(size) {
    if (size.every((side, axis) => side === this.#size[axis])) return;
    this.#size = size;
    for (const layer of this.#layers.querySelectorAll("canvas")) [layer.width, layer.height] = size;
    this.fit();
  }

  /** Show all of it, as large as it goes. */
  fit() {
    const { width, height } = this.#box.getBoundingClientRect();
    this.#scale = Math.min(width / this.#size[0], height / this.#size[1]) || 1;
    this.#left = (width - this.#size[0] * this.#scale) / 2;
    this.#top = (height - this.#size[1] * this.#scale) / 2;
    this.#fits = true;
    this.#place();
  }

  /** One pixel of the picture a pixel of the screen, around what is in the middle. */
  full() {
    this.zoom(1 / this.#scale);
  }

  /**
   * @param {number} factor
   * @param {{x: number, y: number}} [at] what stays where it is, in the window; the middle of the box
   */
  zoom(factor, at) {
    const { left, top, width, height } = this.#box.getBoundingClientRect();
    const x = at ? at.x - left : width / 2, y = at ? at.y - top : height / 2;
    const smallest = Math.min(1, width / this.#size[0], height / this.#size[1]) / 2;
    const by = Math.max(smallest, Math.min(LARGEST, this.#scale * factor)) / this.#scale;
    this.#scale *= by;
    this.#fits = false;
    this.#left = x + (this.#left - x) * by;
    this.#top = y + (this.#top - y) * by;
    this.#place();
  }

  /**
   * @param {number} byX in pixels of the screen
   * @param {number} byY
   */
  pan(byX, byY) {
    this.#fits = false;
    this.#left += byX;
    this.#top += byY;
    this.#place();
  }

  /**
   * Move the picture so far that a point of it is in the box.
   * @param {Point} point
   */
  reveal([x, y]) {
    const { width, height } = this.#box.getBoundingClientRect();
    const atX = this.#left + x * this.#scale, atY = this.#top + y * this.#scale;
    const byX = Math.max(0, -atX) + Math.min(0, width - atX), byY = Math.max(0, -atY) + Math.min(0, height - atY);
    if (byX || byY) this.pan(byX, byY);
  }

  /**
   * A point of the window in pixels of the picture.
   * @param {{clientX: number, clientY: number}} at
   * @returns {Point}
   */
  inPicture({ clientX, clientY }) {
    const { left, top } = this.#box.getBoundingClientRect();
    return [(clientX - left - this.#left) / this.#scale, (clientY - top - this.#top) / this.#scale];
  }

  /** What is in the middle of the box, in pixels of the picture. @returns {Point} */
  get middle() {
    const { left, top, width, height } = this.#box.getBoundingClientRect();
    return this.inPicture({ clientX: left + width / 2, clientY: top + height / 2 });
  }

  /** An empty layer to draw on, in pixels of the picture. It is as large as the box: strokes are sharp at any zoom. */
  cleared() {
    const pen = this.#pen, dots = devicePixelRatio;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.#strokes.width, this.#strokes.height);
    pen.setTransform(dots * this.#scale, 0, 0, dots * this.#scale, dots * this.#left, dots * this.#top);
    return pen;
  }

  #place() {
    const { width, height } = this.#box.getBoundingClientRect();
    const inside = (/** @type {number} */ at, /** @type {number} */ side, /** @type {number} */ room) =>
      Math.max(Math.min(STAYS_PX, side) - side, Math.min(room - Math.min(STAYS_PX, side), at));
    this.#left = inside(this.#left, this.#size[0] * this.#scale, width);
    this.#top = inside(this.#top, this.#size[1] * this.#scale, height);
    this.#layers.style.transform = `translate(${this.#left}px, ${this.#top}px) scale(${this.#scale})`;
    this.#layers.classList.toggle("pixels", this.#scale >= PIXELS_FROM);
    const columns = Math.round(width * devicePixelRatio), rows = Math.round(height * devicePixelRatio);
    if (this.#strokes.width !== columns) this.#strokes.width = columns;
    if (this.#strokes.height !== rows) this.#strokes.height = rows;
    this.#onMove();
  }
}
