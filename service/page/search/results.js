/** The rows that the state asks for, page by page. A newer question ends an older one: no late answer is ever shown. */

import { page } from "./query.js";
import { queryKey } from "./state.js";

/** @import { State } from "./state.js" */

/** @import { Upload, UploadStore } from "../common/upload_store.js" */

/** @import { Failure, Row } from "../common/api.js" */

const REMEMBERED = 12; // questions whose answers a step back finds at once

export class Results {
  /** @type {?AbortController} */
  #run = null; // AbortController of the question that counts
  #loading = false;
  /** @type {Map<string, {lake: string, scroll: number, facts: Partial<Results>}>} */
  #remembered = new Map();

  lake = "";
  state = /** @type {?State} */ (null);
  rows = /** @type {Row[]} */ ([]);
  cursor = /** @type {?string} */ (null);
  took = /** @type {?number} */ (null); // ms that the server worked on the first page
  snapshot = /** @type {?number} */ (null);
  hint = /** @type {?string} */ (null); // what the server says of the words
  nothing = /** @type {?Answers.Nothing} */ (null); // why it found nothing
  failed = /** @type {?Failure} */ (null); // the error that ended the last page asked for
  uploads = /** @type {Map<string, Upload>} */ (new Map()); // of the question, those that this browser has

  /**
   * @param {UploadStore} store
   * @param {{begun: () => unknown, came: (rows: Row[], isFirst: boolean) => unknown,
   *   failed: (error: Failure, isFirst: boolean) => unknown}} tell
   *   the booleans: whether it is the first page
   */
  constructor(store, tell) {
    this.store = store;
    this.tell = tell;
  }

  get isLoading() {
    return this.#loading;
  }

  get isWhole() {
    return this.cursor === null && !this.failed;
  }

  /**
   * Ask a new question; what was asked before no longer counts.
   * @param {string} lake
   * @param {State} state
   */
  async start(lake, state) {
    this.stop();
    this.lake = lake;
    this.state = state;
    Object.assign(this, { rows: [], cursor: null, took: null, hint: null, nothing: null, uploads: new Map() });
    await this.#load(state, true);
  }

  /**
   * Show what this question answered earlier, if that is remembered.
   * @param {string} lake
   * @param {State} state
   */
  recall(lake, state) {
    const kept = this.#remembered.get(queryKey(state));
    if (!kept || kept.lake !== lake) return null;
    this.stop();
    Object.assign(this, kept.facts, { lake, state });
    return kept;
  }

  /**
   * Remember these answers, and how far the reader had scrolled.
   * @param {number} scroll px
   */
  remember(scroll) {
    if (!this.state || this.#loading || this.failed || !this.rows.length) return;
    const { rows, cursor, took, snapshot, hint, nothing, uploads } = this;
    const key = queryKey(this.state);
    this.#remembered.delete(key);
    this.#remembered.set(key, { lake: this.lake, scroll, facts: { rows, cursor, took, snapshot, hint, nothing, uploads } });
    if (this.#remembered.size > REMEMBERED) this.#remembered.delete([...this.#remembered.keys()][0]);
  }

  forget() {
    this.#remembered.clear();
  }

  async more() {
    if (this.cursor !== null && !this.#loading && !this.failed && this.state) await this.#load(this.state, false);
  }

  /** Ask again for the page that failed. */
  async retry() {
    if (!this.failed || this.#loading || !this.state) return;
    await this.#load(this.state, this.rows.length === 0);
  }

  stop() {
    this.#run?.abort();
    this.#run = null;
    this.#loading = false;
    this.failed = null;
  }

  /**
   * @param {State} state
   * @param {boolean} isFirst
   */
  async #load(state, isFirst) {
    const run = new AbortController();
    this.#run = run;
    this.#loading = true;
    this.failed = null;
    if (isFirst) this.tell.begun();
    try {
      const uploads = isFirst ? await this.store.of(state) : this.uploads;
      if (this.#run !== run) return;
      this.uploads = uploads;
      const got = await page(this.lake, state, uploads, this.cursor, run.signal);
      if (this.#run !== run) return;
      this.#loading = false;
      this.rows = [...this.rows, ...got.rows];
      this.cursor = got.cursor;
      this.snapshot = got.snapshot;
      if (isFirst) Object.assign(this, { took: got.took, hint: got.hint, nothing: got.nothing });
      this.tell.came(got.rows, isFirst);
    } catch (error) {
      if (this.#run !== run) return;
      this.#loading = false;
      this.failed = error;
      this.tell.failed(error, isFirst);
    }
  }
}
