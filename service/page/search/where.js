/** The panel of conditions: `where` with the columns to choose from, and the least z; what is wrong with it stands beside it. */

import { button, byId } from "../common/dom.js";
import { sentence } from "../common/words.js";
import { columnName } from "./where_terms.js";

const WORD = /[\w.]*$/;
// Of use to few: offered to those who begin to type them.
const RARE = new Set([
  "member", "offset", "length", "row_group", "row_index", "stream_id", "time_us", "region_px",
  "etag", "columns_etag", "phash", "sha256",
]);

export class WherePanel {
  #form = byId("filter");
  #button = byId("filter-button");
  #where = byId("where");
  #minZ = byId("min-z");
  #problem = byId("where-problem");
  #columns = [];

  /** @param {{apply: function({where: string, minZ: ?number}), opened: function()}} does */
  constructor(does) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const minZ = this.#minZ.valueAsNumber;
      does.apply({ where: this.#where.value.trim(), minZ: Number.isFinite(minZ) ? minZ : null });
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      event.preventDefault();
      this.open(false); // what was typed stays in it
      this.#button.focus();
    });
    this.#where.addEventListener("input", () => this.#offer());
    this.#button.addEventListener("click", () => {
      this.open(!this.isOpen);
      if (!this.isOpen) return;
      this.#where.focus();
      does.opened();
    });
  }

  get isOpen() {
    return !this.#form.hidden;
  }

  open(isOpen) {
    this.#form.hidden = !isOpen;
    this.#button.setAttribute("aria-expanded", String(isOpen));
  }

  show({ where, minZ }) {
    this.#where.value = where;
    this.#minZ.value = minZ === null ? "" : String(minZ);
    this.#button.classList.toggle("used", Boolean(where) || minZ !== null);
    this.complain(null);
    if (where) this.open(true);
    this.#offer();
  }

  /** @param {?Error} error of the server, on where or min_z */
  complain(error) {
    this.#problem.textContent = error ? sentence(error.message, error.field) : "";
    this.#where.setAttribute("aria-invalid", String(error?.field === "where"));
    this.#minZ.setAttribute("aria-invalid", String(error?.field === "min_z"));
    if (error) this.open(true);
  }

  /** @param {{name: string, type: string}[]} columns */
  offer(columns) {
    this.#columns = columns.filter(({ type }) => type !== "bytes");
    this.#offer();
  }

  /** The columns that go on with the word before the cursor. */
  #offer() {
    const before = this.#where.value.slice(0, this.#where.selectionStart ?? undefined);
    const word = WORD.exec(before)[0].toLowerCase();
    const fitting = word ? this.#columns.filter(({ name }) => name.toLowerCase().startsWith(word)) : [];
    const isNamed = fitting.length === 1 && fitting[0].name.toLowerCase() === word;
    const shown = fitting.length && !isNamed ? fitting : this.#columns.filter(({ name }) => !RARE.has(name));
    byId("columns").replaceChildren(...shown.map((column) => this.#column(column, shown === fitting ? word : "")));
  }

  #column({ name, type }, word) {
    return button({ class: "column", title: `${name}: ${type}` }, () => this.#insert(name, word), name);
  }

  #insert(name, word) {
    const end = this.#where.selectionStart ?? this.#where.value.length;
    const before = this.#where.value.slice(0, end - word.length);
    const space = before && !/[\s(]$/.test(before) ? " " : "";
    this.#where.setRangeText(`${space}${columnName(name)} `, end - word.length, end, "end");
    this.#where.focus();
    this.#offer();
  }
}
