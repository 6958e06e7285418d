/** The filters of a lake. */

import { byId, make } from "../common/dom.js";
import { labelHref } from "../common/links.js";
import { notice } from "../common/messages.js";
import { inForce, labelled, stage, wantedShort } from "./filter_words.js";

/**
 * @param {string} lake
 * @param {Answers.FiltersAnswer} found
 */
export function showList(lake, { filters: usable, problems }) {
  byId("none").hidden = usable.length + problems.length > 0;
  byId("filters").hidden = usable.length === 0;
  byId("filters").replaceChildren(...usable.map((each) => item(lake, each)));
  byId("damaged").replaceChildren(...problems.map(({ name, message }) => notice(`${name} cannot be used: ${message}`)));
}

/**
 * @param {string} lake
 * @param {Answers.FilterFacts} filter
 */
function item(lake, { name, stage: at, target, where, labels, applied }) {
  const facts = [stage(at), labelled(labels), wantedShort(target)];
  return make(
    "li",
    {},
    make(
      "a",
      { class: "filter-link", href: labelHref(lake, name) },
      make("span", { class: "filter-name" }, name),
      make("span", { class: "small" }, facts.join(" · ")),
      ...inForce(applied).map((said) => make("span", { class: "small" }, said)),
      where !== null && make("span", { class: "small" }, "where ", make("code", {}, where)),
    ),
  );
}
