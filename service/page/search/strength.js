/** How strongly all images match the query, as bars above the grid, and the cut-off that one draws among them. */

import { byId } from "../common/dom.js";
import { images } from "../common/words.js";
import { scores } from "./query.js";
import { isQuery, queryKey } from "./state.js";

const FEWEST = 100; // images that a lake has before it knows match strengths
const REMEMBERED = 12; // questions whose bars a step back finds at once
const SETTLED_MS = 250; // after the last key: then it is searched
const HEIGHT = 100; // of the bars, in units of their own

export class Strength {
  #root = byId("strength");
  #cut = byId("cut");
  #said = byId("strength-said");
  #all = byId("no-cut");
  #asking = new AbortController();
  #remembered = new Map();
  #found = null; // what the bars show
  #minZ = null;
  #timer = null;

  /** @param {{cut: function(?number), counted: function(?number)}} does counted gets how many images pass the cut */
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
   * @param {?Object} lake null: not known yet
   */
  show(state, lake) {
    clearTimeout(this.#timer);
    this.#minZ = state.minZ;
    this.#root.hidden = !(isQuery(state) && lake !== null && lake.rows >= FEWEST);
    if (!this.isThere) this.#clear();
    else if (this.#found) this.#draw();
  }

  /** Count for these results; the bars of the question before stay until then. */
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
      if (this.#remembered.size > REMEMBERED) this.#remembered.delete(this.#remembered.keys().next().value);
      this.#take(found);
    } catch (error) {
      if (error.name !== "AbortError") this.#clear(); // it only helps: a search says what is wrong
    }
  }

  #take(found) {
    this.#root.removeAttribute("aria-busy");
    this.#found = found;
    this.#draw();
    this.does.counted(found.unit === "z" ? this.#above(this.#minZ) : found.rows);
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

  /** The state's own cut-off: what is shown is what was searched. */
  #draw() {
    const { counts, unit } = this.#found;
    const at = this.#minZ === null ? 0 : place(this.#found, this.#minZ);
    this.#cut.disabled = unit !== "z" || counts.length < 2;
    this.#cut.max = Math.max(1, counts.length - 1);
    this.#cut.value = at;
    this.#paint(at, this.#minZ);
  }

  /** The reader drags, or presses an arrow key: the number follows at once, the images when it rests. */
  #drawn() {
    const at = Number(this.#cut.value);
    const minZ = at === 0 ? null : edge(this.#found, at);
    this.#paint(at, minZ);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#choose(minZ), SETTLED_MS);
  }

  #choose(minZ) {
    clearTimeout(this.#timer);
    if (minZ !== this.#minZ) this.does.cut(minZ);
  }

  #paint(at, minZ) {
    const { counts } = this.#found;
    const tallest = Math.log1p(Math.max(1, ...counts));
    this.#bars(area(counts, 0, at, tallest), area(counts, at, counts.length, tallest));
    byId("strength-bars").setAttribute("viewBox", `0 0 ${Math.max(1, counts.length)} ${HEIGHT}`);
    const says = this.#says(minZ);
    this.#said.textContent = says;
    this.#cut.setAttribute("aria-valuetext", says);
    this.#all.hidden = minZ === null;
  }

  #bars(below, above) {
    byId("bars-below").setAttribute("d", below);
    byId("bars-above").setAttribute("d", above);
  }

  #says(minZ) {
    const { rows, unit, best, chance } = this.#found;
    if (unit !== "z") return "All images match about alike: there is no match strength to cut by.";
    if (minZ !== null) return `Everything above ${minZ}: ${images(this.#above(minZ) ?? 0)}`;
    if (best === null) return images(0);
    if (best <= chance) {
      return `Nothing stands out: of ${images(rows)} the best has ${best.toFixed(1)}, as chance alone would give`;
    }
    return `${images(rows)}, the best has ${best.toFixed(1)}`;
  }

  /** How many images have this match strength or more; null: not known yet. */
  #above(minZ) {
    const { counts, rows, min_z: counted, above } = this.#found;
    if (minZ === null) return rows;
    if (minZ === counted) return above;
    const number = numberOf(this.#found, minZ);
    return number === null ? null : counts.slice(Math.max(0, number)).reduce((sum, each) => sum + each, 0);
  }
}

/** Where a bin begins, as people write it: 2.3 and not 2.3000000000000003. */
const edge = ({ low, step }, number) => Number((low + number * step).toFixed(6));

/** The number of the bin that begins there; it may lie outside of those that there are. Null: none begins there. */
function numberOf(found, minZ) {
  const number = Math.round((minZ - found.low) / found.step);
  return edge(found, number) === minZ ? number : null;
}

/** The bin in which the cut-off lies. */
const place = ({ low, step, counts }, minZ) =>
  Math.min(counts.length - 1, Math.max(0, Math.round((minZ - low) / step)));

/** Bars side by side as one shape; logarithmic, so that one image can be seen beside a thousand. */
function area(counts, from, to, tallest) {
  if (from >= to) return "";
  const bars = counts.slice(from, to).map((rows) => {
    const height = rows ? Math.max(4, (HEIGHT * Math.log1p(rows)) / tallest) : 0;
    return `V${(HEIGHT - height).toFixed(1)}h1`;
  });
  return `M${from} ${HEIGHT}${bars.join("")}V${HEIGHT}Z`;
}

