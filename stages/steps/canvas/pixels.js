/** How ids become colours over a picture. */

/** @typedef {{x: number, y: number, width: number, height: number}} Part of a picture, in its pixels */

/**
 * @typedef {object} Painting How ids are painted.
 * @property {number} [opacity] of the fill, 0 to 1; 0.45 if left out
 * @property {number} [outline] width in pixels of the light line inside each object; 1 if left out, 0: no lines at all
 * @property {ReadonlySet<number>} [only] the ids that are shown; all but 0 if left out
 * @property {Part} [part] what is painted; everything if left out. Lines depend on what is beside them: whoever paints
 *   anew where ids changed takes `outline + 1` pixels more on each side
 */

const OPACITY = 0.45;
const DARK_LINE = pixel(0, 0, 0, 180);

/**
 * Colour ids: a translucent fill, a light line inside each object and a dark one outside, which is seen on any picture.
 * @param {Uint8Array} ids row by row, width times height of them
 * @param {number} width
 * @param {number} height
 * @param {Uint8Array} palette red, green and blue of id 0, of id 1, ...: 768 numbers
 * @param {Painting} [painting]
 * @returns {ImageData} of the size of the part, transparent where nothing is
 */
export function paint(ids, width, height, palette, painting = {}) {
  const { opacity = OPACITY, outline = 1, only, part = { x: 0, y: 0, width, height } } = painting;
  const image = new ImageData(part.width, part.height);
  const pixels = new Uint32Array(image.data.buffer);
  const { fills, lines } = colours(palette, opacity, only);
  let at = 0;
  for (let y = part.y; y < part.y + part.height; y++) {
    const row = y * width;
    // Beyond an edge of the picture an object goes on: it has no line there.
    const up = Math.min(y, 1) * width, down = Math.min(height - 1 - y, 1) * width;
    const farUp = Math.min(y, outline) * width, farDown = Math.min(height - 1 - y, outline) * width;
    for (let x = part.x; x < part.x + part.width; x++, at++) {
      const here = row + x, id = ids[here];
      if (outline === 0) {
        pixels[at] = fills[id];
        continue;
      }
      const left = x > 0 ? here - 1 : here, right = x < width - 1 ? here + 1 : here;
      const above = here - up, below = here + down;
      if ((id | ids[left] | ids[right] | ids[above] | ids[below]) === 0) continue; // most of most pictures
      const isInside =
        ids[left] === id && ids[right] === id && ids[above] === id && ids[below] === id &&
        (outline === 1 || fills[id] === 0 ||
          (ids[here - Math.min(x, outline)] === id && ids[here + Math.min(width - 1 - x, outline)] === id &&
            ids[here - farUp] === id && ids[here + farDown] === id));
      if (isInside) pixels[at] = fills[id];
      else if (fills[id] !== 0) pixels[at] = lines[id];
      else if ((fills[ids[left]] | fills[ids[right]] | fills[ids[above]] | fills[ids[below]]) !== 0) pixels[at] = DARK_LINE;
    }
  }
  return image;
}

/** The colour of every id as PASCAL VOC and DAVIS define it. */
export function davisPalette() {
  const palette = new Uint8Array(3 * 256);
  for (let id = 0; id < 256; id++) {
    for (let bit = 0; bit < 8; bit++) palette[3 * id + (bit % 3)] |= ((id >> bit) & 1) << (7 - Math.floor(bit / 3));
  }
  return palette;
}

/**
 * Of fills and lines, for every id; 0 where nothing is shown.
 * @param {Uint8Array} palette
 * @param {number} opacity
 * @param {ReadonlySet<number> | undefined} only
 */
function colours(palette, opacity, only) {
  const fills = new Uint32Array(256), lines = new Uint32Array(256);
  for (let id = 1; id < 256; id++) {
    if (only && !only.has(id)) continue;
    const [red, green, blue] = palette.subarray(3 * id, 3 * id + 3);
    fills[id] = pixel(red, green, blue, Math.max(1, Math.round(255 * opacity)));
    // Palette colours are dark: twice as bright and half-way to white they keep their hue, and stand out from black.
    const [lightRed, lightGreen, lightBlue] = [red, green, blue].map(value => (255 + Math.min(255, 2 * value)) / 2);
    lines[id] = pixel(lightRed, lightGreen, lightBlue, 245);
  }
  return { fills, lines };
}

/**
 * One pixel of an ImageData as a number.
 * @param {number} red
 * @param {number} green
 * @param {number} blue
 * @param {number} alpha
 */
function pixel(red, green, blue, alpha) {
  return new Uint32Array(new Uint8ClampedArray([red, green, blue, alpha]).buffer)[0];
}
