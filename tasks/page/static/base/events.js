/** What the server tells without being asked: runs, and what others have written. One socket; it comes back by itself. */

/** @typedef {import("../types.js").Place} Place */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export class Events {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Place | null} */
  #watched = null;
  #wait = FIRST_WAIT_MS;
  #heard = new EventTarget();
  #store;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.#store = store;
    addEventListener("online", () => this.open());
  }

  /** Listen; again after the server was away. */
  open() {
    if (this.#socket && this.#socket.readyState <= WebSocket.OPEN) return;
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/events`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#wait = FIRST_WAIT_MS;
      this.#store.set({ online: true });
      this.#tellWatched();
      this.#heard.dispatchEvent(new Event("open"));
    };
    socket.onmessage = ({ data }) => {
      const news = JSON.parse(data);
      this.#heard.dispatchEvent(new CustomEvent(news.event ?? "error", { detail: news }));
    };
    socket.onclose = () => {
      this.#store.set({ online: false });
      setTimeout(() => this.open(), this.#wait);
      this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT_MS);
    };
  }

  /**
   * Be told of one sequence, in the place of the one before.
   * @param {Place | null} place
   */
  watch(place) {
    this.#watched = place;
    this.#tellWatched();
  }

  /**
   * Tell the others where one is.
   * @param {Place} place
   * @param {number} frame
   * @param {string} name
   */
  here(place, frame, name) {
    this.#send({ here: { ...place, frame, name } });
  }

  /**
   * @param {"open" | "run" | "page_run" | "changed" | "here" | "error"} what `open`: it listens (again), and may have missed news
   * @param {(news: any) => void} act
   */
  on(what, act) {
    this.#heard.addEventListener(what, (event) => act(event instanceof CustomEvent ? event.detail : {}));
  }

  #tellWatched() {
    this.#send({ watch: this.#watched ? [this.#watched] : [] });
  }

  /** @param {unknown} message */
  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}
