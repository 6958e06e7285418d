/** The result of a filter: what was kept, dropped, or left to a person, in the order that is wanted, with an answer on each. */

import { thumbnailUrl } from "../common/api.js";
import { button, byId, elementOf, make, smallPicture } from "../common/dom.js";
import { searchHref } from "../common/links.js";
import { within } from "../common/sets.js";
import { count, nameOf, sentence } from "../common/words.js";
import * as filters from "./filters_api.js";
import { ScoreBars } from "./score_bars.js";

/** @import { Failure, Row } from "../common/api.js" */

const SHOWN = 24;
const THUMBNAIL = 256;
const IN_ADDRESS = "show"; // which decision: a step back finds it
const MOST_SEED = 2 ** 31;
/** @type {Record<string, string>} */
const LINE = {
  keep: "Kept by their score, and nearest the cut-off: the least certain of what is exported.",
  drop: "Dropped by their score, and nearest the cut-off: where what is lost would be.",
  ask: "Left to a person: neither sure enough to keep nor to drop.",
};
/** @type {Record<string, string>} */
const OTHERS = {
  random: "Drawn at random: each image of these has the same chance.",
  people: "Decided by people's own answers, whatever their score; first those that the score speaks against most.",
};
// What can be said of an image of each decision, and what that is called there.
/** @type {Record<string, [string, string][]>} */
const ANSWERS = { keep: [["no", "Drop"]], drop: [["yes", "Restore"]], ask: [["no", "No"], ["yes", "Yes"]] };
/** @type {Record<string, string>} */
const SAID = { yes: "Yes: kept from the next Apply on", no: "No: dropped from the next Apply on" };

export class Samples {
  #decision = new URLSearchParams(location.search).get(IN_ADDRESS) ?? "";
  #isReturn = Object.hasOwn(LINE, this.#decision);
  #order = "line";
  #seed = 0;
  #shown = 0; // images so far
  #run = 0;
  /** @type {Map<HTMLElement, Row>} */
  #rows = new Map(); // cell -> its row
  #bars;

