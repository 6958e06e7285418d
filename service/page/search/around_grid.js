/** What stands around the grid: how many images and how long it took, notices, messages, the end. */

import { thumbnailUrl } from "../common/api.js";
import { button, byId, make } from "../common/dom.js";
import { offerLakes } from "../common/lake_chooser.js";
import { newFilterHref } from "../common/links.js";
import { message, noLake, notice } from "../common/messages.js";
import { showPlaces } from "../common/places.js";
import { count, fit, images, moment, nameOf, sentence } from "../common/words.js";
import { emptyLake, failure, nothingFound, problems } from "./no_images.js";
import { isNarrowed, isQuery, newFilter, parse, toSearch } from "./state.js";

/** @import { State } from "./state.js" */

/** @import { Results } from "./results.js" */

/** @import { Grid } from "./grid.js" */

/** @import { Way } from "../common/messages.js" */

/** @import { Failure, Row } from "../common/api.js" */

const BEST = 256; // px of its thumbnail, as the grid's
const MOMENTS = "Frames of one video that are near in time are shown once";
const MOMENTS_BY_MATCH = "Where the best match comes first";
const WHATEVER = "Drag the line of the match strength: what matches less is left out";
const QUIET_MS = 150; // an answer that comes sooner changes the page at once, without a sign of waiting

export class AroundGrid {
  /** @type {number|undefined} */
  #timer;
  #state = parse("");
  /** @type {?string} */
  #lake = null;
  /** @type {string[]} */
  #notes = []; // said until the state changes
  #missing = 0; // of the uploads that the address names
  /** @type {string[]} */
  #problems = []; // of the lake, as the server says them
  /** @type {(() => unknown)|undefined} */
  #show; // what there is to show since the lake has changed
  /** @type {?number} */
  #passing = null; // images that the query's cut-off and where keep, where that is known

  /**
   * @param {Grid} grid
   * @param {Results} results
   * @param {{again: () => unknown, retry: () => unknown, go: (changes: Partial<State>) => unknown, all: () => unknown,
   *   remove: (number: number) => unknown, removeMissing: () => unknown}} does
   */
  constructor(grid, results, does) {
    this.grid = grid;
    this.results = results;
    this.does = does;
  }

  /** @param {Answers.LakeFacts[]} lakes */
  lakes(lakes) {
    document.body.classList.remove("starting");
    byId("strip").hidden = lakes.length === 0;
    offerLakes(byId("lake"), lakes);
    this.#choose();
  }

  /**
   * What the address says, before anything is asked.
   * @param {State} state
   * @param {?string} lake
   */
  state(state, lake) {
    this.#state = state;
    this.#passing = null;
    this.#lake = lake;
    this.#notes = [];
    byId("collapse").checked = state.collapse;
    byId("moments").checked = state.moments && !state.sort;
    byId("moments").disabled = Boolean(state.sort);
    byId("moments-label").title = state.sort ? MOMENTS_BY_MATCH : MOMENTS;
    byId("moments-label").hidden ||= !isQuery(state);
    byId("collapse").disabled = !isQuery(state);
    byId("collapse-label").title = isQuery(state) ? "" : "Once you search";
    byId("intro").hidden = isQuery(state) || isNarrowed(state);
    byId("make-filter").hidden = !isQuery(state);
    document.title = state.q ? `${state.q} · lakesift` : "lakesift";
    this.#choose();
  }

  #choose() {
    if (this.#lake === null) return;
    byId("lake").value = this.#lake;
    showPlaces(this.#lake, toSearch({ ...this.#state, open: null }));
    byId("make-filter").href = newFilterHref(this.#lake, newFilter(this.#state));
  }

  noLake() {
    this.only(noLake());
  }

  /** A question is under way. */
  waiting() {
    this.stopWaiting();
    byId("grid").setAttribute("aria-busy", "true");
    const isFirst = this.results.rows.length === 0;
    this.#timer = setTimeout(() => {
      if (!isFirst) byId("foot").replaceChildren(make("p", { class: "end" }, "Loading more…"));
      else if (this.grid.hits.length) this.grid.dim();
      else {
        byId("message").replaceChildren();
        this.grid.skeleton();
      }
    }, QUIET_MS);
  }

