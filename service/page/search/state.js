/** What the page shows, as its URL says it. Values in, values out: knows neither the document nor the server. */

import { parseWithin } from "../common/sets.js";
import { understand } from "./typed.js";

/** URL name -> what kind of example it is, and its sign. */
const EXAMPLES = {
  also: ["text", 1],
  not: ["text", -1],
  like: ["row", 1],
  unlike: ["row", -1],
  up: ["upload", 1],
  notup: ["upload", -1],
};
const ROW_ID = /^[1-9]\d{0,15}$/;
const UPLOAD_ID = /^[0-9a-f]{16}$/;

/**
 * @typedef {{kind: "text"|"row"|"upload", value: string, sign: 1|-1}} Example
 * @typedef {{lake: ?string, q: string, examples: Example[], where: string, collapse: boolean, moments: boolean, minZ: ?number,
 *   within: ?Within, open: ?number}} State within: the images of one decision of a filter alone; moments: near frames of one video are one hit; open: the row_id in the large view
 */

/** @returns {State} */
export function parse(search) {
  const params = new URLSearchParams(search);
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
    open: ROW_ID.test(open) ? Number(open) : null,
  };
}

/** @returns {string} "" or "?...", which parse turns into the same state. */
export function toSearch(state) {
  const params = new URLSearchParams();
  if (state.lake) params.set("lake", state.lake);
  if (state.q) params.set("q", state.q);
  for (const { kind, value, sign } of state.examples) params.append(urlName(kind, sign), value);
  if (state.where) params.set("where", state.where);
  if (state.within) params.set("filter", state.within.filter);
  if (state.within) params.set("decision", state.within.decision);
  if (state.minZ !== null) params.set("min_z", String(state.minZ));
  if (state.collapse) params.set("collapse", "1");
  if (!state.moments) params.set("moments", "0");
  if (state.open !== null) params.set("row", String(state.open));
  const text = params.toString();
  return text && `?${text}`;
}

/** What decides the results: the state without what is only looked at. */
export const queryKey = (state) => toSearch({ ...state, open: null });

/** Whether some images are left out, whatever is looked for. */
export const isNarrowed = (state) => state.where !== "" || state.within !== null;

export const isQuery = (state) => Boolean(state.q) || state.examples.length > 0;

/** Adds an example; one that is there already takes the new sign. */
export function withExample(state, kind, value, sign) {
  const example = { kind, value: String(value), sign };
  const at = state.examples.findIndex((each) => each.kind === kind && each.value === example.value);
  const examples = at < 0 ? [...state.examples, example] : state.examples.with(at, example);
  return { ...state, examples, open: null };
}

export const withoutExample = (state, number) => ({ ...state, examples: state.examples.toSpliced(number, 1) });

/** Without those uploads that are not among the ones that are here. */
export function withoutMissing(state, here) {
  return { ...state, examples: state.examples.filter(({ kind, value }) => kind !== "upload" || here.has(value)) };
}

/** The rows of a hit's moment, in the order in which they were taken in. */
export function withFramesOf(state, { uri, columns, span }) {
  const text = (value) => `'${value.replaceAll("'", "''")}'`;
  const stream = `uri = ${text(uri)} AND stream_id = ${text(columns.stream_id)}`;
  return { ...state, where: `${stream} AND time_us BETWEEN ${span.from_us} AND ${span.to_us}` };
}

/** The same question to another lake: rows and columns are those of one. */
export function withLake(state, lake) {
  return { ...state, lake, examples: state.examples.filter(({ kind }) => kind !== "row"), where: "", within: null, open: null };
}

export function withFlipped(state, number) {
  const example = state.examples[number];
  return { ...state, examples: state.examples.with(number, { ...example, sign: -example.sign }) };
}

/**
 * What a person typed. The first wanted text is what is searched for, others go beside it, unwanted ones too; where
 * nothing is wanted, the words of before stay, unless they are what is unwanted now. "+beach" adds to them.
 */
export function withTyped(state, typed) {
  const isMore = /^\s*\+\s*\S/.test(typed);
  const { wanted, unwanted } = understand(isMore ? typed.replace("+", "") : typed);
  const isKept = isMore || (wanted.length === 0 && unwanted.length > 0);
  const q = isKept ? state.q : (wanted[0] ?? "");
  const base = { ...state, q: isKept && unwanted.includes(q) ? "" : q, open: null };
  const beside = isKept ? wanted : wanted.slice(1);
  const more = beside.reduce((before, text) => withExample(before, "text", text, 1), base);
  return unwanted.reduce((before, text) => withExample(before, "text", text, -1), more);
}

function isValue(kind, value) {
  if (kind === "row") return ROW_ID.test(value);
  return kind === "upload" ? UPLOAD_ID.test(value) : value.trim() !== "";
}

function urlName(kind, sign) {
  return Object.keys(EXAMPLES).find((name) => EXAMPLES[name][0] === kind && EXAMPLES[name][1] === sign);
}

/** What a filter would be made of: the search's examples, and where. @returns {NewFilter} as links.js has it */
export function newFilter(state) {
  const side = (wanted) => {
    const of = (kind) => state.examples.filter((each) => each.kind === kind && each.sign > 0 === wanted).map(({ value }) => value);
    return { texts: [...(wanted && state.q ? [state.q] : []), ...of("text")], rows: of("row"), photos: of("upload") };
  };
  return { keep: side(true), drop: side(false), where: state.where };
}