  /**
   * @param {string} lake
   * @param {string} name of the filter
   * @param {{labeller: () => string, mayLabel: boolean, answered: (progress: Answers.Progress) => unknown,
   *   failed: (error: Failure) => unknown}} tell
   *   answered: told the progress after an answer
   */
  constructor(lake, name, tell) {
    this.lake = lake;
    this.name = name;
    this.tell = tell;
    this.#bars = new ScoreBars(lake, name);
    if (!this.#isReturn) this.#decision = "keep";
    check("decision", this.#decision);
    for (const input of inputs("decision")) {
      input.addEventListener("change", () => this.#turnTo(input.value));
    }
    for (const input of inputs("order")) {
      input.addEventListener("change", () => this.#sort(input.value));
    }
    byId("sample-more").addEventListener("click", () => this.#load());
    byId("sample-grid").addEventListener("keydown", (event) => this.#move(event));
  }

  /** @param {{kept: number, dropped: number, asked: number}} numbers of each decision */
  show({ kept, dropped, asked }) {
    const numbers = /** @type {["keep"|"drop"|"ask", number][]} */ (Object.entries({ keep: kept, drop: dropped, ask: asked }));
    for (const [decision, number] of numbers) {
      byId(`of-${decision}`).textContent = count(number);
    }
    this.#bars.show();
    this.#begin();
  }

  /**
   * A person's answer by key about the image that has the focus, or what to do first.
   * @param {"yes"|"no"} label
   */
  answerFocused(label) {
    const cell = /** @type {?HTMLElement} */ (document.activeElement?.closest("#sample-grid > li"));
    if (cell) {
      const row = this.#rows.get(cell);
      if (row && cell.querySelector(".judge:not([inert])")) this.#answer(cell, row, label);
    } else byId("sample-grid").querySelector("a")?.focus();
  }

  /**
   * An answer of this person was taken back: its image may be answered again.
   * @param {number} rowId
   */
  undone(rowId) {
    for (const [cell, row] of this.#rows) {
      if (row.row_id === rowId && cell.isConnected) cell.querySelector(".told")?.replaceWith(this.#answers(cell, row, nameOf(row)));
    }
  }

  /**
   * The arrow keys lead from image to image; Home and End to the first and the last.
   * @param {KeyboardEvent} event
   */
  #move(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const cells = this.#cells;
    const at = cells.findIndex((cell) => cell.contains(elementOf(event)));
    const top = cells[0]?.offsetTop;
    const wide = Math.max(1, cells.filter((cell) => cell.offsetTop === top).length);
    /** @type {Record<string, number>} */
    const ways = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - wide, ArrowDown: at + wide, Home: 0, End: cells.length - 1 };
    const to = cells[ways[event.key]];
    if (at < 0 || !to) return;
    event.preventDefault();
    to.querySelector("a")?.focus();
  }

  get #cells() {
    return /** @type {HTMLElement[]} */ ([...byId("sample-grid").children]);
  }

  /** @param {string} decision */
  #turnTo(decision) {
    this.#decision = decision;
    const address = new URL(location.href);
    address.searchParams.set(IN_ADDRESS, decision);
    history.replaceState(history.state, "", address);
    this.#begin();
  }

  /** @param {string} order */
  #sort(order) {
    this.#order = order;
    check("order", order);
    this.#begin();
  }

  #begin() {
    this.#shown = 0;
    this.#seed = Math.floor(Math.random() * MOST_SEED);
    const set = { filter: this.name, decision: this.#decision };
    byId("sample-search").href = searchHref(this.lake, null, set);
    byId("sample-search").textContent = `Search among those ${within(set)}`;
    byId("sample-text").textContent = this.#about();
    this.#load();
  }

  #about = () => OTHERS[this.#order] ?? LINE[this.#decision];

  async #load() {
    this.#run += 1;
    const run = this.#run;
    byId("sample-grid").setAttribute("aria-busy", "true");
    byId("sample-more").disabled = true;
    try {
      const wanted = { n: SHOWN, order: this.#order, offset: this.#shown, ...(this.#order === "random" && { seed: this.#seed }) };
      const found = await filters.samples(this.lake, this.name, this.#decision, wanted);
      if (run !== this.#run) return;
      // Where people answered all of them, their answers are what there is to see.
      if (this.#order === "line" && found.of > 0 && found.by_people === found.of) return this.#sort("people");
      this.#fill(found.rows, of(found));
      byId("sample-text").textContent = [this.#about(), this.#order === "line" && apart(found.by_people)].filter(Boolean).join(" ");
    } catch (error) {
      if (run === this.#run) this.#fill([], this.#shown, sentence(error.message));
    }
  }

  /**
   * @param {Answers.RowSampled[]} rows
   * @param {number} all images that there are in this order
   * @param {string} problem
   */
  #fill(rows, all, problem = "") {
    const grid = byId("sample-grid");
    const cells = rows.map((row) => this.#cell(row));
    grid.setAttribute("aria-busy", "false");
    if (this.#shown) grid.append(...cells);
    else grid.replaceChildren(...cells);
    if (!this.#shown) this.#rows = new Map([...this.#rows].filter(([cell]) => cell.isConnected));
    this.#shown += rows.length;
    byId("sample-none").textContent = problem || (this.#shown ? "" : "None.");
    const left = Math.min(SHOWN, all - this.#shown);
    byId("sample-more").hidden = left <= 0;
    byId("sample-more").disabled = false;
    byId("sample-more").textContent = `Next ${left}`;
    if (this.#isReturn) byId("samples").scrollIntoView();
    this.#isReturn = false;
  }

  /** @param {Answers.RowSampled} row */
  #cell(row) {
    const name = nameOf(row);
    const src = thumbnailUrl(this.lake, row, THUMBNAIL);
    const href = searchHref(this.lake, row.row_id);
    const image = smallPicture({ src, alt: name, width: 160, height: 160 });
    const pictured = make("div", { class: "pictured" }, make("a", { href, title: name }, image));
    const cell = make("li", {}, pictured, because(this.lake, row));
    this.#rows.set(cell, row);
    pictured.append(row.label === null ? this.#answers(cell, row, name) : told(`labelled ${row.label}`));
    return cell;
  }

  /**
   * @param {HTMLElement} cell
   * @param {Row} row
   * @param {string} name
   */
  #answers(cell, row, name) {
    if (!this.tell.mayLabel) return "";
    const buttons = ANSWERS[this.#decision].map(([label, word]) =>
      button({ "aria-label": `${word}: ${name}`, title: SAID[label] }, () => this.#answer(cell, row, label), word),
    );
    return make("span", { class: "judge" }, ...buttons);
  }

  /**
   * The next image that has no answer has the focus, if it was on this one.
   * @param {HTMLElement} cell
   */
  #goOn(cell) {
    const cells = this.#cells;
    const next = cells.slice(cells.indexOf(cell) + 1).find((each) => each.querySelector(".judge"));
    (next ?? cell).querySelector("a")?.focus();
  }

  /**
   * @param {HTMLElement} cell
   * @param {Row} row
   * @param {string} label
   */
  async #answer(cell, row, label) {
    const had = cell.contains(document.activeElement);
    const judge = /** @type {HTMLElement} */ (cell.querySelector(".judge"));
    judge.inert = true;
    try {
      const said = { row_id: row.row_id, label, labeller: this.tell.labeller() };
      const { problems, progress } = await filters.label(this.lake, this.name, [said]);
      if (problems.length) throw new Error(problems[0].message);
      judge.replaceWith(told(SAID[label]));
      if (had) this.#goOn(cell);
      this.tell.answered(progress);
    } catch (error) {
      judge.inert = false;
      this.tell.failed(error);
    }
  }
}

/** @param {string} text */
const told = (text) => make("span", { class: "told" }, text);

/**
 * Why it was kept or dropped, as far as one can see: what it is most like of all that is known to belong or not.
 * @param {string} lake
 * @param {Answers.RowSampled} row
 */
function because(lake, { nearest_yes: yes, nearest_no: no }) {
  const isYes = yes !== null && (no === null || yes.cosine >= no.cosine);
  const nearest = isYes ? yes : no;
  if (!nearest) return "";
  const { row_id: rowId, image, cosine } = nearest;
  const name = rowId === null ? (image ?? "a photo") : `image ${rowId}`;
  const what = rowId === null ? make("bdi", {}, name) : make("a", { href: searchHref(lake, rowId) }, name);
  const title = `Of all that is known, it is most like ${name}, which ${isYes ? "belongs" : "does not belong"}: cosine ${cosine.toFixed(2)}`;
  return make("p", { class: "because", title }, "Like ", what, isYes ? ": yes" : ": no");
}

/** @param {Answers.SamplesAnswer} found */
const of = ({ order, of: all, by_people: byPeople }) => ({ line: all - byPeople, random: all, people: byPeople })[order];

/**
 * What people said stands wherever it scores, so it is told and not shown as near the cut-off.
 * @param {number} byPeople
 */
const apart = (byPeople) =>
  byPeople ? `People's own answers decided ${count(byPeople)} more, which are not among these.` : "";

/** @param {string} name */
const inputs = (name) => [...document.querySelectorAll("input")].filter((each) => each.name === name);

/**
 * @param {string} name
 * @param {string} value
 */
function check(name, value) {
  for (const each of inputs(name)) if (each.value === value) each.checked = true;
}
