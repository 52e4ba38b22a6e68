/** Talks to the server. */

/** What the server refused, in its own words. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {Record<string, any>} answer
   */
  constructor(status, answer) {
    super(String(answer.error ?? `the server answered ${status}`));
    this.status = status;
    this.answer = answer;
  }
}

/** The server does not answer: it has ended, or the way to it is cut. */
export class Unreachable extends Error {
  constructor() {
    super("the server does not answer");
  }
}

/**
 * Ask the server.
 * @param {string} path
 * @param {RequestInit} [request]
 * @returns {Promise<Response>} what it granted
 * @throws {Refused | Unreachable | DOMException} the last one if it was given up
 */
export async function askFor(path, request) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...request });
  } catch (error) {
    if (error instanceof DOMException) throw error;
    throw new Unreachable();
  }
  if (response.ok) return response;
  throw new Refused(response.status, await response.json().catch(() => ({})));
}

/**
 * Ask the server for JSON.
 * @param {string} path
 * @param {RequestInit} [request]
 * @returns {Promise<any>}
 */
export async function ask(path, request) {
  return (await askFor(path, request)).json();
}

/**
 * The mask that the server answers with: one id a pixel, row by row.
 * @param {Response} answer
 * @returns {Promise<import("../types.js").Mask>}
 */
export async function maskIn(answer) {
  const [width, height] = (answer.headers.get("X-Size") ?? "").split("x").map(Number);
  return { width, height, ids: new Uint8Array(await answer.arrayBuffer()) };
}

/**
 * Send JSON, over the version that was seen: its tag, or "" where there was none. Without a tag nothing is said of it.
 * @param {"POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {unknown} body
 * @param {string} [seen]
 * @param {RequestInit} [more]
 * @returns {Promise<any>}
 */
export function send(method, path, body, seen, more) {
  return ask(path, { method, headers: overWhat(seen), body: body === undefined ? undefined : JSON.stringify(body), ...more });
}

/**
 * @param {string | undefined} seen
 * @returns {Record<string, string>}
 */
export function overWhat(seen) {
  if (seen === undefined) return {};
  return seen ? { "If-Match": `"${seen}"` } : { "If-None-Match": "*" };
}

/**
 * The address of something of a sequence.
 * @param {{sequence: string, dataset: string}} place
 * @param {string} what such as `frame/12`
 * @param {Record<string, string | number>} [query]
 */
export function addressOf(place, what, query = {}) {
  const asked = new URLSearchParams({ dataset: place.dataset });
  for (const [name, value] of Object.entries(query)) asked.set(name, String(value));
  return `/api/seq/${encodeURIComponent(place.sequence)}${what ? `/${what}` : ""}?${asked}`;
}

/**
 * Trade the token behind the `#` for the cookie, and then take it out of the address and of the history: a page that
 * is closed or loaded anew before the answer is there still has it. Without one, ask whether the cookie is good still.
 * @returns {Promise<{read_only: boolean}>}
 */
export async function openSession() {
  const token = location.hash.slice(1);
  if (!token) return ask("/api/session");
  const session = await send("POST", "/api/session", { token });
  history.replaceState(null, "", location.pathname + location.search);
  return session;
}
