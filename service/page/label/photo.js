/** The image that is asked about: large, the next ones loaded behind it, and why it does not come. */

import { ServerGone, imageProblem, imageUrl, thumbnailUrl } from "../common/api.js";
import { byId, make } from "../common/dom.js";
import { nameOf, sentence } from "../common/words.js";

/** @import { Row } from "../common/api.js" */

const LARGE = 1024; // px of the copy that is shown first; an image no larger is shown itself

export class Photo {
  #frame;
  /** @type {?Row} */
  #row = null;
  #lake = "";
  /** @type {Map<number, HTMLImageElement>} */
  #ahead = new Map(); // row_id -> its image

  isSeen = false; // the image is there, or it is known that it will not come

  /**
   * @param {{seen: () => unknown, gone: () => unknown}} tell gone: the server did not answer
   * @param {HTMLElement} frame where it is shown
   */
  constructor(tell, frame = byId("frame")) {
    this.tell = tell;
    this.#frame = frame;
  }

  /**
   * @param {string} lake
   * @param {Row} row
   */
  show(lake, row) {
    if (this.#row === row) return;
    this.#row = row;
    this.#lake = lake;
    this.#begin(row);
  }

  /**
   * Something in the place of an image.
   * @param {HTMLElement} element
   */
  put(element) {
    this.#row = null;
    this.isSeen = false;
    this.#frame.replaceChildren(element);
  }

  /** Again, once the server is back. */
  retry() {
    if (this.#row && this.#frame.querySelector(".amiss")) this.#begin(this.#row);
  }

  /**
   * Load and decode what comes next, so that it is there the moment it is asked for.
   * @param {string} lake
   * @param {Row[]} rows
   */
  preload(lake, rows) {
    const before = this.#ahead;
    this.#ahead = new Map();
    for (const row of rows) {
      const image = before.get(row.row_id) ?? imageOf(lake, row);
      this.#ahead.set(row.row_id, image);
      image.decode().catch(() => this.#ahead.delete(row.row_id)); // once it is asked for it is tried again
    }
  }

  /** @param {Row} row */
  async #begin(row) {
    const lake = this.#lake;
    this.isSeen = false;
    const image = this.#ahead.get(row.row_id) ?? imageOf(lake, row);
    this.#ahead.delete(row.row_id);
    this.#frame.replaceChildren(image);
    try {
      await image.decode();
    } catch {
      return this.#explain(row, image.src);
    }
    if (this.#row !== row) return;
    this.#seen();
    if (image.src !== new URL(imageUrl(lake, row), location.href).href) sharpen(image, imageUrl(lake, row));
  }

  /**
   * @param {Row} row
   * @param {string} url
   */
  async #explain(row, url) {
    const problem = await imageProblem(url);
    if (this.#row !== row) return;
    if (problem instanceof ServerGone) this.tell.gone();
    const text = problem ? sentence(problem.message) : "This image cannot be shown.";
    this.#frame.replaceChildren(
      make(
        "div",
        { class: "amiss", role: "status" },
        make("p", { dir: "auto" }, text),
        make("p", { class: "small" }, "Skip it, unless you can tell without seeing it."),
      ),
    );
    this.#seen();
  }

  #seen() {
    this.isSeen = true;
    this.tell.seen();
  }
}

/**
 * @param {string} lake
 * @param {Row} row
 */
function imageOf(lake, row) {
  const image = make("img", { class: "asked", alt: nameOf(row), draggable: "false" });
  if (row.width_px && row.height_px) [image.width, image.height] = [row.width_px, row.height_px];
  image.src = first(lake, row);
  return image;
}

/**
 * @param {string} lake
 * @param {Row} row
 */
const first = (lake, row) =>
  Math.max(row.width_px ?? 0, row.height_px ?? 0) <= LARGE ? imageUrl(lake, row) : thumbnailUrl(lake, row, LARGE);

/**
 * The original takes the place of the copy once it is whole.
 * @param {HTMLImageElement} image
 * @param {string} url
 */
async function sharpen(image, url) {
  const whole = new Image();
  whole.src = url;
  await whole.decode().then(() => (image.src = url), () => {}); // the copy will do
}
