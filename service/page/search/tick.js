/** The tick on an image of the grid, by which it is selected. */

import { icon, make } from "../common/dom.js";

/** @param {string} name */
export const tick = (name) =>
  make(
    "button",
    {
      type: "button",
      class: "tick",
      tabindex: "-1",
      "data-act": "select",
      "aria-pressed": "false",
      "aria-label": `Select ${name}`,
      title: "Select (x)",
    },
    icon("check"),
  );

/**
 * @param {HTMLElement} cell
 * @param {boolean} isTicked
 */
export function setTicked(cell, isTicked) {
  if (cell.classList.contains("selected") === isTicked) return; // thousands of them are asked
  cell.classList.toggle("selected", isTicked);
  cell.querySelector(".tick")?.setAttribute("aria-pressed", String(isTicked));
}
