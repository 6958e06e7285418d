/** What the panel of conditions knows: the lake's columns, and what they hold among the images that pass. */

import * as api from "../common/api.js";
import { cutOf } from "./query.js";

/** @import { WherePanel } from "./where.js" */

/** @import { State } from "./state.js" */

/** @import { Metadata } from "./metadata.js" */

/** @import { Looks } from "./looks.js" */

/** @import { SortMenu } from "./sort_menu.js" */

export class Counting {
  /** @type {?string} */
  #counted = null; // what the numbers are of
  /** @type {?number} */
  #rows = null; // that pass; null: they are being counted
  #asking = new AbortController();
  /** @type {?string} */
  #columnsOf = null; // the lake whose columns are offered

  /**
   * @param {Metadata} metadata
   * @param {WherePanel} where
   * @param {Looks} looks
   * @param {SortMenu} sort
   * @param {(rows: number) => unknown} tell takes how many images pass
   */
  constructor(metadata, where, looks, sort, tell) {
    this.tell = tell;
    this.metadata = metadata;
    this.where = where;
    this.looks = looks;
    this.sort = sort;
  }

  /** Something was changed beside the lake, as tags are: the numbers are to be counted anew. */
  forget() {
    this.#counted = null;
  }

  /**
   * @param {?Answers.LakeFacts} lake null: not known yet
   * @param {State} state
   */
  async count(lake, state) {
    if (!lake) return;
    const { where, within } = state;
    const above = cutOf(lake.name, state);
    const wanted = JSON.stringify([lake.name, lake.snapshot, where, within, above]);
    if (this.#counted === wanted) return this.#rows !== null && this.tell(this.#rows);
    this.#counted = wanted;
    this.#rows = null;
    this.#asking.abort();
    this.#asking = new AbortController();
    this.metadata.wait();
    try {
      const counted = await api.facets(lake.name, { where, within }, above, this.#asking.signal);
      this.#rows = counted.rows;
      this.metadata.show(counted, where, above.min_z ?? null);
      this.tell(counted.rows);
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
      if (this.#columnsOf !== lake) return; // another one was chosen meanwhile
      this.where.offer(columns);
      this.looks.offer(columns);
      this.sort.columns(columns);
    } catch {
      if (this.#columnsOf === lake) this.#columnsOf = null; // they only help: a search says what is wrong
    }
  }
}
