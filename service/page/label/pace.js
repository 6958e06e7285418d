/** How fast a person answers here, and how long the rest takes at this pace. Times in, words out. */

const KEPT = 20; // answers
const FEWEST = 5; // answers from which on a pace is told
const PAUSE_MS = 60_000; // as long without an answer is no pace, but a coffee

export class Pace {
  /** @type {?number} */
  #last = null;
  /** @type {number[]} */
  #took = []; // milliseconds of the last answers

  /** @param {number} now milliseconds, of any clock */
  answered(now) {
    if (this.#last !== null && now - this.#last < PAUSE_MS) this.#took = [...this.#took, now - this.#last].slice(-KEPT);
    this.#last = now;
  }

  /** @param {?number} answers that are left, null: not known; "" where it cannot be told yet */
  left(answers) {
    if (this.#took.length < FEWEST || !answers) return "";
    const sorted = [...this.#took].sort((one, other) => one - other);
    const minutes = (answers * sorted[Math.floor(sorted.length / 2)]) / 60_000;
    if (minutes < 1) return "Less than a minute left at this pace.";
    if (minutes < 90) return `About ${Math.round(minutes) === 1 ? "1 minute" : `${Math.round(minutes)} minutes`} left at this pace.`;
    return `About ${Math.round(minutes / 60)} hours left at this pace.`;
  }
}
