/**
 * A part of the page that is drawn anew by itself: not under a pointer that is down in it, whose click would be lost, and not
 * under a hand that types in it, whose number would be.
 */

const TYPED = "input:not([type=checkbox], [type=radio], [type=range]), textarea";

export class Redrawn {
  #isHeld = false; // a pointer is down in it
  /** @type {?EventTarget} */
  #typed = null; // the field whose text is half typed: nobody took it yet
  /** @type {?(() => unknown)} */
  #later = null; // what is drawn once both are over

  /** @param {HTMLElement} box */
  constructor(box) {
    box.addEventListener("pointerdown", ({ button }) => {
      this.#isHeld = button === 0; // of another one, as for a menu, the end may never be told
    });
    // The click comes after it.
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => setTimeout(() => this.#released()));
    box.addEventListener("input", ({ target }) => {
      if (target instanceof Element && target.matches(TYPED)) this.#typed = target;
    });
    // First whoever takes the text hears that it is whole, or left: what is drawn then holds it.
    for (const end of ["change", "focusout"]) box.addEventListener(end, ({ target }) => setTimeout(() => this.#whole(target)));
  }

  /**
   * Now, or when pointer and hand are done; of several that wait the last one.
   * @param {() => unknown} draw
   */
  draw(draw) {
    this.#later = null;
    if (this.#isBusy) this.#later = draw;
    else draw();
  }

  get #isBusy() {
    return this.#isHeld || (this.#typed !== null && this.#typed === document.activeElement);
  }

  #released() {
    this.#isHeld = false;
    this.#drawWhatWaits();
  }

  /** @param {?EventTarget} field */
  #whole(field) {
    if (field !== this.#typed) return;
    this.#typed = null;
    this.#drawWhatWaits();
  }

  #drawWhatWaits() {
    if (this.#isBusy) return;
    const draw = this.#later;
    this.#later = null;
    draw?.();
  }
}
