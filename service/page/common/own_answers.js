/**
 * What was answered in this tab without a name, by the numbers that the server gave. All who say no name are one to the server:
 * by number a person takes back what was answered here, and not what a colleague said meanwhile.
 */

export const UNNAMED = "unnamed"; // as the server calls who says nothing

const MOST_ACTS = 500; // kept of one filter; older ones cannot be taken back by a key
const MOST_AT_ONCE = 100; // what was answered by hundreds is no slip of the hand: of that the last one alone is taken back

export class OwnAnswers {
  #key;
  /** @type {number[][]} */
  #acts = []; // where storage is switched off

  /**
   * @param {string} lake
   * @param {string} filter
   */
  constructor(lake, filter) {
    this.#key = `lakesift-answers/${encodeURIComponent(lake)}/${encodeURIComponent(filter)}`;
  }

  /**
   * All acts, the last one last: the numbers of what was answered at once.
   * @returns {number[][]}
   */
  get #kept() {
    try {
      return JSON.parse(sessionStorage.getItem(this.#key) ?? "[]");
    } catch {
      return this.#acts;
    }
  }

  /** @param {number[][]} acts */
  #keep(acts) {
    this.#acts = acts.slice(-MOST_ACTS);
    try {
      sessionStorage.setItem(this.#key, JSON.stringify(this.#acts));
    } catch {
      // for as long as the page is open, then
    }
  }

  /** What an undo takes back; null: nothing is known. */
  get last() {
    return this.#kept.at(-1) ?? null;
  }

  /** @param {number[]} seqs of what was saved at once */
  add(seqs) {
    if (seqs.length) this.#keep([...this.#kept, seqs.length > MOST_AT_ONCE ? seqs.slice(-1) : seqs]);
  }

  /**
   * They are taken back, or can be no more.
   * @param {number[]} seqs
   */
  drop(seqs) {
    const gone = new Set(seqs);
    this.#keep(this.#kept.map((act) => act.filter((seq) => !gone.has(seq))).filter((act) => act.length));
  }

  /** The filter has no answer: what is known was of another one of this name. */
  forget() {
    this.#keep([]);
  }
}
