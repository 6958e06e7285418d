/** The mark on an image that the search beside this one found, too: at which place. */

import { make } from "../common/dom.js";

/**
 * @param {HTMLElement} cell
 * @param {number|undefined} place from 1; undefined: the other has not found it
 */
export function setPlace(cell, place) {
  const there = cell.querySelector(".in-both");
  if (place === undefined) return there?.remove();
  const text = `= ${place.toLocaleString("en")}`;
  if (there?.textContent === text) return;
  there?.remove();
  const says = `In both: at place ${place.toLocaleString("en")} of the other search`;
  cell.append(make("span", { class: "in-both", role: "img", "aria-label": says, title: says }, text));
}
