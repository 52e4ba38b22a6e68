/** Runs of frames, by the first and the last of each. */

/** @typedef {readonly [number, number]} Span */
/** @typedef {readonly (readonly [number, number, ...unknown[]])[]} Spans in order; what stands behind is said of all of them */

/**
 * How many frames of a span are in others.
 * @param {Spans} spans
 * @param {Span} span
 */
export function countOf(spans, [first, last]) {
  return spans.reduce((sum, [begin, end]) => sum + Math.max(0, Math.min(last, end) - Math.max(first, begin) + 1), 0);
}

/**
 * Whether all frames of a span are in others.
 * @param {Spans} spans
 * @param {Span} span
 */
export function covers(spans, span) {
  return countOf(spans, span) === span[1] - span[0] + 1;
}

/**
 * The next frame that is in some, from the first again after the last.
 * @param {Spans} spans
 * @param {number} frame
 */
export function nextIn(spans, frame) {
  const inside = spans.find(([first, last]) => first <= frame && frame < last);
  return inside ? frame + 1 : (spans.find(([first]) => first > frame) ?? spans[0])[0];
}

/** @param {Spans} spans */
export function inWords(spans) {
  const named = spans.slice(0, 3).map(([first, last]) => (first === last ? `frame ${first}` : `frames ${first} to ${last}`));
  return spans.length > 3 ? `${named.join(", ")} and others` : named.join(", ");
}
