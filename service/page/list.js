/** The filters of a lake. */

import { stage, wantedShort } from "./asked.js";
import { byId, make } from "./dom.js";
import * as filters from "./filters.js";
import { notice } from "./messages.js";
import { count } from "./words.js";

/** @param {{filters: Object[], problems: {name: string, message: string}[]}} found */
export function showList(lake, { filters: usable, problems }) {
  byId("none").hidden = usable.length + problems.length > 0;
  byId("filters").hidden = usable.length === 0;
  byId("filters").replaceChildren(...usable.map((each) => item(lake, each)));
  byId("damaged").replaceChildren(...problems.map(({ name, message }) => notice(`${name} cannot be used: ${message}`)));
}

function item(lake, { name, stage: at, target, where, labels }) {
  const facts = [stage(at), `${count(labels)} ${labels === 1 ? "label" : "labels"}`, wantedShort(target)];
  return make(
    "li",
    {},
    make(
      "a",
      { class: "filter-link", href: filters.labelHref(lake, name) },
      make("span", { class: "filter-name" }, name),
      make("span", { class: "small" }, facts.join(" · ")),
      where !== null && make("span", { class: "small" }, "where ", make("code", {}, where)),
    ),
  );
}
