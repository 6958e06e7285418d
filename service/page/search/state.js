/** What the page shows, as its URL says it. Values in, values out: knows neither the document nor the server. */

import { parseWithin } from "../common/sets.js";
import { understand } from "./typed.js";

/** @import { Row } from "../common/api.js" */

/** @import { Within } from "../common/sets.js" */

/** @import { NewFilter } from "../common/links.js" */

/**
 * URL name -> what kind of example it is, and its sign.
 * @type {Record<string, [Kind, 1|-1]>}
 */
const EXAMPLES = {
  also: ["text", 1],
  not: ["text", -1],
  like: ["row", 1],
  unlike: ["row", -1],
  up: ["upload", 1],
  notup: ["upload", -1],
};
const VIEWS = /** @type {const} */ (["grid", "map", "alike"]);
const ROW_ID = /^[1-9]\d{0,15}$/;
const UPLOAD_ID = /^[0-9a-f]{16}$/;

/**
 * @typedef {"text"|"row"|"upload"} Kind
 * @typedef {typeof VIEWS[number]} ViewName
 * @typedef {{kind: Kind, value: string, sign: 1|-1}} Example
 * @typedef {{lake: ?string, q: string, examples: Example[], where: string, collapse: boolean, moments: boolean, minZ: ?number,
 *   sort: string, within: ?Within, view: ViewName, open: ?number, beside: ?[number, number],
 *   against: ?string}} State sort: as the API takes it, "" is the best match first, or as added; view: in what the images are shown; within: the images of one decision of a filter alone; moments: near frames of one video are one hit; open: the row_id in the large view; beside: the row_ids of two images side by side; against: a search that was kept beside this one, as `textOf` writes it
 */

/**
 * @param {string} search
 * @returns {State}
 */
export function parse(search) {
  const params = new URLSearchParams(search);
  /** @type {Example[]} */
  const examples = [];
  for (const [name, value] of params) {
    if (Object.hasOwn(EXAMPLES, name) && isValue(EXAMPLES[name][0], value)) {
      examples.push({ kind: EXAMPLES[name][0], value, sign: EXAMPLES[name][1] });
    }
  }
  const minZ = Number.parseFloat(params.get("min_z") ?? "");
  const open = params.get("row") ?? "";
  return {
    lake: params.get("lake") || null,
    q: (params.get("q") ?? "").trim(),
    examples,
    where: (params.get("where") ?? "").trim(),
    within: parseWithin(params),
    collapse: params.get("collapse") === "1",
    moments: params.get("moments") !== "0",
    minZ: Number.isFinite(minZ) ? minZ : null,
    sort: (params.get("sort") ?? "").trim(),
    view: VIEWS.find((view) => view === params.get("view")) ?? "grid",
    open: ROW_ID.test(open) ? Number(open) : null,
    beside: ROW_ID.test(open) ? null : pair(params.getAll("beside")),
    against: params.has("against") ? kept(params.get("against") ?? "") : null,
  };
}

/**
 * A search alone, as an address says it: without its lake, and without what is only looked at.
 * @param {State} state
 */
export const textOf = (state) => queryKey({ ...state, lake: null }).slice(1);

/** @param {string} text whatever stands in the address */
function kept(text) {
  const params = new URLSearchParams(text);
  params.delete("against"); // two are enough
  return textOf(parse(params.toString()));
}

/**
 * @param {State} state
 * @returns {string} "" or "?...", which parse turns into the same state.
 */
export function toSearch(state) {
  const params = new URLSearchParams();
  if (state.lake) params.set("lake", state.lake);
  if (state.q) params.set("q", state.q);
  for (const { kind, value, sign } of state.examples) params.append(urlName(kind, sign), value);
  if (state.where) params.set("where", state.where);
  if (state.within) params.set("filter", state.within.filter);
  if (state.within) params.set("decision", state.within.decision);
  if (state.minZ !== null) params.set("min_z", String(state.minZ));
  if (state.sort) params.set("sort", state.sort);
  if (state.collapse) params.set("collapse", "1");
  if (!state.moments) params.set("moments", "0");
  if (state.view !== "grid") params.set("view", state.view);
  if (state.open !== null) params.set("row", String(state.open));
  for (const rowId of state.beside ?? []) params.append("beside", String(rowId));
  if (state.against !== null) params.set("against", state.against);
  const text = params.toString();
  return text && `?${text}`;
}

/**
 * What decides the results: the state without what is only looked at.
 * @param {State} state
 */
export const queryKey = (state) => toSearch({ ...state, view: "grid", open: null, beside: null, against: null });

/**
 * Whether some images are left out, whatever is looked for.
 * @param {State} state
 */
export const isNarrowed = (state) => state.where !== "" || state.within !== null;

/** @param {State} state */
export const isQuery = (state) => Boolean(state.q) || state.examples.length > 0;

