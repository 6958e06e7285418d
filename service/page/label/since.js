/** What came into the lake after a filter was applied: how many images, and what to do about them. */

import { button, make } from "../common/dom.js";
import { searchHref } from "../common/links.js";
import { since } from "./filter_words.js";

/**
 * @param {string} lake
 * @param {{name: string, where: ?string, applied: ?Answers.InForce}} filter
 * @param {?(() => unknown)} decide begins what takes them in; null: this reader may not
 * @returns {Node[]} nothing where nothing came
 */
export function sinceThen(lake, { name, where, applied }, decide) {
  if (!applied?.undecided) return [];
  const set = { filter: name, decision: "undecided" };
  return [
    make("p", {}, since(applied.undecided)),
    make(
      "p",
      { class: "since-ways" },
      make("a", { href: searchHref(lake, null, set, where) }, "Look at them"),
      decide && button({}, decide, "Decide them: a new random check"),
    ),
  ];
}
