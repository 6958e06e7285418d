/** The search page: from its address to what is asked and shown, and from what the reader does to a new address. */

import * as api from "../common/api.js";
import { Banner } from "../common/banner.js";
import { byId, isPlainClick } from "../common/dom.js";
import { NO_MORE, signInForm } from "../common/sign_in.js";
import { OF_A_SEARCH, pick } from "../common/upload_limits.js";
import { UploadStore } from "../common/upload_store.js";
import { takeChosen, takeDropped, takePasted } from "../common/uploads.js";
import { canReturn } from "../common/way_back.js";
import { explainTerms, sentence } from "../common/words.js";
import { AroundGrid } from "./around_grid.js";
import { Chips } from "./chips.js";
import { Counting } from "./counting.js";
import { Grid } from "./grid.js";
import { takeKeys } from "./help.js";
import { Looks } from "./looks.js";
import { Metadata } from "./metadata.js";
import { exampleOf } from "./query.js";
import { Results } from "./results.js";
import { SearchBox } from "./search_box.js";
import {
  parse,
  queryKey,
  toSearch,
  withExample,
  withFlipped,
  withFramesOf,
  withLake,
  withTyped,
  withoutExample,
  withoutMissing,
} from "./state.js";
import { Selecting } from "./selecting.js";
import { Strength } from "./strength.js";
import { View } from "./view.js";
import { Watch } from "./watch.js";
import { WherePanel } from "./where.js";

const NOTHING = parse("");
const LINK = "That was a link. Drop the image itself: copy it and paste it here, or save it first.";
const AHEAD = "1500px"; // below the screen: nearer than this, the next page is asked for

