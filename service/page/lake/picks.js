/** Images to label: how many and of which, the tag that keeps them, and what they stand for. */

import { ApiError, ServerGone, ask, columns as columnsOf, lakePath } from "../common/api.js";
import { actButton, byId, make } from "../common/dom.js";
import { searchHref } from "../common/links.js";
import { columnName, literal } from "../common/sql.js";
import { columnTitle, count, sentence } from "../common/words.js";
import { picked, reached, worth } from "./pick_words.js";

/** @import { Failure } from "../common/api.js" */

const NO_VALUES = new Set(["bytes", "list"]); // there is no number of picks for each of these
const WORKING = "Picking: of a large lake this takes a minute or two…";
const NO_TAG = "This key may not tag: ask for one of scope label.";

export class PickDesk {
  #form = byId("pick-form");
  #number = byId("pick-number");
  #by = byId("pick-by");
  #where = byId("pick-where");
  #column = byId("pick-column");
  #each = byId("pick-each");
  #labelled = byId("pick-labelled");
  #unsure = byId("pick-unsure");
  #tag = byId("pick-tag");
  #said = byId("pick-said");
  #lake = "";

  /** @param {{gone: () => unknown}} on the server does not answer */
  constructor(on) {
    this.on = on;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#form.hasAttribute("aria-busy")) this.#pick(this.#tag.value.trim());
    });
  }

  /**
   * @param {string} lake
   * @param {number} rows that it has
   * @param {boolean} mayTag
   */
  async begin(lake, rows, mayTag) {
    this.#lake = lake;
    for (const each of this.#form.elements) each.toggleAttribute("disabled", !mayTag || !rows);
    this.#said.textContent = !rows ? "No image yet." : mayTag ? "" : NO_TAG;
    await this.#act(async () => {
      await this.#offerTags();
      /** @type {Answers.FiltersAnswer} */
      const { filters } = (await ask("GET", `${lakePath(lake)}/filters`)).answer;
      this.#offer(this.#unsure, "all of these alike", filters.map(({ name }) => [name, `what filter ${name} is unsure of`]));
      const columns = (await columnsOf(lake)).filter(({ name, type, stored }) => name && stored && !NO_VALUES.has(type));
      this.#offer(this.#column, "no limit", columns.map(({ name }) => [columnName(name), columnTitle(name)]));
    });
  }

  async #offerTags() {
    /** @type {Answers.TagsAnswer} */
    const { tags } = (await ask("GET", `${lakePath(this.#lake)}/tags`)).answer;
    this.#offer(this.#labelled, "none yet", tags.map(({ name, rows }) => [`tag = ${literal(name)}`, `${name} (${count(rows)})`]));
  }

  /**
   * What was chosen stays, if it is still there.
   * @param {HTMLSelectElement} select
   * @param {string} none
   * @param {string[][]} choices values and their texts
   */
  #offer(select, none, choices) {
    const chosen = select.value;
    select.replaceChildren(...[["", none], ...choices].map(([value, text]) => make("option", { value }, text)));
    select.value = choices.some(([value]) => value === chosen) ? chosen : "";
  }

  /** @param {string} tag */
  async #pick(tag) {
    const column = this.#column.value;
    const body = {
      n: Number(this.#number.value),
      by: this.#by.value,
      where: this.#where.value.trim() || null,
      labelled: this.#labelled.value || null,
      unsure_of: this.#unsure.value || null,
      at_most: column ? [{ column, picks: Number(this.#each.value) }] : [],
    };
    this.#form.setAttribute("aria-busy", "true");
    this.#say(WORKING);
    await this.#act(async () => {
      /** @type {Answers.PicksAnswer} */
      const picks = (await ask("POST", `${lakePath(this.#lake)}/pick`, { body })).answer;
      if (!picks.row_ids.length) return this.#say(`${picked(picks)} Nothing is left to pick from.`);
      const tagging = { name: tag, remove: false, row_ids: picks.row_ids };
      /** @type {Answers.TaggedAnswer} */
      const { name, act } = (await ask("POST", `${lakePath(this.#lake)}/tags`, { body: tagging })).answer;
      const link = make("a", { href: searchHref(this.#lake, null, null, `tag = ${literal(name)}`) }, `Look at what is tagged ${name}`);
      const undo = act !== null && actButton({ class: "quiet" }, () => this.#undo(act), "Take the tag back");
      this.#said.replaceChildren(
        make("span", {}, picked(picks)),
        make("span", { title: reached(picks) }, worth(picks)),
        make("span", { class: "pick-ways" }, link, ...(undo ? [undo] : [])),
      );
      return this.#offerTags();
    });
    this.#form.removeAttribute("aria-busy");
  }

  /** @param {number} act its number: the server refuses if somebody tagged since */
  async #undo(act) {
    await this.#act(async () => {
      await ask("POST", `${lakePath(this.#lake)}/tags/undo`, { body: { act } });
      this.#say("Taken back.");
      await this.#offerTags();
    });
  }

  /** @param {() => Promise<unknown>} does */
  async #act(does) {
    this.#said.classList.remove("bad");
    try {
      await does();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** @param {Failure} error */
  #failed(error) {
    if (error instanceof ServerGone) this.on.gone();
    this.#said.classList.add("bad");
    this.#say(error instanceof ApiError ? sentence(error.message, error.field) : "The server does not answer.");
  }

  /** @param {string} text */
  #say(text) {
    this.#said.replaceChildren(text);
  }
}
