/** The filters of a lake. */

import { stage, wantedShort } from "./asked.js";
import { byId, make } from "./dom.js";
import * as filters from "./filters.js";
import { count } from "./words.js";

export function showList(lake, found) {
  byId("none").hidden = found.length > 0;
  byId("filters").hidden = found.length === 0;
  byId("filters").replaceChildren(...found.map((each) => item(lake, each)));
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