class SearchPage {
  #state = NOTHING;
  #lakes = [];
  #isOfLink = parse(location.search).open !== null; // another page led to an image
  #asked = null; // key of the question that the results are of
  #wasSignedIn = false;
  #store = new UploadStore();
  #uploaded = Promise.resolve(); // one drop after the other: each counts the images of those before
  #banner = new Banner(() => this.#serverIsBack());
  #box = new SearchBox((typed) => this.#typed(typed));
  #where = new WherePanel({
    apply: (changes) => this.#go({ ...this.#state, ...changes, open: null }),
    opened: () => this.#showColumns(),
  });
  #metadata = new Metadata((where) => this.#go({ ...this.#state, where, open: null }));
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
  #looks = new Looks((looks) => this.#grid.look(looks));
  #counting = new Counting(this.#metadata, this.#where, this.#looks);
  #seen = new Map(); // row_id -> row, of examples: their chips show the thumbnail that the browser has
  #view = new View({
    close: () => this.#close(),
    step: (row) => this.#go({ ...this.#state, open: row.row_id }),
    act: (act, row) => this.#act(act, row),
    hits: () => this.#results.rows,
    more: () => this.#results.more(),
    href: (row) => this.#href(row),
    framesHref: (hit) => toSearch(withFramesOf({ ...NOTHING, lake: this.#state.lake }, hit)),
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
    lake: () => this.#lake,
    state: () => this.#state,
    examples: (rows, sign) => this.#examples(rows, sign),
    tagged: () => this.#tagged(),
  });
  #end = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && this.#results.more(), { rootMargin: AHEAD });
  #around = new AroundGrid(this.#grid, this.#results, {
    again: () => this.#ask(),
    retry: () => this.#results.retry(),
    go: (changes) => this.#go({ ...this.#state, ...changes }),
    all: () => this.#go({ ...NOTHING, lake: this.#state.lake }),
    remove: (number) => this.#go(withoutExample(this.#state, number)),
    removeMissing: () => this.#go(withoutMissing(this.#state, this.#results.uploads)),
  });

  constructor() {
    history.scrollRestoration = "manual";
    addEventListener("popstate", () => this.#apply(parse(location.search), true));
    document.addEventListener("click", (event) => this.#link(event));
    for (const name of ["collapse", "moments"]) {
      byId(name).addEventListener("change", (event) => this.#go({ ...this.#state, [name]: event.target.checked }));
    }
    byId("lake").addEventListener("change", (event) => this.#moveTo(event.target.value));
    this.#takeUploads();
    takeKeys(this.#box);
    this.#grid.look(this.#looks.now);
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

  #rowOf(rowId) {
    return this.#results.rows.find((row) => row.row_id === rowId) ?? this.#seen.get(rowId) ?? { row_id: rowId };
  }

  #href(row) {
    return toSearch({ ...this.#state, open: row.row_id });
  }

  /** Show another state, under its own address. Steps within the large view share one entry of the history. */
  #go(state) {
    const before = this.#state;
    const isStep = before.open !== null && state.open !== null;
    const isOpened = state.open !== null && (isStep ? history.state?.isOpened : true);
    const address = toSearch(state) || location.pathname;
    const isSame = toSearch(state) === toSearch(before);
    history[isStep || isSame ? "replaceState" : "pushState"]({ isOpened: Boolean(isOpened) }, "", address);
    if (isSame && this.#lakes.length) this.#ask(); // asked again on purpose
    else this.#apply(state, false);
  }

  /** @param {boolean} isBack whether the reader stepped back or forth: earlier answers will do */
  #apply(state, isBack) {
    const closed = this.#state.open;
    this.#results.remember(scrollY);
    this.#show(state);
    if (!this.#lakes.length) return;
    if (this.#asked !== this.#key()) {
      if (!(isBack && this.#recall())) this.#ask();
    }
    if (state.open !== null) this.#view.show(this.#lake, state.open);
    else if (this.#view.rowId !== null) this.#hideView(closed);
  }

  #key = () => `${this.#lake} ${queryKey(this.#state)}`;

  #show(state) {
    this.#state = state;
    this.#box.show(state.q);
    this.#where.show(state);
    this.#strength.show(state, this.#lakeFacts);
    this.#showChips();
    this.#around.state(state, this.#lake);
    if (this.#where.isOpen) this.#showColumns();
  }

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
    if (this.#where.isOpen) this.#counting.count(this.#lakeFacts, this.#state);
  }

  #ask() {
    this.#asked = this.#key();
    this.#selecting.clear();
    this.#where.complain(null);
    this.#around.moved(null);
    scrollTo(0, 0);
    this.#results.start(this.#lake, this.#state);
  }

  #recall() {
    const kept = this.#results.recall(this.#lake, this.#state);
    if (!kept) return false;
    this.#asked = this.#key();
    this.#selecting.clear();
    this.#came(true);
    scrollTo(0, kept.scroll);
    return true;
  }

  #came(isFirst) {
    this.#around.came(isFirst, this.#lakeFacts);
    this.#view.refresh();
    this.#selecting.show();
    this.#end.unobserve(byId("foot"));
    this.#end.observe(byId("foot")); // anew: it tells only changes, and the end may still be near
    if (isFirst) {
      this.#strength.ask(this.#lake, this.#results.snapshot, this.#state, this.#results.uploads);
      this.#showChips();
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
    const show = () => this.#moveOn(lakes);
    if (is.snapshot === before) this.#around.moved(null);
    else if (was?.rows === 0 && !this.#results.rows.length) show();
    else this.#around.moved(is.rows, show);
  }

  get #isSettled() {
    return this.#asked !== null && !this.#results.isLoading && !this.#results.failed;
  }

  #moveOn(lakes) {
    this.#lakes = lakes;
    this.#results.forget();
    this.#around.state(this.#state, this.#lake);
    this.#ask();
  }

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
    if (!this.#lakes.length) this.begin();
    else if (this.#results.failed instanceof api.ServerGone) this.#results.retry();
  }

  // -- what the reader does

  #typed(typed) {
    const state = withTyped(this.#state, typed);
    this.#box.show(state.q); // what became a chip leaves the box, also where it was one before
    this.#go(state);
  }

  #act(act, row) {
    if (act === "select") return this.#selecting.toggle(row);
    if (act === "extend") return this.#selecting.extend(row);
    this.#seen.set(row.row_id, row);
    this.#go(withExample(this.#state, "row", row.row_id, act === "more" ? 1 : -1));
  }

  #examples(rows, sign) {
    for (const row of rows) this.#seen.set(row.row_id, row);
    this.#go(rows.reduce((state, row) => withExample(state, "row", row.row_id, sign), this.#state));
  }

  #takeUploads() {
    const take = (files) => (this.#uploaded = this.#uploaded.then(() => this.#upload(files)));
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
    const add = (state, id) => withExample(state, "upload", id, 1);
    if (ids.length) this.#go(ids.reduce(add, this.#state));
    if (notes.length) this.#around.say(notes);
  }

  #moveTo(lake) {
    this.#go(withLake(this.#state, lake === this.#lakes[0].name ? null : lake));
  }

  #link(event) {
    const link = event.target.closest?.("a");
    if (!link || !isPlainClick(event)) return;
    const href = link.getAttribute("href");
    if (!href.startsWith("?") && link.id !== "home") return;
    event.preventDefault();
    const state = href.startsWith("?") ? parse(href) : NOTHING;
    this.#go({ ...state, lake: state.lake ?? this.#state.lake });
  }

  /** Back to where it was opened, or, where the address was shared, to the results that it names. */
  #close() {
    if (history.state?.isOpened || (this.#isOfLink && canReturn())) history.back();
    else {
      history.replaceState({}, "", toSearch({ ...this.#state, open: null }) || location.pathname);
      this.#apply(parse(location.search), false);
    }
  }

  #hideView(rowId) {
    this.#view.hide();
    if (!this.#grid.focus(rowId)) byId("words").focus({ preventScroll: true });
  }
}

explainTerms();
new SearchPage().begin();
