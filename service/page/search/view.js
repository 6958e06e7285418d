/** The large view: one image as large as fits, what is known of it, and the way to the next. */

import { imageProblem, imageUrl, row as rowOf, thumbnailUrl } from "../common/api.js";
import { button, byId, icon, make } from "../common/dom.js";
import { count, fit, images, moment, nameOf, sentence, streamOf } from "../common/words.js";
import { facts } from "./facts.js";
import { shares } from "./shares.js";
import { Zoom } from "./zoom.js";

const LARGEST = 2; // times its own size: beyond it a small image is only blurred
const NEAR_END = 5; // images before the last: then the next page is asked for
const TWINS_SHOWN = 24;
const BEFORE = 512; // px of the thumbnail shown until the image is there

export class View {
  #dialog = byId("view");
  #rowId = null;
  #lake = null;
  #hit = null;
  #zoom = null;

  /**
   * @param {{close: function(), step: function(Object), act: function(string, Object), more: function(),
   *   hits: function(): Object[], href: function(Object): string, framesHref: function(Object): string}} does
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
    this.#rowId = null;
    document.documentElement.classList.remove("viewing");
    if (this.#dialog.open) this.#dialog.close();
    this.#dialog.replaceChildren();
  }

  #fill(hit) {
    this.#hit = hit;
    this.#frame(this.#picture(hit), this.#side(hit));
    if (this.does.hits().indexOf(hit) >= this.does.hits().length - NEAR_END) this.does.more();
    for (const near of [this.#neighbour(1), this.#neighbour(-1)]) {
      if (near) new Image().src = imageUrl(this.#lake, near); // the next one is there when it is asked for
    }
  }

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
    const image = this.#dialog.querySelector(".large");
    this.#zoom = image && new Zoom(this.#dialog.querySelector(".stage"), image);
    this.refresh();
    this.#hold(held);
  }

  /** The button that has the focus, by name. */
  #held() {
    return this.#dialog.contains(document.activeElement) ? (document.activeElement.dataset.step ?? null) : null;
  }

  #hold(step) {
    if (step === null || this.#held() === step) return;
    const there = this.#dialog.querySelector(`[data-step="${step}"]:not([disabled])`);
    (there ?? this.#dialog.querySelector("[data-step=close]")).focus({ focusVisible: false });
  }

  #picture(hit) {
    const image = make("img", { class: "large", alt: nameOf(hit), src: thumbnailUrl(this.#lake, hit, BEFORE) });
    // An imported row whose image was not read yet has no size.
    if (hit.width_px) {
      image.width = hit.width_px;
      image.height = hit.height_px;
      image.style.setProperty("--width", `${hit.width_px * LARGEST}px`);
      image.style.setProperty("--height", `${hit.height_px * LARGEST}px`);
    }
    const whole = new Image();
    whole.src = imageUrl(this.#lake, hit);
    whole
      .decode()
      .then(() => (image.src = whole.src))
      .catch(() => this.#explain(hit, whole.src));
    return image;
  }

  async #explain(hit, url) {
    const problem = await imageProblem(url);
    if (this.#hit !== hit || !problem) return;
    const text = make("p", { class: "view-problem", role: "status", dir: "auto" }, sentence(problem.message));
    const shown = this.#dialog.querySelector(".large");
    if (!shown.naturalWidth) shown.remove(); // no thumbnail either: the sentence stands alone, without a broken image
    this.#dialog.querySelector(".stage").append(text);
  }

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
      shares(this.#lake, hit),
      hit.collapsed?.length ? this.#folded(hit) : null,
      facts(hit),
    );
  }

  #act(act, sign, label, hit) {
    const title = `${label} (${act[0]})`; // the key that does the same
    return button({ "data-step": act, title }, () => this.does.act(act, hit), icon(sign), label);
  }

  /** What video it is of, and when that shows it. */
  #when(hit) {
    const frames = hit.span && make("a", { href: this.does.framesHref(hit) }, "Show its frames");
    return make(
      "div",
      { class: "when" },
      make("p", { class: "when-stream", dir: "auto" }, streamOf(hit)),
      make("p", {}, make("span", { class: "when-time" }, moment(hit)), frames),
    );
  }

  #folded(hit) {
    const links = hit.collapsed.slice(0, TWINS_SHOWN).map((rowId) => {
      const src = thumbnailUrl(this.#lake, { row_id: rowId }, 256);
      const image = make("img", { src, alt: `image ${rowId}`, width: 56, height: 56, loading: "lazy" });
      return make("a", { href: this.does.href({ row_id: rowId }) }, image);
    });
    return make(
      "div",
      { class: "twins" },
      make("p", {}, `${images(hit.collapsed.length)} nearly the same`),
      make("div", { class: "twin-list" }, ...links),
    );
  }

  #step(direction, sign, label) {
    const title = `${label} (${direction < 0 ? "←" : "→"})`;
    const facts = { class: `step ${sign}`, "data-step": sign, "aria-label": label, title };
    return button(facts, () => this.does.step(this.#neighbour(direction)), icon(sign));
  }

  #place() {
    const at = this.does.hits().findIndex((hit) => hit.row_id === this.#rowId);
    const fits = this.#hit && fit(this.#hit);
    return [at < 0 ? null : `Image ${count(at + 1)}`, fits].filter(Boolean).join(" · ");
  }

  #neighbour(direction) {
    const hits = this.does.hits();
    const at = hits.findIndex((hit) => hit.row_id === this.#rowId);
    return at < 0 ? null : (hits[at + direction] ?? null);
  }

  /** More images came: there may be a next one now, and a score. */
  refresh() {
    const known = this.does.hits().find((hit) => hit.row_id === this.#rowId);
    if (this.#hit && known && known !== this.#hit) {
      this.#hit = known;
      const held = this.#held();
      this.#dialog.querySelector(".side-rest").replaceWith(this.#side(known));
      this.#hold(held);
      this.#dialog.querySelector(".place").textContent = this.#place();
    }
    for (const [sign, direction] of [["left", -1], ["right", 1]]) {
      const button = this.#dialog.querySelector(`.step.${sign}`);
      if (button) button.disabled = !this.#neighbour(direction);
    }
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const act = { m: "more", l: "less" }[event.key];
    if (step && this.#neighbour(step)) this.does.step(this.#neighbour(step));
    else if (act && this.#hit) this.does.act(act, this.#hit);
    else if (this.#zoom?.key(event.key)) return event.preventDefault();
    else return;
    event.preventDefault();
  }
}
