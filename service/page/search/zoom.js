/** Zoom and pan of the large image: wheel, double click, two fingers, or the keys + - 0. It begins as it fits. */

const MOST = 12; // times as large as it fits
const STEP = 1.5; // of a key, or a double click's first

export class Zoom {
  #image;
  #scale = 1;
  #x = 0; // px by which the image's middle is moved
  #y = 0;
  #fingers = new Map(); // pointerId -> event

  /**
   * @param {HTMLElement} stage that the image is shown in
   * @param {HTMLImageElement} image
   */
  constructor(stage, image) {
    this.#image = image;
    this.stage = stage;
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => !event.target.closest("button") && this.#twice(event));
    image.draggable = false;
    image.addEventListener("pointerdown", (event) => this.#down(event));
    image.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) image.addEventListener(name, (event) => this.#fingers.delete(event.pointerId));
  }

  /** @returns {boolean} whether it was one of its keys */
  key(name) {
    const factor = { "+": STEP, "=": STEP, "-": 1 / STEP, 0: 0 }[name];
    if (factor === undefined) return false;
    this.#to(factor === 0 ? 1 : this.#scale * factor, 0, 0);
    return true;
  }

  #wheel(event) {
    event.preventDefault();
    this.#to(this.#scale * Math.exp(-event.deltaY / 400), ...this.#fromMiddle(event));
  }

  #twice(event) {
    this.#to(this.#scale > 1 ? 1 : STEP * 2, ...this.#fromMiddle(event));
  }

  /** px of a point from the stage's middle. */
  #fromMiddle({ clientX, clientY }) {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    return [clientX - left - width / 2, clientY - top - height / 2];
  }

  /** What lies under the point stays there. */
  #to(wanted, x, y) {
    const scale = Math.min(MOST, Math.max(1, wanted));
    const factor = scale / this.#scale;
    this.#scale = scale;
    this.#put(x - (x - this.#x) * factor, y - (y - this.#y) * factor);
  }

  /** No further than its edge goes to the middle of the stage. */
  #put(x, y) {
    const { offsetWidth: width, offsetHeight: height, style } = this.#image;
    const within = (value, size) => Math.min((size * (this.#scale - 1)) / 2, Math.max((-size * (this.#scale - 1)) / 2, value));
    this.#x = within(x, width);
    this.#y = within(y, height);
    style.transform = this.#scale === 1 ? "" : `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})`;
    this.stage.classList.toggle("zoomed", this.#scale > 1);
  }

  #down(event) {
    this.#fingers.set(event.pointerId, event);
    if (this.#scale > 1 || this.#fingers.size > 1) this.#image.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const before = this.#fingers.get(event.pointerId);
    if (!before) return;
    this.#fingers.set(event.pointerId, event);
    const [other] = [...this.#fingers].filter(([id]) => id !== event.pointerId).map(([, each]) => each);
    if (other) {
      const far = (each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
      const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
      this.#to((this.#scale * far(event)) / Math.max(1, far(before)), ...this.#fromMiddle(middle));
    } else if (this.#scale > 1) this.#put(this.#x + event.clientX - before.clientX, this.#y + event.clientY - before.clientY);
  }
}
