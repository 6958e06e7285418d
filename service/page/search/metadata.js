/** The metadata panel: what the columns hold, counted, and buttons and sliders that write the `where`. */

import { button, byId, make } from "../common/dom.js";
import { Redrawn } from "../common/redrawn.js";
import { columnTitle, images, valueTitle } from "../common/words.js";
import { chosenRange, chosenValues, withRange, withValues } from "./where_terms.js";
import { placesSection } from "./where_taken.js";

/** @import { Child } from "../common/dom.js" */

/**
 * @typedef {number|string} Edge of a range: a number, or a time in ISO 8601
 * @typedef {import("./where_terms.js").Value} Value
 */

/** @type {Record<string, string>} */
const APART = { inf: "infinite", "-inf": "minus infinite", nan: "no number" }; // which no range holds

const NOTHING_TO_COUNT = "No image passes, so no column has a value to count.";

export class Metadata {
  #box = byId("facets");
  #total = byId("passing");
  #where;
  #choose;
  /** @type {?Answers.FacetsAnswer} */
  #counted = null; // as it is drawn
  #redrawn = new Redrawn(this.#box);

  /**
   * @param {() => string} where that holds now: two quick clicks change it twice, before anything is counted anew
   * @param {(where: string) => unknown} choose takes the `where` that was clicked together
   */
  constructor(where, choose) {
    this.#where = where;
    this.#choose = choose;
  }

  /** Nothing is counted: it is not known, or it could not be. */
  clear() {
    this.#counted = null;
    this.#redrawn.draw(() => this.#box.replaceChildren());
    this.#total.textContent = "";
  }

  /** While it is counted anew, the old numbers stay where they are. */
  wait() {
    this.#box.setAttribute("aria-busy", "true");
  }

  /**
   * @param {Answers.FacetsAnswer} counted
   * @param {string} where that they were counted with
   * @param {?number} minZ the cut-off that they were counted above
   */
  show(counted, where, minZ = null) {
    const { rows } = counted;
    this.#counted = counted;
    this.#box.removeAttribute("aria-busy");
    this.#total.textContent = `${images(rows)}${passing(rows, where, minZ)}`;
    this.#redrawn.draw(() => this.#draw(counted));
  }

  /** @param {string} where */
  #chosen(where) {
    this.#choose(where);
    const counted = this.#counted;
    if (counted) this.#redrawn.draw(() => this.#draw(counted)); // with the old numbers until the new ones are here
  }

  /** @param {Answers.FacetsAnswer} counted */
  #draw({ facets, places }) {
    const ofPlaces = new Set(places.flatMap(({ latitude, longitude }) => [latitude, longitude])); // shown as one
    const others = facets.filter(({ name }) => !ofPlaces.has(name));
    const focused = document.activeElement?.getAttribute("data-facet");
    const isNone = !places.length && !others.length;
    this.#box.replaceChildren(
      ...(isNone ? [make("p", { class: "small" }, NOTHING_TO_COUNT)] : []),
      ...places.map((each) => placesSection(each, this.#where(), (change) => this.#chosen(change(this.#where())))),
      ...others.map((facet) => (facet.kind === "range" ? this.#range(facet) : this.#values(facet))),
    );
    if (focused) hold(this.#box.querySelector(`[data-facet="${CSS.escape(focused)}"]`));
  }

  /** @param {Answers.Facet} facet */
  #values(facet) {
    const chosen = chosenValues(this.#where(), facet);
    const values = facet.values ?? [];
    const here = new Set(values.map(({ value }) => value));
    const gone = chosen.filter((value) => !here.has(value)).map((value) => ({ value, rows: 0 }));
    const all = [...values, ...gone];
    const most = Math.max(1, ...all.map(({ rows }) => rows));
    return framed(
      facet,
      make(
        "ul",
        { class: "values", role: "list" },
        ...all.map(({ value, rows }) =>
          make("li", {}, this.#value(facet, value, rows, rows / most, chosen.includes(value))),
        ),
      ),
      Boolean(facet.more_values) && make("p", { class: "more-values" }, `and ${facet.more_values?.toLocaleString("en")} more`),
    );
  }

  /**
   * @param {Answers.Facet} facet
   * @param {Value} value
   * @param {number} rows
   * @param {number} share
   * @param {boolean} isChosen
   */
  #value(facet, value, rows, share, isChosen) {
    const bar = make("span", { class: "value-bar", "aria-hidden": "true" });
    bar.style.inlineSize = `${100 * share}%`;
    const choose = () => {
      const where = this.#where();
      const chosen = chosenValues(where, facet);
      const others = chosen.filter((each) => each !== value);
      this.#chosen(withValues(where, facet, others.length < chosen.length ? others : [...chosen, value]));
    };
    const facts = { class: "value", "aria-pressed": String(isChosen), title: String(value), "data-facet": `${facet.name} ${value}` };
    const told = make("span", { class: "value-name", dir: "auto" }, valueTitle(value));
    return button(facts, choose, bar, told, make("span", { class: "value-rows" }, rows.toLocaleString("en")));
  }

  /** @param {Answers.Facet} facet */
  #range(facet) {
    const bins = facet.bins ?? [];
    const most = Math.max(1, ...bins.map(({ rows }) => rows));
    const edges = [...bins.map(({ low }) => low), ...bins.slice(-1).map(({ high }) => high)];
    const { low, high, isClosed } = chosenRange(this.#where(), facet);
    // A range that was typed may lie between two edges: the slider stands at the nearest one outside.
    const below = edges.slice(0, -1).findLastIndex((edge) => compared(edge, low) <= 0);
    const from = low === null ? 0 : Math.max(0, below);
    const after = edges.findIndex((edge) => compared(edge, high) >= 0);
    const to = high === null || after < 0 ? bins.length : Math.max(after, from + 1);
    const bars = make(
      "div",
      { class: "bins", "aria-hidden": "true" },
      ...bins.map(({ rows }, at) => {
        const bar = make("span", { class: at >= from && at < to ? "bin" : "bin out" });
        bar.style.blockSize = rows ? `${Math.max(4, (100 * rows) / most)}%` : "0";
        return bar;
      }),
    );
    const ends = make("p", { class: "range-ends" }, ...ended(edges[from], edges[to], low, high, isClosed));
    if (bins.length < 2) return framed(facet, bars, ends);
    const has = (/** @type {string} */ value) => (facet.values ?? []).some((each) => each.value === value);
    const choose = (/** @type {number} */ first, /** @type {number} */ last) => {
      const isAll = first === 0 && last === bins.length;
      // What has no end is in no range, and neither is what is no number, which a `where` has above all numbers.
      const isOpen = last === bins.length && (isAll || !(has("inf") || has("nan")));
      this.#chosen(
        withRange(this.#where(), facet, {
          low: first > 0 || (has("-inf") && !isAll) ? edges[first] : null,
          high: isOpen ? null : edges[last],
          isClosed: last === bins.length,
        }),
      );
    };
    return framed(facet, bars, this.#sliders(facet, bins.length, from, to, choose, edges), ends);
  }

  /**
   * @param {Answers.Facet} facet
   * @param {number} bins
   * @param {number} from
   * @param {number} to
   * @param {(first: number, last: number) => void} choose
   * @param {Edge[]} edges
   */
  #sliders(facet, bins, from, to, choose, edges) {
    const slider = (/** @type {number} */ value, /** @type {string} */ word, /** @type {(value: number) => void} */ change) => {
      const input = make("input", {
        type: "range",
        min: 0,
        max: bins,
        step: 1,
        "aria-label": `${columnTitle(facet.name)} ${word}`,
        "aria-valuetext": brief(edges[value]),
        "data-facet": `${facet.name} ${word}`,
      });
      input.value = String(value);
      input.addEventListener("change", () => change(Number(input.value)));
      return input;
    };
    return make(
      "div",
      { class: "sliders" },
      slider(from, "from", (value) => choose(Math.min(value, to - 1), to)),
      slider(to, "to", (value) => choose(from, Math.max(value, from + 1))),
    );
  }
}

