/** How the grid looks to this reader: how large its images are, and what stands under them. Remembered in this browser. */

import { byId, make } from "../common/dom.js";
import { columnTitle } from "../common/words.js";
import { asPanel } from "./panel.js";

const KEPT = "lakesift-looks";
const NO_TEXT = new Set(["bytes"]);
const NAME = "uri"; // stands for the file's name

export class Looks {
  #size = byId("size");
  #caption = byId("caption");
  #wanted; // the caption's column, which the lake at hand may not have

  /** @param {(looks: {scale: number, caption: string}) => unknown} changed caption: a column, or "" */
  constructor(changed) {
    this.changed = changed;
    const { scale = 1, caption = "" } = kept();
    this.#wanted = caption;
    this.#size.value = String(scale);
    this.offer([]);
    for (const each of [this.#size, this.#caption]) each.addEventListener("input", () => this.#changed());
    asPanel(byId("looks"));
  }

  get now() {
    return { scale: Number(this.#size.value), caption: this.#caption.value };
  }

  /** @param {Answers.Column[]} columns of the lake at hand */
  offer(columns) {
    const names = columns.filter(({ name, type, stored }) => stored && !NO_TEXT.has(type) && name && name !== NAME && !name.includes(".")).map(({ name }) => name);
    const choices = [["", "nothing"], [NAME, "file name"], ...names.map((name) => [name, columnTitle(name)])];
    if (this.#wanted && !choices.some(([value]) => value === this.#wanted)) choices.push([this.#wanted, this.#wanted]);
    this.#caption.replaceChildren(...choices.map(([value, text]) => make("option", { value }, text)));
    this.#caption.value = this.#wanted;
  }

  #changed() {
    this.#wanted = this.#caption.value;
    try {
      localStorage.setItem(KEPT, JSON.stringify(this.now));
    } catch {
      // for as long as the page is open, then
    }
    this.changed(this.now);
  }
}

function kept() {
  try {
    const { scale, caption } = JSON.parse(localStorage.getItem(KEPT) ?? "{}") ?? {};
    return { scale: Number.isFinite(scale) ? scale : 1, caption: typeof caption === "string" ? caption : "" };
  } catch {
    return {};
  }
}
