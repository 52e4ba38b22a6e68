/** Packs masks beside what a person does: in a worker, or here if there is none. */

import { packedHere } from "./gzip.js";

/** @type {Map<number, {ids: Uint8Array<ArrayBuffer>, done: (bytes: ArrayBuffer) => void}>} */
const waiting = new Map();
/** @type {Worker | null} */
let worker = started(); // at once: when it is needed, the server may be away
let count = 0;

/**
 * A mask as it is now, whatever is painted on it meanwhile.
 * @param {Uint8Array} ids
 * @returns {Promise<ArrayBuffer>}
 */
export function packed(ids) {
  const copy = new Uint8Array(ids);
  if (!worker) return packedHere(copy);
  const number = ++count;
  worker.postMessage({ number, ids: copy });
  return new Promise((done) => waiting.set(number, { ids: copy, done }));
}

function started() {
  const made = new Worker("/static/keep/packer.js", { type: "module" });
  made.onmessage = ({ data: { number, bytes } }) => {
    waiting.get(number)?.done(bytes);
    waiting.delete(number);
  };
  made.onerror = () => {
    worker = null;
    waiting.forEach(({ ids, done }) => packedHere(ids).then(done));
    waiting.clear();
  };
  return made;
}
