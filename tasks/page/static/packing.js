/** Masks as the server takes them and the journal keeps them: gzip of the ids, row by row. */

/** @type {Worker | null} */
let worker = null;
/** @type {Map<number, (bytes: ArrayBuffer) => void>} */
const waiting = new Map();
let count = 0;

/**
 * As it is now, whatever is painted on it meanwhile.
 * @param {Uint8Array} ids
 * @returns {Promise<ArrayBuffer>}
 */
export function packed(ids) {
  const copy = ids.slice();
  const number = ++count;
  worker ??= started();
  worker.postMessage({ number, ids: copy }, [copy.buffer]);
  return new Promise((done) => waiting.set(number, done));
}

/**
 * @param {ArrayBuffer} bytes
 * @returns {Promise<Uint8Array>}
 */
export async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function started() {
  const made = new Worker("/static/packer.js", { type: "module" });
  made.onmessage = ({ data: { number, bytes } }) => {
    waiting.get(number)?.(bytes);
    waiting.delete(number);
  };
  return made;
}
