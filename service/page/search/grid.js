/** The grid: its images never move once they are there; arrow keys walk over them, one Tab stop for all. */

import { elementOf, make } from "../common/dom.js";
import { setCaption } from "./caption.js";
import { cell, load } from "./cell.js";
import { justify, ratioOf } from "./layout.js";
import { setPlace } from "./pair.js";
import { setTicked } from "./tick.js";

/** @import { Box } from "./layout.js" */

/** @import { Frame } from "./frame.js" */

/** @import { Row } from "../common/api.js" */

const PHONE_PX = 600;
const CAPTION_PX = 24; // as in grid.css
// What stands in the document costs a little at each frame, wherever it is: only images so near the window stand there.
const NEAR_PX = 4000;
const STEP_PX = 1000; // scrolled so far: which are near is looked at anew
/** @type {Record<string, string>} */
const ACTS = { m: "more", l: "less", x: "select" }; // by key
const SKELETON = [1.5, 0.75, 1.33, 1, 1.5, 0.67, 1.33, 1.5, 1, 0.8, 1.5, 1.33, 1, 0.75, 1.5, 1.33, 0.67, 1.5, 1.33, 1];

export class Grid {
  #list;
  /** @type {Map<number, HTMLElement>} */
  #cells = new Map(); // row_id -> element
  /** @type {Row[]} */
  #hits = [];
  /** @type {Box[]} */
  #boxes = [];
  #isWhole = true;
  #lake = "";
  #at = 0; // the image with the Tab stop
  #top = 0; // of the list, px from the window's, when it was last looked at which images are near
  #width = 0;
  #looks = { scale: 1, caption: "" };
  /** @type {Map<number, number>} */
  #places = new Map(); // row_id -> its place in the search beside this one

