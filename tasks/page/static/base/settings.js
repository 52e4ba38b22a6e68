/** What a person has set for herself, kept in the browser: her name, the colours of the page, how masks are shown. */

import { byId, make } from "./elements.js";

/** @typedef {import("../types.js").App} App */

const PREFIX = "lis.";

/**
 * @template T
 * @param {string} name
 * @param {T} otherwise
 * @returns {T}
 */
export function remembered(name, otherwise) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise; // no storage here, or another program's
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 */
export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // a browser that keeps nothing: it holds until the page is closed
  }
}

/** @param {App} app */
export function start({ store, actions }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("settings"));
  store.set({ author: remembered("author", ""), opacity: remembered("opacity", store.state.opacity) });
  store.watch(["opacity"], ({ opacity }) => remember("opacity", opacity));

  const author = make("input", { autocomplete: "nickname", maxLength: 100 });
  author.addEventListener("change", () => {
    remember("author", author.value.trim());
    store.set({ author: author.value.trim() });
  });
  const scheme = make(
    "select",
    {},
    ...[["", "as the system"], ["light", "light"], ["dark", "dark"]].map(([value, text]) => make("option", { value }, text)),
  );
  scheme.addEventListener("change", () => {
    localStorage.setItem(`${PREFIX}scheme`, scheme.value);
    document.documentElement.classList.remove("light", "dark");
    if (scheme.value) document.documentElement.classList.add(scheme.value);
  });
  const colours = make(
    "select",
    {},
    ...[["", "as in the files"], ["distinct", "for the colour-blind"]].map(([value, text]) => make("option", { value }, text)),
  );
  colours.addEventListener("change", () => {
    remember("colours", colours.value);
    store.set({ colours: colours.value === "distinct" ? "distinct" : "" });
  });
  store.set({ colours: remembered("colours", "") });
  dialog.replaceChildren(
    make("h2", { id: "settings-title" }, "Settings"),
    make("p", {}, make("label", {}, "Your name, shown beside what you draw ", author)),
    make("p", {}, make("label", {}, "Colours of the page ", scheme)),
    make("p", {}, make("label", {}, "Colours of objects, on the page only ", colours)),
    make("form", { method: "dialog" }, make("button", {}, "Close")),
  );
  actions.add({
    "settings.open": {
      label: "Settings",
      run() {
        author.value = store.state.author;
        scheme.value = localStorage.getItem(`${PREFIX}scheme`) ?? "";
        colours.value = store.state.colours;
        dialog.showModal();
      },
    },
  });
}
