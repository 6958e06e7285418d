/** Keeps the reader's own images in this browser, so that a reload or a step back finds them. */

const KEPT = 48; // images; the oldest go first
const STORE = "uploads";

/** @typedef {{id: string, name: string, blob: Blob, at: number}} Upload at: ms since 1970, when it was brought */

/**
 * An image's name here: of its bytes where the browser can hash (https, loopback), else drawn at random.
 * @param {Blob} blob
 */
async function idOf(blob) {
  const hex = (/** @type {Uint8Array} */ bytes) => Array.from(bytes.slice(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (!crypto.subtle) return hex(crypto.getRandomValues(new Uint8Array(8)));
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer())));
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export class UploadStore {
  /** @type {Map<string, Upload>} */
  known = new Map(); // id -> upload: all that was asked for; where there is no database, all there is
  /** @type {Set<string>} */
  missing = new Set(); // ids that were asked for and are not here
  #database = this.#open();

  async #open() {
    try {
      const request = indexedDB.open("lakesift", 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
      return await done(request);
    } catch {
      return null; // a private window, or storage switched off
    }
  }

  /**
   * @param {File} file
   * @returns {Promise<string>} the id under which `get` finds it: 16 hexadecimal digits
   */
  async put(file) {
    const upload = { id: await idOf(file), name: file.name || "image", blob: file, at: Date.now() };
    this.known.set(upload.id, upload);
    this.missing.delete(upload.id);
    const database = await this.#database;
    if (database) await this.#keep(database, upload).catch(() => {}); // a full disk: it stays in memory
    return upload.id;
  }

  /**
   * @param {IDBDatabase} database
   * @param {Upload} upload
   */
  async #keep(database, upload) {
    const store = database.transaction(STORE, "readwrite").objectStore(STORE);
    await done(store.put(upload));
    const all = await done(store.getAll());
    const oldest = all.sort((one, other) => other.at - one.at).slice(KEPT);
    for (const { id } of oldest) store.delete(id);
  }

  /**
   * @param {string} id
   * @returns {Promise<?Upload>} null: this browser never had it, or no longer has
   */
  async get(id) {
    const known = this.known.get(id);
    if (known) return known;
    const database = await this.#database;
    const found = database && (await done(database.transaction(STORE).objectStore(STORE).get(id)).catch(() => null));
    if (found) this.known.set(id, found);
    else this.missing.add(id);
    return found ?? null;
  }

  /**
   * Those of the state's uploads that are here, by id.
   * @param {{examples: {kind: string, value: string}[]}} state
   * @returns {Promise<Map<string, Upload>>}
   */
  async of(state) {
    const ids = state.examples.filter(({ kind }) => kind === "upload").map(({ value }) => value);
    const found = await Promise.all(ids.map((id) => this.get(id)));
    return new Map(found.filter((upload) => upload !== null).map((upload) => [upload.id, upload]));
  }
}