/**
 * The focus is where it was; what is typed next takes the place of a number, as in a field that was come to by Tab.
 * @param {?Element} element
 */
function hold(element) {
  if (!(element instanceof HTMLElement)) return;
  element.focus();
  if (element instanceof HTMLInputElement) element.select();
}

/**
 * @param {number} rows
 * @param {string} where
 * @param {?number} minZ
 */
function passing(rows, where, minZ) {
  const pass = where || minZ !== null ? ` ${rows === 1 ? "passes" : "pass"}` : "";
  return minZ === null ? pass : `${pass}, with a match strength of at least ${minZ}`;
}

/**
 * @param {Answers.Facet} facet
 * @param {...Child} inside
 */
function framed(facet, ...inside) {
  const apart = facet.kind === "range" ? (facet.values ?? []).map(({ value, rows }) => `${rows.toLocaleString("en")} ${APART[String(value)]}`) : [];
  const told = [...(facet.nulls > 0 ? [`${facet.nulls.toLocaleString("en")} without`] : []), ...apart].join(", ");
  const without = told && make("span", { class: "without" }, ` ${told}`);
  return make("section", { class: "facet", "aria-label": columnTitle(facet.name) }, make("h3", {}, columnTitle(facet.name), without), ...inside);
}

/**
 * @param {Edge} one
 * @param {?Edge} other null: an open end, which is never asked for
 */
const compared = (one, other) => {
  if (typeof one === "number") return one - Number(other);
  return Date.parse(one) - Date.parse(String(other));
};

/**
 * @param {Edge|undefined} first
 * @param {Edge|undefined} last
 * @param {?Edge} low
 * @param {?Edge} high
 * @param {boolean} isClosed
 * @returns {Child[]}
 */
function ended(first, last, low, high, isClosed) {
  if (first === undefined) return ["no number"];
  const [from, to] = [low ?? first, high ?? last ?? first];
  const isOneDay = typeof from === "string" && from.slice(0, 10) === String(to).slice(0, 10);
  const told = (/** @type {Edge} */ value) => (isOneDay ? String(value).slice(0, 19).replace("T", " ") : brief(value));
  const clock = String(to).slice(11, 19);
  const end = high === null || isClosed ? told(to) : `below ${isOneDay ? clock : told(to)}`;
  return [make("span", {}, told(from)), make("span", {}, isOneDay && high === null ? clock : end)];
}

/**
 * A number with four digits, a time as its day.
 * @param {Edge|undefined} value
 */
function brief(value) {
  if (typeof value !== "number") return value === undefined ? "" : value.slice(0, 10);
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4)));
}
