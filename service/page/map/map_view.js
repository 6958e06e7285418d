/** The map of a lake in the place of the grid: all its images as points, coloured by the question at hand. */

import { ServerGone, thumbnailUrl } from "../common/api.js";
import { byId, make, smallPicture } from "../common/dom.js";
import { images, sentence } from "../common/words.js";
import { Camera } from "./camera.js";
import { Drawing } from "./draw.js";
import { takeHand } from "./hand.js";
import { Legend, colourTable } from "./legend.js";
import { HIDDEN, PointIndex, colours, fieldsOf, points } from "./points.js";
import { rowsOf } from "./rows.js";

/** @import { Failure, Row } from "../common/api.js" */

/** @import { State } from "../search/state.js" */

/** @import { SignedRow, SignedText } from "../search/query.js" */

/** @import { Place } from "./camera.js" */

/** @import { Kind } from "./draw.js" */

/** @import { Points } from "./points.js" */

const NEAR_PX = 8; // of a point that is meant
const CARD_PX = 192;
const NAME_PX = 26; // of a cluster's name: its height
const LETTER_PX = 7.5; // and about the width of a letter
const STEP = 1.5;
const TRIES = 3; // where the lake moves on while its colours are asked for
const NO_WEBGL = "This browser has no WebGL 2, which draws the map. The grid shows the same images.";

export class MapView {
  #root = byId("map");
  #canvas = byId("map-canvas");
  #card = byId("map-card");
  #camera = new Camera();
  /** @type {?Drawing} */
  #drawing = null;
  /** @type {?Points} */
  #points = null; // of `#lake`
  /** @type {?PointIndex} */
  #index = null;
  /** @type {?Uint8Array<ArrayBuffer>} */
  #numbers = null; // the colour of each point
  /** @type {Kind} */
  #kind = "none";
  /** @type {?string} */
  #lake = null;
  #asking = new AbortController();
  #legend = new Legend(() => this.#colour());
  #isDue = false; // a frame is
  /** @type {Record<string, any>} */
  #fields = {}; // of the question

