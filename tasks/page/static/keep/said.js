/** What people say of a frame: whether two say the same, how it is sent, and how it reads. */

import { NOTHING_SAID } from "../draw/drawing.js";
import { counted } from "../base/elements.js";

/** @typedef {import("../types.js").Said} Said */
/** @typedef {import("../types.js").Line} Line */

const SIXTH_DECIMAL = 1e6;

/**
 * Whether two people say the same of a frame, to the decimals that files keep; when a stroke was drawn does not matter.
 * Of masks it is not known: only the very same is the same.
 * @param {Said} one
 * @param {Said} other
 */
export function isSame(one, other) {
  if (one === other) return true;
  if (one.kind === "mask" || other.kind === "mask") return false;
  return JSON.stringify(essence(one)) === JSON.stringify(essence(other));
}

/** @param {Said} said */
function essence({ kind, lines, absent, from_boxes, corrects }) {
  if (kind === "empty") return [kind];
  const drawn = lines.map(({ object_id, path }) => [object_id, path.map(([x, y]) => [rounded(x), rounded(y)])]);
  return [kind, drawn, sorted(absent), sorted(from_boxes), lines.length || absent.length ? corrects : ""];
}

/** @param {number} fraction */
function rounded(fraction) {
  return Math.round(fraction * SIXTH_DECIMAL);
}

/** @param {readonly number[]} ids */
function sorted(ids) {
  return [...new Set(ids)].sort((a, b) => a - b);
}

/**
 * Whether there is anything that could be called done.
 * @param {Said} said
 */
export function saysSomething({ kind, lines, absent }) {
  return kind !== "strokes" || lines.length > 0 || absent.length > 0;
}

/**
 * All lines of both, those that are in both once.
 * @param {Said} one
 * @param {Said} other
 * @returns {Line[]}
 */
export function joinedLines(one, other) {
  const seen = new Set();
  return [...one.lines, ...other.lines].filter(({ object_id, path }) => {
    const line = JSON.stringify([object_id, path.map(([x, y]) => [rounded(x), rounded(y)])]);
    return !seen.has(line) && seen.add(line);
  });
}

/**
 * As a page has it, from what the server says.
 * @param {Record<string, any>} told a draft, or what a set says
 * @returns {Said}
 */
export function saidOf({ kind, lines, absent, from_boxes, corrects, state = "draft", author = "" }) {
  return { ...NOTHING_SAID, kind, lines, absent, from_boxes, corrects, state, author };
}

/**
 * As it is sent.
 * @param {Said} said
 * @param {string} author who draws now
 */
export function bodyOf({ kind, lines, absent, from_boxes, corrects, state }, author) {
  if (kind !== "strokes") return { kind, state, author };
  return { kind, state, author, lines, absent, from_boxes, corrects };
}

/**
 * What is said, in words.
 * @param {Said} said
 */
export function inWords({ kind, lines, absent }) {
  if (kind === "empty") return "nothing is here";
  if (kind === "mask") return "a painted mask";
  /** @type {Map<number, number>} */
  const strokes = new Map();
  for (const { object_id } of lines) strokes.set(object_id, (strokes.get(object_id) ?? 0) + 1);
  const drawn = [...strokes].sort(([a], [b]) => a - b);
  return [
    ...drawn.map(([id, count]) => `${counted(count, "stroke")} of ${id ? `object ${id}` : "the background"}`),
    ...absent.map((id) => `object ${id} is absent`),
  ].join(", ");
}
