/** The bar that comes with a selection: how many images it is, and what one can do with them. */

import { byId } from "../common/dom.js";
import { saveFile } from "../common/files.js";
import { count, images } from "../common/words.js";
import { asLines, asTable } from "./rows_file.js";

/** @import { Selection } from "./selection.js" */

/** @import { Row } from "../common/api.js" */

const MOST_EXAMPLES = 32; // of a search, from one selection
const SAID_MS = 4000;

export class SelectionBar {
  #bar = byId("selection");
  #number = byId("selected");
  #all = byId("select-all");
  #beside = byId("select-beside");
  #said = byId("selection-said");
  /** @type {number|undefined} */
  #timer;

  /**
   * @param {Selection} selection
   * @param {{examples: (rows: Row[], sign: 1|-1, selected: number) => unknown, all: () => unknown, label: () => unknown, tag: () => unknown,
   *   beside: () => unknown, lake: () => string}} does
   */
  constructor(selection, does) {
    this.selection = selection;
    this.does = does;
    byId("select-none").addEventListener("click", () => selection.clear());
    this.#all.addEventListener("click", () => does.all());
    byId("select-more").addEventListener("click", () => this.#examples(1));
    byId("select-less").addEventListener("click", () => this.#examples(-1));
    this.#beside.addEventListener("click", () => does.beside());
    byId("select-label").addEventListener("click", () => does.label());
    byId("select-tag").addEventListener("click", () => does.tag());
    byId("select-ids").addEventListener("click", () => this.#copy());
    byId("select-csv").addEventListener("click", () => this.#save("csv", "text/csv", asTable));
    byId("select-ndjson").addEventListener("click", () => this.#save("ndjson", "application/x-ndjson", asLines));
  }

  /** @param {?number} passing images that could be selected; null: it is not known how many */
  show(passing) {
    const { size } = this.selection;
    this.#bar.hidden = size === 0;
    if (!size) return;
    this.#beside.disabled = size !== 2; // and not hidden: the bar's other buttons stay where they are
    this.#number.textContent = `${count(size)} selected`;
    this.#all.hidden = passing !== null && size >= passing;
    this.#all.textContent = passing === null ? "Select all that pass" : `Select all ${count(passing)}`;
  }

  /**
   * For a moment, in the place of the number's neighbour.
   * @param {string} text
   */
  say(text) {
    clearTimeout(this.#timer);
    this.#said.textContent = text;
    this.#timer = setTimeout(() => (this.#said.textContent = ""), SAID_MS);
  }

  /** @param {boolean} isBusy */
  busy(isBusy) {
    this.#all.disabled = isBusy;
  }

  /** @param {1|-1} sign */
  #examples(sign) {
    const { rows } = this.selection;
    this.does.examples(rows.slice(0, MOST_EXAMPLES), sign, rows.length);
  }

  async #copy() {
    const text = this.selection.rowIds.join("\n");
    this.say((await copied(text)) ? `${images(this.selection.size)}: row ids copied` : "This browser does not let a page copy");
  }

  /**
   * @param {string} ending
   * @param {string} type
   * @param {(rows: Row[]) => string} write
   */
  #save(ending, type, write) {
    saveFile(new Blob([write(this.selection.rows)], { type }), `${this.does.lake()}-selection.${ending}`);
    this.say(`${images(this.selection.size)} saved`);
  }
}

/** @param {string} text */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // over plain http to another machine there is no clipboard
  }
}
