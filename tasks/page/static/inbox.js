/** Shows which sequences there are, and what each wants. */

import { ask, openSession } from "./net.js";

const told = /** @type {HTMLElement} */ (document.getElementById("told"));
const lines = /** @type {HTMLElement} */ (document.getElementById("lines"));

/** @param {{sequence: string, dataset: string, state: string, why: string}} line */
function lineOf(line) {
  const item = document.createElement("li");
  const name = document.createElement("strong");
  name.textContent = line.sequence;
  const why = line.why ? `: ${line.why}` : "";
  item.append(name, ` (${line.dataset}), ${line.state}${why}`);
  return item;
}

try {
  await openSession();
  const inbox = await ask("/api/inbox");
  lines.replaceChildren(...inbox.lines.map(lineOf));
  told.textContent = `${inbox.total} ${inbox.total === 1 ? "sequence" : "sequences"}`;
} catch (error) {
  told.textContent = error instanceof Error ? error.message : String(error);
}
