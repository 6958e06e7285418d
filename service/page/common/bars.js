/** Bars side by side as one shape of an SVG. Numbers in, a path's data out. */

export const HEIGHT = 100; // of the tallest bar, in units of the picture's own
const LEAST = 4; // of a bar that stands for one

/**
 * What a bar's height is measured by: logarithmic, so that one image can be seen beside a thousand.
 * @param {number[]} counts
 */
export const tallestOf = (counts) => Math.log1p(Math.max(1, ...counts));

/**
 * @param {number[]} counts of each bar; bar i reaches from i to i + 1
 * @param {number} from where the shape begins: within a bar, too
 * @param {number} to where it ends, likewise
 * @param {number} tallest as `tallestOf` gives it
 */
export function area(counts, from, to, tallest) {
  if (!(from < to)) return "";
  let path = `M${from} ${HEIGHT}`;
  for (let at = Math.floor(from); at < Math.min(to, counts.length); at += 1) {
    const height = counts[at] ? Math.max(LEAST, (HEIGHT * Math.log1p(counts[at])) / tallest) : 0;
    path += `V${(HEIGHT - height).toFixed(1)}H${Math.min(at + 1, to)}`;
  }
  return `${path}V${HEIGHT}Z`;
}
