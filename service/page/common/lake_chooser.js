/** Which of the served lakes is looked at. */

import { make } from "./dom.js";

/**
 * @param {HTMLSelectElement} chooser hidden where there is no choice
 * @param {{name: string}[]} lakes
 */
export function offerLakes(chooser, lakes) {
  chooser.hidden = lakes.length < 2;
  chooser.replaceChildren(...lakes.map(({ name }) => make("option", { value: name }, name)));
}
