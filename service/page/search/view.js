/** The large view: one image as large as fits, what is known of it, and the way to the next. */

import { imageUrl, row as rowOf, thumbnailUrl } from "../common/api.js";
import { button, byId, icon, make, smallPicture } from "../common/dom.js";
import { Redrawn } from "../common/redrawn.js";
import { count, fit, images, moment, nameOf, sentence, streamOf } from "../common/words.js";
import { AroundImage } from "./around_image.js";
import { decided } from "./decided.js";
import { facts } from "./facts.js";
import { picture } from "./picture.js";
import { shares } from "./shares.js";
import { Zoom } from "./zoom.js";

/** @import { Place, Row } from "../common/api.js" */
/** @import { Within } from "../common/sets.js" */

const NEAR_END = 5; // images before the last: then the next page is asked for
const TWINS_SHOWN = 24;
const IN_TIME = /** @type {Record<string, -1|1>} */ ({ "[": -1, "]": 1 });
const STEPS = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1 }); // by key, as the next
/** @type {Record<string, string>} */
const ACTS = { m: "more", l: "less" };

export class View {
  #dialog = byId("view");
  /** @type {?number} */
  #rowId = null;
  #lake = "";
  /** @type {?Row} */
  #hit = null;
  /** @type {?Zoom} */
  #zoom = null;
  /** @type {?AroundImage} */
  #around = null; // of the image that is shown
  #redrawn = new Redrawn(this.#dialog);

