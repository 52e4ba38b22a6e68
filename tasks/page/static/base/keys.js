/** The keyboard: which key does what, by presets of tools that people know, changed by whoever likes, kept in the browser. */

import { byId, make } from "./elements.js";
import { remembered, remember } from "./settings.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {Record<string, string>} Binding action -> key, such as `Ctrl+Shift+Z`; "": none */

/** @type {Binding} */
const LIS = {
  "frame.before": "ArrowLeft",
  "frame.after": "ArrowRight",
  "frame.ten_before": "Shift+ArrowLeft",
  "frame.ten_after": "Shift+ArrowRight",
  "frame.anchor_before": "PageUp",
  "frame.anchor_after": "PageDown",
  "object.1": "1",
  "object.2": "2",
  "object.3": "3",
  "object.4": "4",
  "object.5": "5",
  "object.6": "6",
  "object.7": "7",
  "object.8": "8",
  "object.9": "9",
  "object.new": "N",
  "tool.background": "0",
  "tool.stroke": "S",
  "tool.brush": "B",
  "tool.eraser": "E",
  "tool.click": "D",
  "tool.box": "T",
  "tool.rubber": "",
  "tool.fill": "L",
  "brush.smaller": "[",
  "brush.larger": "]",
  "view.pan": "Space",
  "view.fit": "F",
  "view.full": "Z",
  "view.closer": "+",
  "view.farther": "-",
  "mask.toggle": "M",
  "edit.undo": "Ctrl+Z",
  "edit.redo": "Ctrl+Shift+Z",
  "draft.done": "Enter",
  "draft.nothing_here": "X",
  "draft.skip": "K",
  "draft.saved": "Ctrl+S",
  "play.toggle": "P",
  "review.next_doubtful": "J",
  "review.next_suggestion": "G",
  "review.approve_frame": "A",
  "review.approve_stretch": "Shift+A",
  "review.approve_sequence": "Ctrl+Shift+A",
  "compare.hold": "C",
  "run.start": "R",
  "inbox.next": "Y",
  "inbox.open": "I",
  "help.open": "?",
};
/** What other tools do otherwise. @type {Record<string, Binding>} */
const PRESETS = {
  lis: {},
  cvat: {
    "frame.before": "D",
    "frame.after": "F",
    "frame.ten_before": "C",
    "frame.ten_after": "V",
    "tool.stroke": "N",
    "object.new": "",
    "tool.click": "",
    "view.fit": "",
    "compare.hold": "",
    "play.toggle": "Space",
    "view.pan": "",
    ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map((id) => [`object.${id}`, `Ctrl+${id}`])),
  },
  labelme: {
    "frame.before": "A",
    "frame.after": "D",
    "tool.click": "",
    "view.fit": "Ctrl+F",
    "view.full": "Ctrl+0",
    "view.closer": "Ctrl++",
    "view.farther": "Ctrl+-",
    "review.approve_frame": "",
  },
  "label studio": {
    "view.pan": "H",
    "view.closer": "Ctrl++",
    "view.farther": "Ctrl+-",
    "draft.done": "Ctrl+Enter",
    "draft.nothing_here": "-",
    "draft.skip": "Ctrl+Space",
    "play.toggle": "Space",
  },
};
const MODIFIERS = new Set(["Control", "Shift", "Alt", "Meta"]);

