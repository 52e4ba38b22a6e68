/** What a person draws on one frame: what it says now, and the steps that led there, to be undone and done again. */

/** @typedef {import("../types.js").Said} Said */
/** @typedef {import("../types.js").Mask} Mask */
/** @typedef {{left: number, top: number, width: number, height: number}} Rectangle */
/** @typedef {{where: Rectangle, before: Uint8Array, after: Uint8Array}} Patch what a step changes of a mask */
/** @typedef {{before: Said, after: Said, patch: Patch | null}} Step */

const MOST_STEPS = 200;

/** @type {Said} */
export const NOTHING_SAID = {
  kind: "strokes",
  lines: [],
  absent: [],
  from_boxes: [],
  corrects: "",
  state: "draft",
  author: "",
};

export class Drawing {
  /** @type {Step[]} */
  #done = [];
  /** @type {Step[]} */
  #undone = [];
  /** @type {Set<(patch: Patch | null) => void>} */
  #listeners = new Set();
  #said;
  #mask;

  /**
   * @param {number} frame
   * @param {Said} said as the server has it
   * @param {Mask | null} mask that is painted on; there if the kind is `mask`
   */
  constructor(frame, said = NOTHING_SAID, mask = null) {
    this.frame = frame;
    this.#said = said;
    this.#mask = mask;
  }

  /** As it is now; a change makes another one. */
  get said() {
    return this.#said;
  }

  /** The mask that is painted on. Only `apply` changes it. */
  get mask() {
    return this.#mask;
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /**
   * One step: what is said from now on, and what of the mask is another one. Who draws on has not done yet.
   * @param {Partial<Said>} change
   * @param {Patch | null} patch its `after` is written into the mask
   */
  apply(change, patch = null) {
    const step = { before: this.#said, after: asDraft({ ...this.#said, ...change }), patch };
    this.#done.push(step);
    if (this.#done.length > MOST_STEPS) this.#done.shift();
    this.#undone = [];
    this.#become(step.after, patch, "after");
  }

  undo() {
    const step = this.#done.pop();
    if (!step) return;
    this.#undone.push(step);
    this.#become(asDraft(step.before), step.patch, "before");
  }

  redo() {
    const step = this.#undone.pop();
    if (!step) return;
    this.#done.push(step);
    this.#become(asDraft(step.after), step.patch, "after");
  }

  /**
   * All that somebody else says, as a step: what was said before can be brought back.
   * @param {Said} said
   * @param {Mask | null} mask
   */
  applyAll(said, mask) {
    if (!mask) return this.apply(said);
    if (this.#mask?.width !== mask.width || this.#mask.height !== mask.height) {
      this.#mask = { ...mask, ids: new Uint8Array(mask.ids.length) };
    }
    const where = { left: 0, top: 0, width: mask.width, height: mask.height };
    this.apply(said, { where, before: this.#mask.ids.slice(), after: mask.ids.slice() });
  }

  /**
   * What is no step of its own: which mask the strokes correct, whether all is done. A further step, undo as well, makes it
   * a draft again.
   * @param {Partial<Said>} change
   */
  amend(change) {
    for (const steps of [this.#done, this.#undone]) {
      for (const step of steps) {
        step.before = { ...step.before, ...change };
        step.after = { ...step.after, ...change };
      }
    }
    this.#become({ ...this.#said, ...change }, null, "after");
  }

  /**
   * Take what somebody else has made of it; the steps of here are gone, since they led elsewhere.
   * @param {Said} said
   * @param {Mask | null} mask
   */
  replace(said, mask = null) {
    this.#done = [];
    this.#undone = [];
    this.#mask = mask;
    this.#become(said, null, "after");
  }

  /**
   * Begin to paint on a mask, or go back to strokes (null). It is no step: what is painted is.
   * @param {Mask | null} mask
   */
  paintOn(mask) {
    this.#mask = mask;
  }

  /**
   * @param {(patch: Patch | null) => void} listener told after every change; the patch says where the mask is another one
   * @returns {() => void} stops it
   */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * @param {Said} said
   * @param {Patch | null} patch
   * @param {"before" | "after"} side
   */
  #become(said, patch, side) {
    this.#said = said;
    if (patch && this.#mask) write(this.#mask, patch.where, patch[side]);
    this.#listeners.forEach((listener) => listener(patch));
  }
}

/**
 * Act at once, whenever another drawing is shown, and after every change of the one that is.
 * @param {import("../base/store.js").Store} store
 * @param {(drawing: Drawing | null, patch: Patch | null) => void} act
 */
export function followDrawing(store, act) {
  let leave = () => {};
  store.watch(["drawing"], ({ drawing }) => {
    leave();
    leave = drawing?.onChange((patch) => act(drawing, patch)) ?? (() => {});
    act(drawing, null);
  });
}

/**
 * @param {Said} said
 * @returns {Said}
 */
function asDraft(said) {
  return said.state === "draft" ? said : { ...said, state: "draft" };
}

/**
 * The ids of a rectangle of a mask, row by row.
 * @param {Mask} mask
 * @param {Rectangle} where
 */
export function cut({ ids, width }, { left, top, width: columns, height: rows }) {
  const found = new Uint8Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    const first = (top + row) * width + left;
    found.set(ids.subarray(first, first + columns), row * columns);
  }
  return found;
}

/**
 * @param {Mask} mask
 * @param {Rectangle} where
 * @param {Uint8Array} found
 */
function write({ ids, width }, { left, top, width: columns, height: rows }, found) {
  for (let row = 0; row < rows; row++) {
    ids.set(found.subarray(row * columns, (row + 1) * columns), (top + row) * width + left);
  }
}
