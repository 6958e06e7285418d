/** Looks again at what the lakes hold while somebody looks at the page: quietly, and seldom. */

const EVERY_MS = 30_000;

export class Watch {
  #look;
  /** @type {number|undefined} */
  #timer;
  #isLooking = false;

  /** @param {() => Promise<void>} look called on coming back to the page, and from time to time while it is seen */
  constructor(look) {
    this.#look = look;
    document.addEventListener("visibilitychange", () => this.#now());
    addEventListener("focus", () => this.#now());
    this.#wait();
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#now(), EVERY_MS);
  }

  async #now() {
    if (document.hidden || this.#isLooking) return; // coming back to a tab is told twice
    this.#isLooking = true;
    try {
      await this.#look();
    } finally {
      this.#isLooking = false;
      this.#wait();
    }
  }
}
