/**
 * Images as examples of a new filter: photos of the reader's own, and rows of the lake; what is wanted on one side, what is
 * not on the other.
 */

import { thumbnailUrl } from "../common/api.js";
import { picture, remover } from "../common/chip.js";
import { byId, make } from "../common/dom.js";
import { OF_A_FILTER, pick } from "../common/upload_limits.js";
import { takeChosen, takeDropped, takePasted } from "../common/uploads.js";

/**
 * @typedef {"keep"|"drop"} SideName
 * @typedef {{name: string, url: string, file: ?File, rowId: ?number}} Photo url: of its picture
 */

const SIDES = /** @type {const} */ (["keep", "drop"]);
const THUMBNAIL = 256; // as the search page's, so that the browser has it already
const NO_SIDE = "Drop photos on what to keep, or on what to drop.";
const LINK = "That was a link. Save the photo, then choose or drop the file.";

export class ExamplePhotos {
  /** @type {Record<SideName, Photo[]>} */
  #shown = { keep: [], drop: [] };

  isChanged = false; // by the reader, here

  /**
   * @param {string} lake
   * @param {(notes: string[]) => unknown} say what could not be taken, and why; nothing if all was
   */
  constructor(lake, say) {
    this.lake = lake;
    this.say = say;
    for (const side of SIDES) {
      takeChosen(byId(`${side}-choose`), byId(`${side}-files`), (files) => this.#take(side, files));
    }
    takePasted((files, target) => this.#take(sideOf(target) ?? "keep", files));
    takeDropped(
      (files, target) => this.#dropped(files, sideOf(target)),
      (isCarried, target) => carry(isCarried, sideOf(target)),
    );
  }

  /** Whether no photo of the reader's own is among them. */
  get isWithoutFiles() {
    return SIDES.every((side) => !this.of(side).length);
  }

  /**
   * @param {SideName} side
   * @returns {File[]}
   */
  of(side) {
    return this.#shown[side].map(({ file }) => file).filter((file) => file !== null);
  }

  /**
   * @param {SideName} side
   * @returns {number[]} row_ids
   */
  rowsOf(side) {
    return this.#shown[side].map(({ rowId }) => rowId).filter((rowId) => rowId !== null);
  }

  /**
   * Mark the image that an error of the server's is about, or none; its name.
   * @param {?SideName} side
   * @param {number} number among the photos of that side, or among its rows
   * @param {boolean} isRow
   */
  blame(side, number = 0, isRow = false) {
    for (const chip of document.querySelectorAll(".side .chip.amiss")) chip.classList.remove("amiss");
    if (!side) return null;
    const blamed = this.#shown[side].filter(({ file }) => isRow === !file)[number];
    const chip = byId(`${side}-photos`).children[this.#shown[side].indexOf(blamed)];
    chip?.classList.add("amiss");
    /** @type {?HTMLElement} */ (chip?.querySelector(".remove"))?.focus();
    return blamed?.name ?? null;
  }

  /**
   * @param {SideName} side
   * @param {File[]} files
   */
  add(side, files) {
    const { taken, notes } = pick(files, [...this.of("keep"), ...this.of("drop")], OF_A_FILTER);
    this.#shown[side].push(...taken.map((file) => ({ name: file.name || "photo", url: URL.createObjectURL(file), file, rowId: null })));
    this.say(notes);
    this.#show(side);
  }

  /**
   * @param {SideName} side
   * @param {number[]} rowIds of the lake
   */
  addRows(side, rowIds) {
    const url = (/** @type {number} */ rowId) => thumbnailUrl(this.lake, { row_id: rowId }, THUMBNAIL);
    this.#shown[side].push(...rowIds.map((rowId) => ({ name: `image ${rowId}`, url: url(rowId), file: null, rowId })));
    this.#show(side);
  }

  /**
   * @param {File[]} files
   * @param {?SideName} side
   */
  #dropped(files, side) {
    if (!files.length) this.say([LINK]);
    else if (!side) this.say([NO_SIDE]);
    else this.#take(side, files);
  }

  /**
   * @param {SideName} side
   * @param {File[]} files
   */
  #take(side, files) {
    this.isChanged = true;
    this.add(side, files);
  }

  /**
   * @param {SideName} side
   * @param {Photo} photo
   */
  #remove(side, photo) {
    this.isChanged = true;
    const number = this.#shown[side].indexOf(photo);
    if (photo.file) URL.revokeObjectURL(photo.url);
    this.#shown[side].splice(number, 1);
    this.#show(side);
    const chips = byId(`${side}-photos`).children;
    const next = /** @type {?HTMLElement} */ (chips[Math.min(number, chips.length - 1)]?.querySelector(".remove"));
    (next ?? byId(`${side}-choose`)).focus();
  }

  /** @param {SideName} side */
  #show(side) {
    const list = byId(`${side}-photos`);
    list.hidden = !this.#shown[side].length;
    list.replaceChildren(...this.#shown[side].map((photo) => this.#chip(side, photo)));
  }

  /**
   * @param {SideName} side
   * @param {Photo} photo
   */
  #chip(side, photo) {
    const facts = { class: "chip", title: photo.name };
    return make("li", facts, picture(photo.url, photo.name), remover(photo.name, () => this.#remove(side, photo)));
  }
}

/** @returns {?SideName} */
const sideOf = (/** @type {?EventTarget} */ target) => {
  const side = target instanceof Element ? target.closest("[data-side]") : null;
  return /** @type {?SideName} */ (side?.getAttribute("data-side") ?? null);
};

/**
 * @param {boolean} isCarried
 * @param {?SideName} over
 */
function carry(isCarried, over) {
  for (const side of SIDES) {
    byId(`${side}-side`).classList.toggle("carried", isCarried);
    byId(`${side}-side`).classList.toggle("over", isCarried && side === over);
  }
}
