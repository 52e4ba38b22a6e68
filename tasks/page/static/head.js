/** The line at the top: what is shown, how it stands, and whether all that was drawn is saved. */

import { byId, counted } from "./base/elements.js";
import { stateInWords } from "./inbox.js";

/** @typedef {import("./types.js").App} App */
/** @typedef {import("./types.js").State} State */

/** @param {App} app */
export function start({ store }) {
  store.watch(["place", "sequence", "readOnly"], ({ place, sequence, readOnly }) => {
    byId("inbox").hidden = place !== null;
    byId("work").hidden = place === null;
    byId("title").textContent = `${place ? place.sequence : "Inbox"}${readOnly ? ", read only" : ""}`;
    const standing = byId("standing");
    standing.textContent = standing.title = sequence ? `${sequence.dataset}, ${stateInWords(sequence.state)}${because(sequence.why)}` : "";
    byId("back").hidden = place === null;
    document.body.classList.toggle("read-only", readOnly || (sequence !== null && !sequence.writable));
  });
  store.watch(["saving", "online", "place"], (state) => {
    const shown = byId("saving");
    shown.textContent = state.place || state.saving.strokes ? savingInWords(state) : "";
    shown.dataset.state = state.saving.state;
  });
  addEventListener("beforeunload", (event) => {
    if (["waiting", "conflict"].includes(store.state.saving.state)) event.preventDefault();
  });
}

/** @param {State} state */
export function savingInWords({ saving, online }) {
  const waits = counted(saving.strokes, "change waits", "changes wait");
  switch (saving.state) {
    case "saved":
      return online ? "all is saved" : "all is saved; the server does not answer";
    case "saving":
      return "saving";
    case "waiting":
      return `not saved: ${saving.why || "the server does not answer"}, ${waits} in this browser`;
    case "conflict":
      return `not saved: somebody else has drawn on ${saving.why}, too; decide there`;
  }
}

/** @param {string} why */
function because(why) {
  return why ? `: ${why}` : "";
}
