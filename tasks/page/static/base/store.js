/** The state that all parts share, and who wants to know of changes. */

/** @typedef {import("../types.js").State} State */

/** @type {State} */
const FIRST = {
  author: "",
  readOnly: false,
  online: true,
  place: null,
  frame: 0,
  inbox: null,
  sequence: null,
  drawing: null,
  beside: [],
  preview: null,
  overlay: null,
  theirs: null,
  skipped: [],
  doubts: null,
  review: null,
  run: null,
  progress: null,
  ahead: null,
  others: [],
  shown: "result",
  colours: "",
  opacity: 0.45,
  hidden: new Set(),
  locked: new Set(),
  tool: "stroke",
  object: 1,
  brushPx: 12,
  saving: { state: "saved", strokes: 0, why: "" },
  fps: 0,
  compare: "",
};

export class Store {
  /** @type {State} */
  #state;
  /** @type {Set<keyof State>} */
  #changed = new Set();
  /** @type {{keys: (keyof State)[], act: (state: State) => void}[]} */
  #listeners = [];
  /** @type {((state: State) => void)[]} */
  #always = [];

  /** @param {Partial<State>} [first] */
  constructor(first = {}) {
    this.#state = { ...FIRST, ...first };
  }

  /** As it is now; read it afresh whenever it is needed. */
  get state() {
    return this.#state;
  }

  /**
   * Put new values in the place of old ones; listeners are called once, when the present task of the browser is done.
   * @param {Partial<State>} values
   */
  set(values) {
    const keys = /** @type {(keyof State)[]} */ (Object.keys(values)).filter((key) => values[key] !== this.#state[key]);
    if (!keys.length) return;
    this.#state = { ...this.#state, ...values };
    if (!this.#changed.size) queueMicrotask(() => this.#tell());
    keys.forEach((key) => this.#changed.add(key));
  }

  /**
   * Act at once, and whenever one of these has changed.
   * @param {(keyof State)[]} keys
   * @param {(state: State) => void} act
   */
  watch(keys, act) {
    this.#listeners.push({ keys, act });
    act(this.#state);
  }

  /**
   * Act after every change, whatever has changed.
   * @param {(state: State) => void} act
   */
  watchAll(act) {
    this.#always.push(act);
  }

  #tell() {
    const changed = this.#changed;
    this.#changed = new Set();
    for (const { keys, act } of this.#listeners) if (keys.some((key) => changed.has(key))) act(this.#state);
    this.#always.forEach((act) => act(this.#state));
  }
}

/**
 * Whether anything can be written about the sequence that is shown.
 * @param {State} state
 */
export function mayWrite({ readOnly, sequence }) {
  return !readOnly && sequence !== null && sequence.writable;
}
