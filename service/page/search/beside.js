/** Two images side by side: zoom and pan move both, and what is known of them lies below, with a mark where they differ. */

import { row as rowOf } from "../common/api.js";
import { button, byId, icon, make } from "../common/dom.js";
import { fit, nameOf, sentence } from "../common/words.js";
import { askDecided, filterLink } from "./decided.js";
import { differences } from "./differences.js";
import { picture } from "./picture.js";
import { Zoom } from "./zoom.js";

/** @import { Place, Row } from "../common/api.js" */

/** @import { Within } from "../common/sets.js" */

/** @import { Fact } from "./facts.js" */

/** @typedef {[number, number]} Pair two row_ids */

export class Beside {
  #dialog = byId("beside");
  #lake = "";
  /** @type {?Pair} */
  #pair = null;
  /** @type {?[Row, Row]} */
  #rows = null; // null until both are there
  /** @type {Fact[]} */
  #decided = []; // what the chosen filter says of them
  /** @type {Zoom[]} */
  #zooms = [];

  /**
   * @param {{close: () => unknown, go: (pair: Pair) => unknown, hits: () => Row[], href: (row: Place) => string,
   *   within: () => ?Within}} does go gets the pair to show instead
   */
  constructor(does) {
    this.does = does;
    this.#dialog.addEventListener("cancel", (event) => {
      event.preventDefault(); // the address decides whether it is open
      does.close();
    });
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
  }

  /**
   * @param {string} lake
   * @param {Pair} pair
   */
  async show(lake, pair) {
    if (lake === this.#lake && String(pair) === String(this.#pair)) return;
    this.#lake = lake;
    this.#pair = pair;
    this.#rows = null;
    this.#zooms = [];
    const stages = pair.map(() => make("div", { class: "stage" }));
    this.#frame(stages);
    const found = await Promise.allSettled(pair.map((rowId) => this.#known(rowId) ?? rowOf(lake, rowId)));
    if (this.#pair !== pair) return;
    const rows = found.map((each, side) => {
      if (each.status === "fulfilled") return each.value;
      stages[side].append(make("p", { class: "view-problem", role: "status", dir: "auto" }, sentence(each.reason.message)));
      return null;
    });
    rows.forEach((row, side) => row && this.#fill(stages[side], row));
    const [one, other] = rows;
    if (!one || !other) return;
    const decided = await this.#askDecided(pair);
    if (this.#pair !== pair) return;
    this.#decided = decided;
    this.#rows = [one, other];
    this.#dialog.setAttribute("aria-label", `${nameOf(one)} and ${nameOf(other)} side by side`);
    this.#tell();
  }

  hide() {
    if (this.#pair === null) return;
    this.#pair = this.#rows = null;
    document.documentElement.classList.remove("viewing");
    this.#dialog.close();
    this.#dialog.replaceChildren();
    const opener = byId("select-beside");
    (opener.checkVisibility() && !opener.disabled ? opener : byId("words")).focus({ preventScroll: true });
  }

  /** The hits came: how well the images match is known now. */
  refresh() {
    if (this.#rows === null) return;
    const rows = this.#rows.map((row) => this.#known(row.row_id) ?? row);
    if (rows.every((row, side) => row === this.#rows?.[side])) return;
    this.#rows = [rows[0], rows[1]];
    this.#tell();
  }

  /**
   * Before anything is told of them, so that nothing moves later.
   * @param {Pair} pair
   * @returns {Promise<Fact[]>}
   */
  async #askDecided(pair) {
    const set = this.does.within();
    if (!set) return [];
    const said = await Promise.all(pair.map((rowId) => askDecided(this.#lake, rowId, set)));
    const of = (/** @type {Row} */ row) => said[pair.indexOf(row.row_id)];
    return [
      { name: "decision", of: (row) => of(row).problem || filterLink(this.#lake, set, of(row).decision) },
      { name: "filter's score", of: (row) => of(row).score || null },
      { name: "label", of: (row) => of(row).label || null },
    ];
  }

  /** @param {number} rowId */
  #known(rowId) {
    return this.does.hits().find((hit) => hit.row_id === rowId) ?? null;
  }

  /** @param {HTMLElement[]} stages */
  #frame(stages) {
    const held = this.#dialog.contains(document.activeElement) ? document.activeElement?.getAttribute("data-act") : "close";
    const swap = button({ class: "quiet", "data-act": "swap", title: "Change their sides (s)" }, () => this.#swap(), "Swap");
    const facts = { class: "quiet square", "data-act": "close", title: "Close (Esc)", "aria-label": "Close" };
    const close = button(facts, () => this.does.close(), icon("close"));
    this.#dialog.setAttribute("aria-label", "Two images side by side");
    this.#dialog.replaceChildren(
      make("div", { class: "beside-top" }, make("h2", {}, "Side by side"), swap, close),
      make("div", { class: "beside-images" }, ...stages.map((stage) => make("figure", {}, stage, make("figcaption", {})))),
      make("div", { class: "beside-facts", tabindex: "0", role: "region", "aria-label": "What is known of both" }),
    );
    document.documentElement.classList.add("viewing");
    if (!this.#dialog.open) this.#dialog.showModal();
    const focused = held === "swap" ? swap : close;
    focused.focus(/** @type {FocusOptions} */ ({ focusVisible: false, preventScroll: true }));
  }

  /**
   * @param {HTMLElement} stage
   * @param {Row} row
   */
  #fill(stage, row) {
    const image = picture(this.#lake, row, (problem) => stage.append(problem));
    stage.append(image);
    /** @type {Zoom} */
    const zoom = new Zoom(stage, image, (look) => {
      for (const each of this.#zooms) if (each !== zoom) each.follow(look);
    });
    this.#zooms.push(zoom);
    const link = make("a", { href: this.does.href(row), title: "Open it alone", dir: "auto" }, nameOf(row));
    stage.nextElementSibling?.replaceChildren(link);
  }

  /** What is known of both. */
  #tell() {
    const rows = /** @type {[Row, Row]} */ (this.#rows);
    const table = differences(rows, this.#decided);
    this.#dialog.querySelector(".beside-facts")?.replaceChildren(table);
    const fits = rows.map((row) => make("span", { class: "beside-fit" }, fit(row)));
    this.#dialog.querySelectorAll("figcaption").forEach((caption, side) => {
      caption.querySelector(".beside-fit")?.remove();
      caption.append(fits[side]);
    });
  }

  #swap() {
    if (this.#pair) this.does.go([this.#pair[1], this.#pair[0]]);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [zoom] = this.#zooms; // the other follows
    if (event.key === "s") this.#swap();
    else if (!zoom?.key(event.key) && !zoom?.pan(event.key)) return;
    event.preventDefault();
  }
}
