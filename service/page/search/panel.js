/** A `details` as a panel over the page: a click beside it or Esc closes it, and Esc gives the focus back. */

import { elementOf } from "../common/dom.js";

/** @param {HTMLDetailsElement} details */
export function asPanel(details) {
  document.addEventListener("click", (event) => {
    // what a click took out of the page was in it, too
    if (details.open && elementOf(event).isConnected && !details.contains(elementOf(event))) details.open = false;
  });
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    event.stopPropagation();
    details.open = false;
    details.querySelector("summary")?.focus();
  });
}
