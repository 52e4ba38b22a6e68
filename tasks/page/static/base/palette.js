/** The colours of objects: the files' palette, and one that colour-blind people tell apart. */

import { davisPalette } from "../pixels.js";

/** Okabe and Ito, "Color Universal Design" (2008), without black. */
const DISTINCT = [0xe69f00, 0x56b4e9, 0x009e73, 0xf0e442, 0x0072b2, 0xd55e00, 0xcc79a7];
const PALETTES = { "": davisPalette(), distinct: distinctPalette() };

/**
 * Red, green and blue of id 0, of id 1, ...
 * @param {"" | "distinct"} [colours]
 */
export function paletteOf(colours = "") {
  return PALETTES[colours];
}

/**
 * The colour of an id for a style sheet or a canvas.
 * @param {number} id
 * @param {"" | "distinct"} [colours]
 */
export function colourOf(id, colours = "") {
  return `rgb(${paletteOf(colours).subarray(3 * id, 3 * id + 3).join(" ")})`;
}

function distinctPalette() {
  const palette = new Uint8Array(3 * 256);
  for (let id = 1; id < 256; id++) {
    const colour = DISTINCT[(id - 1) % DISTINCT.length];
    palette.set([colour >> 16, (colour >> 8) & 255, colour & 255], 3 * id);
  }
  return palette;
}
