/** The search page: from its address to what is asked and shown, and from what the reader does to a new address. */

import * as api from "../common/api.js";
import { Banner } from "../common/banner.js";
import { byId, elementOf, isPlainClick } from "../common/dom.js";
import { NO_MORE, signInForm } from "../common/sign_in.js";
import { OF_A_SEARCH, pick } from "../common/upload_limits.js";
import { UploadStore } from "../common/upload_store.js";
import { takeChosen, takeDropped, takePasted } from "../common/uploads.js";
import { canReturn, stepBack } from "../common/way_back.js";
import { count, explainTerms, sentence } from "../common/words.js";
import { AroundGrid } from "./around_grid.js";
import { Beside } from "./beside.js";
import { Chips } from "./chips.js";
import { Counting } from "./counting.js";
import { Grid } from "./grid.js";
import { takeKeys } from "./help.js";
import { Kept } from "./kept.js";
import { Looks } from "./looks.js";
import { Metadata } from "./metadata.js";
import { exampleOf } from "./query.js";
import { Results } from "./results.js";
import { SavedSearches } from "./saved_searches.js";
import { SearchBox } from "./search_box.js";
import {
  isQuery,
  parse,
  queryKey,
  textOf,
  toSearch,
  withExample,
  withFlipped,
  withFramesOf,
  withLake,
  withTyped,
  withUsualSort,
  withoutExample,
  withoutMissing,
} from "./state.js";
import { MOST, Selecting } from "./selecting.js";
import { SortMenu } from "./sort_menu.js";
import { Strength } from "./strength.js";
import { Suggestions } from "./suggestions.js";
import { View } from "./view.js";
import { Views } from "./views.js";
import { Watch } from "./watch.js";
import { WherePanel } from "./where.js";

const NOTHING = parse("");
const LINK = "That was a link. Drop the image itself: copy it and paste it here, or save it first.";
const AHEAD = "1500px"; // below the screen: nearer than this, the next page is asked for

/** @import { Failure, Place, Row } from "../common/api.js" */
/** @import { Kind, State } from "./state.js" */

