/** What the colours of the map mean, and by what they are chosen. */

import { byId, make } from "../common/dom.js";
import { columns } from "../common/api.js";
import { columnTitle } from "../common/words.js";

/** @import { By, Coloured } from "./points.js" */

// Nearly every image has its own, or it is of the file's inside.
const NOT_OFFERED = new Set([
  ...["uri", "member", "etag", "columns_etag", "sha256", "phash", "path_bytes", "stream_id", "region_px", "caption"],
  ...["row_id", "offset", "length", "row_group", "row_index"],
]);
const KEPT = "lakesift-map-colour";
const SHADES = 10; // colours of values in map.css
/** @type {Record<string, string>} */
const DECISIONS = { keep: "kept", ask: "asked about", drop: "dropped" };

export class Legend {
  #choice = byId("map-colour");
  #list = byId("map-legend");
  #wanted = kept();
  #offered = 0; // times that something was to be offered

  /** @param {() => unknown} changed another choice was made */
  constructor(changed) {
    this.#choice.addEventListener("change", () => {
      this.#wanted = this.#choice.value;
      try {
        localStorage.setItem(KEPT, this.#wanted);
      } catch {
        // for as long as the page is open, then
      }
      changed();
    });
  }

  /**
   * What the colours are asked by.
   * @returns {By}
   */
  get by() {
    const [by, ...name] = this.#choice.value.split(":");
    if (by === "column") return { by, column: name.join(":") };
    return by === "decision" ? { by, decided_by: name.join(":") } : { by: by || "nothing" };
  }

  /**
   * Offer what this lake and question have.
   * @param {string} lake
   * @param {boolean} hasMatch whether something is looked for that colours can be asked by
   * @param {string[]} filters those that were applied
   */
  async offer(lake, hasMatch, filters) {
    this.#offered += 1;
    const number = this.#offered;
    const known = await columns(lake).catch(() => []);
    if (number !== this.#offered) return; // another question is shown by now
    const names = known.filter(({ type, stored, name }) => type !== "bytes" && stored && !NOT_OFFERED.has(name)).map(({ name }) => name);
    const tag = known.find(({ type, stored }) => type === "list" && !stored)?.name;
    const options = [
      hasMatch && make("option", { value: "match" }, "match strength"),
      make("option", { value: "nothing" }, "nothing"),
      tag !== undefined && make("option", { value: "tag" }, tag),
      ...filters.map((name) => make("option", { value: `decision:${name}` }, `decision of ${name}`)),
      ...names.map((name) => make("option", { value: `column:${name}` }, columnTitle(name))),
    ].filter((option) => option !== false);
    this.#choice.replaceChildren(...options);
    const has = (/** @type {string} */ value) => options.some((option) => option.value === value);
    this.#choice.value = [this.#wanted, "match"].find(has) ?? "nothing";
  }

  /** @param {Coloured} coloured */
  show({ kind, values = [], low = null, high = null }) {
    if (low !== null && high !== null) this.#list.replaceChildren(make("li", { class: "ramp" }, make("span", {}, said(low)), make("i", {}), make("span", {}, said(high))));
    else this.#list.replaceChildren(...values.map((each, number) => entry(each, number)));
    this.#list.hidden = kind === "none" || this.#list.childElementCount === 0;
  }

  hide() {
    this.#list.hidden = true;
  }
}

function kept() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

/**
 * @param {{value: string, rows: number}} value
 * @param {number} number
 */
const entry = ({ value, rows }, number) =>
  make("li", {}, make("i", { class: `shade-${Math.min(number, SHADES - 1)}` }), `${DECISIONS[value] ?? value} `, make("span", { class: "soft" }, rows.toLocaleString("en")));

/** @param {number|string} value a time is ISO 8601 */
const said = (value) =>
  typeof value === "number" ? Number(value.toPrecision(3)).toLocaleString("en") : value.slice(0, 16).replace("T", " ");

/** The colours of map.css, as numbers from 0 to 1. */
export function colourTable() {
  const style = getComputedStyle(byId("map"));
  const of = (/** @type {string} */ name) => {
    const hex = style.getPropertyValue(name).trim().slice(1);
    return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
  };
  return {
    values: Array.from({ length: SHADES }, (_, number) => of(`--shade-${number}`)),
    low: of("--ramp-low"),
    high: of("--ramp-high"),
    faint: of("--map-faint"),
    accent: of("--map-selected"),
  };
}
