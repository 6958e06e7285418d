/** The menu of orders: by what the images are sorted, and a button that turns it round, or shuffles anew. */

import { byId, icon, make } from "../common/dom.js";
import { columnTitle } from "../common/words.js";
import { directionOf, isUsuallyDown, keyOf, partsOf, sortOf } from "./sort_words.js";
import { isQuery } from "./state.js";

/** @import { State } from "./state.js" */

const NO_ORDER = new Set(["bytes", "list"]);
const LONGEST = 990; // the API takes 1,000 characters, with the direction

export class SortMenu {
  #select = byId("sort");
  #turn = byId("sort-turn");
  /** @type {string[]} */
  #columns = [];
  #key = "";
  #isDown = false;
  #isQuery = false;

  /** @param {(sort: string) => unknown} choose takes the order, as the address has it */
  constructor(choose) {
    this.#select.addEventListener("change", () => {
      const key = this.#select.value;
      choose(sortOf(key, isUsuallyDown(key), this.#isQuery));
    });
    this.#turn.addEventListener("click", () => choose(sortOf(this.#key, !this.#isDown, this.#isQuery)));
    this.#offer();
  }

  /** @param {State} state */
  show(state) {
    this.#isQuery = isQuery(state);
    const { key, isDown } = partsOf(state.sort, this.#isQuery);
    this.#key = key;
    this.#isDown = isDown;
    this.#offer();
  }

  /** @param {Answers.Column[]} columns of the lake at hand */
  columns(columns) {
    this.#columns = columns
      .filter(({ type, stored }) => stored && !NO_ORDER.has(type))
      .map(({ name }) => keyOf(name))
      .filter((key) => key.length <= LONGEST);
    this.#offer();
  }

  #offer() {
    const usual = this.#isQuery ? ["match", "Best match"] : ["row_id", "As added"];
    const first = [usual, ["date", "Date"], ["path", "Path"], ["random", "Random"]];
    const columns = this.#columns.filter((key) => key !== "row_id" || this.#isQuery);
    const isKnown = [...first.map(([key]) => key), ...columns].includes(this.#key);
    if (this.#key && !isKnown) columns.push(this.#key); // of a link, before the columns are here
    const words = first.map(([value, text]) => make("option", { value }, text));
    const group = make("optgroup", { label: "Columns" }, ...columns.map((key) => make("option", { value: key }, columnTitle(plain(key)))));
    this.#select.replaceChildren(...words, ...(columns.length ? [group] : []));
    this.#select.value = this.#key;
    const direction = directionOf(this.#key, this.#isDown);
    this.#turn.title = direction;
    this.#turn.setAttribute("aria-label", this.#key === "random" ? direction : `${direction}: turn it round`);
    this.#turn.replaceChildren(icon(this.#key === "random" ? "again" : this.#isDown ? "down" : "up"));
  }
}

/** @param {string} key */
const plain = (key) => (key.startsWith('"') ? key.slice(1, -1).replaceAll('""', '"') : key);
