/** The search box: its words are the main thing looked for; "-snow" and "+beach" become examples beside it. */

import { byId } from "../common/dom.js";
import { quoted, understand, written } from "./typed.js";

export class SearchBox {
  #words = byId("words");
  #lessOf = byId("less-of");
  #shown = /** @type {?string} */ (null); // the words of the state; null: none was shown yet

  /** @param {(typed: string) => unknown} search takes what was typed */
  constructor(search) {
    byId("box").addEventListener("submit", (event) => {
      event.preventDefault();
      if (matchMedia("(pointer: coarse)").matches) this.#words.blur(); // the keyboard would cover the photos
      search(this.#words.value);
    });
    // The box's own cross empties it: what it was searching for goes too.
    this.#words.addEventListener("search", () => {
      if (this.#words.value === "" && this.#shown) search("");
    });
    this.#words.addEventListener("input", () => this.#offer());
    // A browser empties a search box at Escape: what was typed would be gone.
    this.#words.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) event.preventDefault();
    });
    this.#lessOf.addEventListener("click", () => {
      const { wanted, unwanted } = understand(this.#words.value.replace(/^\s*\+/, ""));
      const all = [...wanted, ...unwanted];
      if (all.length) search(all.map((text) => `-${quoted(text)}`).join(" "));
    });
  }

  /**
   * What is typed and not yet searched for stays, where the state has the words that it had.
   * @param {string} words
   * @param {boolean} isTaken whether what was typed became these words, and examples beside them
   */
  show(words, isTaken = false) {
    const isNew = isTaken || words !== this.#shown;
    this.#shown = words;
    if (isNew) this.#words.value = written(words);
    this.#offer();
  }

  focus() {
    this.#words.focus();
    this.#words.select();
  }

  #offer() {
    this.#lessOf.hidden = this.#words.value.trim() === "";
  }
}
