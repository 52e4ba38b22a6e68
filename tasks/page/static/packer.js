/** A worker: packs masks, which takes long enough at 4K to be felt under a brush. */

addEventListener("message", async ({ data: { number, ids } }) => {
  const stream = new Blob([ids]).stream().pipeThrough(new CompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer();
  postMessage({ number, bytes }, { transfer: [bytes] });
});
