/** The search that was kept, in a grid beside the one at hand: images that both found say at which place the other has them. */

import { ServerGone } from "../common/api.js";
import { byId, make } from "../common/dom.js";
import { message, notice } from "../common/messages.js";
import { count, sentence } from "../common/words.js";
import { Grid } from "./grid.js";
import { Results } from "./results.js";
import { summaryOf } from "./saved_state.js";
import { parse, textOf, toSearch } from "./state.js";

/** @import { Failure, Row } from "../common/api.js" */
/** @import { UploadStore } from "../common/upload_store.js" */
/** @import { State } from "./state.js" */

const AHEAD = "1500px"; // below the screen: nearer than this, the next page is asked for
const EVERYTHING = "all images";

export class Kept {
  #column = byId("kept");
  #grid;
  #results;
  /** @type {?string} */
  #asked = null; // what the images here are of
  /** @type {?string} */
  #said = null; // what the address says is kept
  #lake = "";
  /** @type {?Row[]} */
  #others = null; // the images on the other side, as far as they are there
  #end = new IntersectionObserver((seen) => seen.at(-1)?.isIntersecting && this.#results.more(), { rootMargin: AHEAD });

  /**
   * @param {Grid} other of the search at hand
   * @param {UploadStore} store
   * @param {{href: (row: Row) => string, act: (act: string, row: Row) => unknown, isSelected: (rowId: number) => boolean,
   *   extend: (rows: Row[], row: Row) => unknown, go: (state: State) => unknown, state: () => State, gone: () => unknown}} does
   */
  constructor(other, store, does) {
    this.other = other;
    this.does = does;
    this.#grid = new Grid(byId("kept-grid"), {
      href: does.href,
      act: (act, row) => (act === "extend" ? does.extend(this.#grid.hits, row) : does.act(act, row)),
      isSelected: does.isSelected,
    });
    this.#results = new Results(store, {
      begun: () => this.#begun(),
      came: (rows, isFirst) => this.#came(isFirst),
      failed: (error, isFirst) => this.#failed(error, isFirst),
    });
    byId("kept-grid").addEventListener("servergone", () => does.gone());
    byId("kept-swap").addEventListener("click", () => does.go(swapped(does.state())));
    byId("kept-close").addEventListener("click", () => {
      does.go({ ...does.state(), against: null });
      byId("words").focus({ preventScroll: true });
    });
  }

  get rows() {
    return this.#results.rows;
  }

  /**
   * What the address says, before anything is asked: where things stand.
   * @param {State} state
   */
  show(state) {
    this.#said = state.against;
    this.#column.hidden = byId("now-head").hidden = state.against === null;
    document.body.classList.toggle("two-searches", state.against !== null);
    if (state.against === null) return this.#forget();
    const kept = parse(state.against);
    const link = byId("kept-words");
    link.textContent = summaryOf(kept) || EVERYTHING;
    link.href = toSearch({ ...kept, lake: state.lake }) || "?";
    byId("now-words").textContent = summaryOf(state) || EVERYTHING;
  }

  /**
   * Ask, if what is kept is another than before.
   * @param {string} lake
   */
  ask(lake) {
    const wanted = `${lake} ${this.#said}`;
    if (this.#said === null || this.#asked === wanted) return;
    this.#asked = wanted;
    this.#lake = lake;
    this.#results.start(lake, parse(this.#said));
  }

  /**
   * The other side has these now, of this snapshot; both are to be of one.
   * @param {Row[]} rows
   * @param {?number} snapshot
   */
  beside(rows, snapshot) {
    this.#others = rows;
    if (this.#said === null) return;
    if (!this.#results.isLoading && this.#results.snapshot !== snapshot && snapshot !== null) this.again();
    else this.#compare();
  }

  /** Ask for the same anew. */
  again() {
    if (this.#said === null || this.#asked === null) return;
    this.#results.start(this.#lake, parse(this.#said));
  }

  /** The server is back. */
  retry() {
    this.#grid.retryImages();
    if (this.#results.failed instanceof ServerGone) this.#results.retry();
  }

  mark() {
    if (this.#said !== null) this.#grid.mark();
  }

  /** @param {{scale: number, caption: string}} looks */
  look(looks) {
    this.#grid.look(looks);
  }

  /** @param {number} rowId */
  focus(rowId) {
    return this.#said !== null && this.#grid.focus(rowId);
  }

  #forget() {
    if (this.#asked === null) return;
    this.#asked = null;
    this.#results.stop();
    this.#results.rows = [];
    this.#end.disconnect();
    this.#grid.clear();
    this.other.pair(new Map());
    byId("kept-message").replaceChildren();
    byId("kept-foot").replaceChildren();
  }

  #begun() {
    byId("kept-grid").setAttribute("aria-busy", "true");
    if (this.#results.rows.length) return;
    if (this.#grid.hits.length) this.#grid.dim();
    else this.#grid.skeleton();
  }

  /** @param {boolean} isFirst */
  #came(isFirst) {
    const { rows, isWhole, uploads, state, hint } = this.#results;
    byId("kept-grid").setAttribute("aria-busy", "false");
    if (isFirst) this.#grid.show(this.#lake, rows, isWhole);
    else this.#grid.extend(rows, isWhole);
    const isShort = state?.examples.some(({ kind, value }) => kind === "upload" && !uploads.has(value)) ?? false;
    byId("kept-message").replaceChildren(
      ...[
        isShort && notice("An image of it is in another browser only: this is without it."),
        hint !== null && notice(sentence(hint)),
        rows.length === 0 && message("No image passes", ["The search that was kept finds nothing in this lake."]),
      ].filter((each) => each !== false),
    );
    byId("kept-foot").replaceChildren(isWhole && rows.length ? make("p", { class: "end" }, `End · ${count(rows.length)}`) : "");
    this.#end.unobserve(byId("kept-foot"));
    this.#end.observe(byId("kept-foot")); // anew: it tells only changes, and the end may still be near
    this.#compare();
  }

  /**
   * @param {Failure} error
   * @param {boolean} isFirst
   */
  #failed(error, isFirst) {
    byId("kept-grid").setAttribute("aria-busy", "false");
    if (error instanceof ServerGone) return this.does.gone();
    if (error.status === 401) return; // the search at hand says so, and asks for a key
    /** @type {[string, () => unknown]} */
    const way = ["Try again", () => (isFirst || error.status === 410 ? this.again() : this.#results.retry())];
    if (!isFirst) return byId("kept-foot").replaceChildren(notice(sentence(error.message, error.field), way));
    this.#grid.clear();
    byId("kept-message").replaceChildren(message("That did not work", [sentence(error.message, error.field)], way));
    this.#compare();
  }

  /** Say on each side which images the other has, too. */
  #compare() {
    const here = this.#results.rows;
    const others = this.#others ?? [];
    if (this.#results.isLoading || !this.#others) return;
    byId("kept-said").textContent = told(here, this.#pair(this.#grid, others));
    byId("now-said").textContent = told(others, this.#pair(this.other, here));
  }

  /**
   * @param {Grid} grid
   * @param {Row[]} rows of the other side
   */
  #pair(grid, rows) {
    const places = placesOf(rows);
    grid.pair(places);
    return places;
  }
}

/**
 * Where each image stands; one that is folded into another stands where that does.
 * @param {Row[]} rows
 * @returns {Map<number, number>} row_id -> place, from 1
 */
function placesOf(rows) {
  /** @type {Map<number, number>} */
  const places = new Map();
  rows.forEach(({ row_id, collapsed }, at) => {
    for (const each of [row_id, ...(collapsed ?? [])]) if (!places.has(each)) places.set(each, at + 1);
  });
  return places;
}

/**
 * @param {Row[]} rows
 * @param {Map<number, number>} places of the images of the other side
 */
function told(rows, places) {
  const both = rows.filter(({ row_id }) => places.has(row_id)).length;
  return `${count(both)} of these ${count(rows.length)} in both`;
}

/**
 * What was kept is at hand, and what was at hand is kept.
 * @param {State} state
 * @returns {State}
 */
export const swapped = (state) => ({ ...parse(state.against ?? ""), lake: state.lake, against: textOf(state) });
