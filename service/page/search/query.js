/** Asks for one page of what the state asks for: a search, or a lake's rows. Errors are those of api.js. */

import { ask, asked, lakePath } from "../common/api.js";
import { isByMatch } from "./sort_words.js";
import { isQuery } from "./state.js";

/** @import { Example, State } from "./state.js" */

/** @import { Upload } from "../common/upload_store.js" */

/** @import { Row } from "../common/api.js" */

/** @typedef {Map<string, {blob: Blob, name: string}>} Uploads those of the state's that this browser has, by id */

/**
 * @typedef {{text: string, weight: number}} SignedText an example, as the API takes it
 * @typedef {{row_id: number, weight: number}} SignedRow
 */

const PAGE_ROWS = 60;
/** @type {Record<string, string>} */
const KINDS = { texts: "text", images: "row", files: "upload" }; // of examples, by the field of a request
export const GAP_S = 10; // between two frames of one moment of a video, at most

/**
 * One page of what the state asks for.
 * @param {string} lake
 * @param {State} state
 * @param {Uploads} uploads
 * @param {?string} cursor
 * @param {AbortSignal} [signal]
 * @param {number} [k] rows of a page that follows another
 * @returns {Promise<{rows: Row[], cursor: ?string, snapshot: number, took: ?number, hint: ?string, nothing: ?Answers.Nothing}>}
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

/**
 * @param {string} lake
 * @param {State} state
 * @param {?string} cursor
 * @param {AbortSignal|undefined} signal
 * @param {number} k
 */
async function browse(lake, state, cursor, signal, k) {
  const params = new URLSearchParams({ k: String(k) });
  if (cursor) params.set("cursor", cursor);
  else {
    if (state.where) params.set("where", state.where);
    if (state.sort && !isByMatch(state.sort)) params.set("sort", state.sort);
    for (const [name, value] of Object.entries(asked(state.within))) params.set(name, value);
  }
  const { answer } = await ask("GET", `${lakePath(lake)}/rows?${params}`, { signal });
  return { rows: answer.rows, cursor: answer.next_cursor, snapshot: answer.snapshot, took: null, hint: null, nothing: null };
}

/**
 * What the map is coloured by, of a question.
 * @param {State} state
 * @returns {{texts: SignedText[], images: SignedRow[], hasUploads: boolean}}
 */
export function examplesOf(state) {
  const images = of(state, "row").map(({ value, sign }) => ({ row_id: Number(value), weight: sign }));
  return { texts: textsOf(state), images, hasUploads: of(state, "upload").length > 0 };
}

/**
 * What narrows the metadata panel's numbers to the images above the cut-off; nothing where there is none, or an upload.
 * @param {string} lake
 * @param {State} state
 * @returns {{min_z?: number} & Record<string, any>}
 */
export function cutOf(lake, state) {
  if (state.minZ === null || !isQuery(state) || of(state, "upload").length) return {};
  const { texts, images, min_z } = fieldsOf(lake, state);
  return { texts, images, min_z };
}

/**
 * What is saved of a search: a body of `POST /v1/search` without its lake; null: photos of this browser are part of it.
 * @param {State} state
 * @returns {?Record<string, any>}
 */
export function savable(state) {
  if (of(state, "upload").length) return null;
  const { lake, k, explain, ...fields } = fieldsOf(null, state);
  const query = Object.entries(fields).filter(([, value]) => !Array.isArray(value) || value.length);
  return Object.fromEntries(query);
}

/**
 * How strongly all images match that the state's `where` keeps.
 * @param {string} lake
 * @param {State} state
 * @param {Uploads} uploads
 * @param {AbortSignal} signal
 * @returns {Promise<Answers.ScoresAnswer>}
 */
export async function scores(lake, state, uploads, signal) {
  const examples = state.examples.filter(({ kind, value }) => kind !== "upload" || uploads.has(value));
  const { k, collapse, moments, explain, sort, ...fields } = fieldsOf(lake, { ...state, examples });
  const sent = of({ examples }, "upload");
  const body = sent.length ? form(fields, sent, uploads) : fields;
  return (await ask("POST", sent.length ? "/v1/scores/upload" : "/v1/scores", { body, signal })).answer;
}

/**
 * A cursor alone does, but then there is no word of what each example adds.
 * @param {string} lake
 * @param {State} state
 * @param {string} cursor
 * @param {number} k
 */
function next(lake, state, cursor, k) {
  const isExplained = isSeveral(state) && !of(state, "upload").length;
  return isExplained ? { ...fieldsOf(lake, state), cursor, k } : { lake, cursor, k };
}

/**
 * @param {string} lake
 * @param {State} state
 * @param {Uploads} uploads
 * @param {AbortSignal} [signal]
 */
function search(lake, state, uploads, signal) {
  const fields = fieldsOf(lake, state);
  const sent = of(state, "upload");
  if (!sent.length) return ask("POST", "/v1/search", { body: fields, signal });
  return ask("POST", "/v1/search/upload", { body: form(fields, sent, uploads), signal });
}

/**
 * @param {?string} lake null: of none
 * @param {State} state
 * @returns {Record<string, any>} as `POST /v1/search` takes them
 */
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
    ...(state.sort && { sort: state.sort }),
    ...(state.moments && !state.sort && { moments: { gap_s: GAP_S } }),
    ...(isSeveral(state) && { explain: true }),
  };
}

/**
 * Whether there is something to tell of what each example adds.
 * @param {State} state
 */
const isSeveral = (state) => state.examples.length + (state.q ? 1 : 0) > 1;

/**
 * @param {{examples: Example[]}} state
 * @param {string} kind
 */
const of = (state, kind) => state.examples.filter((example) => example.kind === kind);

/** @param {State} state */
function textsOf(state) {
  const more = of(state, "text").map(({ value, sign }) => ({ text: value, weight: sign }));
  return state.q ? [{ text: state.q, weight: 1 }, ...more] : more;
}

/**
 * @param {Record<string, any>} fields
 * @param {Example[]} sent
 * @param {Uploads} uploads
 */
function form(fields, sent, uploads) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    data.append(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  for (const { value, sign } of sent) {
    const upload = uploads.get(value);
    if (!upload) continue;
    data.append("files", upload.blob, upload.name);
    data.append("weights", String(sign));
  }
  return data;
}

/**
 * The example that an error's field names ("texts[1].text", "images[0].row_id", "files[2]"): its number, or -1.
 * @param {?string|undefined} field
 * @param {State} state
 * @param {Uploads} uploads
 */
export function exampleOf(field, state, uploads) {
  const found = /^(texts|images|files)\[(\d+)\]/.exec(field ?? "");
  if (!found) return -1;
  const kind = KINDS[found[1]];
  const wanted = Number(found[2]) - (kind === "text" && state.q ? 1 : 0);
  const sent = state.examples.filter((each) => each.kind === kind && (kind !== "upload" || uploads.has(each.value)));
  return state.examples.indexOf(sent[wanted]);
}