/**
 * An order is of what was looked at: whoever begins to look for something, or ends it, sees the usual one first.
 * @param {State} state
 * @param {State} before
 * @returns {State}
 */
export function withUsualSort(state, before) {
  const isAnother = isQuery(state) !== isQuery(before);
  return isAnother && state.sort === before.sort ? { ...state, sort: "" } : state;
}

/**
 * Adds an example; one that is there already takes the new sign.
 * @param {State} state
 * @param {Kind} kind
 * @param {string|number} value
 * @param {1|-1} sign
 * @returns {State}
 */
export function withExample(state, kind, value, sign) {
  const example = { kind, value: String(value), sign };
  const at = state.examples.findIndex((each) => each.kind === kind && each.value === example.value);
  const examples = at < 0 ? [...state.examples, example] : state.examples.with(at, example);
  return { ...state, examples, open: null };
}

/**
 * @param {State} state
 * @param {number} number
 */
export const withoutExample = (state, number) => ({ ...state, examples: state.examples.toSpliced(number, 1) });

/**
 * Without those uploads that are not among the ones that are here.
 * @param {State} state
 * @param {Map<string, unknown>} here
 */
export function withoutMissing(state, here) {
  return { ...state, examples: state.examples.filter(({ kind, value }) => kind !== "upload" || here.has(value)) };
}

/**
 * The rows of a hit's moment, in the order in which they were taken in.
 * @param {State} state
 * @param {Row} hit
 */
export function withFramesOf(state, { uri, columns, span }) {
  const text = (/** @type {string} */ value) => `'${value.replaceAll("'", "''")}'`;
  const stream = `uri = ${text(uri)} AND stream_id = ${text(columns.stream_id)}`;
  return { ...state, where: `${stream} AND time_us BETWEEN ${span?.from_us} AND ${span?.to_us}` };
}

/**
 * The same question to another lake: rows and columns are those of one.
 * @param {State} state
 * @param {?string} lake
 */
export function withLake(state, lake) {
  return { ...state, lake, examples: state.examples.filter(({ kind }) => kind !== "row"), where: "", sort: "", within: null, open: null, beside: null, against: null };
}

/**
 * @param {State} state
 * @param {number} number
 * @returns {State}
 */
export function withFlipped(state, number) {
  const example = state.examples[number];
  return { ...state, examples: state.examples.with(number, { ...example, sign: example.sign > 0 ? -1 : 1 }) };
}

/**
 * What a person typed. The first wanted text is what is searched for, others go beside it, unwanted ones too; where
 * nothing is wanted, the words of before stay, unless they are what is unwanted now. "+beach" adds to them.
 * @param {State} state
 * @param {string} typed
 */
export function withTyped(state, typed) {
  const isMore = /^\s*\+\s*\S/.test(typed);
  const { wanted, unwanted } = understand(isMore ? typed.replace("+", "") : typed);
  const isKept = isMore || (wanted.length === 0 && unwanted.length > 0);
  const q = isKept ? state.q : (wanted[0] ?? "");
  /** @type {State} */
  const base = { ...state, q: isKept && unwanted.includes(q) ? "" : q, open: null };
  const beside = isKept ? wanted : wanted.slice(1);
  const more = beside.reduce((before, text) => withExample(before, "text", text, 1), base);
  return unwanted.reduce((before, text) => withExample(before, "text", text, -1), more);
}

/**
 * @param {string[]} texts
 * @returns {?[number, number]}
 */
function pair(texts) {
  const [one, other] = texts;
  return texts.length === 2 && one !== other && texts.every((text) => ROW_ID.test(text)) ? [Number(one), Number(other)] : null;
}

/**
 * @param {Kind} kind
 * @param {string} value
 */
function isValue(kind, value) {
  if (kind === "row") return ROW_ID.test(value);
  return kind === "upload" ? UPLOAD_ID.test(value) : value.trim() !== "";
}

/**
 * @param {Kind} kind
 * @param {1|-1} sign
 * @returns {string}
 */
function urlName(kind, sign) {
  return Object.keys(EXAMPLES).find((name) => EXAMPLES[name][0] === kind && EXAMPLES[name][1] === sign) ?? "";
}

/**
 * What a filter would be made of: the search's examples, and where.
 * @param {State} state
 * @returns {NewFilter} as links.js has it
 */
export function newFilter(state) {
  const side = (/** @type {boolean} */ wanted) => {
    const of = (/** @type {Kind} */ kind) => state.examples.filter((each) => each.kind === kind && each.sign > 0 === wanted).map(({ value }) => value);
    return { texts: [...(wanted && state.q ? [state.q] : []), ...of("text")], rows: of("row"), photos: of("upload") };
  };
  return { keep: side(true), drop: side(false), where: state.where };
}