class SearchPage {
  #state = NOTHING;
  /** @type {Answers.LakeFacts[]} */
  #lakes = [];
  #isOfLink = isOver(parse(location.search)); // another page led to an image
  /** @type {?string} */
  #asked = null; // key of the question that the results are of
  #wasSignedIn = false;
  #store = new UploadStore();
  /** @type {Promise<unknown>} */
  #uploaded = Promise.resolve(); // one drop after the other: each counts the images of those before
  #banner = new Banner(() => this.#serverIsBack());
  #box = new SearchBox((typed) => this.#typed(typed));
  #where = new WherePanel({
    apply: (changes) => this.#go({ ...this.#state, ...changes, open: null }),
    opened: () => this.#showColumns(),
  });
  #metadata = new Metadata(
    () => this.#state.where,
    (where) => this.#go({ ...this.#state, where, open: null }),
  );
  #grid = new Grid(byId("grid"), {
    href: (row) => this.#href(row),
    act: (act, row) => this.#act(act, row),
    isSelected: (rowId) => this.#selecting.has(rowId),
  });
  #chips = new Chips(byId("chips"), {
    flip: (number) => this.#go(withFlipped(this.#state, number)),
    remove: (number) => this.#go(withoutExample(this.#state, number)),
    dropLeast: () => this.#go({ ...this.#state, minZ: null }),
    leave: () => this.#go({ ...this.#state, within: null }),
    row: (rowId) => this.#rowOf(rowId),
    href: (row) => this.#href(row),
  });
  #kept = new Kept(this.#grid, this.#store, {
    href: (row) => this.#href(row),
    act: (act, row) => this.#act(act, row),
    isSelected: (rowId) => this.#selecting.has(rowId),
    extend: (rows, row) => this.#selecting.extend(row, rows),
    go: (state) => this.#go(state),
    state: () => this.#state,
    gone: () => this.#banner.show(),
  });
  #isOfKept = false; // the large view goes through the images of the search that was kept
  #looks = new Looks((looks) => {
    this.#grid.look(looks);
    this.#kept.look(looks);
  });
  #suggestions = new Suggestions();
  #sort = new SortMenu((sort) => this.#go({ ...this.#state, sort, open: null }));
  #counting = new Counting(this.#metadata, this.#where, this.#looks, this.#sort, (rows) => {
    if (isQuery(this.#state)) return; // the match strengths say so then
    this.#around.passing(rows, this.#lakeFacts);
    this.#selecting.passing(rows);
  });
  /** @type {Map<number, Row>} */
  #seen = new Map(); // row_id -> row, of examples: their chips show the thumbnail that the browser has
  #view = new View({
    close: () => this.#close(),
    step: (row) => this.#go({ ...this.#state, open: row.row_id }),
    act: (act, row) => this.#act(act, row),
    hits: () => (this.#isOfKept ? this.#kept.rows : this.#results.rows),
    more: () => this.#results.more(),
    href: (row) => this.#href(row),
    within: () => this.#state.within,
    framesHref: (hit) => toSearch(withFramesOf({ ...NOTHING, lake: this.#state.lake }, hit)),
  });
  #beside = new Beside({
    close: () => this.#close(),
    go: (beside) => this.#go({ ...this.#state, beside }),
    hits: () => this.#results.rows,
    href: (row) => this.#href(row),
    within: () => this.#state.within,
  });
  #results = new Results(this.#store, {
    begun: () => this.#around.waiting(),
    came: (rows, isFirst) => this.#came(isFirst),
    failed: (error, isFirst) => this.#failed(error, isFirst),
  });
  #strength = new Strength({
    cut: (minZ) => this.#go({ ...this.#state, minZ, open: null }),
    counted: (rows) => {
      this.#around.passing(rows, this.#lakeFacts);
      this.#selecting.passing(this.#state.collapse ? null : rows);
    },
  });
  #selecting = new Selecting(this.#grid, this.#results, {
    lake: () => this.#lake ?? "",
    state: () => this.#state,
    examples: (rows, sign, selected) => this.#examples(rows, sign, selected),
    tagged: () => this.#tagged(),
    marked: () => {
      this.#views?.mark();
      this.#kept.mark();
    },
    beside: (beside) => this.#go({ ...this.#state, beside }),
  });
  #views = new Views({
    go: (view, isTwo) => this.#go({ ...this.#state, view, against: isTwo ? this.#against() : null, open: null }),
    open: (rowId) => this.#go({ ...this.#state, open: rowId }),
    href: (rowId) => this.#href({ row_id: rowId }),
    select: (rows) => this.#selecting.add(rows),
    selected: () => this.#selecting.rowIds,
    most: MOST,
    tagged: () => this.#tagged(),
    gone: () => this.#banner.show(),
  });
  #end = new IntersectionObserver((seen) => seen.at(-1)?.isIntersecting && this.#results.more(), { rootMargin: AHEAD });
  #around = new AroundGrid(this.#grid, this.#results, {
    again: () => this.#ask(),
    retry: () => this.#results.retry(),
    go: (changes) => this.#go({ ...this.#state, ...changes }),
    all: () => this.#go({ ...NOTHING, lake: this.#state.lake, against: this.#state.against }),
    remove: (number) => this.#go(withoutExample(this.#state, number)),
    removeMissing: () => this.#go(withoutMissing(this.#state, this.#results.uploads)),
  });

  constructor() {
    history.scrollRestoration = "manual";
    addEventListener("popstate", () => this.#apply(parse(location.search), true));
    document.addEventListener("click", (event) => this.#link(event));
    for (const name of /** @type {const} */ (["collapse", "moments"])) {
      byId(name).addEventListener("change", () => this.#go({ ...this.#state, [name]: byId(name).checked }));
    }
    byId("lake").addEventListener("change", () => this.#moveTo(byId("lake").value));
    this.#takeUploads();
    takeKeys(this.#box);
    new SavedSearches({ lake: () => this.#lake ?? "", state: () => this.#state });
    this.#grid.look(this.#looks.now);
    this.#kept.look(this.#looks.now);
    byId("looks").addEventListener("toggle", () => this.#counting.offer(this.#lake));
    byId("grid").addEventListener("servergone", () => this.#banner.show());
    new Watch(() => this.#look());
    this.#show(parse(location.search)); // before the server is asked: nothing moves when it answers
  }

  /** Who may, what lakes there are, and then what the address asks for. */
  async begin() {
    try {
      const { key_needed: isKeyNeeded, signed_in: isSignedIn } = await api.session();
      byId("sign-out").hidden = !(isKeyNeeded && isSignedIn);
      if (isKeyNeeded && !isSignedIn) return this.#askForKey();
      this.#wasSignedIn = isKeyNeeded;
      this.#lakes = await api.lakes();
    } catch (error) {
      return this.#failed(error, true);
    }
    this.#around.lakes(this.#lakes);
    if (!this.#lakes.length) return this.#around.noLake();
    this.#asked = null;
    this.#apply(parse(location.search), false);
  }

  get #lake() {
    return this.#state.lake ?? this.#lakes[0]?.name ?? null;
  }

  get #lakeFacts() {
    return this.#lakes.find(({ name }) => name === this.#lake) ?? null;
  }

  /**
   * @param {number} rowId
   * @returns {Place & Partial<Row>}
   */
  #rowOf(rowId) {
    return this.#results.rows.find((row) => row.row_id === rowId) ?? this.#seen.get(rowId) ?? { row_id: rowId };
  }

  /** The search at hand is kept; the box waits for another. */
  #against() {
    if (!matchMedia("(pointer: coarse)").matches) this.#box.focus();
    return this.#state.against ?? textOf(this.#state);
  }

  /** @param {Place} row */
  #href(row) {
    return toSearch({ ...this.#state, open: row.row_id, beside: null });
  }

  /**
   * Show another state, under its own address. Steps within the large view, or of two images side by side, share one entry of the history.
   * @param {State} wanted
   */
  #go(wanted) {
    const before = this.#state;
    const state = withUsualSort(wanted, before);
    const isStep = (before.open !== null && state.open !== null) || Boolean(before.beside && state.beside);
    const isOpened = isOver(state) && (isStep ? history.state?.isOpened : true);
    const address = toSearch(state) || location.pathname;
    const isSame = toSearch(state) === toSearch(before);
    history[isStep || isSame ? "replaceState" : "pushState"]({ isOpened: Boolean(isOpened) }, "", address);
    if (isSame && this.#lakes.length) this.#ask(); // asked again on purpose
    else this.#apply(state, false);
  }

  /**
   * @param {State} state
   * @param {boolean} isBack whether the reader stepped back or forth: earlier answers will do
   */
  #apply(state, isBack) {
    const { open: closed, view: before } = this.#state;
    this.#results.remember(scrollY);
    this.#show(state);
    if (!this.#lakes.length) return;
    if (this.#asked !== this.#key()) {
      if (!(isBack && this.#recall())) this.#ask();
    } else if (before !== state.view) this.#showView();
    this.#kept.ask(this.#lake ?? "");
    if (!state.beside) this.#beside.hide();
    if (state.open !== null) this.#view.show(this.#lake ?? "", state.open);
    else if (this.#view.rowId !== null) this.#hideView(closed);
    if (state.beside) this.#beside.show(this.#lake ?? "", state.beside);
  }

  #key = () => `${this.#lake} ${queryKey(this.#state)}`;

  /** @param {State} state */
  #show(state) {
    this.#state = state;
    this.#box.show(state.q);
    this.#where.show(state);
    this.#sort.show(state);
    this.#strength.show(state, this.#lakeFacts);
    this.#views.show(state);
    this.#kept.show(state);
    this.#showChips();
    this.#around.state(state, this.#lake);
    if (this.#where.isSeen) this.#showColumns();
  }

  /** @param {?{number: number, message: string}} problem */
  #showChips(problem = null) {
    const shown = this.#strength.isThere ? { ...this.#state, minZ: null } : this.#state; // it has its own line there
    this.#chips.show(this.#lake, shown, this.#store, problem);
  }

  #showColumns() {
    this.#counting.offer(this.#lake);
    this.#counting.count(this.#lakeFacts, this.#state);
  }

  /** Tags are beside the lake: hits keep what they had, and the panel's numbers are counted anew. */
  #tagged() {
    this.#counting.forget();
    if (this.#where.isSeen) this.#counting.count(this.#lakeFacts, this.#state);
  }

  #ask() {
    this.#asked = this.#key();
    this.#selecting.clear();
    this.#where.complain(null);
    this.#around.moved(null);
    scrollTo(0, 0);
    this.#results.start(this.#lake ?? "", this.#state);
    this.#showView();
  }

  #recall() {
    const kept = this.#results.recall(this.#lake ?? "", this.#state);
    if (!kept) return false;
    this.#asked = this.#key();
    this.#selecting.clear();
    this.#came(true);
    this.#showView();
    scrollTo(0, kept.scroll);
    return true;
  }

  /** The map and the groups ask for themselves. */
  #showView() {
    this.#views.ask(this.#lake ?? "", this.#lakeFacts?.snapshot ?? null, this.#state);
  }

  /** @param {boolean} isFirst */
  #came(isFirst) {
    this.#around.came(isFirst, this.#lakeFacts);
    this.#view.refresh();
    this.#beside.refresh();
    this.#kept.beside(this.#results.rows, this.#results.snapshot);
    this.#selecting.show();
    this.#end.unobserve(byId("foot"));
    this.#end.observe(byId("foot")); // anew: it tells only changes, and the end may still be near
    if (isFirst) {
      this.#counting.offer(this.#lake);
      this.#strength.ask(this.#lake ?? "", this.#results.snapshot, this.#state, this.#results.uploads);
      this.#showChips();
      this.#suggestions.show(this.#lakeFacts, this.#state.lake);
      this.#noticeNewSnapshot();
    }
  }

  /** The lake moved on: its size is another, and what was remembered is of the past. */
  async #noticeNewSnapshot() {
    const lake = this.#lakeFacts;
    if (!lake || lake.snapshot === this.#results.snapshot) return;
    this.#results.forget();
    this.#lakes = await api.lakes().catch(() => this.#lakes);
    this.#around.lakes(this.#lakes);
    this.#around.status(this.#lakeFacts);
  }

  /** Whether the lake moved on from the results; a page that shows nothing of it yet takes the new ones at once. */
  async #look() {
    const before = this.#results.snapshot;
    if (!this.#isSettled) return;
    const lakes = await api.lakes().catch(() => null); // unasked for: the next thing that is asked for says why
    const [was, is] = [this.#lakes, lakes ?? []].map((all) => all.find(({ name }) => name === this.#lake));
    if (!is || !this.#isSettled || this.#results.snapshot !== before) return;
    const show = () => this.#moveOn(lakes ?? []);
    if (is.snapshot === before) this.#around.moved(null);
    else if (was?.rows === 0 && !this.#results.rows.length) show();
    else this.#around.moved(is.rows, show);
  }

  get #isSettled() {
    return this.#asked !== null && !this.#results.isLoading && !this.#results.failed;
  }

  /** @param {Answers.LakeFacts[]} lakes */
  #moveOn(lakes) {
    this.#lakes = lakes;
    this.#results.forget();
    this.#around.state(this.#state, this.#lake);
    this.#ask();
  }

  /**
   * @param {Failure} error
   * @param {boolean} isFirst
   */
  #failed(error, isFirst) {
    if (error instanceof api.ServerGone) {
      this.#around.stopWaiting();
      this.#banner.show();
    } else if (error.status === 401) {
      this.#askForKey();
    } else if (isFirst && (error.field === "where" || error.field === "min_z")) {
      this.#where.complain(error);
      this.#around.badFilter();
    } else {
      const number = exampleOf(error.field, this.#state, this.#results.uploads);
      if (number >= 0) this.#showChips({ number, message: sentence(error.message, error.field) });
      this.#around.failed(error, isFirst, number, this.#store.known.get(this.#state.examples[number]?.value)?.name);
    }
  }

  #askForKey() {
    this.#asked = null;
    this.#around.only(signInForm(() => this.begin(), this.#wasSignedIn ? NO_MORE : ""));
    this.#wasSignedIn = false;
    byId("key").focus();
  }

  #serverIsBack() {
    this.#grid.retryImages();
    this.#kept.retry();
    if (!this.#lakes.length) this.begin();
    else if (this.#results.failed instanceof api.ServerGone) this.#results.retry();
  }

  // -- what the reader does

  /** @param {string} typed */
  #typed(typed) {
    const state = withTyped(this.#state, typed);
    this.#box.show(state.q, true); // what became a chip leaves the box, also where it was one before
    this.#go(state);
  }

  /**
   * @param {string} act
   * @param {Row} row
   */
  #act(act, row) {
    if (act === "select") return this.#selecting.toggle(row);
    if (act === "extend") return this.#selecting.extend(row);
    this.#seen.set(row.row_id, row);
    this.#go(withExample(this.#state, "row", row.row_id, act === "more" ? 1 : -1));
  }

  /**
   * @param {Row[]} rows
   * @param {1|-1} sign
   * @param {number} selected images, of which the rows are the first
   */
  #examples(rows, sign, selected) {
    for (const row of rows) this.#seen.set(row.row_id, row);
    this.#go(rows.reduce((state, row) => withExample(state, "row", row.row_id, sign), this.#state));
    if (rows.length < selected) this.#around.say([firstAlone(rows.length, selected)]);
  }

  #takeUploads() {
    const take = (/** @type {File[]} */ files) => (this.#uploaded = this.#uploaded.then(() => this.#upload(files)));
    takeChosen(byId("choose"), byId("files"), take);
    takePasted(take);
    takeDropped(take, (isCarried) => (byId("drop").hidden = !isCarried));
  }

  /** @param {File[]} files whatever they are; none: it was a link */
  async #upload(files) {
    if (!files.length) return this.#around.say([LINK]);
    const held = [...(await this.#store.of(this.#state)).values()].map(({ blob }) => blob);
    const { taken, notes } = pick(files, held, OF_A_SEARCH);
    const ids = await Promise.all(taken.map((file) => this.#store.put(file)));
    const add = (/** @type {State} */ state, /** @type {string} */ id) => withExample(state, "upload", id, 1);
    if (ids.length) this.#go(ids.reduce(add, this.#state));
    if (notes.length) this.#around.say(notes);
  }

  /** @param {string} lake */
  #moveTo(lake) {
    this.#go(withLake(this.#state, lake === this.#lakes[0].name ? null : lake));
  }

  /** @param {MouseEvent} event */
  #link(event) {
    const link = elementOf(event).closest?.("a");
    if (!link || !isPlainClick(event)) return;
    const href = link.getAttribute("href") ?? "";
    if (!href.startsWith("?") && link.id !== "home") return;
    event.preventDefault();
    const state = href.startsWith("?") ? parse(href) : NOTHING;
    this.#isOfKept = link.closest("#kept-grid") !== null;
    const against = link.classList.contains("saved-open") ? this.#state.against : state.against;
    this.#go({ ...state, lake: state.lake ?? this.#state.lake, against });
  }

  /** Back to where it was opened, or, where the address was shared, to the results that it names. */
  #close() {
    if (history.state?.isOpened || (this.#isOfLink && canReturn())) stepBack();
    else {
      history.replaceState({}, "", toSearch({ ...this.#state, open: null, beside: null }) || location.pathname);
      this.#apply(parse(location.search), false);
    }
  }

  /** @param {?number} rowId */
  #hideView(rowId) {
    this.#view.hide();
    const grids = this.#isOfKept ? [this.#kept, this.#grid] : [this.#grid, this.#kept];
    if (rowId === null || !grids.some((grid) => grid.focus(rowId))) byId("words").focus({ preventScroll: true });
  }
}

/**
 * Whether images lie over the results: one that is large, or two side by side.
 * @param {State} state
 */
const isOver = ({ open, beside }) => open !== null || beside !== null;

/**
 * @param {number} number
 * @param {number} selected
 */
const firstAlone = (number, selected) =>
  `The first ${count(number)} of the ${count(selected)} selected images are examples now: no more are taken at once.`;

explainTerms();
new SearchPage().begin();
