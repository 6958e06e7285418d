/** What is known of two images, a row each, with a mark where they differ. */

import { make } from "../common/dom.js";
import { columnTitle, images, nameOf } from "../common/words.js";
import { known } from "./facts.js";

/** @import { Row } from "../common/api.js" */

/** @import { Fact } from "./facts.js" */

const NONE = "–";
const OF_EACH = new Set(["uri", "row_id"]); // no two images share them: a mark would say nothing

/**
 * @param {[Row, Row]} rows
 * @param {Fact[]} first what else is told of them, above the rest
 */
export function differences(rows, first) {
  /** @type {Fact[]} */
  const facts = [...first, { name: "uri", of: ({ uri }) => uri }, ...known(rows)];
  const lines = facts.map((fact) => line(fact, rows));
  const differing = lines.filter((each) => each.matches(".differs")).length;
  return make(
    "table",
    { class: "differences" },
    make("caption", {}, said(differing)),
    make(
      "thead",
      {},
      make("tr", {}, make("td", {}), ...rows.map((row) => make("th", { scope: "col", dir: "auto" }, nameOf(row)))),
    ),
    make("tbody", {}, ...lines),
  );
}

/**
 * @param {Fact} fact
 * @param {[Row, Row]} rows
 */
function line({ name, of }, rows) {
  const values = rows.map((row) => of(row) ?? NONE);
  const [one, other] = values.map((value) => (typeof value === "string" ? value : value.textContent));
  const differs = one !== other && !OF_EACH.has(name);
  const mark = differs && make("span", { class: "differs-mark", title: "They differ" }, "≠", make("span", { class: "unseen" }, " differs"));
  return make(
    "tr",
    { class: differs && "differs" },
    make("th", { scope: "row" }, columnTitle(name), mark),
    ...values.map((value) => make("td", { dir: "auto" }, value)),
  );
}

/** @param {number} differing */
function said(differing) {
  if (differing === 0) return `All that is known of these ${images(2)} is the same`;
  return differing === 1 ? "One thing differs" : `${differing} things differ`;
}
