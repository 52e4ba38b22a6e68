/** Talks to the server. */

/** What the server refused, in its own words. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {Record<string, unknown>} answer
   */
  constructor(status, answer) {
    super(String(answer.error ?? `the server answered ${status}`));
    this.status = status;
    this.answer = answer;
  }
}

/**
 * Ask the server for JSON.
 * @param {string} path
 * @param {RequestInit} [request]
 * @returns {Promise<any>}
 */
export async function ask(path, request) {
  const response = await fetch(path, { credentials: "same-origin", ...request });
  const answer = await response.json();
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

/** Trade the token behind the `#` for the cookie, and take it out of the address and of the history. */
export async function openSession() {
  const token = location.hash.slice(1);
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  await ask("/api/session", { method: "POST", body: JSON.stringify({ token }) });
}
