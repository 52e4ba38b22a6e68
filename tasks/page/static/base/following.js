/** Keeps the state in step with the server: asks again for what somebody, or a run, has made another one. */

import { addressOf, ask } from "./net.js";
import { stageSeen } from "./pictures.js";
import { complain } from "./say.js";

/** @typedef {import("../types.js").App} App */

/** What of the state rests on which files; in the order in which they are asked for, since doubts rest on the sequence. */
const RESTS_ON = {
  sequence: ["drafts", "set", "objects", "requests", "anchors", "result"],
  doubts: ["result", "set"],
  review: ["review", "result", "anchors", "set"],
};
/** @typedef {keyof typeof RESTS_ON} Part */

/** @param {App} app */
export function start({ store, events }) {
  const fetchers = {
    sequence: async (/** @type {import("../types.js").Place} */ place) =>
      await ask(addressOf(place, "", { set: place.set })),
    doubts: async (/** @type {import("../types.js").Place} */ place) => {
      const stage = stageSeen(store.state.sequence?.contents ?? {});
      return stage ? await ask(addressOf(place, "doubt", { detail: 1, stage })) : null;
    },
    review: async (/** @type {import("../types.js").Place} */ place) =>
      await ask(addressOf(place, `set/${encodeURIComponent(place.set)}/review`)),
  };

  store.watch(["place"], ({ place }) => {
    if (place) refresh(["doubts", "review"]);
  });
  events.on("open", () => refresh(["sequence", "doubts", "review"]));
  events.on("changed", ({ what }) => {
    const parts = /** @type {Part[]} */ (Object.keys(RESTS_ON));
    refresh(parts.filter((part) => RESTS_ON[part].some((file) => what.includes(file))));
  });
  events.on("run", (/** @type {import("../types.js").Progress & {sequence: string}} */ news) => {
    const ended = store.state.progress?.running && !news.running;
    if (news.sequence === store.state.place?.sequence) store.set({ progress: news });
    if (ended) refresh(["sequence", "doubts", "review"]);
  });
  refresher = refresh;

  /** @param {Part[]} parts */
  async function refresh(parts) {
    const { place } = store.state;
    if (!place) return;
    try {
      for (const part of parts) {
        let before, found;
        do {
          before = store.state[part];
          found = await fetchers[part](place);
        } while (store.state.place === place && store.state[part] !== before); // what was written meanwhile is newer
        if (store.state.place === place) store.set({ [part]: found });
      }
    } catch (error) {
      complain(error);
    }
  }
}

/** @type {(parts: Part[]) => Promise<void>} */
let refresher = async () => {};

/**
 * Ask again for parts of the state.
 * @param {Part[]} parts
 */
export function refresh(parts) {
  return refresher(parts);
}
