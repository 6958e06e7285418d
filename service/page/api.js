/** Asks the server. Every refusal is an ApiError with the server's sentence, every silence a ServerGone. */

import { isQuery } from "./state.js";

export const PAGE_ROWS = 60;

export class ApiError extends Error {
  constructor(status, { code, message, field }) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field ?? null;
  }
}

export class ServerGone extends Error {
  constructor() {
    super("the server does not answer");
  }
}

/**
 * @returns {Promise<{answer: ?Object, took: ?number}>} the JSON, null for an empty answer, and the ms that it took
 * @throws {ApiError|ServerGone|DOMException} the last where signal was aborted
 */
export async function ask(method, path, { body, signal } = {}) {
  const isForm = body instanceof FormData;
  const headers = body && !isForm ? { "Content-Type": "application/json" } : {};
  let response;
  try {
    const sent = body && !isForm ? JSON.stringify(body) : body;
    response = await fetch(path, { method, headers, signal, body: sent });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerGone();
  }
  const answer = await read(response, signal);
  if (!response.ok) throw new ApiError(response.status, answer?.error ?? unexplained(response));
  return { answer, took: tookMs(response.headers.get("Server-Timing")) };
}

async function read(response, signal) {
  try {
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (error instanceof SyntaxError) return null; // a proxy's page, say; the status tells what it can
    throw new ServerGone();
  }
}

const unexplained = ({ status }) => ({ code: "internal", message: `the server answered ${status}`, field: null });

/** "embed;dur=21.5, search;dur=3.1" -> 24.6 */
function tookMs(timing) {
  const parts = [...(timing ?? "").matchAll(/dur=([\d.]+)/g)].map((found) => Number(found[1]));
  return parts.length ? parts.reduce((sum, part) => sum + part) : null;
}

export const lakePath = (lake) => `/v1/lakes/${encodeURIComponent(lake)}`;

export const session = async () => (await ask("GET", "/v1/session")).answer;
export const signIn = (key) => ask("POST", "/v1/session", { body: { key } });
export const signOut = () => ask("DELETE", "/v1/session");
export const lakes = async () => (await ask("GET", "/v1/lakes")).answer.lakes;
export const columns = async (lake) => (await ask("GET", `${lakePath(lake)}/columns`)).answer.columns;
export const row = async (lake, rowId, signal) =>
  (await ask("GET", `${lakePath(lake)}/rows/${rowId}`, { signal })).answer.row;

/** Resolves if the server answers at all. */
export const ping = () => ask("GET", "/healthz");

/** Why an image does not come: the server's sentence, or null if it comes now. */
export async function imageProblem(url) {
  try {
    const response = await fetch(url);
    if (response.ok) return null;
    return new ApiError(response.status, (await response.json().catch(() => null))?.error ?? unexplained(response));
  } catch {
    return new ServerGone();
  }
}

/** `v` lets the browser keep the image: other bytes would be another row. */
const version = (row) => (row.columns?.sha256 ? `v=${row.columns.sha256.slice(0, 16)}` : "");

export const imageUrl = (lake, row) => `${lakePath(lake)}/rows/${row.row_id}/image?${version(row)}`;

/** @param {number} size the longer side in px, 32 to 1024 */
export const thumbnailUrl = (lake, row, size) =>
  `${lakePath(lake)}/rows/${row.row_id}/thumbnail?size=${size}${version(row) && `&${version(row)}`}`;

/**
 * One page of what the state asks for.
 * @param {Map<string, {blob: Blob, name: string}>} uploads those of the state's uploads that this browser has
 * @returns {Promise<{rows: Object[], cursor: ?string, snapshot: number, took: ?number}>}
 */
export async function page(lake, state, uploads, cursor, signal) {
  const examples = state.examples.filter(({ kind, value }) => kind !== "upload" || uploads.has(value));
  if (!isQuery({ ...state, examples })) return browse(lake, state, cursor, signal);
  const { answer, took } = cursor
    ? await ask("POST", "/v1/search", { body: { lake, cursor, k: PAGE_ROWS }, signal })
    : await search(lake, { ...state, examples }, uploads, signal);
  return { rows: answer.hits, cursor: answer.next_cursor, snapshot: answer.snapshot, took };
}

async function browse(lake, state, cursor, signal) {
  const params = new URLSearchParams({ k: String(PAGE_ROWS) });
  if (cursor) params.set("cursor", cursor);
  else if (state.where) params.set("where", state.where);
  const { answer } = await ask("GET", `${lakePath(lake)}/rows?${params}`, { signal });
  return { rows: answer.rows, cursor: answer.next_cursor, snapshot: answer.snapshot, took: null };
}

function search(lake, state, uploads, signal) {
  const fields = {
    lake,
    texts: textsOf(state),
    images: of(state, "row").map(({ value, sign }) => ({ row_id: Number(value), weight: sign })),
    k: PAGE_ROWS,
    ...(state.where && { where: state.where }),
    ...(state.minZ !== null && { min_z: state.minZ }),
    ...(state.collapse && { collapse: true }),
  };
  const sent = of(state, "upload");
  if (!sent.length) return ask("POST", "/v1/search", { body: fields, signal });
  return ask("POST", "/v1/search/upload", { body: form(fields, sent, uploads), signal });
}

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
