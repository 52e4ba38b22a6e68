/** Masks as the server takes them and the journal keeps them: gzip of the ids, row by row. */

/**
 * @param {Uint8Array<ArrayBuffer>} ids
 * @returns {Promise<ArrayBuffer>}
 */
export function packedHere(ids) {
  return new Response(new Blob([ids]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
}

/**
 * @param {ArrayBuffer} bytes
 * @returns {Promise<Uint8Array>}
 */
export async function unpacked(bytes) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}
