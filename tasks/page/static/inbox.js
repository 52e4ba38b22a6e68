/** The inbox: every sequence in a line, those first that are worth a person's next minute. */

import { byId, counted, make } from "./base/elements.js";
import { ask } from "./base/net.js";
import { openPlace } from "./base/places.js";
import { complain } from "./base/say.js";

/** @typedef {import("./types.js").App} App */
/** @typedef {import("./types.js").InboxLine} Line */

const ASK_AGAIN_MS = 3000;
const TYPING_MS = 200;

/** @param {App} app */
export function start({ store, actions, events }) {
  const name = /** @type {HTMLInputElement} */ (byId("inbox-name"));
  const dataset = /** @type {HTMLSelectElement} */ (byId("inbox-dataset"));
  const author = /** @type {HTMLSelectElement} */ (byId("inbox-author"));
  let page = 0;
  let typing = 0;

  actions.add({
    "inbox.before": { label: "Page before", run: () => turn(-1), enabled: ({ inbox }) => Boolean(inbox?.page) },
    "inbox.after": {
      label: "Page after",
      run: () => turn(1),
      enabled: ({ inbox }) => inbox !== null && (inbox.page + 1) * inbox.of_a_page < inbox.total,
    },
    "inbox.next": { label: "Next sequence that needs a person", run: openNext },
  });

  for (const choice of [dataset, author]) choice.addEventListener("change", () => turn(0));
  name.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => turn(0), TYPING_MS);
  });
  events.on("open", () => isMeant() && look());
  setInterval(() => !document.hidden && store.state.place === null && look(), ASK_AGAIN_MS);
  store.watch(["place"], ({ place }) => {
    if (!place && isMeant()) look();
  });
  store.watch(["inbox"], ({ inbox }) => {
    if (inbox) show(inbox);
  });

  /** @param {number} by 0: back to the first */
  function turn(by) {
    page = by ? page + by : 0;
    return look();
  }

  async function look() {
    try {
      store.set({ inbox: await ask(`/api/inbox?${new URLSearchParams(asked())}`) });
    } catch (error) {
      if (store.state.place === null) complain(error);
    }
  }

  function asked() {
    return { page: String(page), name: name.value, dataset: dataset.value, author: author.value };
  }

  /** @param {import("./types.js").InboxPage} inbox */
  function show(inbox) {
    choose(dataset, "all", inbox.datasets);
    choose(author, "anybody", inbox.authors);
    byId("inbox-count").textContent = counted(inbox.total, "sequence");
    byId("inbox-empty").hidden = inbox.total > 0 || Boolean(name.value || dataset.value || author.value);
    const pages = Math.ceil(inbox.total / inbox.of_a_page);
    byId("inbox-pages").hidden = pages < 2;
    byId("inbox-page").textContent = `${inbox.page + 1} of ${pages}`;
    const lines = byId("inbox-lines");
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.line : undefined;
    lines.replaceChildren(...inbox.lines.map(lineOf));
    if (focused) lines.querySelector(`[data-line="${CSS.escape(focused)}"]`)?.closest("a")?.focus();
  }

  async function openNext() {
    await turn(0);
    const { place, inbox } = store.state;
    const next = inbox?.lines.find((line) => line.sequence !== place?.sequence || line.dataset !== place.dataset);
    if (next) openPlace({ sequence: next.sequence, dataset: next.dataset, set: "" });
  }
}

/** Whether the address names the inbox: while a sequence is being opened, its pictures come first. */
function isMeant() {
  return !new URLSearchParams(location.search).has("seq");
}

/** @param {Line} line */
function lineOf(line) {
  const { sequence, dataset, state } = line;
  const link = make(
    "a",
    {
      href: `?${new URLSearchParams({ seq: sequence, dataset })}`,
      "data-line": `${dataset}/${sequence}`,
      onclick: (/** @type {MouseEvent} */ event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        openPlace({ sequence, dataset, set: "" });
      },
    },
    make("strong", {}, make("bdi", {}, sequence)),
    make("span", { className: "soft" }, ` ${dataset}, ${counted(line.frame_count, "frame")}`),
    make("span", { className: "state", "data-state": state }, stateInWords(state)),
    make("span", { className: "wants" }, wanted(line)),
  );
  return make("li", {}, link);
}

/**
 * `stopped` is what a run leaves behind; whoever looks wants to know that one is due.
 * @param {string} state
 */
export function stateInWords(state) {
  return state === "stopped" ? "to run" : state;
}

/**
 * What a line wants of a person, in words.
 * @param {Line} line
 */
export function wanted({ need, why, waiting_for, drafts, doubt, suggestion, frame_count }) {
  const drawn = drafts.filter(({ state }) => state !== "ready");
  const by = [...new Set(drafts.map(({ author }) => author).filter(Boolean))].join(", ");
  const ready = drafts.length - drawn.length;
  const said = [];
  if (need === "decision") said.push("two people have said different things of a frame: decide");
  if (waiting_for.length) said.push(`${counted(waiting_for.length, "frame waits", "frames wait")} for scribbles`);
  if (drawn.length) said.push(`${counted(drawn.length, "draft")} not finished${by ? ` (${by})` : ""}`);
  if (ready) said.push(`${counted(ready, "frame is", "frames are")} ready for the next run`);
  if (!waiting_for.length && why && need !== "decision") said.push(why);
  if (suggestion && suggestion.expected_gain > 0) {
    const gain = suggestion.expected_gain.toFixed(2);
    said.push(`a scribble on frame ${suggestion.frame}: +${gain} of mean J over ${counted(frame_count, "frame")}`);
  }
  if (doubt) said.push(`doubt ${doubt.mean.toFixed(2)}`);
  return said.join("; ");
}

/**
 * @param {HTMLSelectElement} choice
 * @param {string} all
 * @param {string[]} names
 */
function choose(choice, all, names) {
  const wanted = [["", all], ...names.map((each) => [each, each])];
  if (wanted.length === choice.options.length && wanted.every(([value], at) => choice.options[at].value === value)) return;
  const { value } = choice;
  choice.replaceChildren(...wanted.map(([each, text]) => make("option", { value: each }, text)));
  choice.value = names.includes(value) ? value : "";
  choice.parentElement?.classList.toggle("unneeded", names.length < 2);
}
