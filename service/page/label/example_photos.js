/** Photos of the reader's own as examples of a new filter: what is wanted on one side, what is not on the other. */

import { picture, remover } from "../common/chip.js";
import { byId, make } from "../common/dom.js";
import { OF_A_FILTER, pick } from "../common/upload_limits.js";
import { takeChosen, takeDropped, takePasted } from "../common/uploads.js";

const SIDES = ["keep", "drop"];
const NO_SIDE = "Drop photos on what to keep, or on what to drop.";
const LINK = "That was a link. Save the photo, then choose or drop the file.";

export class ExamplePhotos {
  #photos = { keep: [], drop: [] }; // {file, url}; url: of its picture

  /** @param {function(string[])} say what could not be taken, and why; nothing if all was */
  constructor(say) {
    this.say = say;
    for (const side of SIDES) {
      takeChosen(byId(`${side}-choose`), byId(`${side}-files`), (files) => this.#add(side, files));
    }
    takePasted((files, target) => this.#add(sideOf(target) ?? "keep", files));
    takeDropped(
      (files, target) => this.#dropped(files, sideOf(target)),
      (isCarried, target) => carry(isCarried, sideOf(target)),
    );
  }

  get isEmpty() {
    return SIDES.every((side) => !this.#photos[side].length);
  }

  /** @returns {File[]} */
  of(side) {
    return this.#photos[side].map(({ file }) => file);
  }

  /** Mark the photo that an error of the server's is about, or none; its file's name. */
  blame(side, number) {
    for (const chip of document.querySelectorAll(".side .chip.amiss")) chip.classList.remove("amiss");
    const chip = side && byId(`${side}-photos`).children[number];
    chip?.classList.add("amiss");
    chip?.querySelector(".remove").focus();
    return side ? (this.#photos[side][number]?.file.name ?? null) : null;
  }

  #dropped(files, side) {
    if (!files.length) this.say([LINK]);
    else if (!side) this.say([NO_SIDE]);
    else this.#add(side, files);
  }

  #add(side, files) {
    const { taken, notes } = pick(files, [...this.of("keep"), ...this.of("drop")], OF_A_FILTER);
    this.#photos[side].push(...taken.map((file) => ({ file, url: URL.createObjectURL(file) })));
    this.say(notes);
    this.#show(side);
  }

  #remove(side, photo) {
    const number = this.#photos[side].indexOf(photo);
    URL.revokeObjectURL(photo.url);
    this.#photos[side].splice(number, 1);
    this.#show(side);
    const chips = byId(`${side}-photos`).children;
    (chips[Math.min(number, chips.length - 1)]?.querySelector(".remove") ?? byId(`${side}-choose`)).focus();
  }

  #show(side) {
    const list = byId(`${side}-photos`);
    list.hidden = !this.#photos[side].length;
    list.replaceChildren(...this.#photos[side].map((photo) => this.#chip(side, photo)));
  }

  #chip(side, photo) {
    const name = photo.file.name || "photo";
    const facts = { class: "chip", title: name };
    return make("li", facts, picture(photo.url, name), remover(name, () => this.#remove(side, photo)));
  }
}

const sideOf = (target) => target?.closest?.("[data-side]")?.dataset.side ?? null;

function carry(isCarried, over) {
  for (const side of SIDES) {
    byId(`${side}-side`).classList.toggle("carried", isCarried);
    byId(`${side}-side`).classList.toggle("over", isCarried && side === over);
  }
}
