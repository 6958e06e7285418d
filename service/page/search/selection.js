/** Which images are selected: a set of rows that outlives pages and sorting, and the image from which a range begins. */

/** @import { Row } from "../common/api.js" */

export class Selection {
  /** @type {Map<number, Row>} */
  #rows = new Map(); // row_id -> hit or row
  /** @type {?number} */
  #anchor = null; // row_id

  /** @param {() => unknown} changed */
  constructor(changed) {
    this.changed = changed;
  }

  get size() {
    return this.#rows.size;
  }

  /** In the order in which they were selected. */
  get rows() {
    return [...this.#rows.values()];
  }

  get rowIds() {
    return [...this.#rows.keys()];
  }

  /** @param {number} rowId */
  has(rowId) {
    return this.#rows.has(rowId);
  }

  /** @param {Row} row */
  toggle(row) {
    this.#anchor = row.row_id;
    if (!this.#rows.delete(row.row_id)) this.#rows.set(row.row_id, row);
    this.changed();
  }

  /**
   * All from the image that was selected last to this one, as they are shown.
   * @param {Row[]} shown
   * @param {Row} row
   */
  extend(shown, row) {
    const at = (/** @type {?number} */ rowId) => shown.findIndex((each) => each.row_id === rowId);
    const [from, to] = [at(this.#anchor), at(row.row_id)];
    if (from < 0) this.#anchor = row.row_id;
    this.add(from < 0 ? [row] : shown.slice(Math.min(from, to), Math.max(from, to) + 1));
  }

  /** @param {Row[]} rows */
  add(rows) {
    for (const row of rows) this.#rows.set(row.row_id, row);
    this.changed();
  }

  /**
   * Exactly these, as they were before a hand drew a frame, and what lies in it.
   * @param {Row[]} rows
   */
  set(rows) {
    this.#rows = new Map(rows.map((row) => [row.row_id, row]));
    this.changed();
  }

  clear() {
    this.#anchor = null;
    if (!this.size) return;
    this.#rows.clear();
    this.changed();
  }
}
