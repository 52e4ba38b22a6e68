/** Who else looks at the sequence, and at which frame: a hint, no lock. */

/** @typedef {import("../types.js").App} App */

const SAY_EVERY_MS = 1000;
const SAY_AGAIN_MS = 5000; // who comes later hears of it
const GONE_AFTER_MS = 12_000;

/** @param {App} app */
export function start({ store, events }) {
  /** @type {Map<string, {frame: number, at: number}>} */
  const heard = new Map();
  let saidAt = -Infinity;
  let saying = 0;

  store.watch(["place", "frame", "author"], sayHere);
  store.watch(["place"], () => {
    heard.clear();
    show();
  });
  events.on("open", sayHere);
  events.on("here", (news) => {
    const { place } = store.state;
    if (news.sequence !== place?.sequence || news.dataset !== place?.dataset || news.set !== place?.set) return;
    heard.set(news.name, { frame: news.frame, at: performance.now() });
    show();
  });
  setInterval(() => {
    if (!document.hidden) sayHere();
    show();
  }, SAY_AGAIN_MS);

  /** Soon, and not more often than that. */
  function sayHere() {
    clearTimeout(saying);
    saying = setTimeout(() => {
      const { place, frame, author } = store.state;
      if (!place) return;
      saidAt = performance.now();
      events.here(place, frame, author);
    }, Math.max(0, saidAt + SAY_EVERY_MS - performance.now()));
  }

  function show() {
    for (const [name, { at }] of heard) if (at < performance.now() - GONE_AFTER_MS) heard.delete(name);
    const others = [...heard].map(([name, { frame }]) => ({ name, frame })).sort((a, b) => a.frame - b.frame);
    if (JSON.stringify(others) !== JSON.stringify(store.state.others)) store.set({ others });
  }
}
