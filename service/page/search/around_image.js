/** What lies around the image in the large view: taken just before and after it, most like it, nearly the same. */

import { ask, lakePath, thumbnailUrl } from "../common/api.js";
import { make, smallPicture } from "../common/dom.js";
import { nameOf } from "../common/words.js";
import { neighbourhood, side } from "./neighbourhood.js";

/** @import { Place, Row } from "../common/api.js" */

/** @typedef {"time"|"like"|"same"} Strip */

const CALM_MS = 250; // who steps from image to image wants none of it
/** @type {Record<string, number>} */
const STEPS = { ArrowLeft: -1, ArrowRight: 1 };
const BESIDE = 6; // images before it, and as many after it
const LIKE = 12;
const THUMBNAIL = 256; // as the grid's, so that the browser has many already

export class AroundImage {
  #lake;
  #hit;
  #href;
  #asking = new AbortController();
  /** @type {{before: Row[], after: Row[]}} */
  #beside = { before: [], after: [] };
  #strips;
  #held;
  #timer;

  /**
   * @param {string} lake
   * @param {Row} hit
   * @param {(row: Place) => string} href of a row's large view
   * @param {?string} held the strip that had the focus before this image was shown, and gets it again
   */
  constructor(lake, hit, href, held = null) {
    this.#lake = lake;
    this.#hit = hit;
    this.#href = href;
    this.#held = held;
    this.#strips = {
      time: strip("time", neighbourhood(hit).said),
      like: strip("like", "Most like it"),
      same: strip("same", "Nearly the same"),
    };
    this.element = make("div", { class: "around" }, ...Object.values(this.#strips));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.#timer = setTimeout(() => this.#load(), CALM_MS);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#asking.abort();
  }

  /**
   * @param {-1|1} direction
   * @returns {?Row} the image taken before or after it
   */
  inTime(direction) {
    return (direction < 0 ? this.#beside.before.at(-1) : this.#beside.after[0]) ?? null;
  }

  #load() {
    return Promise.all([this.#loadTime(), this.#loadLike()]);
  }

  async #loadTime() {
    const asked = neighbourhood(this.#hit);
    /** @param {-1|1} direction */
    const of = async (direction) => {
      const { where, sort } = side(asked, direction);
      const params = new URLSearchParams({ where, sort, k: String(BESIDE) });
      const { answer } = await ask("GET", `${lakePath(this.#lake)}/rows?${params}`, { signal: this.#asking.signal });
      return /** @type {Row[]} */ (answer.rows);
    };
    try {
      const [before, after] = await Promise.all([of(-1), of(1)]);
      this.#beside = { before: before.toReversed(), after };
      this.#fill("time", [...this.#beside.before, this.#hit, ...after]);
    } catch (error) {
      this.#failed("time", error);
    }
  }

  async #loadLike() {
    const body = { lake: this.#lake, images: [this.#hit.row_id], k: LIKE + 1, collapse: true };
    try {
      const { answer } = await ask("POST", "/v1/search", { body, signal: this.#asking.signal });
      const hits = /** @type {Row[]} */ (answer.hits);
      // Copies of it may come before it, and then it is among those that fold into them.
      /** @param {Row} hit */
      const isIt = ({ row_id: id, collapsed }) => id === this.#hit.row_id || Boolean(collapsed?.includes(this.#hit.row_id));
      const home = hits.find(isIt);
      const same = home ? [home.row_id, ...(home.collapsed ?? [])].filter((id) => id !== this.#hit.row_id) : [];
      this.#fill("like", hits.filter((hit) => hit !== home).slice(0, LIKE));
      this.#fill("same", same.map((id) => (home && id === home.row_id ? home : { row_id: id })));
    } catch (error) {
      for (const name of /** @type {const} */ (["like", "same"])) this.#failed(name, error);
    }
  }

  /**
   * @param {Strip} name
   * @param {(Row|Place)[]} rows
   */
  #fill(name, rows) {
    const list = this.#list(name);
    const isAlone = rows.every(({ row_id: id }) => id === this.#hit.row_id);
    list.replaceChildren(...(isAlone ? [make("li", { class: "strip-none" }, "None")] : rows.map((row) => this.#item(row))));
    const here = /** @type {?HTMLElement} */ (list.querySelector("[aria-current]"));
    (here ?? list.querySelector("a"))?.setAttribute("tabindex", "0");
    const active = /** @type {?HTMLElement} */ (document.activeElement);
    const first = /** @type {?HTMLElement} */ (list.querySelector("[tabindex='0']"));
    if (this.#held === name && active?.dataset.step === "close") first?.focus();
    if (here) list.scrollLeft = here.offsetLeft - (list.clientWidth - here.offsetWidth) / 2;
  }

  /** @param {Row|Place} row */
  #item(row) {
    const name = "uri" in row && row.uri ? nameOf(row) : `image ${row.row_id}`;
    const isHere = row.row_id === this.#hit.row_id;
    const src = thumbnailUrl(this.#lake, row, THUMBNAIL);
    const image = smallPicture({ src, alt: name, width: 56, height: 56 });
    const facts = { href: this.#href(row), title: name, tabindex: "-1", "aria-current": isHere && "true" };
    return make("li", {}, make("a", facts, image));
  }

  /** @param {Strip} name */
  #list(name) {
    return /** @type {HTMLElement} */ (this.#strips[name].querySelector("ul"));
  }

  /**
   * @param {Strip} name
   * @param {any} error
   */
  #failed(name, error) {
    if (error.name === "AbortError") return;
    const text = error.code ? "Could not be asked for" : "The server does not answer";
    this.#list(name).replaceChildren(make("li", { class: "strip-none" }, text));
  }

  /**
   * Arrow keys walk along the strip that has the focus, and do not turn the page.
   * @param {KeyboardEvent} event
   */
  #key(event) {
    const step = STEPS[event.key];
    const link = /** @type {HTMLElement} */ (event.target).closest("a");
    if (!step || !link || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const links = [...(link.closest("ul")?.querySelectorAll("a") ?? [])];
    const next = links[links.indexOf(link) + step];
    if (!next) return;
    link.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  }
}

/**
 * @param {Strip} name
 * @param {string} title
 */
function strip(name, title) {
  const id = `strip-${name}`;
  const list = make("ul", { class: "strip-list", role: "list", "aria-labelledby": id }, make("li", { class: "strip-none" }, "…"));
  return make("section", { class: "around-strip", "data-strip": name }, make("h3", { id }, title), list);
}
