/** Lines of points: thinned, cut, filled. Points are in pixels of the picture; a pixel's middle is at its column and row plus 0.5. */

/** @typedef {[number, number]} Point */

const ROUNDING = 1e-9; // an end that is that near to a point is the point

/**
 * @param {Point} a
 * @param {Point} b
 */
export function distance(a, b) {
  return Math.hypot(b[0] - a[0], b[1] - a[1]);
}

/**
 * A line with fewer points that nowhere is farther from it than a tolerance (Douglas and Peucker, 1973).
 * @param {Point[]} points
 * @param {number} tolerance
 */
export function simplified(points, tolerance) {
  const last = points.length - 1;
  const kept = new Set([0, last]);
  const spans = [[0, last]];
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [from, to] = span;
    let farthest = from, most = tolerance;
    for (let each = from + 1; each < to; each++) {
      const away = distanceToSegment(points[each], points[from], points[to]);
      if (away > most) [farthest, most] = [each, away];
    }
    if (farthest === from) continue;
    kept.add(farthest);
    spans.push([from, farthest], [farthest, to]);
  }
  return points.filter((_, each) => kept.has(each));
}

/**
 * What is left of a line of which everything within a radius of a segment is taken away.
 * @param {Point[]} path
 * @param {Point} from an end of the segment
 * @param {Point} to its other end, which may be the same
 * @param {number} radius
 * @returns {Point[][]} its pieces; the line itself if nothing of it is that near
 */
export function pieces(path, from, to, radius) {
  if (path.length === 1) return distanceToSegment(path[0], from, to) <= radius ? [] : [path];
  const spans = path.slice(1).map((end, each) => spanWithin(path[each], end, from, to, radius));
  if (spans.every((span) => span === null)) return [path];
  /** @type {Point[][]} */
  const found = [];
  /** @type {Point[]} */
  let piece = [];
  spans.forEach((span, each) => {
    const a = path[each], b = path[each + 1];
    if (!piece.length && !(span && span[0] === 0)) piece.push(a);
    if (span) {
      if (span[0] > 0) piece.push(between(a, b, span[0]));
      if (piece.length) found.push(piece);
      piece = span[1] < 1 ? [between(a, b, span[1])] : [];
      if (span[1] === 1) return;
    }
    piece.push(b);
  });
  if (piece.length) found.push(piece);
  return found;
}

/**
 * Which part of a segment is within a radius of another one. What is that near to a segment is convex, so it is one part.
 * @param {Point} a
 * @param {Point} b
 * @param {Point} from
 * @param {Point} to
 * @param {number} radius
 * @returns {[number, number] | null} where it begins and ends, in [0, 1] from a to b
 */
function spanWithin(a, b, from, to, radius) {
  const spans = [spanInDisc(a, b, from, radius), spanInDisc(a, b, to, radius), spanInBand(a, b, from, to, radius)].filter((span) => span !== null);
  if (!spans.length) return null;
  const begins = Math.min(...spans.map(([first]) => first));
  const ends = Math.max(...spans.map(([, last]) => last));
  if (begins > 1 || ends < 0) return null;
  return [begins < ROUNDING ? 0 : begins, ends > 1 - ROUNDING ? 1 : ends];
}

/**
 * Where the straight line through a and b is within a disc.
 * @param {Point} a
 * @param {Point} b
 * @param {Point} middle
 * @param {number} radius
 * @returns {[number, number] | null}
 */
function spanInDisc(a, b, middle, radius) {
  const along = [b[0] - a[0], b[1] - a[1]], away = [a[0] - middle[0], a[1] - middle[1]];
  const square = along[0] ** 2 + along[1] ** 2;
  if (square === 0) return Math.hypot(...away) <= radius ? [0, 1] : null;
  const half = (along[0] * away[0] + along[1] * away[1]) / square;
  const root = half ** 2 - (away[0] ** 2 + away[1] ** 2 - radius ** 2) / square;
  return root < 0 ? null : [-half - Math.sqrt(root), -half + Math.sqrt(root)];
}

/**
 * Where the straight line through a and b is within the rectangle between two discs.
 * @param {Point} a
 * @param {Point} b
 * @param {Point} from
 * @param {Point} to
 * @param {number} radius
 * @returns {[number, number] | null}
 */
function spanInBand(a, b, from, to, radius) {
  const length = distance(from, to);
  if (length === 0) return null;
  const along = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
  const seen = [a, b].map(([x, y]) => [(x - from[0]) * along[0] + (y - from[1]) * along[1], (y - from[1]) * along[0] - (x - from[0]) * along[1]]);
  let begins = -Infinity, ends = Infinity;
  for (const [axis, low, high] of [[0, 0, length], [1, -radius, radius]]) {
    const at = seen[0][axis], by = seen[1][axis] - at;
    if (by === 0) {
      if (at < low || at > high) return null;
      continue;
    }
    const limits = [(low - at) / by, (high - at) / by];
    begins = Math.max(begins, Math.min(...limits));
    ends = Math.min(ends, Math.max(...limits));
  }
  return begins <= ends ? [begins, ends] : null;
}

/**
 * @param {Point} point
 * @param {Point} a
 * @param {Point} b
 */
export function distanceToSegment(point, a, b) {
  const square = (b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2;
  const along = square && ((point[0] - a[0]) * (b[0] - a[0]) + (point[1] - a[1]) * (b[1] - a[1])) / square;
  return distance(point, between(a, b, Math.max(0, Math.min(1, along))));
}

/**
 * @param {Point} a
 * @param {Point} b
 * @param {number} part
 * @returns {Point}
 */
function between(a, b, part) {
  return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part];
}
