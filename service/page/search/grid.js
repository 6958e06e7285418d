/** The grid: its images never move once they are there; arrow keys walk over them, one Tab stop for all. */

import { make } from "../common/dom.js";
import { setCaption } from "./caption.js";
import { cell, load } from "./cell.js";
import { justify, ratioOf } from "./layout.js";
import { setTicked } from "./tick.js";

const PHONE_PX = 600;
const CAPTION_PX = 24; // as in grid.css
const SKELETON = [1.5, 0.75, 1.33, 1, 1.5, 0.67, 1.33, 1.5, 1, 0.8, 1.5, 1.33, 1, 0.75, 1.5, 1.33, 0.67, 1.5, 1.33, 1];

export class Grid {
  #list;
  #cells = new Map(); // row_id -> element
  #hits = [];
  #boxes = [];
  #isWhole = true;
  #lake = null;
  #at = 0; // the image with the Tab stop
  #width = 0;
  #looks = { scale: 1, caption: "" };

  /**
   * @param {HTMLUListElement} list
   * @param {{href: function(Object): string, act: function(string, Object), isSelected: function(number): boolean}} does
   *   act: "more", "less", "select", or "extend" to select all up to it
   */
  constructor(list, does) {
    this.#list = list;
    this.does = does;
    list.addEventListener("click", (event) => this.#click(event));
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("focusin", (event) => this.#focused(event));
    new ResizeObserver(() => this.#resized()).observe(list);
  }

  get hits() {
    return this.#hits;
  }

  /** Show these; images that stay keep their elements, so nothing flickers. */
  show(lake, hits, isWhole) {
    const held = this.#list.contains(document.activeElement);
    const heldRow = held ? document.activeElement.closest(".cell")?.dataset.row : null;
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

  /** More of the same question. */
  extend(hits, isWhole) {
    this.#hits = hits;
    this.#isWhole = isWhole;
    for (const hit of hits) if (!this.#cells.has(hit.row_id)) this.#cells.set(hit.row_id, this.#cellOf(hit));
    this.#lay();
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

  focus(rowId) {
    const number = this.#hits.findIndex((hit) => hit.row_id === rowId);
    if (number < 0 || number >= this.#boxes.length) return false;
    this.#stop(number);
    this.#photo(number).focus();
    return true;
  }

  /** @param {{scale: number, caption: string}} looks caption: a column, or "" */
  look(looks) {
    this.#looks = looks;
    this.#list.classList.toggle("captioned", looks.caption !== "");
    if (this.#hits.length) this.#lay();
  }

  /** Show which are selected. */
  mark() {
    const elements = this.#boxes.map((box, number) => this.#element(number));
    elements.forEach((element, number) => setTicked(element, this.does.isSelected(this.#hits[number].row_id)));
    this.#list.classList.toggle("selecting", elements.some((element) => element.classList.contains("selected")));
  }

  /** The images that a frame touches. */
  within({ left, top, right, bottom }) {
    const isIn = (box) => box.x < right && box.x + box.width > left && box.y < bottom && box.y + box.height > top;
    return this.#hits.filter((hit, number) => number < this.#boxes.length && isIn(this.#boxes[number]));
  }

  /** Load again what failed, once the server is back. */
  retryImages() {
    this.#boxes.forEach((box, number) => {
      const element = this.#element(number);
      if (element.classList.contains("failed")) load(element, this.#lake, this.#hits[number], box);
    });
  }

  #cellOf(hit) {
    const known = this.#cells.get(hit.row_id);
    const fresh = cell(hit, this.does.href(hit));
    if (!known) return fresh;
    const image = known.querySelector("img"); // already loaded: move it over
    if (!known.classList.contains("loaded")) return fresh;
    fresh.querySelector("img").replaceWith(image);
    fresh.classList.add("loaded", "at-once");
    return fresh;
  }

  #lay() {
    const { boxes, height } = justify(this.#hits.map(ratioOf), this.#measure(), this.#gap(), this.#isWhole, this.#measures);
    this.#boxes = boxes;
    this.#list.style.height = `${height}px`;
    const { below } = this.#measures;
    const elements = boxes.map((box, number) => put(this.#element(number), { ...box, height: box.height + below }));
    elements.forEach((element, number) => setCaption(element, this.#hits[number], this.#looks.caption));
    const shown = new Set(elements);
    for (const child of [...this.#list.children]) if (!shown.has(child)) child.remove();
    elements.forEach((element, number) => {
      const there = this.#list.children[number] ?? null;
      if (there !== element) this.#list.insertBefore(element, there);
    });
    boxes.forEach((box, number) => load(elements[number], this.#lake, this.#hits[number], box));
    this.#stop(Math.min(this.#at, Math.max(0, boxes.length - 1)));
    this.mark();
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

  #element(number) {
    return this.#cells.get(this.#hits[number].row_id);
  }

  #photo(number) {
    return this.#element(number).querySelector(".photo");
  }

  /** Give the one Tab stop to this image; its buttons follow it in Tab order. */
  #stop(number) {
    if (!this.#boxes.length) return;
    if (this.#at < this.#boxes.length) this.#tabIndex(this.#at, "-1");
    this.#at = number;
    this.#tabIndex(number, "0");
  }

  #tabIndex(number, value) {
    this.#element(number).querySelectorAll("a, button").forEach((each) => each.setAttribute("tabindex", value));
  }

  #focused(event) {
    const number = this.#numberOf(event.target);
    if (number >= 0 && number !== this.#at) this.#stop(number);
  }

  #numberOf(target) {
    const rowId = Number(target.closest(".cell")?.dataset.row);
    return this.#hits.findIndex((hit) => hit.row_id === rowId);
  }

  #click(event) {
    const act = event.target.closest("[data-act]")?.dataset.act;
    const isRange = event.shiftKey && (act === "select" || !act);
    const number = act || isRange ? this.#numberOf(event.target) : -1;
    if (number < 0) return;
    if (isRange) event.preventDefault(); // a browser would open another window
    this.does.act(isRange ? "extend" : act, this.#hits[number]);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const number = this.#numberOf(event.target);
    const act = { m: "more", l: "less", x: "select" }[event.key];
    const next = this.#neighbour(number, event.key);
    if (number < 0 || (!act && next === null)) return;
    event.preventDefault();
    if (act) return this.does.act(act, this.#hits[number]);
    if (event.shiftKey && !this.does.isSelected(this.#hits[number].row_id)) this.does.act("select", this.#hits[number]);
    this.focus(this.#hits[next].row_id);
    if (event.shiftKey) this.does.act("extend", this.#hits[next]);
  }

  /** The image that an arrow key leads to, or null for other keys. */
  #neighbour(number, key) {
    const last = this.#boxes.length - 1;
    if (key === "ArrowRight") return Math.min(last, number + 1);
    if (key === "ArrowLeft") return Math.max(0, number - 1);
    if (key === "Home") return 0;
    if (key === "End") return last;
    return key === "ArrowDown" || key === "ArrowUp" ? this.#across(number, key === "ArrowDown" ? 1 : -1) : null;
  }

  /** The image above or below whose middle is nearest. */
  #across(number, direction) {
    const from = this.#boxes[number];
    const middle = (box) => box.x + box.width / 2;
    const off = (box) => Math.abs(middle(box) - middle(from));
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

/** Through the style object, which a strict Content-Security-Policy allows. */
function put(element, box) {
  const { style } = element;
  style.transform = `translate(${box.x}px, ${box.y}px)`;
  style.width = `${box.width}px`;
  style.height = `${box.height}px`;
  return element;
}
