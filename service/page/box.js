/** The search box: its words are the main thing looked for; "-snow" and "+beach" become examples beside it. */

import { byId } from "./dom.js";

export class Box {
  #words = byId("words");
  #lessOf = byId("less-of");
  #shown = ""; // the words of the state

  /** @param {function(string)} search takes what was typed */
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
    this.#lessOf.addEventListener("click", () => {
      const text = this.#words.value.trim();
      if (text) search(`-${text.replace(/^[-−–+]\s*/, "")}`);
    });
  }

  show(words) {
    this.#shown = words;
    this.#words.value = words;
    this.#offer();
  }

  /** Whether the typed words are those of the state: then "less of this" takes them out of the box. */
  isShown(text) {
    return text.replace(/^[-−–+]\s*/, "").trim() === this.#shown;
  }

  focus() {
    this.#words.focus();
    this.#words.select();
  }

  #offer() {
    this.#lessOf.hidden = this.#words.value.trim() === "";
  }
}