/** @param {App} app */
export function start({ store, actions }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("help"));
  /** Action -> what lets go of it. @type {Map<string, string>} */
  const held = new Map();
  let binding = bound();
  const told = make("p", { role: "status" });
  /** Action -> the button that changes its key. @type {Map<string, HTMLButtonElement>} */
  const keyButtons = new Map();

  actions.add({ "help.open": { label: "Keys", run: () => ((told.textContent = ""), showHelp(), dialog.showModal()) } });

  addEventListener("keydown", (event) => {
    const key = keyOf(event);
    const action = Object.keys(binding).find((each) => binding[each] === key);
    const spec = action && actions.get(action);
    if (!action || !spec || isTyped(event) || !actions.isEnabled(action)) return;
    event.preventDefault();
    if (event.repeat && !action.startsWith("frame.")) return;
    if (spec.release) held.set(action, event.code);
    actions.run(action, event);
  });
  addEventListener("keyup", (event) => {
    for (const [action, code] of held) if (code === event.code) letGo(action);
  });
  addEventListener("blur", () => [...held.keys()].forEach(letGo));
  store.watch(["place"], markButtons);

  /** @param {string} action */
  function letGo(action) {
    held.delete(action);
    actions.get(action)?.release?.();
  }

  /**
   * Whether a key means text, or what the element with the focus does with it.
   * @param {KeyboardEvent} event
   */
  function isTyped(event) {
    const at = event.target instanceof Element ? event.target : document.body;
    if (at.closest("dialog") || at.closest("input:not([type=range], [type=checkbox]), textarea, select")) return true;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (plain && at.closest("button, a, [role=slider], input, summary") && /^(Enter|Space|Arrow.*|Page.*)$/.test(event.code)) return true;
    if (plain && at.id === "canvas" && /^(Enter|NumpadEnter|Escape|Arrow.*)$/.test(event.code)) return true; // strokes by keyboard
    return plain && event.key.length === 1 && event.key !== " " && !remembered("single_keys", true);
  }

  function bound() {
    return { ...LIS, ...PRESETS[remembered("preset", "lis")], .../** @type {Binding} */ (remembered("keys", {})) };
  }

  /** Buttons say their keys. */
  function markButtons() {
    for (const each of document.querySelectorAll("button[data-action]")) {
      if (!(each instanceof HTMLButtonElement)) continue;
      const action = String(each.dataset.action);
      const key = binding[action];
      const label = actions.get(action)?.label ?? each.textContent ?? "";
      each.title = key ? `${label} (${inWords(key)})` : label;
      if (key) each.setAttribute("aria-keyshortcuts", key.replace("Ctrl", "Control"));
      else each.removeAttribute("aria-keyshortcuts");
    }
  }
  marker = markButtons;

  function showHelp() {
    const preset = make("select", { id: "preset" }, ...Object.keys(PRESETS).map((name) => make("option", { value: name }, name)));
    preset.value = remembered("preset", "lis");
    preset.addEventListener("change", () => (remember("preset", preset.value), remember("keys", {}), change()));
    const single = make("input", { type: "checkbox", checked: remembered("single_keys", true) });
    single.addEventListener("change", () => remember("single_keys", single.checked));
    const rows = Object.entries(binding)
      .filter(([action]) => actions.get(action))
      .map(([action, key]) => row(action, key));
    dialog.replaceChildren(
      make("h2", { id: "help-title" }, "Keys"),
      make("p", {}, make("label", {}, "As in ", preset), " ", make("label", {}, single, " keys without Ctrl")),
      make("p", { className: "soft" }, "Choose a key's button, then press another key; Delete takes it away."),
      told,
      make("table", {}, make("tbody", {}, ...rows)),
      make("form", { method: "dialog" }, make("button", {}, "Close")),
    );
  }

  /**
   * @param {string} action
   * @param {string} key
   */
  function row(action, key) {
    const label = actions.get(action)?.label ?? action;
    const shown = key ? inWords(key) : "none";
    const change = make("button", { type: "button", "aria-label": `Key of: ${label}` }, shown);
    keyButtons.set(action, change);
    change.addEventListener("click", () => {
      const asking = new AbortController(), { signal } = asking;
      const stop = () => (asking.abort(), (change.textContent = shown));
      change.textContent = "press a key";
      change.addEventListener("blur", stop, { signal });
      change.addEventListener("keydown", (event) => {
        if (MODIFIERS.has(event.key) || event.key === "Tab") return; // the other key of a pair is still to come
        event.preventDefault();
        event.stopPropagation();
        stop();
        if (event.key !== "Escape") rebind(event, action);
      }, { signal });
    });
    return make("tr", {}, make("td", {}, label), make("td", {}, change));
  }

  /**
   * @param {KeyboardEvent} event
   * @param {string} action
   */
  function rebind(event, action) {
    const key = event.key === "Delete" ? "" : keyOf(event);
    const taken = Object.keys(binding).find((each) => binding[each] === key && each !== action && key !== "");
    const freed = taken ? { [taken]: "" } : {};
    remember("keys", { .../** @type {Binding} */ (remembered("keys", {})), ...freed, [action]: key });
    told.textContent = taken ? `${inWords(key)} did "${actions.get(taken)?.label ?? taken}" until now, which has no key any more.` : "";
    change();
    keyButtons.get(action)?.focus();
  }

  function change() {
    binding = bound();
    markButtons();
    showHelp();
  }
}

let marker = () => {};

/** Call it after buttons were put in: they say their keys. */
export function markButtons() {
  marker();
}

/**
 * What was pressed, as bindings say it: letters large, digits and signs as they are printed on the keyboard in use.
 * @param {KeyboardEvent} event
 */
export function keyOf(event) {
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const isSign = key.length === 1 && !/[A-Z0-9]/.test(key); // Shift is how it is typed
  const parts = [event.ctrlKey || event.metaKey ? "Ctrl" : "", event.altKey ? "Alt" : "", event.shiftKey && !isSign ? "Shift" : ""];
  return [...parts.filter(Boolean), key].join("+");
}

/** @param {string} key */
function inWords(key) {
  return key.replace("Arrow", "").replaceAll("+", " + ").replace("+  + ", "+ +").trim() || key;
}
