/** Makes elements. Texts go in as texts, never as markup: they come from files. */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties] of the element; those with `-` in their names, and `role`, are attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, String(value));
    else Object.assign(element, { [name]: value });
  }
  element.append(...children);
  return element;
}

/**
 * A button that does an action.
 * @param {string} action its name
 * @param {string} text
 * @param {Record<string, any>} [properties]
 */
export function button(action, text, properties = {}) {
  return make("button", { type: "button", "data-action": action, ...properties }, text);
}

/** What elements were filled with last. @type {WeakMap<Element, string>} */
const filled = new WeakMap();

/**
 * Put children in, unless they are those that are there: what is just being pressed, or has the focus, is left alone.
 * @param {Element} parent
 * @param {unknown} shown what the children show; they are the same as long as it is
 * @param {() => Node[]} children
 */
export function fill(parent, shown, children) {
  const key = JSON.stringify(shown);
  if (filled.get(parent) === key) return;
  filled.set(parent, key);
  parent.replaceChildren(...children());
}

/**
 * The element of that id, which index.html has.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function counted(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}
