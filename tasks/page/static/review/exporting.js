/** The masks in a format that other programs read: what can be asked for, and the command that writes it. */

import { button, byId, make } from "../base/elements.js";
import { addressOf, ask, send } from "../base/net.js";
import { isBusy } from "./runs.js";
import { remember, remembered } from "../base/settings.js";
import { complain } from "../base/say.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").Exports} Exports */
/** @typedef {import("../types.js").ExportOption} Option */

const FIRST = ["only_reviewed"]; // what people ask for most; the rest is folded away

/** @param {App} app */
export function start({ store, actions }) {
  const format = make("select");
  const summary = make("p", { className: "soft" });
  const plain = make("div", { className: "options" });
  const rest = make("div", { className: "options" });
  const told = make("p", { id: "export-told" });
  const form = make(
    "details",
    { className: "writes" },
    make("summary", {}, "Masks as other programs read them"),
    make("label", {}, "Format ", format),
    summary,
    plain,
    make("details", {}, make("summary", {}, "More options"), rest),
    make("p", {}, button("export.start", "Export")),
  );
  byId("export").append(form, told);
  /** @type {Exports | null} */
  let offered = null;
  /** Name -> its field. @type {Map<string, HTMLInputElement | HTMLSelectElement>} */
  const fields = new Map();

  actions.add({
    "export.start": {
      label: "Export",
      run: begin,
      enabled: (state) => !state.readOnly && !isBusy(state) && "masks" in (state.sequence?.contents ?? {}),
    },
  });
  format.addEventListener("change", () => (remember("format", format.value), showFormat()));
  form.addEventListener("toggle", () => {
    if (form.open && !offered) load().catch(complain);
  });
  store.watch(["run"], ({ run }) => {
    told.textContent = run?.what === "export" && run.state === "idle" ? run.message : "";
    told.hidden = !told.textContent;
  });

  async function load() {
    offered = /** @type {Exports} */ (await ask("/api/exports"));
    format.replaceChildren(...offered.formats.map(({ name }) => make("option", { value: name }, name)));
    const last = remembered("format", "");
    if (offered.formats.some(({ name }) => name === last)) format.value = last;
    for (const option of offered.options) fields.set(option.name, fieldOf(option));
    showFormat();
  }

  function showFormat() {
    const chosen = offered?.formats.find(({ name }) => name === format.value);
    const options = offered?.options.filter(({ name }) => chosen?.options.includes(name)) ?? [];
    summary.textContent = chosen?.summary ?? "";
    plain.replaceChildren(...options.filter(({ name }) => FIRST.includes(name)).map(lineOf));
    rest.replaceChildren(...options.filter(({ name }) => !FIRST.includes(name)).map(lineOf));
  }

  /** @param {Option} option */
  function lineOf({ name, kind, help }) {
    const field = /** @type {HTMLElement} */ (fields.get(name));
    const words = make("span", {}, name.replaceAll("_", " "));
    return make("div", {}, make("label", {}, ...(kind === "flag" ? [field, words] : [words, field])), make("small", { className: "soft" }, help));
  }

  async function begin() {
    const { place } = store.state;
    const chosen = offered?.formats.find(({ name }) => name === format.value);
    if (!place || !offered || !chosen) return;
    const options = Object.fromEntries(
      offered.options
        .filter(({ name }) => chosen.options.includes(name))
        .map((option) => [option.name, valueOf(option)])
        .filter(([name, value]) => value !== offered?.options.find((each) => each.name === name)?.default),
    );
    try {
      const run = await send("POST", addressOf(place, "export", { set: place.set }), { format: chosen.name, options });
      if (store.state.place === place) store.set({ run });
    } catch (error) {
      complain(error);
    }
  }

  /** @param {Option} option */
  function valueOf({ name, kind }) {
    const field = /** @type {HTMLInputElement} */ (fields.get(name));
    if (kind === "flag") return field.checked;
    return kind === "number" ? Number(field.value) : field.value.trim();
  }
}

/** @param {Option} option */
function fieldOf({ kind, choices, default: usual }) {
  switch (kind) {
    case "flag":
      return make("input", { type: "checkbox", checked: Boolean(usual) });
    case "choice": {
      const select = make("select", {}, ...choices.map((each) => make("option", { value: each }, each)));
      select.value = String(usual);
      return select;
    }
    case "number":
      return make("input", { type: "number", step: "any", value: String(usual) });
    case "text":
      return make("input", { type: "text", autocomplete: "off", value: String(usual) });
  }
}
