/** Selecting in the grid: ticks, ranges, frames, all that pass; and the bar with what one can do with the selection. */

import { byId, isTyping } from "../common/dom.js";
import { sentence } from "../common/words.js";
import { drawFrames } from "./frame.js";
import { LabelSelection } from "./label_selection.js";
import { page } from "./query.js";
import { Selection } from "./selection.js";
import { SelectionBar } from "./selection_bar.js";
import { TagSelection } from "./tag_selection.js";

const MOST = 10_000; // images of one selection: more are a search, not a selection
const PAGE_ROWS = 1_000;

export class Selecting {
  #selection = new Selection(() => this.show());
  #bar;
  #labels = new LabelSelection();
  #tags;
  #before = []; // what was selected when a frame was begun
  #passing = null;

  /**
   * @param {Grid} grid
   * @param {Results} results
   * @param {{examples: function(Object[], 1|-1), lake: function(): string, state: function(): State, tagged: function()}} does
   */
  constructor(grid, results, does) {
    this.grid = grid;
    this.results = results;
    this.does = does;
    this.#tags = new TagSelection(() => does.tagged());
    this.#bar = new SelectionBar(this.#selection, {
      lake: does.lake,
      examples: (rows, sign) => does.examples(rows, sign),
      all: () => this.#all(),
      tag: () => this.#tags.open(does.lake(), this.#selection.rows),
      label: () => this.#labels.open(does.lake(), this.#selection.rows, does.state()),
    });
    drawFrames(byId("grid"), {
      begun: () => (this.#before = this.#selection.rows),
      moved: (frame) => this.#selection.set([...this.#before, ...grid.within(frame)]),
    });
    document.addEventListener("keydown", (event) => this.#escape(event));
  }

  has = (rowId) => this.#selection.has(rowId);

  toggle(row) {
    this.#selection.toggle(row);
  }

  extend(row) {
    this.#selection.extend(this.grid.hits, row);
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
    const { rows, isWhole } = this.results;
    this.#bar.show(isWhole ? rows.length : this.#passing === null ? null : Math.min(this.#passing, MOST));
  }

  /** The rest is asked for, whatever the grid shows of it. */
  async #all() {
    const { lake, state, uploads, snapshot } = this.results;
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

  #escape(event) {
    if (event.key !== "Escape" || event.isComposing || !this.#selection.size) return;
    if (document.querySelector("dialog[open]")) return;
    if (isTyping(event.target) && event.target.id !== "words") return;
    event.preventDefault();
    this.#selection.clear();
  }
}
