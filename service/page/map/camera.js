/** Which piece of the map is seen: places of the map, 0 to 65,535, to px of the canvas and back. Knows no drawing. */

const WHOLE = 65_535;
const MARGIN = 0.05;
const MOST = 400; // times as large as the whole map

/** @typedef {[number, number]} Place x and y: of the map, or px from the canvas's corner */

export class Camera {
  x = WHOLE / 2; // what is in the middle
  y = WHOLE / 2;
  zoom = 1; // 1: the whole map fits
  width = 1; // px of the canvas
  height = 1;

  /** px a unit of the map */
  get scale() {
    return (this.zoom * Math.min(this.width, this.height) * (1 - 2 * MARGIN)) / WHOLE;
  }

  /**
   * @param {number} width px
   * @param {number} height px
   */
  resize(width, height) {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @returns {Place}
   */
  toScreen(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, (y - this.y) * this.scale + this.height / 2];
  }

  /**
   * @param {number} left
   * @param {number} top
   * @returns {Place}
   */
  toMap(left, top) {
    return [(left - this.width / 2) / this.scale + this.x, (top - this.height / 2) / this.scale + this.y];
  }

  /**
   * @param {number} byLeft px
   * @param {number} byTop px
   */
  pan(byLeft, byTop) {
    this.x = between(this.x - byLeft / this.scale);
    this.y = between(this.y - byTop / this.scale);
  }

  /**
   * What lies under a place of the canvas stays there.
   * @param {number} left
   * @param {number} top
   * @param {number} factor more than 1: larger
   */
  zoomAt(left, top, factor) {
    const [x, y] = this.toMap(left, top);
    this.zoom = Math.max(0.8, Math.min(MOST, this.zoom * factor));
    const [nowX, nowY] = this.toMap(left, top);
    this.x = between(this.x + x - nowX);
    this.y = between(this.y + y - nowY);
  }

  fit() {
    Object.assign(this, { x: WHOLE / 2, y: WHOLE / 2, zoom: 1 });
  }
}

/** @param {number} value */
const between = (value) => Math.max(0, Math.min(WHOLE, value));
