/** How strongly all images match the query, as bars above the grid, and the cut-off that one draws among them. */

import { HEIGHT, area, tallestOf } from "../common/bars.js";
import { byId } from "../common/dom.js";
import { images } from "../common/words.js";
import { scores } from "./query.js";
import { isQuery, queryKey } from "./state.js";

/** @import { State } from "./state.js" */

/** @import { Uploads } from "./query.js" */

/** @typedef {Answers.ScoresAnswer} Found */

const FEWEST = 100; // images that a lake has before it knows match strengths
const REMEMBERED = 12; // questions whose bars a step back finds at once
const SETTLED_MS = 250; // after the last key: then it is searched

export class Strength {
  #root = byId("strength");
  #cut = byId("cut");
  #said = byId("strength-said");
  #all = byId("no-cut");
  #asking = new AbortController();
  /** @type {Map<string, Found>} */
  #remembered = new Map();
  /** @type {?Found} */
  #found = null; // what the bars show
  /** @type {?number} */
  #minZ = null;
  /** @type {number|undefined} */
  #timer;

  /** @param {{cut: (minZ: ?number) => unknown, counted: (rows: ?number) => unknown}} does counted gets how many images pass the cut */
  constructor(does) {
    this.does = does;
    this.#cut.addEventListener("input", () => this.#drawn());
    this.#all.addEventListener("click", () => this.#choose(null));
  }

  get isThere() {
    return !this.#root.hidden;
  }

  /**
   * Room for the bars is made before they come, so that nothing moves when they do.
   * @param {State} state
   * @param {?Answers.LakeFacts} lake null: not known yet
   */
  show(state, lake) {
    clearTimeout(this.#timer);
    this.#minZ = state.minZ;
    this.#root.hidden = !(isQuery(state) && lake !== null && lake.rows >= FEWEST);
    if (!this.isThere) this.#clear();
    else if (this.#found) this.#draw(this.#found);
  }

  /**
   * Count for these results; the bars of the question before stay until then.
   * @param {string} lake
   * @param {?number} snapshot
   * @param {State} state
   * @param {Uploads} uploads
   */
  async ask(lake, snapshot, state, uploads) {
    if (!this.isThere) return;
    this.#asking.abort();
    const key = `${lake} ${snapshot} ${queryKey({ ...state, minZ: null, collapse: false, moments: true })}`;
    const known = this.#remembered.get(key);
    if (known && (state.minZ === null || numberOf(known, state.minZ) !== null)) return this.#take(known);
    this.#asking = new AbortController();
    this.#root.setAttribute("aria-busy", "true");
    try {
      const found = await scores(lake, state, uploads, this.#asking.signal);
      this.#remembered.delete(key);
      this.#remembered.set(key, found);
      if (this.#remembered.size > REMEMBERED) this.#remembered.delete([...this.#remembered.keys()][0]);
      this.#take(found);
    } catch (error) {
      if (error.name !== "AbortError") this.#clear(); // it only helps: a search says what is wrong
    }
  }

  /** @param {Found} found */
  #take(found) {
    this.#root.removeAttribute("aria-busy");
    this.#found = found;
    this.#draw(found);
    this.does.counted(found.unit === "z" ? above(found, this.#minZ) : found.rows);
  }

  #clear() {
    this.#asking.abort();
    this.#found = null;
    this.#root.removeAttribute("aria-busy");
    this.#bars("", "");
    this.#cut.disabled = true;
    this.#all.hidden = true;
    this.#said.textContent = "";
  }

  /**
   * The state's own cut-off: what is shown is what was searched.
   * @param {Found} found
   */
  #draw(found) {
    const { counts, unit } = found;
    const at = this.#minZ === null ? 0 : place(found, this.#minZ);
    this.#cut.disabled = unit !== "z" || counts.length < 2;
    this.#cut.max = String(Math.max(1, counts.length - 1));
    this.#cut.value = String(at);
    this.#paint(found, at, this.#minZ);
  }

  /** The reader drags, or presses an arrow key: the number follows at once, the images when it rests. */
  #drawn() {
    const found = this.#found;
    if (!found) return;
    const at = Number(this.#cut.value);
    const minZ = at === 0 ? null : edge(found, at);
    this.#paint(found, at, minZ);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#choose(minZ), SETTLED_MS);
  }

  /** @param {?number} minZ */
  #choose(minZ) {
    clearTimeout(this.#timer);
    if (minZ !== this.#minZ) this.does.cut(minZ);
  }

  /**
   * @param {Found} found
   * @param {number} at
   * @param {?number} minZ
   */
  #paint(found, at, minZ) {
    const { counts } = found;
    const tallest = tallestOf(counts);
    this.#bars(area(counts, 0, at, tallest), area(counts, at, counts.length, tallest));
    byId("strength-bars").setAttribute("viewBox", `0 0 ${Math.max(1, counts.length)} ${HEIGHT}`);
    const says = this.#says(found, minZ);
    this.#said.textContent = says;
    this.#cut.setAttribute("aria-valuetext", says);
    this.#all.hidden = minZ === null;
  }

  /**
   * @param {string} below
   * @param {string} above
   */
  #bars(below, above) {
    byId("bars-below").setAttribute("d", below);
    byId("bars-above").setAttribute("d", above);
  }

  /**
   * @param {Found} found
   * @param {?number} minZ
   */
  #says(found, minZ) {
    const { rows, unit, best, chance } = found;
    if (unit !== "z") return "All images match about alike: there is no match strength to cut by.";
    if (minZ !== null) return `Everything above ${minZ}: ${images(above(found, minZ) ?? 0)}`;
    if (best === null) return images(0);
    if (best <= (chance ?? 0)) {
      return `Nothing stands out: of ${images(rows)} the best has ${best.toFixed(1)}, as chance alone would give`;
    }
    return `${images(rows)}, the best has ${best.toFixed(1)}`;
  }
}

/**
 * How many images have this match strength or more; null: not known yet.
 * @param {Found} found
 * @param {?number} minZ
 */
function above(found, minZ) {
  if (minZ === null) return found.rows;
  if (minZ === found.min_z) return found.above;
  const number = numberOf(found, minZ);
  return number === null ? null : found.counts.slice(Math.max(0, number)).reduce((sum, each) => sum + each, 0);
}

/**
 * Where a bin begins, as people write it: 2.3 and not 2.3000000000000003.
 * @param {Found} found
 * @param {number} number
 */
const edge = ({ low, step }, number) => Number((low + number * step).toFixed(6));

/**
 * The number of the bin that begins there; it may lie outside of those that there are. Null: none begins there.
 * @param {Found} found
 * @param {number} minZ
 */
function numberOf(found, minZ) {
  const number = Math.round((minZ - found.low) / found.step);
  return edge(found, number) === minZ ? number : null;
}

/**
 * The bin in which the cut-off lies.
 * @param {Found} found
 * @param {number} minZ
 */
const place = ({ low, step, counts }, minZ) =>
  Math.min(counts.length - 1, Math.max(0, Math.round((minZ - low) / step)));
