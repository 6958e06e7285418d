/**
 * The images to be answered, one after the other. Answers are saved behind them, in order; a batch is asked for when all
 * answers given are saved, so that it holds nothing that was answered here, or by somebody else before.
 */

import * as filters from "./filters_api.js";

/** @import { Failure, Row } from "../common/api.js" */

/** @import { Prices } from "./prices.js" */

const BATCH = 12;
const FEW = 5; // images left: then the next batch is asked for
const AHEAD = 3; // images that are loaded before they are asked for

export class Queue {
  /** @type {Row[]} */
  #rows = []; // the first one is shown
  /** @type {Set<number>} */
  #answered = new Set(); // row_ids answered here
  /** @type {Set<number>} */
  #back = new Set(); // row_ids whose answers were not saved
  /** @type {Row[]} */
  #past = []; // rows answered here, the last one last
  /** @type {Map<number, number>} */
  #sceneOf = new Map(); // of rows that a check of scenes asks about: one yes answers a scene
  /** @type {Promise<unknown>} */
  #chain = Promise.resolve(); // one request after the other
  #isAsking = false;
  #isEmpty = false; // the last batch brought nothing new
  #purpose;
  /** @type {?number} */
  #budget = null; // labels that the audit may take, where a person said so here
  #withOthers = 0; // images that others are at
  #run = 0; // counts changes of purpose: batches of another one are thrown away

  /**
   * @param {string} lake
   * @param {string} name of the filter
   * @param {?string} purpose null: as the filter stands
   * @param {{labeller: () => string, turn: () => {labeller?: string, double?: number}, changed: () => unknown, progress: (progress: Answers.Progress, purpose: ?string) => unknown,
   *   failed: (error: Failure, row: ?Row) => unknown}} tell changed: another image is the first one; failed: with the row whose
   *   answer was not saved, or null
   */
  constructor(lake, name, purpose, tell) {
    this.lake = lake;
    this.name = name;
    this.#purpose = purpose;
    this.tell = tell;
  }

  get current() {
    return this.#rows[0] ?? null;
  }

  /** The next few. */
  get coming() {
    return this.#rows.slice(1, 1 + AHEAD);
  }

  /** Whether there is nothing left to answer, as far as is known. */
  get isEmpty() {
    return this.#isEmpty && this.#rows.length === 0;
  }

  /** Images that others were handed and have not answered, as far as is known. */
  get withOthers() {
    return this.#withOthers;
  }

  /** Images whose answers were not saved, and that wait for them again. */
  get returned() {
    return this.#back.size;
  }

  /** All that was answered is saved, or came back. */
  settled() {
    return this.#chain;
  }

  /**
   * Ask for images: the first ones, or again after a failure.
   * @param {{again?: boolean, follow?: boolean} & Prices} more
   */
  fill(more = {}) {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const run = this.#run;
    this.#then(async () => {
      try {
        const said = { ...(this.#purpose && { purpose: this.#purpose }), ...(this.#budget && { budget: this.#budget }) };
        const wanted = { n: BATCH, ...said, ...this.tell.turn(), ...more };
        const found = await filters.next(this.lake, this.name, wanted);
        if (run === this.#run) this.#take(found);
      } finally {
        if (run === this.#run) this.#isAsking = false;
      }
    }, null);
  }

  /**
   * From teaching to auditing, or back.
   * @param {string} purpose
   * @param {{budget?: ?number, again?: boolean, follow?: boolean} & Prices} [wanted] prices: what an audit begun now aims by
   */
  turnTo(purpose, { budget = null, ...more } = {}) {
    this.#budget = budget;
    this.#run += 1;
    this.#isAsking = false;
    this.#isEmpty = false;
    this.#purpose = purpose;
    this.#rows = [];
    this.tell.changed();
    this.fill(more);
  }

  /** @param {Answers.NextAnswer} found */
  #take(found) {
    const held = this.#rows.filter((row, number) => number === 0 || this.#back.has(row.row_id));
    const heldIds = new Set(held.map((row) => row.row_id));
    const isNew = (/** @type {Row} */ row) => !this.#answered.has(row.row_id) && !heldIds.has(row.row_id);
    const fresh = found.rows.filter(isNew);
    this.#sceneOf = new Map((found.scenes ?? []).map((scene, number) => [found.rows[number].row_id, scene]));
    const before = this.coming[0];
    this.#isEmpty = found.rows.length < BATCH && fresh.length === 0;
    this.#withOthers = found.with_others;
    this.#rows = [...held, ...fresh];
    this.tell.progress(found.progress, found.purpose);
    if (!held.length || this.coming[0] !== before || this.isEmpty) this.tell.changed();
    // Between asking and now all of it was answered here: there is more.
    if (!this.#rows.length && !this.#isEmpty) setTimeout(() => this.fill());
  }

  /**
   * The answer to the first image: the next one takes its place at once.
   * @param {string} label
   */
  answer(label) {
    const row = this.#rows.shift();
    if (!row) return;
    this.#answered.add(row.row_id);
    this.#past.push(row);
    const scene = this.#sceneOf.get(row.row_id);
    if (label === "yes" && scene !== undefined) {
      this.#rows = this.#rows.filter((each) => this.#sceneOf.get(each.row_id) !== scene);
    }
    this.#back.delete(row.row_id);
    const said = { row_id: row.row_id, label, labeller: this.tell.labeller() };
    this.#then(async () => {
      try {
        const saved = await filters.label(this.lake, this.name, [said]);
        if (saved.problems.length) throw new Error(saved.problems[0].message);
        this.tell.progress(saved.progress, null);
      } catch (error) {
        this.#bringBack(row);
        throw error;
      }
    }, row);
    if (this.#rows.length < FEW && !this.#isEmpty) this.fill();
    this.tell.changed();
  }

  /**
   * An image whose answer was not saved: it is the next one, after the one that is looked at.
   * @param {Row} row
   */
  #bringBack(row) {
    this.#answered.delete(row.row_id);
    this.#back.add(row.row_id);
    this.#past = this.#past.filter((each) => each !== row);
    this.#rows.splice(this.#rows.length ? 1 : 0, 0, row);
    this.#isEmpty = false;
    this.tell.changed();
  }

  /**
   * Take back this person's last answer, with those that were given at once with it; its image is shown again.
   * @param {(rowId: number) => Promise<Row>} rowOf
   * @returns {Promise<?Answers.Undone[]|undefined>} null: there was none; undefined: it failed
   */
  undo(rowOf) {
    return this.#then(async () => {
      const answer = await filters.undo(this.lake, this.name, this.tell.labeller());
      if (answer) this.tell.progress(answer.progress, null);
      if (!answer?.undone) return null;
      const { undone, rows: all } = answer;
      const row = this.#past.find(({ row_id: rowId }) => rowId === undone.row_id) ?? (await rowOf(undone.row_id));
      this.#past = this.#past.filter((each) => each !== row);
      for (const { row_id: rowId } of all) this.#answered.delete(rowId);
      this.#rows = [row, ...this.#rows.filter((each) => each.row_id !== row.row_id)];
      this.#isEmpty = false;
      this.tell.changed();
      return [...all];
    }, null);
  }

  /**
   * @template T
   * @param {() => Promise<T>} does
   * @param {?Row} row
   */
  #then(does, row) {
    const done = this.#chain.then(does);
    this.#chain = done.catch((error) => this.tell.failed(error, row));
    return done.catch(() => undefined);
  }
}
