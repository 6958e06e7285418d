/** The search box: its words are the main thing looked for; "-snow" and "+beach" become examples beside it. */

import { byId } from "../common/dom.js";
import { quoted, understand, written } from "./typed.js";

export class SearchBox {
  #words = byId("words");
  #lessOf = byId("less-of");
  #shown = ""; // the words of the state

  /** @param {(typed: string) => unknown} search takes what was typed */
  constructor(search) {
    byId("box").addEventListener("submit", (event) => {
      event.preventDefault();
      if (matchMedia("(pointer: coarse)").matches) this.#words.blur(); // the keyboard would cover the photos
      search(this.#words.value);
    });
    // The box's own cross empties it: what it was searching for goes too.
    this.#words.addEventListener("search", () => {
      if (this.#words.value === "" && this.#shown !== "") search("");
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

  /** @param {string} words */
  show(words) {
    this.#shown = words;
    this.#words.value = written(words);
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
