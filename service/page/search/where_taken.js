/** Where images were taken: a plot of points without a map under it, on which a box is drawn, or typed, that writes the `where`. */

import { button, make } from "../common/dom.js";
import { chosenRange, withRange } from "./where_terms.js";

/** @import { Range } from "./where_terms.js" */

/** @typedef {[number, number, number, number]} Box south, west, north, east; in degrees */

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = 0.02; // of the plot: a smaller box is a click
const DIGITS = 5; // of degrees that are written: a metre
const SIDES = /** @type {const} */ (["south", "west", "north", "east"]);
const ENDS = { south: -90, west: -180, north: 90, east: 180 };

/**
 * @param {Answers.PlacesFacet} places
 * @param {string} where that holds now
 * @param {(change: (where: string) => string) => unknown} choose takes what becomes of a `where`
 */
export function placesSection(places, where, choose) {
  const chosen = boxOf(places, where);
  const take = (/** @type {?Box} */ box) => choose((now) => withBox(now, places, box));
  const name = placeName(places);
  const none = places.nulls > 0 && make("span", { class: "without" }, ` ${places.nulls.toLocaleString("en")} without`);
  const all = button({ class: "quiet place-all", "data-facet": `${name} all`, disabled: chosen === null }, () => take(null), "All places");
  return make(
    "section",
    { class: "facet", "aria-label": name },
    make("h3", {}, name, none),
    plot(places, chosen, take),
    make("div", { class: "place-sides" }, ...SIDES.map((side, at) => input(name, side, at, places, chosen, take))),
    all,
  );
}

/**
 * What both columns are called before their ends: place.latitude and place.longitude are place.
 * @param {Answers.PlacesFacet} places
 */
function placeName({ latitude }) {
  const before = latitude.replace(/(latitude|lat)$/i, "").replace(/[._\- ]+$/, "");
  return before || "place";
}

/**
 * The box that a `where` asks for; null: it says nothing of either column.
 * @param {Answers.PlacesFacet} places
 * @param {string} where
 * @returns {?Box}
 */
function boxOf({ latitude, longitude }, where) {
  const [high, wide] = [latitude, longitude].map((name) => chosenRange(where, { name }));
  if ([high.low, high.high, wide.low, wide.high].every((each) => each === null)) return null;
  const or = (/** @type {Range["low"]} */ value, /** @type {number} */ end) => (typeof value === "number" ? value : end);
  return [or(high.low, ENDS.south), or(wide.low, ENDS.west), or(high.high, ENDS.north), or(wide.high, ENDS.east)];
}

/**
 * @param {string} where
 * @param {Answers.PlacesFacet} places
 * @param {?Box} box null: everywhere
 */
function withBox(where, { latitude, longitude }, box) {
  const [south, west, north, east] = box ?? [null, null, null, null];
  const high = withRange(where, { name: latitude }, { low: south, high: north, isClosed: true });
  return withRange(high, { name: longitude }, { low: west, high: east, isClosed: true });
}

/**
 * A side of the box, in degrees.
 * @param {string} name
 * @param {typeof SIDES[number]} side
 * @param {number} at
 * @param {Answers.PlacesFacet} places
 * @param {?Box} chosen
 * @param {(box: ?Box) => unknown} take
 */
function input(name, side, at, places, chosen, take) {
  const whole = /** @type {Box} */ (places.box);
  const [least, most] = at % 2 ? [-180, 180] : [-90, 90];
  const facts = { type: "number", step: "any", min: least, max: most, placeholder: brief(whole[at]), "data-facet": `${name} ${side}` };
  const field = make("input", { ...facts, "aria-label": `${name}: ${side}, in degrees` });
  field.value = chosen && chosen[at] !== ENDS[side] ? String(chosen[at]) : "";
  field.addEventListener("change", () => {
    if (field.validity.badInput) return; // "1e", whose value reads as none
    const typed = field.value === "" ? whole[at] : field.valueAsNumber;
    const box = /** @type {Box} */ ([...(chosen ?? whole)]);
    box[at] = Math.min(most, Math.max(least, typed));
    const opposite = (at + 2) % 4; // a box has no negative side: the other end follows
    box[opposite] = at < 2 ? Math.max(box[opposite], box[at]) : Math.min(box[opposite], box[at]);
    take(box);
  });
  return make("label", {}, make("span", { "aria-hidden": "true" }, side[0].toUpperCase()), field);
}

/** @param {number} degrees */
const brief = (degrees) => String(Number(degrees.toFixed(2)));

/**
 * @param {Answers.PlacesFacet} places
 * @param {?Box} chosen
 * @param {(box: Box) => unknown} take
 */
function plot({ box, across, down, cells }, chosen, take) {
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
  const x = (/** @type {number} */ longitude) => ((longitude - west) / (east - west || 1)) * across;
  const y = (/** @type {number} */ latitude) => ((north - latitude) / (north - south || 1)) * down;
  const outline = svg("rect", { class: "place-box" });
  const show = (/** @type {[number, number, number, number]} */ [left, top, right, bottom]) => {
    const held = (/** @type {number} */ value, /** @type {number} */ end) => Math.min(end + 0.4, Math.max(-0.4, value));
    const [x0, x1, y0, y1] = [held(left, across), held(right, across), held(top, down), held(bottom, down)];
    for (const [name, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 })) outline.setAttribute(name, String(value));
  };
  area.append(outline);
  const showChosen = () => (chosen ? show([x(chosen[1]), y(chosen[2]), x(chosen[3]), y(chosen[0])]) : show([0, 0, 0, 0]));
  if (chosen) showChosen();
  drawn(area, show, showChosen, ([left, top, right, bottom]) => {
    if (right - left < DRAWN * across && bottom - top < DRAWN * down) return showChosen();
    const degrees = (/** @type {number} */ value) => Number(value.toFixed(DIGITS));
    const longitude = (/** @type {number} */ at) => degrees(Math.min(180, Math.max(-180, west + (at / across) * (east - west))));
    const latitude = (/** @type {number} */ at) => degrees(Math.min(90, Math.max(-90, north - (at / down) * (north - south))));
    return take([latitude(bottom), longitude(left), latitude(top), longitude(right)]);
  });
  return area;
}

/**
 * A box drawn by hand, in the plot's own units.
 * @param {SVGElement} area
 * @param {(box: [number, number, number, number]) => unknown} show left, top, right, bottom, while it is drawn
 * @param {() => unknown} left as it was: the finger was taken away by something else
 * @param {(box: [number, number, number, number]) => unknown} done
 */
function drawn(area, show, left, done) {
  const graphic = /** @type {SVGSVGElement} */ (area);
  let from = /** @type {?DOMPoint} */ (null);
  const at = (/** @type {PointerEvent} */ event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(graphic.getScreenCTM()?.inverse());
  /** @returns {[number, number, number, number]} */
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
