/** Areas of a mask as runs of pixels: what a brush covers, what an outline encloses, what hangs together. No canvas: it would blur edges. */

import { distanceToSegment } from "./geometry.js";

/** @typedef {import("./geometry.js").Point} Point */
/** @typedef {import("../types.js").Mask} Mask */
/** @typedef {import("./drawing.js").Rectangle} Rectangle */
/** @typedef {(row: number, first: number, end: number) => void} TakeRun pixels of a row, up to but not including the last one named */

/**
 * Pixels whose middles are within a radius of a segment; at least the one in which it begins.
 * @param {Mask} mask
 * @param {Point} from
 * @param {Point} to
 * @param {number} radius
 * @param {TakeRun} take
 */
export function brushed({ width, height }, from, to, radius, take) {
  const top = Math.max(0, Math.floor(Math.min(from[1], to[1]) - radius)), bottom = Math.min(height, Math.ceil(Math.max(from[1], to[1]) + radius));
  const left = Math.max(0, Math.floor(Math.min(from[0], to[0]) - radius)), right = Math.min(width, Math.ceil(Math.max(from[0], to[0]) + radius));
  for (let row = top; row < bottom; row++) {
    const isCovered = (/** @type {number} */ column) => distanceToSegment([column + 0.5, row + 0.5], from, to) <= radius;
    let first = left, end = right; // what is covered of a row is one run
    while (first < end && !isCovered(first)) first++;
    while (end > first && !isCovered(end - 1)) end--;
    if (first < end) take(row, first, end);
  }
  const [column, row] = from.map(Math.floor);
  if (column >= 0 && column < width && row >= 0 && row < height) take(row, column, column + 1);
}

/**
 * Pixels whose middles a closed outline goes around, an odd number of times.
 * @param {Mask} mask
 * @param {Point[]} outline
 * @param {TakeRun} take
 */
export function enclosed({ width, height }, outline, take) {
  const ys = outline.map(([, y]) => y);
  const last = Math.min(height, Math.ceil(Math.max(...ys)));
  for (let row = Math.max(0, Math.floor(Math.min(...ys))); row < last; row++) {
    const y = row + 0.5;
    const crossings = outline.flatMap((a, each) => {
      const b = outline[(each + 1) % outline.length];
      return a[1] <= y === b[1] <= y ? [] : [a[0] + ((b[0] - a[0]) * (y - a[1])) / (b[1] - a[1])];
    });
    crossings.sort((a, b) => a - b);
    for (let each = 0; each < crossings.length; each += 2) {
      const [first, end] = [crossings[each], crossings[each + 1]].map((x) => Math.max(0, Math.min(width, Math.ceil(x - 0.5))));
      if (first < end) take(row, first, end);
    }
  }
}

/**
 * Pixels of one id that hang together by their sides with the one at a place.
 * @param {Mask} mask
 * @param {Point} at
 * @param {TakeRun} take
 */
export function connected({ ids, width, height }, at, take) {
  const seen = new Uint8Array(ids.length);
  const [column, row] = at.map(Math.floor);
  if (column < 0 || column >= width || row < 0 || row >= height) return;
  const id = ids[row * width + column];
  const isOpen = (/** @type {number} */ pixel) => ids[pixel] === id && !seen[pixel];
  const waiting = [row * width + column];
  for (let pixel = waiting.pop(); pixel !== undefined; pixel = waiting.pop()) {
    if (!isOpen(pixel)) continue;
    const y = Math.floor(pixel / width), start = y * width;
    let first = pixel, end = pixel + 1;
    while (first > start && isOpen(first - 1)) first--;
    while (end < start + width && isOpen(end)) end++;
    seen.fill(1, first, end);
    take(y, first - start, end - start);
    for (const other of [y - 1, y + 1]) {
      if (other < 0 || other >= height) continue;
      const by = (other - y) * width;
      for (let each = first + by; each < end + by; each++) if (isOpen(each) && (each === first + by || !isOpen(each - 1))) waiting.push(each);
    }
  }
}

/**
 * Around all pixels in which two masks of one size differ; null if they are the same.
 * @param {Mask} a
 * @param {Mask} b
 * @returns {Rectangle | null}
 */
export function difference(a, b) {
  const { width, height } = a;
  let left = width, right = 0, top = height, bottom = 0;
  for (let row = 0, pixel = 0; row < height; row++) {
    for (let column = 0; column < width; column++, pixel++) {
      if (a.ids[pixel] === b.ids[pixel]) continue;
      if (column < left) left = column;
      if (column >= right) right = column + 1;
      if (row < top) top = row;
      bottom = row + 1;
    }
  }
  return right > left ? { left, top, width: right - left, height: bottom - top } : null;
}
