/** What can be done, each under one name: buttons, keys and menus all lead here, so none can do what another cannot. */

/** @typedef {import("../types.js").ActionSpec} ActionSpec */

export class Actions {
  /** @type {Map<string, ActionSpec>} */
  #all = new Map();
  #store;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.#store = store;
  }

  /** @param {Record<string, ActionSpec>} specs */
  add(specs) {
    for (const [name, spec] of Object.entries(specs)) {
      if (this.#all.has(name)) throw new Error(`${name} is an action already`);
      this.#all.set(name, spec);
    }
  }

  /** @param {string} name */
  get(name) {
    return this.#all.get(name);
  }

  /** @param {string} name */
  isEnabled(name) {
    const spec = this.#all.get(name);
    return Boolean(spec && (spec.enabled?.(this.#store.state) ?? true));
  }

  /**
   * Do it, if it can be done now.
   * @param {string} name
   * @param {Event} [event]
   */
  run(name, event) {
    if (this.isEnabled(name)) this.#all.get(name)?.run(event);
  }

  /** Buttons with `data-action` do what they name, and are off while that cannot be done. */
  bindButtons() {
    document.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("[data-action]") : null;
      if (button instanceof HTMLElement) this.run(String(button.dataset.action), event);
    });
    this.#store.watchAll(() => this.showEnabled());
  }

  /** Call it after buttons were put in. */
  showEnabled() {
    for (const button of document.querySelectorAll("button[data-action]")) {
      if (button instanceof HTMLButtonElement) button.disabled = !this.isEnabled(String(button.dataset.action));
    }
  }
}
