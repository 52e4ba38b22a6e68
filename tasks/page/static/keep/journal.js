/**
 * What this browser has and no server has confirmed: it outlives the tab, the browser and the machine. Each tab has
 * entries of its own, so that two tabs on one frame do not write over each other; what a tab leaves behind is taken over
 * by the next one, which knows by a lock whether the tab lives. A browser that keeps nothing has an empty journal.
 */

/** @typedef {import("../types.js").Said} Said */
/** @typedef {import("../types.js").Place} Place */

/**
 * @typedef {object} Entry
 * @property {Place} place
 * @property {number} frame
 * @property {string} version of the pictures: another project may come to the same address, with a sequence of that name
 * @property {number} number of the change
 * @property {number} changes that no server has
 * @property {string} tag of the draft that it goes on from
 * @property {string | null} base what the set said of the frame when drawing began
 * @property {Said} origin what the frame says without any draft
 * @property {Said} saved what the server had confirmed before
 * @property {Said[]} sent what may have come since, though nobody has said so
 * @property {Said} said
 * @property {{width: number, height: number, packed: ArrayBuffer} | null} mask
 */

const DATABASE = "lis";
const ENTRIES = "entries";
const LOCK = "lis.tab.";
const LONGEST_OPENING_MS = 3000;

export class Journal {
  #tab = `${Date.now().toString(36)}.${Math.random().toString(36).slice(2)}`;
  /** @type {Promise<IDBDatabase | null>} */
  #database = opened();

  constructor() {
    navigator.locks?.request(LOCK + this.#tab, () => new Promise(() => {})); // until the tab is gone
  }

  /** @param {Entry} entry */
  write(entry) {
    return this.#change((entries) => {
      entries.put({ ...entry, key: this.#keyOf(entry) });
      entries.transaction.commit(); // now: the tab may be going
    });
  }

  /**
   * Forget it, unless there is a newer one by now.
   * @param {{place: Place, frame: number}} at
   * @param {number} number
   */
  remove(at, number) {
    const key = this.#keyOf(at);
    return this.#change((entries) => {
      entries.get(key).onsuccess = ({ target }) => {
        const found = /** @type {IDBRequest} */ (target).result;
        if (found && found.number <= number) entries.delete(key);
      };
    });
  }

  /**
   * Take over what tabs have left behind that are gone, also those that are just going.
   * @param {(entry: Entry) => Promise<boolean>} take whether the entry has been written anew, as one of this tab
   */
  async takeOver(take) {
    const tabs = new Set((await this.#all()).map(({ key }) => key[0]));
    tabs.delete(this.#tab);
    await Promise.all(
      [...tabs].map((tab) => {
        const takeAll = async () => {
          for (const entry of await this.#all()) {
            if (entry.key[0] === tab && (await take(entry))) await this.#change((entries) => entries.delete(entry.key));
          }
        };
        return navigator.locks ? navigator.locks.request(LOCK + tab, takeAll) : takeAll();
      }),
    );
  }

  /** @param {{place: Place, frame: number}} at */
  #keyOf({ place, frame }) {
    return [this.#tab, place.dataset, place.sequence, place.set, frame];
  }

  /** @returns {Promise<(Entry & {key: [string, string, string, string, number]})[]>} */
  async #all() {
    const database = await this.#database;
    if (!database) return [];
    return new Promise((done) => {
      const asked = database.transaction(ENTRIES).objectStore(ENTRIES).getAll();
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => done([]);
    });
  }

  /**
   * @param {(entries: IDBObjectStore) => void} change
   * @returns {Promise<void>} kept as well as this browser keeps anything: nobody has to wait for more
   */
  async #change(change) {
    const database = await this.#database;
    if (!database) return;
    await new Promise((done) => {
      try {
        const transaction = database.transaction(ENTRIES, "readwrite");
        transaction.oncomplete = transaction.onabort = () => done(undefined);
        change(transaction.objectStore(ENTRIES));
      } catch {
        done(undefined); // full, or closed by the browser: the server is asked all the same
      }
    });
  }
}

/** @returns {Promise<IDBDatabase | null>} null in browsers that keep nothing, or refuse to */
function opened() {
  return new Promise((done) => {
    setTimeout(() => done(null), LONGEST_OPENING_MS);
    try {
      const asked = indexedDB.open(DATABASE, 1);
      asked.onupgradeneeded = () => asked.result.createObjectStore(ENTRIES, { keyPath: "key" });
      asked.onsuccess = () => done(asked.result);
      asked.onerror = asked.onblocked = () => done(null);
    } catch {
      done(null);
    }
  });
}
