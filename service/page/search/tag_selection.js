/** Tags for all selected images at once: one that there is, or a new one; each act can be taken back. */

import { ApiError, ask, lakePath } from "../common/api.js";
import { actButton, button, byId, make } from "../common/dom.js";
import { searchHref } from "../common/links.js";
import { literal } from "../common/sql.js";
import { count, images, sentence } from "../common/words.js";

/** @import { Failure, Row } from "../common/api.js" */

const SHOWN = 24; // tags to choose from by a click; the others are completed where one types

/** @param {string} lake */
const tagsOf = (lake) => `${lakePath(lake)}/tags`;

export class TagSelection {
  #dialog = byId("tag-dialog");
  #name = byId("tag-name");
  #known = byId("tag-known");
  #problem = byId("tag-problem");
  #done = byId("tag-done");
  #lake = "";
  /** @type {Row[]} */
  #rows = [];

  /** @param {() => unknown} changed called after rows got or lost a tag */
  constructor(changed) {
    this.changed = changed;
    byId("tag-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#tag(event.submitter?.getAttribute("value") === "remove");
    });
    byId("tag-close").addEventListener("click", () => this.#dialog.close());
  }

  /**
   * @param {string} lake
   * @param {Row[]} rows
   */
  async open(lake, rows) {
    this.#lake = lake;
    this.#rows = rows;
    this.#problem.textContent = "";
    this.#done.replaceChildren();
    byId("tag-title").textContent = `Tag ${images(rows.length)}`;
    this.#dialog.showModal();
    await this.#offer();
  }

  async #offer() {
    try {
      /** @type {Answers.TagsAnswer} */
      const { tags } = (await ask("GET", tagsOf(this.#lake))).answer;
      const most = [...tags].sort((one, other) => other.rows - one.rows).slice(0, SHOWN);
      this.#known.replaceChildren(...most.map((tag) => this.#choice(tag)));
      byId("tag-names").replaceChildren(...tags.map(({ name }) => make("option", { value: name })));
    } catch (error) {
      this.#complain(error);
    }
  }

  /** @param {Answers.TagFacts} tag */
  #choice({ name, rows }) {
    const choose = () => {
      this.#name.value = name;
      this.#name.focus();
    };
    return button({ class: "column", title: images(rows) }, choose, name, " ", make("span", { class: "many" }, count(rows)));
  }

  /** @param {boolean} remove */
  async #tag(remove) {
    const body = { name: this.#name.value.trim(), remove, row_ids: this.#rows.map(({ row_id }) => row_id) };
    await this.#act(async () => {
      /** @type {Answers.TaggedAnswer} */
      const { name, rows, act } = (await ask("POST", tagsOf(this.#lake), { body })).answer;
      if (act === null) return this.#done.replaceChildren(`None of them has the tag ${name}.`);
      const where = `tag = ${literal(name)}`;
      const link = make("a", { href: searchHref(this.#lake, null, null, where) }, name);
      const undo = actButton({ class: "quiet" }, () => this.#undo(act), "Undo");
      return this.#done.replaceChildren(`${images(rows)} ${remove ? "no longer tagged " : "tagged "}`, link, ". ", undo);
    });
  }

  /** @param {number} act its number: the server refuses if somebody tagged since */
  async #undo(act) {
    await this.#act(async () => {
      await ask("POST", `${tagsOf(this.#lake)}/undo`, { body: { act } });
      this.#done.replaceChildren("Taken back.");
    });
  }

  /** @param {() => Promise<unknown>} does */
  async #act(does) {
    this.#problem.textContent = "";
    this.#busy(true);
    try {
      await does();
      this.changed();
      await this.#offer();
    } catch (error) {
      this.#complain(error);
    } finally {
      this.#busy(false);
    }
  }

  /** @param {boolean} isBusy */
  #busy(isBusy) {
    for (const each of byId("tag-form").querySelectorAll("button")) if (each.type === "submit") each.disabled = isBusy;
  }

  /** @param {Failure} error */
  #complain(error) {
    this.#problem.textContent = error instanceof ApiError ? sentence(error.message, error.field) : "The server does not answer.";
  }
}
