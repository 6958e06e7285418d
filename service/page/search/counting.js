/** What the panel of conditions knows: the lake's columns, and what they hold among the images that pass. */

import * as api from "../common/api.js";
import { cutOf } from "./query.js";

export class Counting {
  #counted = null; // what the numbers are of
  #asking = new AbortController();
  #columnsOf = null; // the lake whose columns are offered

  /**
   * @param {Metadata} metadata
   * @param {WherePanel} where
   * @param {Looks} looks
   */
  constructor(metadata, where, looks) {
    this.metadata = metadata;
    this.where = where;
    this.looks = looks;
  }

  /** Something was changed beside the lake, as tags are: the numbers are to be counted anew. */
  forget() {
    this.#counted = null;
  }

  /** @param {?Object} lake null: not known yet */
  async count(lake, state) {
    if (!lake) return;
    const { where, within } = state;
    const above = cutOf(lake.name, state);
    const wanted = JSON.stringify([lake.name, lake.snapshot, where, within, above]);
    if (this.#counted === wanted) return;
    this.#counted = wanted;
    this.#asking.abort();
    this.#asking = new AbortController();
    this.metadata.wait();
    try {
      const counted = await api.facets(lake.name, { where, within }, above, this.#asking.signal);
      this.metadata.show(counted, where, above.min_z ?? null);
      this.where.offerValues(counted.facets);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#counted = null; // they only help: a search says what is wrong
      this.metadata.clear();
    }
  }

  /** @param {?string} lake its name */
  async offer(lake) {
    if (lake === null || this.#columnsOf === lake) return;
    this.#columnsOf = lake;
    this.where.forgetValues();
    try {
      const columns = await api.columns(lake);
      this.where.offer(columns);
      this.looks.offer(columns);
    } catch {
      this.#columnsOf = null; // they only help: a search says what is wrong
    }
  }
}