  stopWaiting() {
    clearTimeout(this.#timer);
    byId("grid").setAttribute("aria-busy", "false");
  }

  /**
   * @param {boolean} isFirst
   * @param {?Answers.LakeFacts} lake
   */
  came(isFirst, lake) {
    this.stopWaiting();
    const { rows, isWhole } = this.results;
    byId("message").replaceChildren();
    if (isFirst) this.grid.show(this.#lake ?? "", rows, isWhole);
    else this.grid.extend(rows, isWhole);
    if (isQuery(this.#state) && rows.some((row) => moment(row) !== null)) byId("moments-label").hidden = false;
    if (!rows.length) this.#nothing(lake);
    this.#foot();
    this.#missing = this.#state.examples.filter((each) => this.#isMissing(each)).length;
    this.#problems = lake?.problems ?? [];
    this.#notices();
    this.status(lake);
    const shown = `${images(rows.length)} shown${isWhole ? ", that is all" : ""}`;
    const hint = this.results.hint === null ? "" : `${sentence(this.results.hint)} `;
    byId("live").textContent = `${hint}${rows.length ? shown : spoken(byId("message"))}`;
  }

  /** @param {?Answers.LakeFacts} lake */
  #nothing(lake) {
    const without = {
      where: () => this.does.go({ where: "" }),
      within: () => this.does.go({ within: null }),
      minZ: () => this.does.go({ minZ: null }),
      all: () => this.does.all(),
    };
    const isEmpty = lake?.rows === 0 || (!isNarrowed(this.#state) && this.#state.minZ === null);
    byId("intro").hidden ||= isEmpty;
    const show = (/** @type {Row} */ hit) => this.#best(hit);
    byId("message").replaceChildren(
      isEmpty ? emptyLake(this.#lake ?? "") : nothingFound(this.#state, this.results.nothing, lake, show, without),
    );
  }

  /** @param {Row} hit */
  #best(hit) {
    const name = nameOf(hit);
    const says = ["The best there is", fit(hit), name].filter(Boolean).join(" · ");
    return make(
      "a",
      { class: "best", href: toSearch({ ...this.#state, open: hit.row_id }) },
      make("img", { src: thumbnailUrl(this.#lake ?? "", hit, BEST), alt: "", width: 160, height: 160, decoding: "async" }),
      make("span", { class: "small", dir: "auto" }, says),
    );
  }

  #foot() {
    const { rows, isWhole } = this.results;
    const isEnd = isWhole && rows.length > 0;
    byId("foot").replaceChildren(isEnd ? make("p", { class: "end" }, `End · ${images(rows.length)}`) : "");
  }

  #isMissing = (/** @type {State["examples"][0]} */ { kind, value }) => kind === "upload" && !this.results.uploads.has(value);

  #notices() {
    const shown = [
      this.results.hint !== null && notice(sentence(this.results.hint)),
      this.#missing > 0 && notice(missingText(this.#missing), ["Remove", () => this.does.removeMissing()]),
      ...this.#notes.map((text) => notice(text)),
      this.#problems.length > 0 && problems(this.#problems),
    ];
    byId("notices").replaceChildren(...shown.filter((each) => each !== false));
  }

  /**
   * Sentences that stay until the reader goes on.
   * @param {string[]} texts
   */
  say(texts) {
    this.#notes = texts;
    this.#notices();
    byId("live").textContent = texts.join(" ");
  }

  /**
   * The lake has changed since: what is shown stays, until the reader asks for the new.
   * @param {?number} rows that it has now; null: there is nothing to say
   * @param {() => unknown} [show]
   */
  moved(rows, show) {
    const line = byId("moved");
    const text = rows === null ? "" : `The lake has changed: ${images(rows)} now.`;
    line.hidden = rows === null;
    this.#show = show; // of the lake as it is now, also where the same is said of it
    if (line.dataset.text === text) return; // said already; the button may have the focus
    line.dataset.text = text;
    if (line.contains(document.activeElement)) byId("grid").focus({ preventScroll: true });
    line.replaceChildren(make("span", {}, text), button({ class: "quiet" }, () => this.#show?.(), "Show them"));
  }

  /**
   * @param {?number} rows that pass, once they are counted
   * @param {?Answers.LakeFacts} lake
   */
  passing(rows, lake) {
    this.#passing = rows;
    if (this.results.rows.length) this.status(lake);
  }

  /** @param {?Answers.LakeFacts} lake */
  status(lake) {
    const { rows, took, isWhole } = this.results;
    const isFolded = this.#state.collapse || rows.some((row) => row.span);
    const isAll = !isNarrowed(this.#state) && this.#state.minZ === null && !isFolded;
    const total = isAll && lake ? lake.rows : isWhole ? rows.length : isFolded ? null : this.#passing;
    const number = total === null ? `${count(rows.length)}+ images` : images(total);
    byId("status").replaceChildren(
      number,
      isQuery(this.#state) && rows.length ? make("span", { class: "order", title: this.#state.sort ? WHATEVER : null }, this.#order()) : "",
      took === null ? "" : ` · ${took < 10 ? took.toFixed(1) : Math.round(took)} ms`,
    );
  }

  #order() {
    if (!this.#state.sort) return " · most similar first";
    return this.#state.minZ === null ? " · whatever their match" : "";
  }

  badFilter() {
    this.stopWaiting();
    if (this.grid.hits.length) {
      this.grid.dim();
      byId("status").textContent = "The condition is not understood; these are the images from before it";
      return;
    }
    /** @type {Way[]} */
    const ways = [["Remove the condition", () => this.does.go({ where: "", minZ: null })]];
    this.#replace(message("The condition is not understood", ["What is wrong with it stands beside it, above."], ...ways));
  }

  /**
   * @param {Failure} error
   * @param {boolean} isFirst
   * @param {number} number of the example that is to blame, or -1
   * @param {?string} name of the file, if that example is one
   */
  failed(error, isFirst, number, name = null) {
    this.stopWaiting();
    if (!isFirst) return this.#failedMore(error);
    this.#notices();
    /** @type {Way[]} */
    const ways = [];
    if (number >= 0) ways.push([`Remove ${name ?? "it"}`, () => this.does.remove(number)]);
    else if ((error.status ?? 0) >= 500 || error.status === 429) ways.push(["Try again", () => this.does.again()]);
    else if (error.code === "unknown_lake") ways.push(["Show the first lake", () => this.does.go({ lake: null })]);
    else ways.push(["Show all images", () => this.does.all()]);
    this.#replace(failure(error, name, ...ways));
  }

  /** @param {Failure} error */
  #failedMore(error) {
    const isGone = error.status === 410;
    const text = isGone ? "The lake has changed since this search." : sentence(error.message, error.field);
    /** @type {Way} */
    const way = isGone ? ["Show current results", () => this.does.again()] : ["Try again", () => this.does.retry()];
    this.grid.extend(this.results.rows, true);
    byId("foot").replaceChildren(notice(text, way));
    byId("live").textContent = text;
  }

  /** @param {HTMLElement} element */
  #replace(element) {
    this.grid.clear();
    byId("foot").replaceChildren();
    byId("status").textContent = "";
    byId("message").replaceChildren(element);
    byId("live").textContent = spoken(element);
  }

  /**
   * Nothing but this: there is nothing to search.
   * @param {HTMLElement} element
   */
  only(element) {
    this.stopWaiting();
    this.moved(null);
    document.body.classList.remove("starting");
    byId("strip").hidden = true;
    byId("intro").hidden = true;
    this.#replace(element);
  }
}

/**
 * What a message says, without its buttons.
 * @param {HTMLElement} element
 */
const spoken = (element) =>
  [...element.querySelectorAll("h2, h2 + p")].map((each) => sentence(each.textContent ?? "")).join(" ");

/** @param {number} number */
const missingText = (number) =>
  number === 1
    ? "This address names an image that only another browser has. The results are without it."
    : `This address names ${number} images that only another browser has. The results are without them.`;
