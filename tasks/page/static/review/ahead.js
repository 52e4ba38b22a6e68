/** What a run would make now, and about how long it would take: asked for whenever that may have changed. */

import { byId, counted, make } from "../base/elements.js";
import { addressOf, ask } from "../base/net.js";
import { isBusy } from "./runs.js";
import { complain } from "../base/say.js";
import { does } from "./stages.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */

/** @param {App} app */
export function start({ store, events }) {
  const foretold = make("p");
  const undone = make("p", { className: "soft" });
  byId("ahead").append(foretold, undone);
  let known = "";

  store.watch(["place", "sequence", "run", "progress"], lookIfChanged);
  events.on("changed", ({ what }) => {
    if (!what.includes("set")) return; // which lines it has, a sequence does not say
    known = "";
    lookIfChanged(store.state);
  });
  store.watch(["ahead", "sequence", "run", "progress"], (state) => {
    const drafts = state.sequence?.drafts.filter((each) => each.state === "draft").length ?? 0;
    foretold.textContent = state.ahead && !isBusy(state) ? inWords(state.ahead) : "";
    undone.textContent = drafts ? `${counted(drafts, "draft is", "drafts are")} not done: a run does not see ${drafts === 1 ? "it" : "them"}.` : "";
    for (const each of [foretold, undone]) each.hidden = !each.textContent;
  });

  /** @param {State} state */
  function lookIfChanged(state) {
    const now = state.place && state.sequence && !isBusy(state) ? JSON.stringify([state.place, restsOn(state.sequence)]) : "";
    if (now && now !== known) look().catch(complain);
    known = now;
  }

  async function look() {
    const { place } = store.state;
    if (!place) return;
    const ahead = await ask(addressOf(place, "ahead", { set: place.set }));
    if (store.state.place === place) store.set({ ahead });
  }
}

/**
 * What of a sequence decides what is to be made.
 * @param {import("../types.js").Sequence} sequence
 */
function restsOn({ drafts, annotated, given, contents, made }) {
  return [drafts.filter(({ state }) => state === "ready"), annotated, given, contents, made];
}

/** @param {import("../types.js").Ahead} ahead */
function inWords({ tasks, seconds }) {
  if (!tasks.length) return "All that can be made now is made.";
  const of = (/** @type {string} */ stage) => tasks.filter((each) => each.stage === stage);
  const frames = of("tracks").reduce((sum, each) => sum + each.frames, 0);
  const said = [];
  if (of("anchor_masks").length) said.push(`${does("anchor_masks")} ${counted(of("anchor_masks").length, "frame")}`);
  if (frames) said.push(`${does("tracks")} through ${counted(frames, "frame")}`);
  if (!said.length) said.push(...new Set(tasks.map(({ stage }) => does(stage)))); // what comes after masks goes without saying
  return `A run would ${inList(said)}${seconds === null ? "" : ` (about ${durationOf(seconds)})`}.`;
}

/** @param {string[]} parts */
function inList(parts) {
  return [parts.slice(0, -1).join(", "), ...parts.slice(-1)].filter(Boolean).join(" and ");
}

/** @param {number} seconds */
function durationOf(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
