/** The examples as chips: each with its sign in a word, a picture or its text, and a way to remove it. */

import { thumbnailUrl } from "./api.js";
import { icon, make } from "./dom.js";
import { nameOf } from "./words.js";

const THUMBNAIL = 256; // as the grid's, so that the browser has it already

export class Chips {
  #pictures = new Map(); // upload id -> blob: URL

  /**
   * @param {HTMLUListElement} list
   * @param {{flip: function(number), remove: function(number), dropLeast: function(), row: function(number): Object,
   *   href: function(Object): string}} does row gives what is known of a row_id
   */
  constructor(list, does) {
    this.list = list;
    this.does = does;
  }

  /**
   * @param {?string} lake null: not known yet
   * @param {State} state
   * @param {UploadStore} store what it does not know yet is neither shown nor missed
   * @param {?{number: number, message: string}} problem what the server says of one example
   */
  show(lake, state, store, problem = null) {
    const chips = state.examples.map((example, number) =>
      this.#chip(lake, example, number, store, problem?.number === number ? problem.message : null),
    );
    if (state.minZ !== null) chips.push(this.#least(state.minZ));
    this.list.replaceChildren(...chips);
    this.list.hidden = chips.length === 0;
  }

  focus(number) {
    const buttons = this.list.querySelectorAll(".sign, .remove");
    buttons[Math.min(number * 2, buttons.length - 1)]?.focus();
  }

  #chip(lake, example, number, store, problem) {
    const { kind, value, sign } = example;
    const upload = store.known.get(value);
    const isMissing = kind === "upload" && store.missing.has(value);
    const name = this.#name(example, upload);
    const word = sign > 0 ? "more" : "less";
    const classes = ["chip", sign > 0 ? "wanted" : "unwanted", kind === "text" ? "" : "pictured", isMissing || problem ? "amiss" : ""];
    return make(
      "li",
      { class: classes.filter(Boolean).join(" "), title: problem ?? name },
      make(
        "button",
        {
          type: "button",
          class: "sign",
          title: sign > 0 ? "Wanted; click for less of it" : "Unwanted; click for more of it",
          "aria-label": `${word} like ${name}; turn into ${sign > 0 ? "less" : "more"}`,
          on: { click: () => this.does.flip(number) },
        },
        icon(sign > 0 ? "plus" : "minus"),
        make("span", {}, word),
      ),
      this.#what(lake, example, name, upload, isMissing),
      make(
        "button",
        { type: "button", class: "remove", title: "Remove", "aria-label": `Remove ${name}`, on: { click: () => this.does.remove(number) } },
        icon("close"),
      ),
    );
  }

  #name({ kind, value }, upload) {
    if (kind === "text") return value;
    if (kind === "upload") return upload?.name ?? "an image that is not in this browser";
    const row = this.does.row(Number(value));
    return row.uri ? nameOf(row) : `image ${value}`;
  }

  #what(lake, { kind, value }, name, upload, isMissing) {
    if (kind === "text") return make("span", { class: "text", dir: "auto" }, value);
    if (kind === "upload" && !upload) return make("span", { class: "text" }, isMissing ? "image not in this browser" : "image");
    const row = upload ? null : this.does.row(Number(value));
    const src = upload ? this.#picture(upload) : lake === null ? null : thumbnailUrl(lake, row, THUMBNAIL);
    const image = make("img", { src, alt: name, width: 36, height: 36, decoding: "async" });
    image.addEventListener("error", () => image.replaceWith(make("span", { class: "text", dir: "auto" }, name)), { once: true });
    return upload ? image : make("a", { class: "picture", href: this.does.href(row) }, image);
  }

  #picture(upload) {
    if (!this.#pictures.has(upload.id)) this.#pictures.set(upload.id, URL.createObjectURL(upload.blob));
    return this.#pictures.get(upload.id);
  }

  #least(minZ) {
    return make(
      "li",
      { class: "chip", title: "Only images that stand out by this much" },
      make("span", { class: "text" }, `z at least ${minZ}`),
      make(
        "button",
        { type: "button", class: "remove", title: "Remove", "aria-label": `Remove z at least ${minZ}`, on: { click: () => this.does.dropLeast() } },
        icon("close"),
      ),
    );
  }
}
