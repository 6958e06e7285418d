/** Where the images of a justified grid lie. Numbers in, numbers out. */

const FLATTEST = 3; // width over height; a panorama beyond it is cropped to it
const TALLEST = 0.5;

/** @typedef {{x: number, y: number, width: number, height: number}} Box px from the grid's corner */

/**
 * The height in px that rows of a grid this wide come near to.
 * @param {number} width
 */
const rowHeight = (width) => Math.min(340, Math.max(160, 120 + width * 0.08));

/** @param {{width_px: ?number, height_px: ?number}} row */
export const ratioOf = (row) => {
  const ratio = (row.width_px ?? 0) / (row.height_px ?? 0);
  return Number.isFinite(ratio) && ratio > 0 ? Math.min(FLATTEST, Math.max(TALLEST, ratio)) : 1;
};

/**
 * Rows that fill the width, each as high as that makes it.
 * @param {number[]} ratios width over height
 * @param {number} width px of the grid
 * @param {number} gap px
 * @param {boolean} isWhole false: more images follow, so the last row waits for them unless it is full
 * @param {{scale?: number, below?: number}} looks how large, and px of text below each image
 * @returns {{boxes: Box[], height: number}} as many as have their place for good
 */
export function justify(ratios, width, gap, isWhole, { scale = 1, below = 0 } = {}) {
  const wanted = rowHeight(width) * scale;
  /** @type {Box[]} */
  const boxes = [];
  let y = 0;
  let above = wanted; // the height of the row before: one that is not full looks best like it
  for (let start = 0; start < ratios.length; ) {
    const { end, height: filling } = fill(ratios, start, width, gap, wanted);
    const isFull = filling !== null;
    if (!isFull && !isWhole) break;
    const height = isFull ? Math.min(filling, wanted * 1.6) : Math.min(above, widest(ratios, start, end, width, gap));
    place(boxes, ratios.slice(start, end), y, width, gap, height, isFull && height === filling);
    y += Math.round(height) + below + gap;
    above = height;
    start = end;
  }
  return { boxes, height: Math.max(0, y - gap) };
}

/**
 * The end of the row that begins at start, and the height at which it fills the width; null: there are too few.
 * @param {number[]} ratios
 * @param {number} start
 * @param {number} width
 * @param {number} gap
 * @param {number} wanted
 * @returns {{end: number, height: ?number}}
 */
function fill(ratios, start, width, gap, wanted) {
  let sum = 0;
  let before = null;
  for (let end = start; end < ratios.length; end += 1) {
    sum += ratios[end];
    const height = (width - gap * (end - start)) / sum;
    if (height <= wanted) {
      const isBetterWithout = before !== null && before - wanted < wanted - height;
      return isBetterWithout ? { end, height: before } : { end: end + 1, height };
    }
    before = height;
  }
  return { end: ratios.length, height: null };
}

/**
 * @param {number[]} ratios
 * @param {number} start
 * @param {number} end
 * @param {number} width
 * @param {number} gap
 */
const widest = (ratios, start, end, width, gap) =>
  (width - gap * (end - start - 1)) / ratios.slice(start, end).reduce((sum, ratio) => sum + ratio, 0);

/**
 * Edges on whole px, the last one on the grid's own edge.
 * @param {Box[]} boxes
 * @param {number[]} ratios
 * @param {number} y
 * @param {number} width
 * @param {number} gap
 * @param {number} height
 * @param {boolean} isFull
 */
function place(boxes, ratios, y, width, gap, height, isFull) {
  let x = 0;
  ratios.forEach((ratio, number) => {
    const right = isFull && number === ratios.length - 1 ? width : x + ratio * height;
    boxes.push({ x: Math.round(x), y, width: Math.round(right) - Math.round(x), height: Math.round(height) });
    x = right + gap;
  });
}
