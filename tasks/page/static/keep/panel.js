/** The objects: which one is drawn, what they are called, which are shown, kept from changes, or absent on the frame. */

import { canBeAbsent, toggleAbsent } from "./deciding.js";
import { followDrawing } from "../draw/drawing.js";
import { byId, button, make } from "../base/elements.js";
import { addressOf, ask, Refused, send } from "../base/net.js";
import { complain, say } from "../base/say.js";
import { markButtons } from "../base/keys.js";
import { choose, chooser, objectsOf } from "./objects.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").ObjectId} ObjectId */
/** @typedef {import("../types.js").NamedObject} NamedObject */
/** @typedef {{line: HTMLLIElement, update(state: State): void}} Row */

const HIGHEST_ID = 254;
const LONGEST_NAME = 100;

/** @param {App} app */
export function start({ store, actions }) {
  const list = make("ul", { className: "objects" });
  const fault = make("p", { className: "fault" });
  /** @type {Map<ObjectId, Row>} */
  const rows = new Map();
  /** One change of the list after the other. */
  let written = Promise.resolve();
  byId("objects").append(fault, list, button("object.new", "New object", { className: "writes" }));

  for (let id = 1; id <= 9; id++) {
    actions.add({ [`object.${id}`]: { label: `Object ${id}`, run: () => choose(store, id), enabled: isOpen } });
  }
  actions.add({
    "object.new": { label: "New object", run: chooseNew, enabled: (state) => isOpen(state) && !state.readOnly && nextId(state) <= HIGHEST_ID },
  });
  store.watch(["sequence", "object", "hidden", "locked", "frame", "doubts", "colours"], show);
  followDrawing(store, () => show(store.state));

  /** @param {Event} [event] */
  function chooseNew(event) {
    const id = nextId(store.state);
    choose(store, id);
    show(store.state);
    if (event?.target instanceof Element && event.target.closest("#objects")) rows.get(id)?.line.querySelector("input")?.focus(); // who pressed a key goes on to draw
  }

  /** @param {State} state */
  function show(state) {
    if (!state.sequence) return;
    fault.textContent = state.sequence.objects_fault;
    const ids = objectsOf(state);
    for (const [id, { line }] of rows) {
      if (ids.includes(id)) continue;
      line.remove();
      rows.delete(id);
    }
    ids.forEach((id, at) => {
      const row = rows.get(id) ?? newRow(id);
      rows.set(id, row);
      if (list.children[at] !== row.line) list.insertBefore(row.line, list.children[at] ?? null);
      row.update(state);
    });
    markButtons();
  }

  /**
   * @param {ObjectId} id
   * @returns {Row}
   */
  function newRow(id) {
    const chosen = chooser(store, id);
    const name = field(id, "name", "Name");
    const kind = field(id, "class", "Class");
    const hide = make("button", { type: "button", className: "quiet", onclick: () => store.set({ hidden: toggled(store.state.hidden, id) }) }, "Hide");
    const lock = make("button", { type: "button", className: "quiet", onclick: () => store.set({ locked: toggled(store.state.locked, id) }) }, "Lock");
    const absent = make("button", { type: "button", className: "quiet writes", onclick: () => toggleAbsent(store.state, id) }, "Absent here");
    const doubt = make("span", { className: "soft number end" });
    const line = make("li", {}, make("div", {}, chosen.element, name, kind), make("div", {}, hide, lock, absent, doubt));
    hide.setAttribute("aria-label", `Hide object ${id}`);
    lock.setAttribute("aria-label", `Lock object ${id}`);
    absent.setAttribute("aria-label", `Absent here: object ${id}`);
    return {
      line,
      update(state) {
        const listed = state.sequence?.objects.find((each) => each.id === id);
        line.classList.toggle("chosen", state.object === id);
        chosen.update(state);
        for (const [element, is] of /** @type {[HTMLElement, boolean][]} */ ([
          [hide, state.hidden.has(id)],
          [lock, state.locked.has(id)],
          [absent, Boolean(state.drawing?.said.absent.includes(id))],
        ])) element.setAttribute("aria-pressed", String(is));
        for (const [input, key] of /** @type {[HTMLInputElement, "name" | "class"][]} */ ([[name, "name"], [kind, "class"]])) {
          input.readOnly = state.readOnly || !state.sequence?.writable;
          if (document.activeElement !== input) input.value = listed?.[key] ?? "";
        }
        absent.hidden = !canBeAbsent(state);
        const found = state.doubts?.objects[id]?.[state.frame];
        doubt.textContent = found === undefined || found === null ? "" : `doubt ${found.toFixed(2)}`;
      },
    };
  }

  /**
   * @param {ObjectId} id
   * @param {"name" | "class"} key
   * @param {string} label
   */
  function field(id, key, label) {
    const input = make("input", { className: key, placeholder: key, maxLength: LONGEST_NAME, autocomplete: "off", "aria-label": `${label} of object ${id}`, dir: "auto" });
    input.addEventListener("change", () => {
      const change = { [key]: input.value.trim() || undefined };
      written = written.then(() => write(id, change)).catch(complain);
    });
    input.addEventListener("keydown", ({ key: pressed }) => pressed === "Enter" && input.blur());
    return input;
  }

  /**
   * Write the list with one object changed, if that is still as it is shown; others may have changed meanwhile.
   * @param {ObjectId} id
   * @param {Partial<NamedObject>} change
   */
  async function write(id, change) {
    const { place, sequence } = store.state;
    if (!place || !sequence) return;
    const address = addressOf(place, "objects");
    try {
      const seen = await ask(address);
      const of = (/** @type {NamedObject[]} */ objects) => objects.find((each) => each.id === id);
      const present = of(seen.objects);
      if (JSON.stringify(present) !== JSON.stringify(of(sequence.objects))) return take(seen.objects, true);
      const others = seen.objects.filter((/** @type {NamedObject} */ each) => each.id !== id);
      const objects = [...others, { id, ...present, ...change }].sort((a, b) => a.id - b.id);
      take((await send("PUT", address, { schema: 1, sequence: place.sequence, objects }, seen.tag)).objects, false);
    } catch (error) {
      if (error instanceof Refused && error.status === 412) take(error.answer.objects, true);
      else {
        show(store.state);
        throw error;
      }
    }
  }

  /**
   * @param {NamedObject[]} objects
   * @param {boolean} isNews whether somebody else has made them so
   */
  function take(objects, isNews) {
    const { sequence } = store.state;
    if (sequence) store.set({ sequence: { ...sequence, objects, objects_fault: "" } });
    if (isNews) say("somebody else has changed the objects: look at them, then change yours again", "fault");
  }
}

/** @param {State} state */
function nextId(state) {
  return Math.max(0, ...objectsOf(state)) + 1;
}

/** @param {State} state */
function isOpen({ sequence }) {
  return sequence !== null;
}

/**
 * @param {ReadonlySet<ObjectId>} ids
 * @param {ObjectId} id
 */
function toggled(ids, id) {
  return new Set(ids.has(id) ? [...ids].filter((each) => each !== id) : [...ids, id]);
}
