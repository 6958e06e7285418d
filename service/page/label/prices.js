/** What an annotation and an answer cost: two fields that may stay empty. Remembered in this browser. */

import { make } from "../common/dom.js";

const KEPT = "lakesift-prices";
const WAIT_MS = 400; // after the last key: what a plan costs to work out is asked for once
const HIGHEST = 1e9; // as the service takes them

/** @typedef {{price?: number, label_price?: number}} Prices as `plan` and `next` take them; what is not said is left out */

export class PriceFields {
  #fields;
  /** @type {number|undefined} */
  #timer;

  /** @param {(prices: Prices) => unknown} changed told what is said now, if it can be understood */
  constructor(changed) {
    const before = kept();
    this.#fields = {
      price: field("price", before.price),
      label_price: field("label-price", before.label_price),
    };
    this.element = make(
      "div",
      { class: "prices", role: "group", "aria-label": "What it costs, if you want to say" },
      make("label", { for: "price" }, "An annotation costs"),
      make("label", { for: "label-price" }, "An answer costs"),
      this.#fields.price,
      this.#fields.label_price,
    );
    this.element.addEventListener("input", () => {
      clearTimeout(this.#timer);
      if (!this.areUnderstood) return;
      keep(this.now);
      this.#timer = setTimeout(() => changed(this.now), WAIT_MS);
    });
  }

  /** Whether each is empty or a price; the browser marks the field that is not. */
  get areUnderstood() {
    return Object.values(this.#fields).every((each) => each.checkValidity());
  }

  /** The browser says at the first field that is not understood what is wrong with it. */
  report() {
    return Object.values(this.#fields).every((each) => each.reportValidity());
  }

  /** @returns {Prices} */
  get now() {
    const said = Object.entries(this.#fields).map(([name, { valueAsNumber }]) => [name, valueAsNumber]);
    return Object.fromEntries(said.filter(([, price]) => isPrice(price)));
  }
}

/** @param {any} value */
const isPrice = (value) => Number.isFinite(value) && value >= 0 && value <= HIGHEST;

/**
 * @param {"price"|"label-price"} id
 * @param {number|undefined} value
 */
const field = (id, value) =>
  make("input", {
    id,
    type: "number",
    // An annotation that costs nothing leaves nothing to save.
    min: id === "price" ? "0.000001" : "0",
    max: String(HIGHEST),
    step: "any",
    inputmode: "decimal",
    placeholder: id === "price" ? "not said" : "half of that",
    value,
  });

/** @param {Prices} prices */
function keep(prices) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(prices));
  } catch {
    // for as long as the page is open, then
  }
}

/** @returns {Prices} */
function kept() {
  try {
    const { price, label_price: label } = JSON.parse(localStorage.getItem(KEPT) ?? "{}") ?? {};
    return { ...(isPrice(price) && price > 0 && { price }), ...(isPrice(label) && { label_price: label }) };
  } catch {
    return {};
  }
}
