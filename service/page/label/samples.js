/** The result of a filter: what was kept, dropped, or left to a person, in the order that is wanted, with an answer on each. */

import { thumbnailUrl } from "../common/api.js";
import { button, byId, make } from "../common/dom.js";
import { searchHref } from "../common/links.js";
import { within } from "../common/sets.js";
import { count, nameOf, sentence } from "../common/words.js";
import * as filters from "./filters_api.js";

const SHOWN = 24;
const THUMBNAIL = 256;
const IN_ADDRESS = "show"; // which decision: a step back finds it
const MOST_SEED = 2 ** 31;
const LINE = {
  keep: "Kept by their score, and nearest the cut-off: the least certain of what is exported.",
  drop: "Dropped by their score, and nearest the cut-off: where what is lost would be.",
  ask: "Left to a person: neither sure enough to keep nor to drop.",
};
const OTHERS = {
  random: "Drawn at random: each image of these has the same chance.",
  people: "Decided by people's own answers, whatever their score; first those that the score speaks against most.",
};
// What can be said of an image of each decision, and what that is called there.
const ANSWERS = { keep: [["no", "Drop"]], drop: [["yes", "Restore"]], ask: [["no", "No"], ["yes", "Yes"]] };
const SAID = { yes: "Yes: kept from the next Apply on", no: "No: dropped from the next Apply on" };

export class Samples {
  #decision = new URLSearchParams(location.search).get(IN_ADDRESS);
  #isReturn = Object.hasOwn(LINE, this.#decision ?? "");
  #order = "line";
  #seed = 0;
  #shown = 0; // images so far
  #run = 0;

  /**
   * @param {string} lake
   * @param {string} name of the filter
   * @param {{labeller: function(): string, mayLabel: boolean, answered: function(Object), failed: function(Error)}} tell
   *   answered: told the progress after an answer
   */
  constructor(lake, name, tell) {
    this.lake = lake;
    this.name = name;
    this.tell = tell;
    if (!this.#isReturn) this.#decision = "keep";
    document.querySelector(`input[name="decision"][value="${this.#decision}"]`).checked = true;
    for (const input of document.querySelectorAll('input[name="decision"]')) {
      input.addEventListener("change", () => this.#turnTo(input.value));
    }
    for (const input of document.querySelectorAll('input[name="order"]')) {
      input.addEventListener("change", () => this.#sort(input.value));
    }
    byId("sample-more").addEventListener("click", () => this.#load());
  }

  /** @param {{kept: number, dropped: number, asked: number}} numbers of each decision */
  show({ kept, dropped, asked }) {
    for (const [decision, number] of Object.entries({ keep: kept, drop: dropped, ask: asked })) {
      byId(`of-${decision}`).textContent = count(number);
    }
    this.#begin();
  }

  #turnTo(decision) {
    this.#decision = decision;
    const address = new URL(location);
    address.searchParams.set(IN_ADDRESS, decision);
    history.replaceState(history.state, "", address);
    this.#begin();
  }

  #sort(order) {
    this.#order = order;
    document.querySelector(`input[name="order"][value="${order}"]`).checked = true;
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

  /** @param {number} all images that there are in this order */
  #fill(rows, all, problem = "") {
    const grid = byId("sample-grid");
    const cells = rows.map((row) => this.#cell(row));
    grid.setAttribute("aria-busy", "false");
    if (this.#shown) grid.append(...cells);
    else grid.replaceChildren(...cells);
    this.#shown += rows.length;
    byId("sample-none").textContent = problem || (this.#shown ? "" : "None.");
    const left = Math.min(SHOWN, all - this.#shown);
    byId("sample-more").hidden = left <= 0;
    byId("sample-more").disabled = false;
    byId("sample-more").textContent = `Next ${left}`;
    if (this.#isReturn) byId("samples").scrollIntoView();
    this.#isReturn = false;
  }

  #cell(row) {
    const name = nameOf(row);
    const src = thumbnailUrl(this.lake, row, THUMBNAIL);
    const href = searchHref(this.lake, row.row_id);
    const image = make("img", { src, alt: name, loading: "lazy", decoding: "async", width: 160, height: 160 });
    image.addEventListener("error", () => image.replaceWith(make("span", { class: "no-sample" }, name)), { once: true });
    const cell = make("li", {}, make("a", { href, title: name }, image));
    cell.append(row.label === null ? this.#answers(cell, row, name) : told(`labelled ${row.label}`));
    return cell;
  }

  #answers(cell, row, name) {
    if (!this.tell.mayLabel) return "";
    const buttons = ANSWERS[this.#decision].map(([label, word]) =>
      button({ "aria-label": `${word}: ${name}`, title: SAID[label] }, () => this.#answer(cell, row, label), word),
    );
    return make("span", { class: "judge" }, ...buttons);
  }

  async #answer(cell, row, label) {
    const had = cell.contains(document.activeElement);
    cell.querySelector(".judge").inert = true;
    try {
      const said = { row_id: row.row_id, label, labeller: this.tell.labeller() };
      const { problems, progress } = await filters.label(this.lake, this.name, [said]);
      if (problems.length) throw new Error(problems[0].message);
      cell.querySelector(".judge").replaceWith(told(SAID[label]));
      if (had) cell.querySelector("a").focus();
      this.tell.answered(progress);
    } catch (error) {
      cell.querySelector(".judge").inert = false;
      this.tell.failed(error);
    }
  }
}

const told = (text) => make("span", { class: "told" }, text);

const of = ({ order, of: all, by_people: byPeople }) => ({ line: all - byPeople, random: all, people: byPeople })[order];

/** What people said stands wherever it scores, so it is told and not shown as near the cut-off. */
const apart = (byPeople) =>
  byPeople ? `People's own answers decided ${count(byPeople)} more, which are not among these.` : "";
