/** A part of the page that is drawn anew by itself: not under a pointer that is down in it, whose click would be lost. */

export class Redrawn {
  #isHeld = false; // a pointer is down in it
  /** @type {?(() => unknown)} */
  #later = null; // what is drawn once it is up

  /** @param {HTMLElement} box */
  constructor(box) {
    box.addEventListener("pointerdown", ({ button }) => {
      this.#isHeld = button === 0; // of another one, as for a menu, the end may never be told
    });
    // The click comes after it.
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => setTimeout(() => this.#released()));
  }

  /**
   * Now, or when the pointer is up; of several that wait the last one.
   * @param {() => unknown} draw
   */
  draw(draw) {
    this.#later = null;
    if (this.#isHeld) this.#later = draw;
    else draw();
  }

  /** What waits is drawn no more. */
  forget() {
    this.#later = null;
  }

  #released() {
    this.#isHeld = false;
    const draw = this.#later;
    this.#later = null;
    draw?.();
  }
}
