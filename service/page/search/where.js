/** The panel of conditions: `where` with the columns to choose from, and the least z; what is wrong with it stands beside it. */

import { button, byId } from "../common/dom.js";
import { Redrawn } from "../common/redrawn.js";
import { columnName, literal } from "../common/sql.js";
import { columnTitle, sentence, valueTitle } from "../common/words.js";

/** @import { Value } from "./where_terms.js" */

/** @import { State } from "./state.js" */

/** @import { Failure } from "../common/api.js" */

const WORD = /[\w.]*$/;
// A column, = or the like, and the beginning of a text: 'val
const TEXT = /("(?:[^"]|"")+"|[A-Za-z_][\w.]*)\s*(?:=|<>|!=|\b(?:NOT\s+)?IN\s*\((?:\s*'(?:[^']|'')*'\s*,)*|\bLIKE)\s*(?:'((?:[^']|'')*))?$/i;
const VALUES_SHOWN = 12;
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
  /** @type {?Pick<State, "where"|"minZ">} */
  #shown = null; // of the state; null: none was shown yet
  /** @type {Answers.Column[]} */
  #columns = [];
  #redrawn = new Redrawn(byId("columns"));
  /** @type {Map<string, Value[]>} */
  #facets = new Map(); // column's name -> its values, those that most images have first

  /** @param {{apply: (changes: {where: string, minZ: ?number}) => unknown, opened: () => unknown}} does */
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
    // They stay when the focus goes: what a hand is about to click on must not move.
    this.#where.addEventListener("focus", () => this.#form.classList.add("writing"));
    this.#button.addEventListener("click", () => {
      this.open(!this.isOpen);
      if (!this.isOpen) return;
      this.#where.focus();
      does.opened();
    });
  }

  /** Whether what the columns hold is shown, and not the line of the `where` alone. */
  get isOpen() {
    return this.isSeen && !this.#form.classList.contains("brief");
  }

  get isSeen() {
    return !this.#form.hidden;
  }

  /** @param {boolean} isOpen */
  open(isOpen) {
    this.#form.hidden = !isOpen;
    this.#form.classList.remove("brief");
    this.#button.setAttribute("aria-expanded", String(isOpen));
  }

  /** The line alone, where nothing is open: the images stay in sight. */
  #tell() {
    if (this.isSeen) return;
    this.#form.hidden = false;
    this.#form.classList.add("brief");
    this.#form.classList.remove("writing");
  }

  /**
   * What is typed and not yet applied stays, where the state has what it had.
   * @param {State} state
   */
  show({ where, minZ }) {
    if (where !== this.#shown?.where) this.#where.value = where;
    if (minZ !== this.#shown?.minZ) this.#minZ.value = minZ === null ? "" : String(minZ);
    this.#shown = { where, minZ };
    this.#button.classList.toggle("used", Boolean(where) || minZ !== null);
    this.complain(null);
    if (where) this.#tell();
    this.#offer();
  }

  /** @param {?Failure} error of the server, on where or min_z */
  complain(error) {
    this.#problem.textContent = error ? sentence(error.message, error.field) : "";
    this.#where.setAttribute("aria-invalid", String(error?.field === "where"));
    this.#minZ.setAttribute("aria-invalid", String(error?.field === "min_z"));
    if (error) this.#tell();
  }

  /** @param {Answers.Column[]} columns */
  offer(columns) {
    this.#columns = columns.filter(({ type }) => type !== "bytes");
    this.#offer();
  }

  /** @param {Answers.Facet[]} facets as they were counted: what a column's values are completed from */
  offerValues(facets) {
    for (const { name, kind, values } of facets) if (kind !== "range") this.#facets.set(name, (values ?? []).map(({ value }) => value));
    this.#offer();
  }

  forgetValues() {
    this.#facets.clear();
  }

  /** The columns that go on with the word before the cursor; behind a column and a sign its values. */
  #offer() {
    this.#redrawn.draw(() => byId("columns").replaceChildren(...this.#offered()));
  }

  #offered() {
    const before = this.#where.value.slice(0, this.#where.selectionStart ?? undefined);
    const text = this.#fittingValues(before);
    if (text) {
      const { begun, values } = text;
      return values.map((value) => this.#value(value, begun));
    }
    const word = (WORD.exec(before)?.[0] ?? "").toLowerCase();
    const fitting = word ? this.#columns.filter(({ name }) => name.toLowerCase().startsWith(word)) : [];
    const isNamed = fitting.length === 1 && fitting[0].name.toLowerCase() === word;
    const shown = fitting.length && !isNamed ? fitting : this.#columns.filter(({ name }) => !RARE.has(name));
    return shown.map((column) => this.#column(column, shown === fitting ? word : ""));
  }

  /**
   * @param {Answers.Column} column
   * @param {string} word
   */
  #column({ name, type }, word) {
    return button({ class: "column", title: `${columnTitle(name)}: ${type}` }, () => this.#insert(name, word), columnTitle(name));
  }

  /**
   * @param {string} before
   * @returns {?{begun: ?string, values: Value[]}} begun: the text so far; null: no value is being written
   */
  #fittingValues(before) {
    const found = TEXT.exec(before);
    if (!found) return null;
    const name = found[1].startsWith('"') ? found[1].slice(1, -1).replaceAll('""', '"') : found[1];
    const [, known] = [...this.#facets].find(([each]) => each.toLowerCase() === name.toLowerCase()) ?? [];
    const begun = found[2] ?? null;
    const wanted = (begun ?? "").replaceAll("''", "'").toLowerCase();
    const fits = (/** @type {Value} */ value) => (begun === null || typeof value === "string") && String(value).toLowerCase().startsWith(wanted);
    const values = (known ?? []).filter(fits).slice(0, VALUES_SHOWN);
    return values.length ? { begun, values } : null;
  }

  /**
   * @param {Value} value
   * @param {?string} begun
   */
  #value(value, begun) {
    const shown = valueTitle(value);
    return button({ class: "column", title: `The value ${shown}` }, () => this.#write(value, begun), shown);
  }

  /**
   * @param {Value} value
   * @param {?string} begun
   */
  #write(value, begun) {
    const end = this.#where.selectionStart ?? this.#where.value.length;
    const start = begun === null ? end : end - begun.length - 1;
    const before = this.#where.value.slice(0, start);
    const space = /[\s(]$/.test(before) ? "" : " ";
    const after = this.#where.value[end] === "'" && begun !== null ? end + 1 : end; // its own end was written already
    this.#where.setRangeText(`${space}${literal(value)} `, start, after, "end");
    this.#where.focus();
    this.#offer();
  }

  /**
   * @param {string} name
   * @param {string} word
   */
  #insert(name, word) {
    const end = this.#where.selectionStart ?? this.#where.value.length;
    const before = this.#where.value.slice(0, end - word.length);
    const space = before && !/[\s(]$/.test(before) ? " " : "";
    this.#where.setRangeText(`${space}${columnName(name)} `, end - word.length, end, "end");
    this.#where.focus();
    this.#offer();
  }
}
