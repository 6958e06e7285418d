/** What came into the lake after a filter was applied: how many images, and what to do about them. */

import { button, make } from "../common/dom.js";
import { searchHref } from "../common/links.js";
import { since } from "./filter_words.js";

/**
 * @param {string} lake
 * @param {{name: string, where: ?string, applied: ?Answers.InForce}} filter
 * @param {?(() => unknown)} decide begins a check that takes them in; null: this reader may not
 * @param {?(() => unknown)} extend goes on with the check there is, of what came alone; likewise
 * @returns {Node[]} nothing where nothing came
 */
export function sinceThen(lake, { name, where, applied }, decide, extend) {
  if (!applied?.undecided) return [];
  const set = { filter: name, decision: "undecided" };
  return [
    make("p", {}, since(applied.undecided)),
    make(
      "p",
      { class: "since-ways" },
      make("a", { href: searchHref(lake, null, set, where) }, "Look at them"),
      extend && canFollow(applied.promise) && button({ class: "strong" }, extend, "Decide them: extend the random check"),
      decide && button({}, decide, "Decide them: a new random check"),
    ),
  ];
}

/**
 * Whether its check can go on with the answers it has.
 * @param {Answers.Promise} promise
 */
const canFollow = ({ precision, assumption, every, scene }) => [precision, assumption, every, scene].every((each) => each === null);