  /**
   * @param {HTMLUListElement} list
   * @param {{href: (row: Row) => string, act: (act: string, row: Row) => unknown, isSelected: (rowId: number) => boolean}} does
   *   act: "more", "less", "select", or "extend" to select all up to it
   */
  constructor(list, does) {
    this.#list = list;
    this.does = does;
    list.addEventListener("click", (event) => this.#click(event));
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("focusin", (event) => this.#focused(event));
    new ResizeObserver(() => this.#resized()).observe(list);
    document.addEventListener("scroll", () => this.#scrolled(), { capture: true, passive: true });
  }

  get hits() {
    return this.#hits;
  }

  /**
   * Show these; images that stay keep their elements, so nothing flickers.
   * @param {string} lake
   * @param {Row[]} hits
   * @param {boolean} isWhole
   */
  show(lake, hits, isWhole) {
    const held = this.#list.contains(document.activeElement);
    const heldRow = held ? cellAt(document.activeElement)?.dataset.row : null;
    if (lake !== this.#lake) this.#cells.clear();
    this.#lake = lake;
    this.#hits = hits;
    this.#isWhole = isWhole;
    const cells = new Map();
    for (const hit of hits) cells.set(hit.row_id, this.#cellOf(hit));
    this.#cells = cells;
    this.#list.querySelectorAll(".skeleton").forEach((element) => element.remove());
    this.#list.classList.remove("dim");
    this.#at = Math.max(0, hits.findIndex((hit) => String(hit.row_id) === heldRow));
    this.#lay();
    if (held && this.#boxes.length) this.focus(hits[this.#at].row_id);
  }

  /**
   * More of the same question.
   * @param {Row[]} hits
   * @param {boolean} isWhole
   */
  extend(hits, isWhole) {
    const from = this.#isWhole ? 0 : this.#boxes.length; // a last row that was not full is laid out anew
    const more = hits.slice(this.#hits.length);
    this.#hits = hits;
    this.#isWhole = isWhole;
    for (const hit of more) if (!this.#cells.has(hit.row_id)) this.#cells.set(hit.row_id, this.#cellOf(hit));
    this.#lay(from);
  }

  /** What is shown is of the question before. */
  dim() {
    this.#list.classList.add("dim");
  }

  undim() {
    this.#list.classList.remove("dim");
  }

  /** Grey boxes while the first images are on their way. */
  skeleton() {
    this.clear();
    const { boxes, height } = justify(SKELETON, this.#measure(), this.#gap(), false, this.#measures);
    this.#list.style.height = `${height}px`;
    this.#list.append(...boxes.map((box) => put(make("li", { class: "skeleton", "aria-hidden": "true" }), box)));
  }

  clear() {
    this.#hits = [];
    this.#boxes = [];
    this.#cells.clear();
    this.#list.replaceChildren();
    this.#list.style.height = "0px";
    this.#list.classList.remove("dim");
  }

  /** @param {number} rowId */
  focus(rowId) {
    const number = this.#hits.findIndex((hit) => hit.row_id === rowId);
    if (number < 0 || number >= this.#boxes.length) return false;
    this.#stop(number);
    this.#attach();
    this.#photo(number).focus();
    return true;
  }

  /** @param {{scale: number, caption: string}} looks caption: a column, or "" */
  look(looks) {
    this.#looks = looks;
    this.#list.classList.toggle("captioned", looks.caption !== "");
    if (this.#hits.length) this.#lay();
  }

  /** @param {Map<number, number>} places of the images that another grid beside this one has, by row_id */
  pair(places) {
    if (!places.size && !this.#places.size) return;
    this.#places = places;
    this.#boxes.forEach((box, number) => this.#paired(number));
  }

  /** @param {number} number */
  #paired(number) {
    setPlace(this.#element(number), this.#places.get(this.#hits[number].row_id));
  }

  /** Show which are selected. */
  mark() {
    let isAny = false;
    this.#boxes.forEach((box, number) => {
      const isTicked = this.does.isSelected(this.#hits[number].row_id);
      setTicked(this.#element(number), isTicked);
      isAny ||= isTicked;
    });
    this.#list.classList.toggle("selecting", isAny);
  }

  /**
   * The images that a frame touches.
   * @param {Frame} frame
   */
  within({ left, top, right, bottom }) {
    const isIn = (/** @type {Box} */ box) => box.x < right && box.x + box.width > left && box.y < bottom && box.y + box.height > top;
    return this.#hits.filter((hit, number) => number < this.#boxes.length && isIn(this.#boxes[number]));
  }

  /** Load again what failed, once the server is back. */
  retryImages() {
    this.#boxes.forEach((box, number) => {
      const element = this.#element(number);
      if (element.classList.contains("failed")) load(element, this.#lake, this.#hits[number], box);
    });
  }

  /** @param {Row} hit */
  #cellOf(hit) {
    const known = this.#cells.get(hit.row_id);
    const fresh = cell(hit, this.does.href(hit));
    if (!known) return fresh;
    const image = known.querySelector("img"); // already loaded: move it over
    if (!image || !known.classList.contains("loaded")) return fresh;
    fresh.querySelector("img")?.replaceWith(image);
    fresh.classList.add("loaded", "at-once");
    return fresh;
  }

  /** @param {number} [from] images before this one have their places: none of them moves, and none is touched */
  #lay(from = 0) {
    const before = this.#width;
    const { boxes, height } = justify(this.#hits.map(ratioOf), this.#measure(), this.#gap(), this.#isWhole, this.#measures);
    if (this.#width !== before) from = 0;
    this.#boxes = boxes;
    this.#list.style.height = `${height}px`;
    const { below } = this.#measures;
    for (let number = from; number < boxes.length; number += 1) {
      const element = put(this.#element(number), { ...boxes[number], height: boxes[number].height + below });
      setCaption(element, this.#hits[number], this.#looks.caption);
      if (this.#places.size) this.#paired(number);
    }
    this.#stop(Math.min(this.#at, Math.max(0, boxes.length - 1)));
    this.#attach();
    this.mark();
  }

  /** Put the images near the window, and the one with the Tab stop, into the document, in their order; take out the others. */
  #attach() {
    this.#top = this.#list.getBoundingClientRect().top;
    const numbers = this.#near();
    /** @type {Set<Element>} */
    const near = new Set(numbers.map((number) => this.#element(number)));
    for (const child of this.#list.querySelectorAll(":scope > .cell")) if (!near.has(child)) child.remove();
    let there = this.#list.firstElementChild;
    for (const number of numbers) {
      const element = this.#element(number);
      element.setAttribute("aria-posinset", String(number + 1));
      element.setAttribute("aria-setsize", this.#isWhole ? String(this.#boxes.length) : "-1");
      if (there === element) {
        there = element.nextElementSibling;
        continue;
      }
      const isNew = !element.isConnected;
      this.#list.insertBefore(element, there);
      if (isNew) load(element, this.#lake, this.#hits[number], this.#boxes[number]);
    }
  }

  /** @returns {number[]} rising */
  #near() {
    const [above, below] = [-this.#top - NEAR_PX, innerHeight - this.#top + NEAR_PX];
    const isNear = (/** @type {Box} */ { y, height }) => y < below && y + height > above;
    return [...this.#boxes.keys()].filter((number) => number === this.#at || isNear(this.#boxes[number]));
  }

  #scrolled() {
    if (this.#boxes.length && Math.abs(this.#list.getBoundingClientRect().top - this.#top) >= STEP_PX) this.#attach();
  }

  #resized() {
    if (this.#list.clientWidth !== this.#width && this.#hits.length) this.#lay();
  }

  #measure() {
    this.#width = this.#list.clientWidth;
    return this.#width;
  }

  get #measures() {
    return { scale: this.#looks.scale, below: this.#looks.caption ? CAPTION_PX : 0 };
  }

  #gap() {
    return this.#width < PHONE_PX ? 4 : 8;
  }

  /** @param {number} number */
  #element(number) {
    return /** @type {HTMLElement} */ (this.#cells.get(this.#hits[number].row_id));
  }

  /** @param {number} number */
  #photo(number) {
    return /** @type {HTMLElement} */ (this.#element(number).querySelector(".photo"));
  }

  /**
   * Give the one Tab stop to this image; its buttons follow it in Tab order.
   * @param {number} number
   */
  #stop(number) {
    if (!this.#boxes.length) return;
    if (this.#at < this.#boxes.length) this.#tabIndex(this.#at, "-1");
    this.#at = number;
    this.#tabIndex(number, "0");
  }

  /**
   * @param {number} number
   * @param {string} value
   */
  #tabIndex(number, value) {
    this.#element(number).querySelectorAll("a, button").forEach((each) => each.setAttribute("tabindex", value));
  }

  /** @param {FocusEvent} event */
  #focused(event) {
    const number = this.#numberOf(elementOf(event));
    if (number >= 0 && number !== this.#at) this.#stop(number);
  }

  /** @param {Element} target */
  #numberOf(target) {
    const rowId = Number(cellAt(target)?.dataset.row);
    return this.#hits.findIndex((hit) => hit.row_id === rowId);
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const act = elementOf(event).closest("[data-act]")?.getAttribute("data-act");
    const isRange = event.shiftKey && (act === "select" || !act);
    const number = act || isRange ? this.#numberOf(elementOf(event)) : -1;
    if (number < 0) return;
    if (isRange) event.preventDefault(); // a browser would open another window
    this.does.act(isRange || !act ? "extend" : act, this.#hits[number]);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const number = this.#numberOf(elementOf(event));
    const act = ACTS[event.key];
    const next = this.#neighbour(number, event.key);
    if (number < 0 || (!act && next === null)) return;
    event.preventDefault();
    if (act) return this.does.act(act, this.#hits[number]);
    if (next === null) return;
    if (event.shiftKey && !this.does.isSelected(this.#hits[number].row_id)) this.does.act("select", this.#hits[number]);
    this.focus(this.#hits[next].row_id);
    if (event.shiftKey) this.does.act("extend", this.#hits[next]);
  }

  /**
   * The image that an arrow key leads to, or null for other keys.
   * @param {number} number
   * @param {string} key
   */
  #neighbour(number, key) {
    const last = this.#boxes.length - 1;
    if (key === "ArrowRight") return Math.min(last, number + 1);
    if (key === "ArrowLeft") return Math.max(0, number - 1);
    if (key === "Home") return 0;
    if (key === "End") return last;
    return key === "ArrowDown" || key === "ArrowUp" ? this.#across(number, key === "ArrowDown" ? 1 : -1) : null;
  }

  /**
   * The image above or below whose middle is nearest.
   * @param {number} number
   * @param {number} direction
   */
  #across(number, direction) {
    const from = this.#boxes[number];
    const middle = (/** @type {Box} */ box) => box.x + box.width / 2;
    const off = (/** @type {Box} */ box) => Math.abs(middle(box) - middle(from));
    let found = number;
    for (let at = number + direction; at >= 0 && at < this.#boxes.length; at += direction) {
      const box = this.#boxes[at];
      if (box.y === from.y) continue;
      if (found !== number && box.y !== this.#boxes[found].y) break;
      if (found === number || off(box) < off(this.#boxes[found])) found = at;
    }
    return found;
  }
}

/**
 * Through the style object, which a strict Content-Security-Policy allows.
 * @param {HTMLElement} element
 * @param {Box} box
 */
function put(element, box) {
  const { style } = element;
  style.transform = `translate(${box.x}px, ${box.y}px)`;
  style.width = `${box.width}px`;
  style.height = `${box.height}px`;
  return element;
}

/** The image that an element is in. */
const cellAt = (/** @type {?Element} */ element) => /** @type {?HTMLElement} */ (element?.closest(".cell") ?? null);
