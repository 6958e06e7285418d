/** Twenty candidates at once: one marks those that do not belong, and Enter answers all of them. */

import { thumbnailUrl } from "../common/api.js";
import { button, byId, elementOf, make } from "../common/dom.js";
import { message } from "../common/messages.js";
import { UNNAMED } from "../common/own_answers.js";
import { answers, count, nameOf } from "../common/words.js";
import { nothingToTakeBack } from "./filter_words.js";
import * as filters from "./filters_api.js";

/** @import { Failure, Row } from "../common/api.js" */

const AT_ONCE = 20;
const THUMBNAIL = 256;

export class Candidates {
  /** @type {Row[]} */
  #rows = [];
  /** @type {Set<number>} */
  #wrong = new Set(); // row_ids that are marked
  /** @type {Set<number>} */
  #unseen = new Set(); // row_ids whose picture does not come: nobody says yes to them without a word
  /** @type {{rows: Row[], wrong: Set<number>, seqs: number[], labeller: string}[]} */
  #past = []; // batches answered here, the last one last, with the name that they were answered under
  #isBusy = false;
  #run = 0; // counts what was asked for: an answer that comes late is thrown away

  /**
   * @param {string} lake
   * @param {string} name of the filter
   * @param {{labeller: () => string, turn: () => {labeller?: string}, acts: () => unknown, progress: (progress: Answers.Progress) => unknown, failed: (error: Failure) => unknown,
   *   say: (text: string) => unknown, note: (text: string) => unknown}} tell acts: the person answers or takes back
   */
  constructor(lake, name, tell) {
    this.lake = lake;
    this.name = name;
    this.tell = tell;
    byId("candidates").addEventListener("keydown", (event) => this.#move(event));
    byId("answer-all").addEventListener("click", () => this.#answer());
    byId("undo-all").addEventListener("click", () => this.#undo());
  }

  /** Ask for candidates, as the labels are now. */
  async fill() {
    this.#run += 1;
    const run = this.#run;
    this.#busy(true);
    try {
      const found = await filters.next(this.lake, this.name, { n: AT_ONCE, purpose: "teach", ...this.tell.turn() });
      if (run !== this.#run) return;
      this.#show(found.rows, new Set());
      this.tell.progress(found.progress);
    } catch (error) {
      if (run === this.#run) this.tell.failed(error);
    } finally {
      if (run === this.#run) this.#busy(false);
    }
  }

  /**
   * @param {KeyboardEvent} event
   * @returns {boolean} whether this key was for the grid
   */
  key(event) {
    const key = event.key.toLowerCase();
    const at = elementOf(event);
    // Enter on a button or link elsewhere is that one's.
    if (key === "enter" && !at.closest("#candidates") && at.closest("button, a, summary")) return false;
    if (key === "enter") this.#answer();
    else if (key === "u") this.#undo();
    else if ("ynx".includes(key) && key.length === 1) this.#mark(key);
    else return false;
    return true;
  }

  /**
   * @param {Row[]} rows
   * @param {Set<number>} wrong row_ids that are marked
   */
  #show(rows, wrong) {
    this.#rows = rows;
    this.#wrong = wrong;
    this.#unseen = new Set();
    const none = message("Nothing is left to label", ["Every image has an answer."]);
    byId("candidates").replaceChildren(...(rows.length ? rows.map((row, at) => this.#cell(row, at)) : [make("li", { class: "none" }, none)]));
    byId("candidates").scrollTop = 0;
    this.#tell();
    if (rows.length && (document.activeElement === document.body || document.activeElement === null)) this.#focus(0);
  }

  /**
   * @param {Row} row
   * @param {number} at
   */
  #cell(row, at) {
    const name = nameOf(row);
    const isWrong = this.#wrong.has(row.row_id);
    const image = make("img", { src: thumbnailUrl(this.lake, row, THUMBNAIL), alt: "", decoding: "async", draggable: "false" });
    image.addEventListener("error", () => this.#lacks(row, image), { once: true });
    const toggle = (/** @type {MouseEvent} */ event) => this.#toggle(/** @type {HTMLElement} */ (event.currentTarget), row);
    const facts = { "aria-pressed": String(isWrong), "aria-label": `Does not belong: ${name}`, title: name, tabindex: at === 0 ? "0" : "-1" };
    return make("li", {}, button(facts, toggle, image, make("span", { class: "wrong", "aria-hidden": "true" }, "No")));
  }

  /**
   * Its name is in the place of its picture.
   * @param {Row} row
   * @param {HTMLImageElement} image
   */
  #lacks(row, image) {
    if (!this.#rows.includes(row)) return; // others are shown meanwhile
    this.#unseen.add(row.row_id);
    const name = nameOf(row);
    image.closest("button")?.setAttribute("aria-label", `Does not belong: ${name}, which does not come and is skipped`);
    image.replaceWith(make("span", { class: "no-picture" }, name, make("small", {}, "Does not come: skipped")));
    this.#tell();
  }

  /**
   * @param {HTMLElement} cell
   * @param {Row} row
   * @param {boolean} [isWrong] the other of what it is, where it is not said
   */
  #toggle(cell, row, isWrong = !this.#wrong.has(row.row_id)) {
    if (this.#isBusy) return; // these are answered as they were marked, or give way to others
    if (isWrong) this.#wrong.add(row.row_id);
    else this.#wrong.delete(row.row_id);
    cell.setAttribute("aria-pressed", String(isWrong));
    this.#tell();
  }

  #tell() {
    const [no, all] = [this.#wrong.size, this.#rows.length];
    const skipped = [...this.#unseen].filter((rowId) => !this.#wrong.has(rowId)).length;
    const yes = `${count(all - no - skipped)} yes`;
    byId("answer-all-count").textContent = all ? [yes, `${count(no)} no`, skipped && `${count(skipped)} skipped`].filter(Boolean).join(", ") : "";
    byId("answer-all").setAttribute("aria-disabled", String(!all || this.#isBusy));
    byId("undo-all").setAttribute("aria-disabled", String(this.#isBusy));
  }

  /** @param {boolean} isBusy */
  #busy(isBusy) {
    this.#isBusy = isBusy;
    byId("candidates").setAttribute("aria-busy", String(isBusy));
    this.#tell();
  }

  get #cells() {
    return [...byId("candidates").querySelectorAll("button")];
  }

  /** @param {number} at */
  #focus(at) {
    const cells = this.#cells;
    for (const [number, cell] of cells.entries()) cell.tabIndex = number === at ? 0 : -1;
    cells[at]?.focus();
  }

  /** @param {string} key y, n or x */
  #mark(key) {
    const at = this.#cells.findIndex((cell) => cell === document.activeElement);
    if (at < 0) return this.#focus(0);
    this.#toggle(this.#cells[at], this.#rows[at], key !== "y");
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const cells = this.#cells;
    const at = cells.findIndex((cell) => cell === event.target);
    const wide = Math.max(1, cells.filter((cell) => cell.offsetTop === cells[0].offsetTop).length);
    /** @type {Record<string, number>} */
    const ways = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - wide, ArrowDown: at + wide, Home: 0, End: cells.length - 1 };
    const to = ways[event.key];
    if (event.key === "Enter") event.preventDefault(); // it answers all, and presses none
    if (at < 0 || !cells[to]) return;
    event.preventDefault();
    this.#focus(to);
  }

  /** All that are not marked belong, but for those that one cannot see. What a colleague has answered meanwhile stays as that person said. */
  async #answer() {
    if (this.#isBusy || !this.#rows.length) return;
    const [rows, wrong, unseen] = [this.#rows, this.#wrong, this.#unseen];
    this.#busy(true);
    this.tell.acts();
    try {
      const labeller = this.tell.labeller();
      const label = (/** @type {number} */ rowId) => (wrong.has(rowId) ? "no" : unseen.has(rowId) ? "skip" : "yes");
      const said = rows.map(({ row_id: rowId }) => ({ row_id: rowId, label: label(rowId), labeller }));
      const saved = await filters.labelOpen(this.lake, this.name, said);
      const theirs = new Set(saved.passed_over);
      this.#past.push({ rows: rows.filter(({ row_id: rowId }) => !theirs.has(rowId)), wrong, seqs: saved.seqs, labeller });
      this.tell.progress(saved.progress);
      const passed = theirs.size;
      const others = passed === 0 ? "" : passed === 1 ? "1 image was answered by somebody else meanwhile and keeps that answer." : `${count(passed)} images were answered by others meanwhile and keep those answers.`;
      if (passed) this.tell.note(others);
      this.tell.say(`Saved ${answers(saved.saved)}. ${others}`);
      await this.fill();
      this.#focus(0);
    } catch (error) {
      this.#busy(false); // the grid stays as it is: Enter tries again
      this.tell.failed(error);
    }
  }

  /** What was answered last, before this page was opened: as it was answered, at once. */
  async #undoEarlier() {
    this.#run += 1;
    this.#busy(true);
    this.tell.acts();
    try {
      const answer = await filters.undo(this.lake, this.name, this.tell.labeller());
      if (answer) this.tell.progress(answer.progress);
      const rows = answer?.rows ?? [];
      if (!rows.length) this.tell.note(nothingToTakeBack(this.tell.labeller()));
      else this.tell.say(`Took back ${answers(rows.length)}.`);
      await this.fill();
      this.#focus(0);
    } catch (error) {
      this.#busy(false);
      this.tell.failed(error);
    }
  }

  /** The last grid as a whole, shown again as it was marked. */
  async #undo() {
    const last = this.#past.at(-1);
    if (this.#isBusy) return;
    if (!last) return this.#undoEarlier();
    this.#run += 1;
    this.#busy(true);
    this.tell.acts();
    try {
      const { rows, progress } = await this.#takeBack(last);
      this.#past.pop();
      const taken = new Set(rows.map(({ row_id: rowId }) => rowId));
      this.#show(last.rows.filter(({ row_id: rowId }) => taken.has(rowId)), last.wrong);
      this.tell.progress(progress);
      this.tell.say(`Took back ${answers(rows.length)}.`);
      this.#busy(false);
      this.#focus(0);
    } catch (error) {
      if (filters.isTaken(error)) this.#past.pop();
      this.#busy(false);
      this.tell.failed(error);
    }
  }

  /** @param {{rows: Row[], seqs: number[], labeller: string}} batch */
  #takeBack({ rows, seqs, labeller }) {
    // Without a name, by number: what others said of these images without one is theirs.
    if (labeller === UNNAMED) return filters.undoAnswers(this.lake, this.name, seqs);
    const rowIds = rows.map(({ row_id: rowId }) => rowId);
    return filters.undoAll(this.lake, this.name, rowIds, labeller);
  }
}
