/** What is inside a chip, whichever page shows it: a small picture, and the button that removes it. */

import { button, icon, make } from "./dom.js";

/**
 * @param {string} name
 * @param {() => unknown} does
 */
export const remover = (name, does) =>
  button({ class: "remove", title: "Remove", "aria-label": `Remove ${name}` }, does, icon("close"));

/**
 * A small image; its name where the browser cannot show it.
 * @param {?string} src
 * @param {string} name
 */
export function picture(src, name) {
  const image = make("img", { src, alt: name, width: 36, height: 36, decoding: "async" });
  const instead = () => image.replaceWith(make("span", { class: "text", dir: "auto" }, name));
  image.addEventListener("error", instead, { once: true });
  return image;
}