  /**
   * @param {{open: (rowId: number) => unknown, select: (rows: Row[]) => unknown, selected: () => number[], most: number,
   *   filters: (lake: string) => Promise<string[]>, gone: () => unknown}} does
   */
  constructor(does) {
    this.does = does;
    new ResizeObserver(() => this.#resized()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
    this.#canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.#canvas.addEventListener("webglcontextrestored", () => this.#begin());
    byId("map-lasso").addEventListener("click", () => this.#lassoPressed(!this.#isLasso));
    byId("map-in").addEventListener("click", () => this.#zoomed(STEP));
    byId("map-out").addEventListener("click", () => this.#zoomed(1 / STEP));
    byId("map-fit").addEventListener("click", () => this.#moved(() => this.#camera.fit()));
    takeHand(this.#canvas, {
      pan: (left, top) => this.#moved(() => this.#camera.pan(left, top)),
      zoom: (left, top, factor) => this.#moved(() => this.#camera.zoomAt(left, top, factor)),
      fit: () => this.#moved(() => this.#camera.fit()),
      hover: (place) => this.#hover(place),
      click: (left, top) => this.#open(left, top),
      lasso: (outline, isClosed) => this.#lasso(outline, isClosed),
      open: () => this.#open(this.#camera.width / 2, this.#camera.height / 2, Infinity),
      isLasso: () => this.#isLasso,
    });
  }

  get isShown() {
    return !this.#root.hidden;
  }

  /** @param {boolean} isShown */
  show(isShown) {
    this.#root.hidden = !isShown;
    if (!isShown) this.#asking.abort();
  }

  /**
   * The points of this lake, coloured by this question.
   * @param {string} lake
   * @param {?number} snapshot null: not known
   * @param {State} state
   * @param {{texts: SignedText[], images: SignedRow[], hasUploads: boolean}} examples
   */
  async ask(lake, snapshot, state, examples) {
    if (!this.isShown) return;
    this.#asking.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    this.#fields = fieldsOf(state, examples.texts, examples.images);
    this.#root.setAttribute("aria-busy", "true");
    try {
      if (this.#lake !== lake || this.#points?.snapshot !== snapshot) {
        if (this.#lake !== lake) this.#say("Loading the map…");
        await this.#load(lake, signal);
      }
      const hasMatch = !examples.hasUploads && examples.texts.length + examples.images.length > 0;
      const filters = await this.does.filters(lake);
      if (signal.aborted) return; // what is asked now is another question, or another lake
      await this.#legend.offer(lake, hasMatch, filters);
      if (!signal.aborted) await this.#colour();
    } catch (error) {
      if (error.name !== "AbortError") this.#failed(error);
    } finally {
      if (!signal.aborted) this.#root.removeAttribute("aria-busy");
    }
  }

  /** The selection is another. */
  mark() {
    if (!this.#points || !this.#index || !this.isShown) return;
    const selected = new Uint8Array(this.#points.count);
    for (const rowId of this.does.selected()) {
      const at = this.#index.numberOf(rowId);
      if (at !== null) selected[at] = 1;
    }
    this.#drawing?.setSelected(selected);
    this.#draw();
  }

  /**
   * @param {string} lake
   * @param {AbortSignal} signal
   */
  async #load(lake, signal) {
    this.#drawing ??= Drawing.of(this.#canvas);
    if (!this.#drawing) return this.#failed(new Error(NO_WEBGL));
    const found = await points(lake, signal);
    if (this.#lake !== lake) this.#camera.fit();
    this.#points = found;
    this.#lake = lake;
    this.#index = new PointIndex(found);
    this.#begin();
  }

  #begin() {
    if (!this.#points) return;
    this.#drawing = Drawing.of(this.#canvas);
    this.#drawing?.setPlaces(this.#points.places);
    if (this.#numbers?.length === this.#points.count) this.#drawing?.setNumbers(this.#numbers);
    byId("map-names").replaceChildren(...this.#points.names.map(({ text }) => make("span", {}, text)));
    this.#paint();
    this.mark();
  }

  async #colour() {
    if (!this.#points || this.#lake === null) return;
    const { signal } = this.#asking;
    try {
      const found = await this.#fitting(this.#lake, signal);
      if (!found || signal.aborted) return;
      this.#numbers = found.numbers;
      this.#kind = found.kind;
      this.#drawing?.setNumbers(found.numbers);
      this.#legend.show(found);
      this.#told();
      this.#paint();
    } catch (error) {
      if (error.name !== "AbortError") this.#failed(error);
    }
  }

  /**
   * Colours of the points that are there. Where the lake moved on, the points are asked for anew: as many may be others.
   * @param {string} lake
   * @param {AbortSignal} signal
   */
  async #fitting(lake, signal) {
    for (let left = TRIES; left > 0; left -= 1) {
      const found = await colours(lake, this.#legend.by, this.#fields, signal);
      const fits = () => found.snapshot === this.#points?.snapshot && found.numbers.length === this.#points.count;
      if (!fits()) await this.#load(lake, signal);
      if (fits() || !this.#points) return fits() ? found : null;
    }
    throw new Error("the lake changes just now: look again in a moment");
  }

  #told() {
    if (!this.#points || !this.#numbers) return;
    const passing = this.#numbers.reduce((sum, number) => sum + Number(number !== HIDDEN), 0);
    const { count, since } = this.#points;
    const shown = passing === count ? images(count) : `${passing.toLocaleString("en")} of ${images(count)}`;
    this.#say(count ? "" : "This lake has no images.");
    byId("map-said").textContent = since ? `${shown}; ${images(since)} not on the map yet` : shown;
  }

  /** @param {Failure} error */
  #failed(error) {
    if (error instanceof ServerGone) this.does.gone();
    this.#points = this.#index = this.#lake = this.#numbers = null; // what was there is pointed at no longer
    this.#legend.hide();
    byId("map-names").replaceChildren();
    byId("map-said").textContent = "";
    this.#drawing?.setPlaces(new Uint16Array(0));
    this.#draw();
    const noMap = ["This lake has no map yet. To make one: ", make("code", {}, "lakesift map LAKE")];
    this.#say(...(error.code === "no_map" ? noMap : [sentence(error.message, error.field)]));
  }

  /** @param {...(Node|string)} said */
  #say(...said) {
    const message = byId("map-message");
    message.replaceChildren(...said);
    message.hidden = said.join("") === "";
  }

  // -- what is seen

  /** @param {() => void} change of the camera */
  #moved(change) {
    change();
    this.#hover(null);
    this.#draw();
  }

  /** @param {number} factor */
  #zoomed(factor) {
    this.#moved(() => this.#camera.zoomAt(this.#camera.width / 2, this.#camera.height / 2, factor));
  }

  #resized() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width || !height) return;
    const ratio = devicePixelRatio || 1;
    Object.assign(this.#canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    this.#camera.resize(width, height);
    this.#draw();
  }

  #paint() {
    this.#drawing?.setColours(this.#kind, colourTable());
    this.#draw();
  }

  /** The next frame shows it: however often it is asked for, once. */
  #draw() {
    if (this.#isDue || !this.#drawing) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#drawing?.draw(this.#camera, devicePixelRatio || 1);
      this.#placeNames();
    });
  }

  #placeNames() {
    const spans = /** @type {HTMLCollectionOf<HTMLElement>} */ (byId("map-names").children);
    /** @type {{left: number, top: number, half: number}[]} */
    const taken = []; // names do not cover each other: the densest clusters come first
    (this.#points?.names ?? []).forEach(({ x, y, text }, number) => {
      const [left, top] = this.#camera.toScreen(((x + 1) / 2) * 65_535, ((y + 1) / 2) * 65_535);
      const half = (text.length * LETTER_PX + 12) / 2;
      const isFree = taken.every((each) => Math.abs(each.top - top) > NAME_PX || Math.abs(each.left - left) > each.half + half);
      if (isFree) taken.push({ left, top, half });
      spans[number].hidden = !isFree;
      spans[number].style.transform = `translate(${left.toFixed(1)}px, ${top.toFixed(1)}px) translate(-50%, -50%)`;
    });
  }

  // -- what a hand does

  #counts = (/** @type {number} */ at) => this.#numbers === null || this.#numbers[at] !== HIDDEN;

  /**
   * The row_id of the image that is meant, or null.
   * @param {number} left
   * @param {number} top
   * @param {number} [reachPx]
   * @returns {?number}
   */
  #nearest(left, top, reachPx = NEAR_PX) {
    if (!this.#index) return null;
    const reach = Math.min(reachPx, Math.max(this.#camera.width, this.#camera.height)) / this.#camera.scale;
    const at = this.#index.nearest(...this.#camera.toMap(left, top), reach, this.#counts);
    return at === null ? null : this.#index.rowId(at);
  }

  /** @param {?Place} place null: over nothing */
  #hover(place) {
    const rowId = place === null || this.#isLasso ? null : this.#nearest(...place);
    this.#canvas.classList.toggle("at-point", rowId !== null);
    this.#card.hidden = rowId === null;
    if (place === null || rowId === null || this.#lake === null) return;
    const [left, top] = place;
    if (this.#card.dataset.row !== String(rowId)) {
      this.#card.dataset.row = String(rowId);
      this.#card.replaceChildren(smallPicture({ src: thumbnailUrl(this.#lake, { row_id: rowId }, 256), alt: `Image ${rowId}`, loading: "eager" }));
    }
    const { width, height } = this.#camera;
    const x = left + CARD_PX + 24 > width ? left - CARD_PX - 12 : left + 12;
    const y = Math.max(4, Math.min(top + 12, height - CARD_PX - 4));
    this.#card.style.transform = `translate(${Math.max(4, x)}px, ${y}px)`;
  }

  /**
   * @param {number} left
   * @param {number} top
   * @param {number} [reach] px
   */
  #open(left, top, reach) {
    const rowId = this.#nearest(left, top, reach);
    if (rowId !== null) this.does.open(rowId);
  }

  get #isLasso() {
    return byId("map-lasso").getAttribute("aria-pressed") === "true";
  }

  /** @param {boolean} isPressed */
  #lassoPressed(isPressed) {
    byId("map-lasso").setAttribute("aria-pressed", String(isPressed));
    this.#canvas.classList.toggle("lasso", isPressed);
  }

  /**
   * @param {Place[]} outline px
   * @param {boolean} isClosed
   */
  async #lasso(outline, isClosed) {
    byId("map-outline").setAttribute("points", isClosed ? "" : outline.map((place) => place.join(",")).join(" "));
    const [index, lake] = [this.#index, this.#lake];
    if (!isClosed || outline.length < 3 || !index || lake === null) return;
    this.#lassoPressed(false);
    const found = index.inside(outline.map((place) => this.#camera.toMap(...place)), this.#counts);
    const rowIds = found.slice(0, this.does.most).map((at) => index.rowId(at));
    if (!rowIds.length) return;
    byId("map-said").textContent = `Selecting ${images(rowIds.length)}…`;
    try {
      this.does.select(await rowsOf(lake, rowIds));
      this.#told();
      if (found.length > rowIds.length) byId("map-said").textContent = `The first ${images(rowIds.length)}: a selection has no more`;
    } catch (error) {
      byId("map-said").textContent = sentence(error.message, error.field);
    }
  }
}
