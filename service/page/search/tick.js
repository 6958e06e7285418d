/** The tick on an image of the grid, by which it is selected. */

import { icon, make } from "../common/dom.js";

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

export function setTicked(cell, isTicked) {
  cell.classList.toggle("selected", isTicked);
  cell.querySelector(".tick").setAttribute("aria-pressed", String(isTicked));
}
