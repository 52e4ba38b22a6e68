/** Says what happens: on the page, and to screen readers, which are told at most one thing in two seconds. */

const QUIET_MS = 2000;
const SHOWN_MS = 8000;

/** @type {string | null} */
let next = null;
let quietUntil = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let hiding;

/**
 * @param {string} sentence
 * @param {"news" | "fault"} kind a fault stays until the next thing is said
 */
export function say(sentence, kind = "news") {
  const shown = /** @type {HTMLElement} */ (document.getElementById("said"));
  shown.textContent = sentence;
  shown.dataset.kind = kind;
  shown.hidden = !sentence;
  clearTimeout(hiding);
  if (kind === "news") hiding = setTimeout(() => (shown.hidden = true), SHOWN_MS);
  if (next === null) setTimeout(speak, Math.max(0, quietUntil - performance.now()));
  next = sentence;
}

/**
 * Say what went wrong, in the server's words where they are.
 * @param {unknown} error
 */
export function complain(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  say(error instanceof Error ? error.message : String(error), "fault");
}

function speak() {
  const spoken = /** @type {HTMLElement} */ (document.getElementById("spoken"));
  spoken.textContent = next;
  next = null;
  quietUntil = performance.now() + QUIET_MS;
}
