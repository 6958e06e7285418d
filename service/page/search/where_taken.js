/** Where images were taken: a box that is drawn on a plot of them, or typed, writes the `where`. */

import { button, make } from "../common/dom.js";
import { plot } from "./place_plot.js";
import { chosenLongitudes, chosenRange, withLongitudes, withRange } from "./where_terms.js";

/** @import { Range } from "./where_terms.js" */

/** @typedef {[number, number, number, number]} Box south, west, north, east; in degrees; across the antimeridian where west is above east */

const SIDES = /** @type {const} */ (["south", "west", "north", "east"]);
const HALF_THE_WORLD = 180; // degrees
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
  const isAcross = chosen !== null && chosen[1] > chosen[3];
  const across = isAcross && make("p", { class: "place-across" }, "Across the 180th meridian: W is above E.");
  const all = button({ class: "quiet place-all", "data-facet": `${name} all`, disabled: chosen === null }, () => take(null), "All places");
  return make(
    "section",
    { class: "facet", "aria-label": name },
    make("h3", {}, name, none),
    plot(places, chosen, take),
    make("div", { class: "place-sides" }, ...SIDES.map((side, at) => input(name, side, at, places, chosen, take))),
    across,
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
  const high = chosenRange(where, { name: latitude });
  const { west, east } = chosenLongitudes(where, { name: longitude });
  if ([high.low, high.high, west, east].every((each) => each === null)) return null;
  const or = (/** @type {Range["low"]} */ value, /** @type {number} */ end) => (typeof value === "number" ? value : end);
  return [or(high.low, ENDS.south), or(west, ENDS.west), or(high.high, ENDS.north), or(east, ENDS.east)];
}

/**
 * @param {string} where
 * @param {Answers.PlacesFacet} places
 * @param {?Box} box null: everywhere
 */
function withBox(where, { latitude, longitude }, box) {
  const [south, west, north, east] = box ?? [null, null, null, null];
  const high = withRange(where, { name: latitude }, { low: south, high: north, isClosed: true });
  return withLongitudes(high, { name: longitude }, { west, east });
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
    take(upright(box, at));
  });
  return make("label", {}, make("span", { "aria-hidden": "true" }, side[0].toUpperCase()), field);
}

/**
 * A box has no side behind the other one, which follows; but for one that crosses the antimeridian, of half the world at most.
 * @param {Box} box
 * @param {number} typed the side that stays
 */
function upright(box, typed) {
  const opposite = (typed + 2) % 4;
  const isAcross = typed % 2 === 1 && box[1] > box[3] && box[3] - box[1] + 360 <= HALF_THE_WORLD;
  if (!isAcross) box[opposite] = typed < 2 ? Math.max(box[opposite], box[typed]) : Math.min(box[opposite], box[typed]);
  return box;
}

/** @param {number} degrees */
const brief = (degrees) => String(Number(degrees.toFixed(2)));
