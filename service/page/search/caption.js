/** The line under an image: its file's name, or what it has in a column. */

import { make } from "../common/dom.js";
import { nameOf, time } from "../common/words.js";

/** @import { Row } from "../common/api.js" */

/**
 * @param {Row} row
 * @param {string} column
 */
export function captionOf(row, column) {
  if (column === "uri") return nameOf(row);
  const value = /** @type {Record<string, any>} */ (row)[column] ?? row.columns?.[column];
  if (value === null || value === undefined) return "–";
  if (typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value)) return time(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/**
 * Put it under the image of a cell; column "" takes it away.
 * @param {HTMLElement} cell
 * @param {Row} row
 * @param {string} column
 */
export function setCaption(cell, row, column) {
  const there = cell.querySelector(".caption");
  if (!column) return there?.remove();
  const text = captionOf(row, column);
  if (there?.textContent === text) return;
  there?.remove();
  cell.append(make("span", { class: "caption", dir: "auto", title: text }, text));
}
