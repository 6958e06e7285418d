/** Selecting in the grid: ticks, ranges, frames, all that pass; and the bar with what one can do with the selection. */

import { byId, elementOf, isTyping } from "../common/dom.js";
import { sentence } from "../common/words.js";
import { drawFrames } from "./frame.js";
import { LabelSelection } from "./label_selection.js";
import { page } from "./query.js";
import { Selection } from "./selection.js";
import { SelectionBar } from "./selection_bar.js";
import { TagSelection } from "./tag_selection.js";

/** @import { State } from "./state.js" */

/** @import { Results } from "./results.js" */

/** @import { Grid } from "./grid.js" */

/** @import { Row } from "../common/api.js" */

export const MOST = 10_000; // images of one selection: more are a search, not a selection
const PAGE_ROWS = 1_000;

export class Selecting {
  #selection = new Selection(() => this.show());
  #bar;
  #labels = new LabelSelection();
  #tags;
  /** @type {Row[]} */
  #before = []; // what was selected when a frame was begun
  /** @type {?number} */
  #passing = null;

  /**
   * @param {Grid} grid
   * @param {Results} results
   * @param {{examples: (rows: Row[], sign: 1|-1, selected: number) => unknown, lake: () => string, state: () => State,
   *   tagged: () => unknown, marked: () => unknown,
   *   beside: (pair: [number, number]) => unknown}} does
   */
  constructor(grid, results, does) {
    this.grid = grid;
    this.results = results;
    this.does = does;
    this.#tags = new TagSelection(() => does.tagged());
    this.#bar = new SelectionBar(this.#selection, {
      lake: does.lake,
      examples: (rows, sign, selected) => does.examples(rows, sign, selected),
      all: () => this.#all(),
      beside: () => this.#besideEachOther(),
      tag: () => this.#tags.open(does.lake(), this.#selection.rows),
      label: () => this.#labels.open(does.lake(), this.#selection.rows, does.state()),
    });
    drawFrames(byId("grid"), {
      begun: () => (this.#before = this.#selection.rows),
      moved: (frame) => this.#selection.set([...this.#before, ...grid.within(frame)]),
    });
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  has = (/** @type {number} */ rowId) => this.#selection.has(rowId);

  get rowIds() {
    return this.#selection.rowIds;
  }

  /**
   * These too, wherever they are shown.
   * @param {Row[]} rows
   */
  add(rows) {
    this.#selection.add(rows);
  }

  /** @param {Row} row */
  toggle(row) {
    this.#selection.toggle(row);
  }

  /**
   * @param {Row} row
   * @param {Row[]} [shown] the images among which it stands
   */
  extend(row, shown = this.grid.hits) {
    this.#selection.extend(shown, row);
  }

  /** Another question: what was selected was of the one before. */
  clear() {
    this.#passing = null;
    this.#selection.clear();
  }

  /** @param {?number} rows that pass, once they are counted */
  passing(rows) {
    this.#passing = rows;
    this.show();
  }

  show() {
    this.grid.mark();
    this.does.marked();
    const { rows, isWhole } = this.results;
    this.#bar.show(isWhole ? rows.length : this.#passing === null ? null : Math.min(this.#passing, MOST));
  }

  /** The rest is asked for, whatever the grid shows of it. */
  async #all() {
    const { lake, state, uploads, snapshot } = this.results;
    if (!state) return;
    const rows = [...this.results.rows];
    let { cursor } = this.results;
    this.#bar.busy(true);
    try {
      while (cursor !== null && rows.length < MOST) {
        const got = await page(lake, state, uploads, cursor, undefined, Math.min(PAGE_ROWS, MOST - rows.length));
        rows.push(...got.rows);
        cursor = got.cursor;
      }
      if (this.results.snapshot !== snapshot || this.results.state !== state) return;
      this.#selection.add(rows);
      if (cursor !== null) this.#bar.say(`The first ${MOST.toLocaleString("en")}: a selection has no more`);
    } catch (error) {
      this.#bar.say(sentence(error.message, error.field));
    } finally {
      this.#bar.busy(false);
    }
  }

  /** The two that are selected, the first of them on the left. */
  #besideEachOther() {
    const [one, other] = this.#selection.rowIds;
    if (this.#selection.size === 2) this.does.beside([one, other]);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing || !this.#selection.size || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") return this.#escape(event);
    const isPlain = !(event.ctrlKey || event.metaKey || event.altKey);
    if (event.key !== "b" || !isPlain || isTyping(event.target) || this.#selection.size !== 2) return;
    event.preventDefault();
    this.#besideEachOther();
  }

  /** @param {KeyboardEvent} event */
  #escape(event) {
    if (isTyping(event.target) && elementOf(event).id !== "words") return;
    event.preventDefault();
    this.#selection.clear();
  }
}
