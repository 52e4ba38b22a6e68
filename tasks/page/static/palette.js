/** The colours of objects: the files' palette, and one that colour-blind people tell apart. */

/** Okabe and Ito, "Color Universal Design" (2008), without black. */
const DISTINCT = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"];

/**
 * The colour of an id: the PASCAL VOC palette deals the id's bits out to red, green and blue, from the top bit down.
 * @param {number} id
 * @param {"" | "distinct"} [colours]
 * @returns {string} `#rrggbb`
 */
export function colourOf(id, colours = "") {
  if (colours === "distinct" && id > 0) return DISTINCT[(id - 1) % DISTINCT.length];
  const rgb = [0, 0, 0];
  for (let bit = 0; bit < 8; bit++) rgb[bit % 3] |= ((id >> bit) & 1) << (7 - Math.floor(bit / 3));
  return `#${rgb.map((each) => each.toString(16).padStart(2, "0")).join("")}`;
}
