/** The examples as chips: each with its sign in a word, a picture or its text, and a way to remove it. */

import { thumbnailUrl } from "../common/api.js";
import { picture, remover } from "../common/chip.js";
import { button, byId, icon, make } from "../common/dom.js";
import { labelHref } from "../common/links.js";
import { Redrawn } from "../common/redrawn.js";
import { within } from "../common/sets.js";
import { nameOf } from "../common/words.js";

/** @import { Example, State } from "./state.js" */

/** @import { Upload, UploadStore } from "../common/upload_store.js" */

/** @import { Within } from "../common/sets.js" */

/** @import { Place, Row } from "../common/api.js" */

const THUMBNAIL = 256; // as the grid's, so that the browser has it already

export class Chips {
  /** @type {Map<string, string>} */
  #pictures = new Map(); // upload id -> blob: URL

  /**
   * @param {HTMLUListElement} list
   * @param {{flip: (number: number) => unknown, remove: (number: number) => unknown, dropLeast: () => unknown,
   *   leave: () => unknown, row: (rowId: number) => Place & Partial<Row>, href: (row: Place) => string}} does row gives what is known of a row_id
   */
  constructor(list, does) {
    this.list = list;
    this.does = does;
    this.redrawn = new Redrawn(list);
  }

  /**
   * @param {?string} lake null: not known yet
   * @param {State} state
   * @param {UploadStore} store what it does not know yet is neither shown nor missed
   * @param {?{number: number, message: string}} problem what the server says of one example
   */
  show(lake, state, store, problem = null) {
    this.redrawn.draw(() => this.#draw(lake, state, store, problem));
  }

  /**
   * @param {?string} lake
   * @param {State} state
   * @param {UploadStore} store
   * @param {?{number: number, message: string}} problem
   */
  #draw(lake, state, store, problem) {
    const chips = state.examples.map((example, number) =>
      this.#chip(lake, example, number, store, problem?.number === number ? problem.message : null),
    );
    if (state.within !== null) chips.unshift(this.#within(lake, state.within));
    if (state.minZ !== null) chips.push(this.#least(state.minZ));
    const held = this.#held();
    this.list.replaceChildren(...chips);
    this.list.hidden = chips.length === 0;
    if (held) this.#hold(held);
  }

  /** Where the focus is among the chips, or null. */
  #held() {
    const part = ["sign", "picture", "remove"].find((name) => document.activeElement?.classList.contains(name));
    const number = [...this.list.children].findIndex((chip) => chip.contains(document.activeElement));
    return part && number >= 0 ? { number, part } : null;
  }

  /**
   * Put it back there; to the next chip, if that one is gone, or to the search box after the last.
   * @param {{number: number, part: string}} held
   */
  #hold({ number, part }) {
    const chip = this.list.children[Math.min(number, this.list.children.length - 1)];
    const next = /** @type {?HTMLElement} */ (chip?.querySelector(`.${part}, .remove`));
    if (next) next.focus();
    else if (!matchMedia("(pointer: coarse)").matches) byId("words").focus(); // there a keyboard would come up
  }

  /**
   * @param {?string} lake
   * @param {Example} example
   * @param {number} number
   * @param {UploadStore} store
   * @param {?string} problem
   */
  #chip(lake, example, number, store, problem) {
    const { kind, value, sign } = example;
    const upload = store.known.get(value);
    const isMissing = kind === "upload" && store.missing.has(value);
    const name = this.#name(example, upload);
    const classes = ["chip", sign > 0 ? "wanted" : "unwanted"];
    if (isMissing || problem) classes.push("amiss");
    return make(
      "li",
      { class: classes.join(" "), title: problem ?? name },
      this.#sign(sign, name, number),
      this.#what(lake, example, name, upload, isMissing),
      remover(name, () => this.does.remove(number)),
    );
  }

  /**
   * @param {number} sign
   * @param {string} name
   * @param {number} number
   */
  #sign(sign, name, number) {
    const [word, other] = sign > 0 ? ["more", "less"] : ["less", "more"];
    const facts = {
      class: "sign",
      title: sign > 0 ? "Wanted; click for less of it" : "Unwanted; click for more of it",
      "aria-label": `${word} like ${name}; turn into ${other}`,
    };
    const flip = () => this.does.flip(number);
    return button(facts, flip, icon(sign > 0 ? "plus" : "minus"), make("span", {}, word));
  }

  /**
   * @param {Example} example
   * @param {Upload} [upload]
   */
  #name({ kind, value }, upload) {
    if (kind === "text") return value;
    if (kind === "upload") return upload?.name ?? "an image that is not in this browser";
    const row = this.does.row(Number(value));
    return row.uri ? nameOf(/** @type {Row} */ (row)) : `image ${value}`;
  }

  /**
   * @param {?string} lake
   * @param {Example} example
   * @param {string} name
   * @param {Upload|undefined} upload
   * @param {boolean} isMissing
   */
  #what(lake, { kind, value }, name, upload, isMissing) {
    if (kind === "text") return make("span", { class: "text", dir: "auto" }, value);
    if (kind === "upload") {
      if (upload) return picture(this.#address(upload), name);
      return make("span", { class: "text" }, isMissing ? "image not in this browser" : "image");
    }
    const row = this.does.row(Number(value));
    const src = lake === null ? null : thumbnailUrl(lake, row, THUMBNAIL);
    return make("a", { class: "picture", href: this.does.href(row) }, picture(src, name));
  }

  /** @param {Upload} upload */
  #address(upload) {
    const url = this.#pictures.get(upload.id) ?? URL.createObjectURL(upload.blob);
    this.#pictures.set(upload.id, url);
    return url;
  }

  /**
   * The images that are looked among; its name leads to the filter.
   * @param {?string} lake
   * @param {Within} set
   */
  #within(lake, set) {
    const text = within(set);
    const name = lake === null ? text : make("a", { href: labelHref(lake, set.filter) }, text);
    return make(
      "li",
      { class: "chip within", title: "Only these images are looked among" },
      make("span", { class: "text" }, "Among those ", name),
      remover(text, () => this.does.leave()),
    );
  }

  /** @param {number} minZ */
  #least(minZ) {
    const text = `match strength at least ${minZ}`;
    return make(
      "li",
      { class: "chip", title: "Only images that stand out by this much (z)" },
      make("span", { class: "text" }, text),
      remover(text, () => this.does.dropLeast()),
    );
  }
}