  /**
   * @param {{close: () => unknown, step: (row: Row) => unknown, act: (act: string, row: Row) => unknown, more: () => unknown,
   *   hits: () => Row[], href: (row: Place) => string, framesHref: (hit: Row) => string, within: () => ?Within}} does
   *   step gets the row to go to, framesHref a hit with a span
   */
  constructor(does) {
    this.does = does;
    this.#dialog.addEventListener("cancel", (event) => {
      event.preventDefault(); // the address decides whether it is open
      does.close();
    });
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
  }

  get rowId() {
    return this.#rowId;
  }

  /**
   * @param {string} lake
   * @param {number} rowId
   */
  async show(lake, rowId) {
    if (rowId === this.#rowId && lake === this.#lake) return;
    this.#hit = null;
    this.#rowId = rowId;
    this.#lake = lake;
    if (!this.#dialog.open) this.#dialog.showModal();
    document.documentElement.classList.add("viewing");
    const known = this.does.hits().find((hit) => hit.row_id === rowId);
    try {
      const hit = known ?? (await rowOf(lake, rowId));
      if (this.#rowId === rowId) this.#fill(hit);
    } catch (error) {
      if (this.#rowId === rowId) this.#frame(make("p", { class: "view-problem" }, sentence(error.message)), null);
    }
  }

  hide() {
    this.#around?.stop();
    this.#rowId = null;
    document.documentElement.classList.remove("viewing");
    if (this.#dialog.open) this.#dialog.close();
    this.#dialog.replaceChildren();
  }

  /** @param {Row} hit */
  #fill(hit) {
    this.#hit = hit;
    const active = this.#dialog.contains(document.activeElement) ? document.activeElement : null;
    const strip = /** @type {?HTMLElement|undefined} */ (active?.closest("[data-strip]"))?.dataset.strip ?? null;
    this.#around?.stop();
    this.#around = new AroundImage(this.#lake, hit, (row) => this.does.href(row), strip);
    const failed = (/** @type {HTMLElement} */ problem) => this.#hit?.row_id === hit.row_id && this.#dialog.querySelector(".stage")?.append(problem);
    this.#frame(picture(this.#lake, hit, failed), this.#side(hit));
    if (this.does.hits().indexOf(hit) >= this.does.hits().length - NEAR_END) this.does.more();
    for (const near of [this.#neighbour(1), this.#neighbour(-1)]) {
      if (near) new Image().src = imageUrl(this.#lake, near); // the next one is there when it is asked for
    }
  }

  /**
   * @param {HTMLElement} stage
   * @param {?HTMLElement} side
   */
  #frame(stage, side) {
    const held = this.#held() ?? "close";
    this.#dialog.setAttribute("aria-label", this.#hit ? nameOf(this.#hit) : "Image");
    this.#dialog.replaceChildren(
      make(
        "div",
        { class: "stage" },
        stage,
        this.#step(-1, "left", "Previous image"),
        this.#step(1, "right", "Next image"),
      ),
      make(
        "aside",
        { class: "side" },
        make(
          "div",
          { class: "side-top" },
          make("p", { class: "place" }, this.#place()),
          button(
            { class: "quiet square", "data-step": "close", title: "Close (Esc)", "aria-label": "Close" },
            () => this.does.close(),
            icon("close"),
          ),
        ),
        side,
      ),
    );
    const image = /** @type {?HTMLImageElement} */ (this.#dialog.querySelector(".large"));
    this.#zoom = image && new Zoom(/** @type {HTMLElement} */ (image.closest(".stage")), image);
    this.refresh();
    this.#hold(held);
  }

  /** The button that has the focus, by name. */
  #held() {
    return this.#dialog.contains(document.activeElement) ? (document.activeElement?.getAttribute("data-step") ?? null) : null;
  }

  /** @param {?string} step */
  #hold(step) {
    if (step === null || this.#held() === step) return;
    const there = this.#dialog.querySelector(`[data-step="${step}"]:not([disabled])`);
    const button = there ?? this.#dialog.querySelector("[data-step=close]");
    /** @type {?HTMLElement} */ (button)?.focus(/** @type {FocusOptions} */ ({ focusVisible: false }));
  }

  /** @param {Row} hit */
  #side(hit) {
    return make(
      "div",
      { class: "side-rest" },
      moment(hit) === null ? null : this.#when(hit),
      make(
        "div",
        { class: "acts" },
        this.#act("more", "plus", "More like this", hit),
        this.#act("less", "minus", "Less like this", hit),
      ),
      this.#decision(hit),
      shares(this.#lake, hit),
      hit.collapsed?.length ? this.#folded(hit.collapsed) : null,
      this.#around?.element ?? null,
      facts(hit),
    );
  }

  /**
   * @param {string} act
   * @param {string} sign
   * @param {string} label
   * @param {Row} hit
   */
  #act(act, sign, label, hit) {
    const title = `${label} (${act[0]})`; // the key that does the same
    return button({ "data-step": act, title }, () => this.does.act(act, hit), icon(sign), label);
  }

  /** @param {Row} hit */
  #decision(hit) {
    const set = this.does.within();
    return set && decided(this.#lake, hit.row_id, set, this.does.hits().includes(hit));
  }

  /**
   * What video it is of, and when that shows it.
   * @param {Row} hit
   */
  #when(hit) {
    const frames = hit.span && make("a", { href: this.does.framesHref(hit) }, "Show its frames");
    return make(
      "div",
      { class: "when" },
      make("p", { class: "when-stream", dir: "auto" }, streamOf(hit)),
      make("p", {}, make("span", { class: "when-time" }, moment(hit)), frames),
    );
  }

  /** @param {number[]} rowIds */
  #folded(rowIds) {
    const links = rowIds.slice(0, TWINS_SHOWN).map((rowId) => {
      const src = thumbnailUrl(this.#lake, { row_id: rowId }, 256);
      const image = smallPicture({ src, alt: `image ${rowId}`, width: 56, height: 56 });
      return make("a", { href: this.does.href({ row_id: rowId }) }, image);
    });
    return make(
      "div",
      { class: "twins" },
      make("p", {}, `${images(rowIds.length)} nearly the same`),
      make("div", { class: "twin-list" }, ...links),
    );
  }

  /**
   * @param {number} direction
   * @param {string} sign
   * @param {string} label
   */
  #step(direction, sign, label) {
    const title = `${label} (${direction < 0 ? "←" : "→"})`;
    const facts = { class: `step ${sign}`, "data-step": sign, "aria-label": label, title };
    return button(facts, () => this.#go(direction), icon(sign));
  }

  /** @param {number|undefined} direction 1, -1 */
  #go(direction) {
    const next = direction ? this.#neighbour(direction) : null;
    if (next) this.does.step(next);
    return next !== null;
  }

  #place() {
    const at = this.does.hits().findIndex((hit) => hit.row_id === this.#rowId);
    const fits = this.#hit && fit(this.#hit);
    return [at < 0 ? null : `Image ${count(at + 1)}`, fits].filter(Boolean).join(" · ");
  }

  /** @param {number} direction */
  #neighbour(direction) {
    const hits = this.does.hits();
    const at = hits.findIndex((hit) => hit.row_id === this.#rowId);
    return at < 0 ? null : (hits[at + direction] ?? null);
  }

  /** More images came: there may be a next one now, and a score. */
  refresh() {
    this.#redrawn.draw(() => this.#refresh());
  }

  #refresh() {
    const known = this.does.hits().find((hit) => hit.row_id === this.#rowId);
    if (this.#hit && known && known !== this.#hit) {
      this.#hit = known;
      const held = this.#held();
      this.#dialog.querySelector(".side-rest")?.replaceWith(this.#side(known));
      this.#hold(held);
      /** @type {HTMLElement} */ (this.#dialog.querySelector(".place")).textContent = this.#place();
    }
    for (const [sign, direction] of Object.entries({ left: -1, right: 1 })) {
      const button = /** @type {?HTMLButtonElement} */ (this.#dialog.querySelector(`.step.${sign}`));
      if (button) button.disabled = !this.#neighbour(direction);
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = ACTS[event.key];
    const towards = IN_TIME[event.key];
    const inTime = towards ? this.#around?.inTime(towards) : null;
    if (inTime) this.does.step(inTime);
    else if (this.#go(STEPS[event.key])) return event.preventDefault();
    else if (act && this.#hit) this.does.act(act, this.#hit);
    else if (this.#zoom?.key(event.key)) return event.preventDefault();
    else return;
    event.preventDefault();
  }
}
