/** Asks for one page of what the state asks for: a search, or a lake's rows. Errors are those of api.js. */

import { ask, asked, lakePath } from "../common/api.js";
import { isQuery } from "./state.js";

const PAGE_ROWS = 60;
const GAP_S = 10; // between two frames of one moment of a video, at most

/**
 * One page of what the state asks for.
 * @param {number} k rows of a page that follows another
 * @param {Map<string, {blob: Blob, name: string}>} uploads those of the state's uploads that this browser has
 * @returns {Promise<{rows: Object[], cursor: ?string, snapshot: number, took: ?number, hint: ?string, nothing: ?Object}>}
 *   hint: what is to be said of the words; nothing: why there are no rows; both of a first page alone
 */
export async function page(lake, state, uploads, cursor, signal, k = PAGE_ROWS) {
  const examples = state.examples.filter(({ kind, value }) => kind !== "upload" || uploads.has(value));
  if (!isQuery({ ...state, examples })) return browse(lake, state, cursor, signal, k);
  const { answer, took } = cursor
    ? await ask("POST", "/v1/search", { body: next(lake, { ...state, examples }, cursor, k), signal })
    : await search(lake, { ...state, examples }, uploads, signal);
  const { hits, next_cursor: after, snapshot, hint = null, nothing = null } = answer;
  return { rows: hits, cursor: after, snapshot, took, hint, nothing };
}

async function browse(lake, state, cursor, signal, k) {
  const params = new URLSearchParams({ k: String(k) });
  if (cursor) params.set("cursor", cursor);
  else {
    if (state.where) params.set("where", state.where);
    for (const [name, value] of Object.entries(asked(state.within))) params.set(name, value);
  }
  const { answer } = await ask("GET", `${lakePath(lake)}/rows?${params}`, { signal });
  return { rows: answer.rows, cursor: answer.next_cursor, snapshot: answer.snapshot, took: null, hint: null, nothing: null };
}

/** What narrows the metadata panel's numbers to the images above the cut-off; nothing where there is none, or an upload. */
export function cutOf(lake, state) {
  if (state.minZ === null || !isQuery(state) || of(state, "upload").length) return {};
  const { texts, images, min_z } = fieldsOf(lake, state);
  return { texts, images, min_z };
}

/** How strongly all images match that the state's `where` keeps. @returns {Promise<Object>} as `POST /v1/scores` answers */
export async function scores(lake, state, uploads, signal) {
  const examples = state.examples.filter(({ kind, value }) => kind !== "upload" || uploads.has(value));
  const { k, collapse, moments, explain, ...fields } = fieldsOf(lake, { ...state, examples });
  const sent = of({ examples }, "upload");
  const body = sent.length ? form(fields, sent, uploads) : fields;
  return (await ask("POST", sent.length ? "/v1/scores/upload" : "/v1/scores", { body, signal })).answer;
}

/** A cursor alone does, but then there is no word of what each example adds. */
function next(lake, state, cursor, k) {
  const isExplained = isSeveral(state) && !of(state, "upload").length;
  return isExplained ? { ...fieldsOf(lake, state), cursor, k } : { lake, cursor, k };
}

function search(lake, state, uploads, signal) {
  const fields = fieldsOf(lake, state);
  const sent = of(state, "upload");
  if (!sent.length) return ask("POST", "/v1/search", { body: fields, signal });
  return ask("POST", "/v1/search/upload", { body: form(fields, sent, uploads), signal });
}

function fieldsOf(lake, state) {
  return {
    lake,
    texts: textsOf(state),
    images: of(state, "row").map(({ value, sign }) => ({ row_id: Number(value), weight: sign })),
    k: PAGE_ROWS,
    ...(state.where && { where: state.where }),
    ...asked(state.within),
    ...(state.minZ !== null && { min_z: state.minZ }),
    ...(state.collapse && { collapse: true }),
    ...(state.moments && { moments: { gap_s: GAP_S } }),
    ...(isSeveral(state) && { explain: true }),
  };
}

/** Whether there is something to tell of what each example adds. */
const isSeveral = (state) => state.examples.length + (state.q ? 1 : 0) > 1;

const of = (state, kind) => state.examples.filter((example) => example.kind === kind);

function textsOf(state) {
  const more = of(state, "text").map(({ value, sign }) => ({ text: value, weight: sign }));
  return state.q ? [{ text: state.q, weight: 1 }, ...more] : more;
}

function form(fields, sent, uploads) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    data.append(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  for (const { value, sign } of sent) {
    const { blob, name } = uploads.get(value);
    data.append("files", blob, name);
    data.append("weights", String(sign));
  }
  return data;
}

/** The example that an error's field names ("texts[1].text", "images[0].row_id", "files[2]"): its number, or -1. */
export function exampleOf(field, state, uploads) {
  const found = /^(texts|images|files)\[(\d+)\]/.exec(field ?? "");
  if (!found) return -1;
  const kind = { texts: "text", images: "row", files: "upload" }[found[1]];
  const wanted = Number(found[2]) - (kind === "text" && state.q ? 1 : 0);
  const sent = state.examples.filter((each) => each.kind === kind && (kind !== "upload" || uploads.has(each.value)));
  return state.examples.indexOf(sent[wanted]);
}
