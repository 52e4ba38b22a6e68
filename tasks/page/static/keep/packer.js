/** A worker: packs masks, which takes long enough at 4K to be felt under a brush. */

import { packedHere } from "./gzip.js";

addEventListener("message", async ({ data: { number, ids } }) => {
  const bytes = await packedHere(ids);
  postMessage({ number, bytes }, { transfer: [bytes] });
});
