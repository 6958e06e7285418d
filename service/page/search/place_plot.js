/** A plot of places without a map under it, on which a box is drawn. */

/** @import { Box } from "./where_taken.js" */

/** @typedef {[number, number, number, number]} Sides left, top, right, bottom; in the plot's own units, cells */

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = 0.02; // of the plot: a smaller box is a click
const DIGITS = 5; // of degrees that are written: a metre
const BEYOND = 0.4; // of a cell: an outline shows there that it goes on
const CIRCLE = 360;

/**
 * @param {Answers.PlacesFacet} places
 * @param {?Box} chosen
 * @param {(box: Box) => unknown} take
 */
export function plot({ box, across, down, cells }, chosen, take) {
  const [south, west, north, east] = /** @type {Box} */ (box);
  const most = Math.max(...cells.map(([, , rows]) => rows));
  const area = svg("svg", { class: "place-plot", viewBox: `-0.5 -0.5 ${across + 1} ${down + 1}`, "aria-hidden": "true", focusable: "false" });
  area.append(svg("rect", { class: "place-ground", x: -0.5, y: -0.5, width: across + 1, height: down + 1 }));
  const path = (/** @type {number[][]} */ some) => some.map(([x, y]) => `M${x} ${y}h1v1h-1z`).join("");
  // Four shades, a path each: a thousand elements would be slow.
  const shade = (/** @type {number} */ rows) => Math.min(3, Math.floor((4 * Math.log1p(rows)) / Math.log1p(most + 1)));
  for (const level of [0, 1, 2, 3]) {
    area.append(svg("path", { class: `place-cells shade-of-${level}`, d: path(cells.filter(([, , rows]) => shade(rows) === level)) }));
  }
  const width = span(west, east);
  const x = (/** @type {number} */ degrees) => (degrees / (width || 1)) * across;
  const y = (/** @type {number} */ latitude) => ((north - latitude) / (north - south || 1)) * down;
  const outline = svg("path", { class: "place-box" });
  const show = (/** @type {Sides[]} */ some) => outline.setAttribute("d", some.map((each) => outlineOf(each, across, down)).join(""));
  const showChosen = () => {
    if (!chosen) return show([]);
    const pieces = arcs(chosen[1] - west, span(chosen[1], chosen[3]), width);
    return show(pieces.map(([from, to]) => [x(from), y(chosen[2]), x(to), y(chosen[0])]));
  };
  area.append(outline);
  showChosen();
  drawn(area, (sides) => show([sides]), showChosen, ([left, top, right, bottom]) => {
    if (right - left < DRAWN * across && bottom - top < DRAWN * down) return showChosen();
    const rounded = (/** @type {number} */ value) => Number(value.toFixed(DIGITS));
    const latitude = (/** @type {number} */ at) => rounded(Math.min(90, Math.max(-90, north - (at / down) * (north - south))));
    const longitude = (/** @type {number} */ at) => {
      const degrees = west + (at / across) * width;
      // Beyond the edge of a plot that does not cross the antimeridian nothing lies.
      return rounded(west > east ? wrapped(degrees) : Math.min(180, Math.max(-180, degrees)));
    };
    return take([latitude(bottom), longitude(left), latitude(top), longitude(right)]);
  });
  return area;
}

/**
 * Degrees from west to east, across the antimeridian where west is above east.
 * @param {number} west
 * @param {number} east
 */
const span = (west, east) => east - west + (west > east ? CIRCLE : 0);

/** @param {number} degrees */
const wrapped = (degrees) => (degrees > 180 ? degrees - CIRCLE : degrees < -180 ? degrees + CIRCLE : degrees);

/**
 * The parts of an arc that lie in a plot: two, where it leaves at one side and comes back at the other.
 * @param {number} start degrees from the plot's west side
 * @param {number} length
 * @param {number} width of the plot
 * @returns {[number, number][]} from and to, from the plot's west side; they may reach beyond it
 */
export function arcs(start, length, width) {
  const from = ((start % CIRCLE) + CIRCLE) % CIRCLE;
  const both = /** @type {[number, number][]} */ ([from, from - CIRCLE].map((each) => [each, each + length]));
  return both.filter(([first, last]) => first <= width && last >= 0);
}

/**
 * @param {Sides} sides
 * @param {number} across
 * @param {number} down
 */
function outlineOf([left, top, right, bottom], across, down) {
  const held = (/** @type {number} */ value, /** @type {number} */ end) => Math.min(end + BEYOND, Math.max(-BEYOND, value));
  return `M${held(left, across)} ${held(top, down)}H${held(right, across)}V${held(bottom, down)}H${held(left, across)}Z`;
}

/**
 * A box drawn by hand, in the plot's own units.
 * @param {SVGElement} area
 * @param {(sides: Sides) => unknown} show while it is drawn
 * @param {() => unknown} left as it was: the finger was taken away by something else
 * @param {(sides: Sides) => unknown} done
 */
function drawn(area, show, left, done) {
  const graphic = /** @type {SVGSVGElement} */ (area);
  let from = /** @type {?DOMPoint} */ (null);
  const at = (/** @type {PointerEvent} */ event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(graphic.getScreenCTM()?.inverse());
  /** @returns {Sides} */
  const box = (/** @type {DOMPoint} */ one, /** @type {DOMPoint} */ other) => [
    Math.min(one.x, other.x), Math.min(one.y, other.y), Math.max(one.x, other.x), Math.max(one.y, other.y),
  ];
  graphic.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = at(event);
    graphic.setPointerCapture(event.pointerId);
  });
  graphic.addEventListener("pointermove", (event) => from && show(box(from, at(event))));
  graphic.addEventListener("pointerup", (event) => {
    if (from) done(box(from, at(event)));
    from = null;
  });
  graphic.addEventListener("pointercancel", () => {
    from = null;
    left();
  });
}

/**
 * @param {string} tag
 * @param {Record<string, string|number>} facts
 * @returns {SVGElement}
 */
function svg(tag, facts) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(facts)) element.setAttribute(name, String(value));
  return element;
}
