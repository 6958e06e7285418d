/** The metadata panel: what the columns hold, counted, and buttons and sliders that write the `where`. */

import { button, byId, make } from "../common/dom.js";
import { images } from "../common/words.js";
import { chosenRange, chosenValues, withRange, withValues } from "./where_terms.js";

export class Metadata {
  #box = byId("facets");
  #total = byId("passing");
  #choose;
  #where = "";

  /** @param {function(string)} choose takes the `where` that was clicked together */
  constructor(choose) {
    this.#choose = choose;
  }

  /** Nothing is counted: it is not known, or it could not be. */
  clear() {
    this.#box.replaceChildren();
    this.#total.textContent = "";
  }

  /** While it is counted anew, the old numbers stay where they are. */
  wait() {
    this.#box.setAttribute("aria-busy", "true");
  }

  /**
   * @param {string} where that they were counted with
   * @param {?number} minZ the cut-off that they were counted above
   */
  show({ rows, facets }, where, minZ = null) {
    const focused = document.activeElement?.dataset?.facet;
    this.#where = where;
    this.#box.removeAttribute("aria-busy");
    this.#total.textContent = `${images(rows)}${passing(rows, where, minZ)}`;
    this.#box.replaceChildren(...facets.map((facet) => (facet.kind === "range" ? this.#range(facet) : this.#values(facet))));
    if (focused) this.#box.querySelector(`[data-facet="${CSS.escape(focused)}"]`)?.focus();
  }

  #values(facet) {
    const chosen = chosenValues(this.#where, facet);
    const here = new Set(facet.values.map(({ value }) => value));
    const gone = chosen.filter((value) => !here.has(value)).map((value) => ({ value, rows: 0 }));
    const all = [...facet.values, ...gone];
    const most = Math.max(1, ...all.map(({ rows }) => rows));
    const toggled = (value) => (chosen.includes(value) ? chosen.filter((each) => each !== value) : [...chosen, value]);
    return framed(
      facet,
      make(
        "ul",
        { class: "values", role: "list" },
        ...all.map(({ value, rows }) =>
          make("li", {}, this.#value(facet, value, rows, rows / most, chosen.includes(value), toggled)),
        ),
      ),
      facet.more_values > 0 && make("p", { class: "more-values" }, `and ${facet.more_values.toLocaleString("en")} more`),
    );
  }

  #value(facet, value, rows, share, isChosen, toggled) {
    const bar = make("span", { class: "value-bar", "aria-hidden": "true" });
    bar.style.inlineSize = `${100 * share}%`;
    const choose = () => this.#choose(withValues(this.#where, facet, toggled(value)));
    const facts = { class: "value", "aria-pressed": String(isChosen), title: String(value), "data-facet": `${facet.name} ${value}` };
    const told = make("span", { class: "value-name", dir: "auto" }, value === "" ? "(empty)" : String(value));
    return button(facts, choose, bar, told, make("span", { class: "value-rows" }, rows.toLocaleString("en")));
  }

  #range(facet) {
    const { bins } = facet;
    const most = Math.max(1, ...bins.map(({ rows }) => rows));
    const edges = [...bins.map(({ low }) => low), bins.at(-1)?.high];
    const { low, high, isClosed } = chosenRange(this.#where, facet);
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
    const choose = (first, last) =>
      this.#choose(
        withRange(this.#where, facet, {
          low: first > 0 ? edges[first] : null,
          high: last < bins.length ? edges[last] : null,
          isClosed: false,
        }),
      );
    return framed(facet, bars, this.#sliders(facet, bins.length, from, to, choose, edges), ends);
  }

  #sliders(facet, bins, from, to, choose, edges) {
    const slider = (value, word, change) => {
      const input = make("input", {
        type: "range",
        min: 0,
        max: bins,
        step: 1,
        "aria-label": `${facet.name} ${word}`,
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

function passing(rows, where, minZ) {
  const pass = where || minZ !== null ? ` ${rows === 1 ? "passes" : "pass"}` : "";
  return minZ === null ? pass : `${pass}, with a match strength of at least ${minZ}`;
}

function framed(facet, ...inside) {
  const without = facet.nulls > 0 && make("span", { class: "without" }, ` ${facet.nulls.toLocaleString("en")} without`);
  return make("section", { class: "facet", "aria-label": facet.name }, make("h3", {}, facet.name, without), ...inside);
}

const compared = (one, other) => {
  if (typeof one === "number") return one - other;
  return new Date(one) - new Date(other);
};

function ended(first, last, low, high, isClosed) {
  if (first === undefined) return ["no number"];
  const [from, to] = [low ?? first, high ?? last];
  const isOneDay = typeof from === "string" && from.slice(0, 10) === to.slice(0, 10);
  const told = (value) => (isOneDay ? value.slice(0, 19).replace("T", " ") : brief(value));
  const end = high === null || isClosed ? told(to) : `below ${isOneDay ? to.slice(11, 19) : told(to)}`;
  return [make("span", {}, told(from)), make("span", {}, isOneDay && high === null ? to.slice(11, 19) : end)];
}

/** A number with four digits, a time as its day. */
function brief(value) {
  if (typeof value !== "number") return value === undefined ? "" : value.slice(0, 10);
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4)));
}
