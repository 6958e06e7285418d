/** A saved search as the page's state: what it asks for, or which of it the page has no place for. Values in, values out. */

import { GAP_S } from "./query.js";
import { parse } from "./state.js";
import { understand } from "./typed.js";

/** @import { Example, Kind, State } from "./state.js" */

const TAKEN = ["query", "texts", "images", "where", "filter", "decision", "min_z", "collapse", "moments", "sort"];
/** @type {Record<string, unknown>} */
const UNUSUAL = { collapse: false, explain: false, diversity: 0, exact: false }; // what is as if it were not said
const OF_HITS = ["k", "explain"]; // the page has pages, and explains anyway

/**
 * @param {Record<string, any>} query a body of `POST /v1/search`, as it was saved
 * @param {string} lake
 * @returns {{state: State, lacks: string[]}} lacks: fields that say more than a state can
 */
export function stateOf(query, lake) {
  const said = Object.entries(query).filter(([name, value]) => value !== null && UNUSUAL[name] !== value && !OF_HITS.includes(name));
  const lacks = said.map(([name]) => name).filter((name) => !TAKEN.includes(name));
  const wrong = (/** @type {string} */ name) => lacks.push(name);
  const typed = query.query ? understand(query.query) : { wanted: [], unwanted: [] };
  const text = (/** @type {1|-1} */ sign) => (/** @type {string} */ value) => ({ kind: /** @type {const} */ ("text"), value, sign });
  /** @type {Example[]} */
  const examples = [
    ...typed.wanted.map(text(1)),
    ...typed.unwanted.map(text(-1)),
    ...signed(query.texts, "text", "text", wrong),
    ...signed(query.images, "row", "row_id", wrong),
  ];
  const first = examples.findIndex(({ kind, sign }) => kind === "text" && sign > 0);
  if (query.moments && query.moments.gap_s !== GAP_S) wrong("moments");
  if (query.filter && (query.decision ?? ["keep"]).length !== 1) wrong("decision");
  return {
    state: {
      ...parse(""),
      lake,
      q: first < 0 ? "" : examples[first].value,
      examples: first < 0 ? examples : examples.toSpliced(first, 1),
      where: query.where ?? "",
      within: query.filter ? { filter: query.filter, decision: query.decision?.[0] ?? "keep" } : null,
      minZ: query.min_z ?? null,
      collapse: query.collapse === true,
      moments: Boolean(query.moments) || !examples.length || Boolean(query.sort),
      sort: query.sort ?? "",
    },
    lacks: [...new Set(lacks)],
  };
}

/**
 * @param {?(string|Record<string, any>)[]|undefined} said
 * @param {Kind} kind
 * @param {string} field
 * @param {(name: string) => unknown} wrong
 * @returns {Example[]}
 */
function signed(said, kind, field, wrong) {
  return (said ?? []).map((each) => {
    const { [field]: value, weight = 1 } = typeof each === "object" ? each : { [field]: each };
    if (Math.abs(weight) !== 1) wrong("weights");
    return { kind, value: String(value), sign: weight < 0 ? -1 : 1 };
  });
}

/**
 * What it looks for, in a line.
 * @param {State} state
 */
export function summaryOf({ q, examples, where, within, minZ }) {
  const texts = examples.filter(({ kind }) => kind === "text").map(({ value, sign }) => (sign < 0 ? `−${value}` : value));
  const rows = examples.length - texts.length;
  const parts = [q, ...texts, rows && `${rows} ${rows === 1 ? "image" : "images"}`, where, within && within.filter];
  return [...parts, minZ !== null && `match ≥ ${minZ}`].filter(Boolean).join(" · ");
}
