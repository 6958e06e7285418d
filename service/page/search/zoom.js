/** Zoom and pan of the large image: wheel, double click, two fingers, or the keys + - 0. It begins as it fits. */

import { elementOf } from "../common/dom.js";

const MOST = 12; // times as large as it fits
const STEP = 1.5; // of a key, or a double click's first
const PAN_PX = 60; // of an arrow key
/** @type {Record<string, [number, number]|undefined>} */
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** @typedef {{scale: number, x: number, y: number}} Look x, y: by how much of its size the image's middle is moved */

/** @type {Record<string, number|undefined>} */
const FACTORS = { "+": STEP, "=": STEP, "-": 1 / STEP, 0: 0 }; // by key; 0: as it fits

export class Zoom {
  #image;
  #scale = 1;
  #x = 0; // px by which the image's middle is moved
  #y = 0;
  /** @type {Map<number, PointerEvent>} */
  #fingers = new Map(); // pointerId -> event

  /**
   * @param {HTMLElement} stage that the image is shown in
   * @param {HTMLImageElement} image
   * @param {(look: Look) => unknown} moved is told of what a hand or a key does here
   */
  constructor(stage, image, moved = () => {}) {
    this.#image = image;
    this.moved = moved;
    this.stage = stage;
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => !elementOf(event).closest("button") && this.#twice(event));
    image.draggable = false;
    image.addEventListener("pointerdown", (event) => this.#down(event));
    image.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"]))
      image.addEventListener(name, (event) => this.#fingers.delete(event.pointerId));
  }

  /**
   * @param {string} name
   * @returns {boolean} whether it was one of its keys
   */
  key(name) {
    const factor = FACTORS[name];
    if (factor === undefined) return false;
    this.#to(factor === 0 ? 1 : this.#scale * factor, 0, 0);
    return true;
  }

  /**
   * Another part of a larger image, by an arrow key.
   * @param {string} name
   * @returns {boolean} whether it was one of its keys, and the image is larger than it fits
   */
  pan(name) {
    const by = ARROWS[name];
    if (!by || this.#scale === 1) return false;
    this.#put(this.#x + by[0] * PAN_PX, this.#y + by[1] * PAN_PX);
    return true;
  }

  /**
   * The same part as another image shows; nobody is told.
   * @param {Look} look
   */
  follow({ scale, x, y }) {
    this.#scale = scale;
    this.#place(x * this.#image.offsetWidth, y * this.#image.offsetHeight);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    this.#to(this.#scale * Math.exp(-event.deltaY / 400), ...this.#fromMiddle(event));
  }

  /** @param {MouseEvent} event */
  #twice(event) {
    this.#to(this.#scale > 1 ? 1 : STEP * 2, ...this.#fromMiddle(event));
  }

  /**
   * px of a point from the stage's middle.
   * @param {{clientX: number, clientY: number}} point
   * @returns {[number, number]} px of it from the stage's middle
   */
  #fromMiddle({ clientX, clientY }) {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    return [clientX - left - width / 2, clientY - top - height / 2];
  }

  /**
   * What lies under the point stays there.
   * @param {number} wanted
   * @param {number} x
   * @param {number} y
   */
  #to(wanted, x, y) {
    const scale = Math.min(MOST, Math.max(1, wanted));
    const factor = scale / this.#scale;
    this.#scale = scale;
    this.#put(x - (x - this.#x) * factor, y - (y - this.#y) * factor);
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #put(x, y) {
    this.#place(x, y);
    const { offsetWidth: width, offsetHeight: height } = this.#image;
    this.moved({ scale: this.#scale, x: this.#x / Math.max(1, width), y: this.#y / Math.max(1, height) });
  }

  /**
   * No further than its edge goes to the middle of the stage.
   * @param {number} x
   * @param {number} y
   */
  #place(x, y) {
    const { offsetWidth: width, offsetHeight: height, style } = this.#image;
    const within = (/** @type {number} */ value, /** @type {number} */ size) => Math.min((size * (this.#scale - 1)) / 2, Math.max((-size * (this.#scale - 1)) / 2, value));
    this.#x = within(x, width);
    this.#y = within(y, height);
    style.transform = this.#scale === 1 ? "" : `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})`;
    this.stage.classList.toggle("zoomed", this.#scale > 1);
  }

  /** @param {PointerEvent} event */
  #down(event) {
    this.#fingers.set(event.pointerId, event);
    if (this.#scale > 1 || this.#fingers.size > 1) this.#image.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const before = this.#fingers.get(event.pointerId);
    if (!before) return;
    this.#fingers.set(event.pointerId, event);
    const [other] = [...this.#fingers].filter(([id]) => id !== event.pointerId).map(([, each]) => each);
    if (other) {
      const far = (/** @type {PointerEvent} */ each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
      const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
      this.#to((this.#scale * far(event)) / Math.max(1, far(before)), ...this.#fromMiddle(middle));
    } else if (this.#scale > 1) this.#put(this.#x + event.clientX - before.clientX, this.#y + event.clientY - before.clientY);
  }
}
