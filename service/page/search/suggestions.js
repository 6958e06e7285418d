/** What the first screen offers to try: values and days of this lake's columns, and words for what its images show. */

import { ask, lakePath } from "../common/api.js";
import { byId, make } from "../common/dom.js";
import { parse, toSearch } from "./state.js";

export class Suggestions {
  #list = byId("suggestions");
  /** @type {?string} */
  #asked = null; // of which lake and snapshot

  /**
   * Where the first screen is seen. They come when they come, one behind the other: nothing moves.
   * @param {?Answers.LakeFacts} lake null: not known yet
   * @param {?string} named in the address; null: the first lake
   */
  async show(lake, named) {
    if (!lake || byId("intro").hidden) return;
    const wanted = `${lake.name} ${lake.snapshot}`;
    if (this.#asked === wanted) return;
    this.#asked = wanted;
    this.#list.replaceChildren();
    await Promise.all(["columns", "words"].map((of) => this.#ask(lake, named, of, wanted)));
  }

  /**
   * @param {Answers.LakeFacts} lake
   * @param {?string} named
   * @param {string} of
   * @param {string} wanted
   */
  async #ask(lake, named, of, wanted) {
    try {
      const { answer } = await ask("GET", `${lakePath(lake.name)}/suggestions?of=${of}`);
      if (this.#asked !== wanted) return;
      this.#list.append(...answer.suggestions.map((/** @type {Answers.Suggestion} */ each) => this.#item(each, named)));
    } catch {
      this.#asked = null; // they only help: the lake's own rows say what is wrong
    }
  }

  /**
   * @param {Answers.Suggestion} suggestion
   * @param {?string} lake
   */
  #item({ text, query, where }, lake) {
    const state = { ...parse(""), lake, q: query ?? "", where: where ?? "" };
    const what = where ? `Images where ${where}` : "Search for this";
    return make("li", {}, make("a", { href: toSearch(state), title: what, dir: "auto" }, text));
  }
}
