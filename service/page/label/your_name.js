/** Who labels here: remembered in this browser, sent with every answer; where the service asks for keys, the key's name. */

import { UNNAMED } from "../common/own_answers.js";

const KEPT = "lakesift-labeller";
const MOST_CHARS = 64;

const kept = () => {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return ""; // storage switched off
  }
};

export class YourName {
  #input;

  /** @param {HTMLInputElement} input */
  constructor(input) {
    this.#input = input;
    input.maxLength = MOST_CHARS;
    input.value = kept();
    input.addEventListener("change", () => this.#keep());
    input.addEventListener("keydown", (event) => event.key === "Enter" && input.blur());
  }

  get name() {
    return this.#clean() || UNNAMED;
  }

  /** What is said when images are asked for, so that others are asked about other ones; nothing of who has no name. */
  get turn() {
    const name = this.#clean();
    return name && name !== UNNAMED ? { labeller: name } : {};
  }

  /**
   * Answers with a key are saved under its name, whatever was typed here before.
   * @param {string} name
   */
  fix(name) {
    this.#input.value = name;
    this.#input.readOnly = true;
  }

  /** Without what the server does not take in a name. */
  #clean() {
    return this.#input.value.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, "").replaceAll(/\s/g, " ").trim();
  }

  #keep() {
    this.#input.value = this.#clean();
    try {
      localStorage.setItem(KEPT, this.#input.value);
    } catch {
      // for as long as the page is open, then
    }
  }
}
