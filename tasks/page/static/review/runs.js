/** The run on a sequence: started and stopped, how far it is, and what it has come to; whoever has started it. */

import { button, byId, counted, make } from "../base/elements.js";
import { addressOf, ask, send } from "../base/net.js";
import { complain, say } from "../base/say.js";
import { doing } from "./stages.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").Run} Run */

const TASKS_NAMED = 3;
const HARMLESS = [null, 0, 20, 130]; // done, waits for people, stopped

/** @param {App} app */
export function start({ store, actions, events }) {
  const told = make("p", { id: "run-told" });
  const bar = make("progress", { max: 100, "aria-label": "Progress of the run" });
  const tasks = make("p", { className: "soft" });
  const command = make("p", {}, make("code"));
  const log = make("pre", { tabIndex: 0, "aria-label": "Log of the run" });
  const details = make("details", {}, make("summary", {}, "Log"), log);
  byId("runs").append(
    make("div", { id: "ahead" }),
    make("p", { className: "row writes" }, button("run.start", "Run", { className: "main" }), button("run.stop", "Stop")),
    told,
    bar,
    tasks,
    command,
    details,
  );
  actions.add({
    "run.start": { label: "Run: make the masks", run: begin, enabled: mayBegin },
    "run.stop": { label: "Stop the run", run: stop, enabled: ({ run, readOnly }) => !readOnly && (run?.state === "running" || run?.state === "queued") },
  });
  let beginsWhenSaved = false;
  store.watch(["saving"], () => {
    if (beginsWhenSaved) begin();
  });
  store.watch(["place"], ({ place }) => {
    beginsWhenSaved = false;
    if (place) look();
  });
  events.on("open", look);
  events.on("page_run", (/** @type {Run & {sequence: string, dataset: string}} */ news) => {
    const { place } = store.state;
    if (news.sequence === place?.sequence && news.dataset === place.dataset) store.set({ run: news });
  });
  store.watch(["run", "progress"], show);

  async function look() {
    const { place } = store.state;
    if (!place) return;
    try {
      const run = await ask(addressOf(place, "run", { set: place.set }));
      if (store.state.place === place) store.set({ run });
    } catch (error) {
      complain(error);
    }
  }

  /** What is on its way to the server is waited for: a run sees what is saved. */
  function begin() {
    const { state } = store.state.saving;
    beginsWhenSaved = state === "saving";
    if (state === "saved") change("POST", {});
    else if (!beginsWhenSaved) say("what you have drawn is not saved yet; run when it is", "fault");
  }

  function stop() {
    return change("DELETE", undefined);
  }

  /**
   * @param {"POST" | "DELETE"} method
   * @param {unknown} body
   */
  async function change(method, body) {
    const { place } = store.state;
    if (!place) return;
    try {
      const run = await send(method, addressOf(place, "run", { set: place.set }), body);
      if (store.state.place === place) store.set({ run });
    } catch (error) {
      complain(error);
    }
  }

  /** @param {State} state */
  function show(state) {
    const { run, progress } = state;
    const isRunning = Boolean(progress?.running);
    told.textContent = inWords(state);
    told.hidden = !told.textContent;
    told.classList.toggle("fault", !isBusy(state) && !HARMLESS.includes(run?.exit ?? null));
    bar.hidden = !isRunning;
    bar.value = progress?.percent ?? 0;
    tasks.hidden = !isRunning || !progress?.tasks.length;
    tasks.textContent = tasksInWords(progress?.tasks ?? []);
    command.hidden = !run?.command;
    /** @type {HTMLElement} */ (command.firstChild).textContent = run?.command ?? "";
    details.hidden = !run?.log.length;
    const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 2;
    log.textContent = run?.log.join("\n") ?? "";
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }
}

/** @param {State} state */
export function isBusy({ run, progress }) {
  return Boolean(progress?.running) || (run !== null && run.state !== "idle");
}

/**
 * What works in the background is not waited for: it stops for a run.
 * @param {State} state
 */
function mayBegin(state) {
  const isInBackground = state.run?.what === "anchors" && ["queued", "running"].includes(state.run.state);
  return state.sequence !== null && !state.readOnly && (isInBackground || !isBusy(state));
}

/** @param {State} state */
function inWords({ run, progress }) {
  if (run?.state === "queued") return run.message || "waits for another run to end";
  if (run?.state === "stopping") return "stopping";
  if (progress?.running) {
    const whose = run?.state === "running" ? "" : `, process ${progress.pid} on ${progress.host}`;
    return `running${whose}: ${progress.percent} %`;
  }
  if (run?.state === "running") return "starting";
  return run?.message ?? "";
}

/** @param {string[]} tasks such as `tracks/00010-00030`, `masks` */
function tasksInWords(tasks) {
  const more = tasks.length - TASKS_NAMED;
  return tasks.slice(0, TASKS_NAMED).map(taskInWords).join(", ") + (more > 0 ? ` and ${counted(more, "other")}` : "");
}

/** @param {string} task */
function taskInWords(task) {
  const [, stage = task, from, to] = task.match(/^(\w+)(?:\/(\d+)(?:-(\d+))?)?$/) ?? [];
  if (from === undefined) return doing(stage);
  return `${doing(stage)} ${to ? `from frame ${Number(from)} to ${Number(to)}` : `on frame ${Number(from)}`}`;
}
