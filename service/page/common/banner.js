/** The server went away: say so quietly, ask again until it answers, then take up what failed. */

import { ping } from "./api.js";
import { byId } from "./dom.js";

const WAITS_MS = [1000, 1000, 2000, 4000, 8000];

export class Banner {
  #element = byId("banner");
  /** @type {?number} */
  #timer = null;

  /** @param {() => unknown} back called once the server answers again */
  constructor(back) {
    this.back = back;
    addEventListener("online", () => this.#timer !== null && this.#try(0));
  }

  show() {
    if (this.#timer !== null) return;
    this.#element.textContent = "The server does not answer. Trying again…";
    this.#element.hidden = false;
    this.#wait(0);
  }

  /** @param {number} tries */
  #wait(tries) {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = setTimeout(() => this.#try(tries), WAITS_MS[Math.min(tries, WAITS_MS.length - 1)]);
  }

  /** @param {number} tries */
  async #try(tries) {
    try {
      await ping();
    } catch {
      this.#wait(tries + 1);
      return;
    }
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    this.#element.hidden = true;
    this.back();
  }
}
