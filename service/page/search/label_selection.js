/** Yes or no for a filter, for all selected images at once: one that there is, or a new one made of this search. */

import { ApiError, ask, lakePath } from "../common/api.js";
import { byId, make } from "../common/dom.js";
import { labelHref } from "../common/links.js";
import { OwnAnswers, UNNAMED } from "../common/own_answers.js";
import { images, sentence } from "../common/words.js";

/** @import { State } from "./state.js" */

/** @import { Failure, Row } from "../common/api.js" */

const AT_ONCE = 10_000; // labels of one request
const MOST_EXAMPLES = 64; // of a filter's side
const NEW = ""; // the choice that is none of the filters
const KEPT = "lakesift-labeller"; // where the page of filters remembers who labels here

/** @param {string} lake */
const filtersOf = (lake) => `${lakePath(lake)}/filters`;

export class LabelSelection {
  #dialog = byId("label-dialog");
  #choice = byId("label-filter");
  #name = byId("label-name");
  #problem = byId("label-problem");
  #done = byId("label-done");
  #lake = "";
  /** @type {Row[]} */
  #rows = [];
  /** @type {?State} */
  #state = null;

  constructor() {
    byId("label-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#label(event.submitter?.getAttribute("value") ?? "yes");
    });
    byId("label-close").addEventListener("click", () => this.#dialog.close());
    this.#choice.addEventListener("change", () => this.#offerName());
  }

  /**
   * @param {string} lake
   * @param {Row[]} rows
   * @param {State} state whose examples a new filter begins with
   */
  async open(lake, rows, state) {
    this.#lake = lake;
    this.#rows = rows;
    this.#state = state;
    this.#problem.textContent = "";
    this.#done.replaceChildren();
    byId("label-title").textContent = `Are these ${images(rows.length)} wanted?`;
    this.#dialog.showModal();
    try {
      /** @type {Answers.FiltersAnswer} */
      const { filters } = (await ask("GET", filtersOf(lake))).answer;
      const before = this.#choice.value;
      this.#choice.replaceChildren(
        ...filters.map(({ name }) => make("option", { value: name }, name)),
        make("option", { value: NEW }, "A new filter"),
      );
      if (filters.some(({ name }) => name === before)) this.#choice.value = before;
    } catch (error) {
      this.#complain(error);
    }
    this.#offerName();
  }

  #offerName() {
    byId("label-new").hidden = this.#choice.value !== NEW;
    this.#name.required = this.#choice.value === NEW;
  }

  /** @param {string} label */
  async #label(label) {
    this.#problem.textContent = "";
    this.#busy(true);
    try {
      const name = this.#choice.value === NEW ? await this.#made(label) : this.#choice.value;
      const labeller = kept();
      const labels = this.#rows.map(({ row_id }) => ({ row_id, label, ...(labeller && { labeller }) }));
      let saved = 0;
      const problems = /** @type {Answers.Problem[]} */ ([]);
      for (let at = 0; at < labels.length; at += AT_ONCE) {
        const body = { labels: labels.slice(at, at + AT_ONCE) };
        /** @type {Answers.LabelAnswer} */
        const answer = (await ask("POST", `${filtersOf(this.#lake)}/${encodeURIComponent(name)}/label`, { body })).answer;
        saved += answer.saved;
        if ((labeller || UNNAMED) === UNNAMED) new OwnAnswers(this.#lake, name).add(answer.seqs);
        problems.push(...answer.problems);
      }
      this.#choose(name);
      const said = `${images(saved)}: ${label === "yes" ? "yes" : "no"} for `;
      this.#done.replaceChildren(said, make("a", { href: labelHref(this.#lake, name) }, name), ".");
      if (problems.length) this.#problem.textContent = `${images(problems.length)} could not be answered: ${sentence(problems[0].message)}`;
    } catch (error) {
      this.#complain(error);
    } finally {
      this.#busy(false);
    }
  }

  /**
   * @param {string} label
   * @returns {Promise<string>}
   */
  async #made(label) {
    const rowIds = this.#rows.slice(0, MOST_EXAMPLES).map(({ row_id }) => row_id);
    const keep = sideOf(this.#state, 1);
    const drop = sideOf(this.#state, -1);
    if (!keep.texts.length && !keep.row_ids.length && label === "yes") keep.row_ids = rowIds;
    const where = this.#state?.where || null;
    const body = { name: this.#name.value.trim(), keep, drop, where };
    return (await ask("POST", filtersOf(this.#lake), { body })).answer.name;
  }

  /**
   * What was made is one of them now.
   * @param {string} name
   */
  #choose(name) {
    if (![...this.#choice.options].some(({ value }) => value === name)) this.#choice.prepend(make("option", { value: name }, name));
    this.#choice.value = name;
    this.#offerName();
  }

  /** @param {boolean} isBusy */
  #busy(isBusy) {
    for (const each of byId("label-form").querySelectorAll("button")) if (each.type === "submit") each.disabled = isBusy;
  }

  /** @param {Failure} error */
  #complain(error) {
    this.#problem.textContent = error instanceof ApiError ? sentence(error.message, error.field) : "The server does not answer.";
  }
}

/**
 * @param {?State} state
 * @param {number} sign
 */
function sideOf(state, sign) {
  const { q, examples } = state ?? { q: "", examples: [] };
  const of = (/** @type {string} */ kind) => examples.filter((each) => each.kind === kind && each.sign === sign).map(({ value }) => value);
  return { texts: [...(q && sign > 0 ? [q] : []), ...of("text")], row_ids: of("row").map(Number) };
}

function kept() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return ""; // storage switched off
  }
}
