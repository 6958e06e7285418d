/** Asks the server. Every refusal is an ApiError with the server's sentence, every silence a ServerGone. */

/** @import { Within } from "./sets.js" */

/**
 * @typedef {Error & {status?: number, code?: string, field?: ?string}} Failure what `ask` throws: an ApiError has them all
 * @typedef {{row_id: number, columns?: Record<string, any>}} Place a row as its address needs it
 * @typedef {Place & {uri: string, width_px: ?number, height_px: ?number, columns: Record<string, any>, score?: ?number,
 *   z?: ?number, collapsed?: ?number[], span?: ?Answers.Span, explain?: ?Answers.Share[], label?: ?string}} Row one image,
 *   as any answer has it: a hit's score and z, what it stands for, and its label are there where they were asked for
 */

export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{code: string, message: string, field?: ?string}} said
   */
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
 * @param {string} method
 * @param {string} path
 * @param {{body?: FormData|Record<string, any>, signal?: AbortSignal}} [more]
 * @returns {Promise<{answer: any, took: ?number}>} the JSON, null for an empty answer, and the ms that it took
 * @throws {ApiError|ServerGone|DOMException} the last where signal was aborted
 */
export async function ask(method, path, { body, signal } = {}) {
  const isForm = body instanceof FormData;
  /** @type {Record<string, string>} */
  const headers = body && !isForm ? { "Content-Type": "application/json" } : {};
  let response;
  try {
    const sent = body instanceof FormData || !body ? body : JSON.stringify(body);
    response = await fetch(path, { method, headers, signal, body: sent });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerGone();
  }
  const answer = await read(response, signal);
  if (!response.ok) throw new ApiError(response.status, answer?.error ?? unexplained(response));
  return { answer, took: tookMs(response.headers.get("Server-Timing")) };
}

/**
 * @param {Response} response
 * @param {AbortSignal} [signal]
 */
async function read(response, signal) {
  try {
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (error instanceof SyntaxError) return null; // a proxy's page, say; the status tells what it can
    throw new ServerGone();
  }
}

/**
 * Of an answer that was to be no JSON.
 * @param {Response} response
 */
export const refusalOf = async (response) =>
  new ApiError(response.status, (await response.json().catch(() => null))?.error ?? unexplained(response));

/** @param {Response} response */
const unexplained = ({ status }) => ({ code: "internal", message: `the server answered ${status}`, field: null });

/**
 * "embed;dur=21.5, search;dur=3.1" -> 24.6
 * @param {?string} timing
 * @returns {?number}
 */
function tookMs(timing) {
  const parts = [...(timing ?? "").matchAll(/dur=([\d.]+)/g)].map((found) => Number(found[1]));
  return parts.length ? parts.reduce((sum, part) => sum + part) : null;
}

/** @param {string} lake */
export const lakePath = (lake) => `/v1/lakes/${encodeURIComponent(lake)}`;

/** @returns {Promise<Answers.Session>} */
export const session = async () => (await ask("GET", "/v1/session")).answer;
/** @param {string} key */
export const signIn = (key) => ask("POST", "/v1/session", { body: { key } });
export const signOut = () => ask("DELETE", "/v1/session");
/** @returns {Promise<Answers.LakeFacts[]>} */
export const lakes = async () => (await ask("GET", "/v1/lakes")).answer.lakes;
/**
 * @param {string} lake
 * @returns {Promise<Answers.Column[]>}
 */
export const columns = async (lake) => (await ask("GET", `${lakePath(lake)}/columns`)).answer.columns;
/**
 * @param {string} lake
 * @returns {Promise<Answers.AboutAnswer>}
 */
export const about = async (lake) => (await ask("GET", `${lakePath(lake)}/about`)).answer;
/**
 * @param {string} lake
 * @returns {Promise<Answers.SyncAnswer>}
 */
export const syncing = async (lake) => (await ask("GET", `${lakePath(lake)}/sync`)).answer;
/**
 * @param {string} lake
 * @param {boolean} retrySkipped whether files are tried again that could not be read, changed or not
 * @returns {Promise<Answers.SyncAnswer>}
 */
export const beginSync = async (lake, retrySkipped = false) =>
  (await ask("POST", `${lakePath(lake)}/sync${retrySkipped ? "?retry_skipped=true" : ""}`)).answer;
/**
 * @param {string} lake
 * @returns {Promise<Answers.SyncAnswer>}
 */
export const stopSync = async (lake) => (await ask("DELETE", `${lakePath(lake)}/sync`)).answer;
/**
 * The fields by which a request names a decision of a filter.
 * @param {?Within} within
 */
export const asked = (within) => (within ? { filter: within.filter, decision: [within.decision] } : {});

/**
 * @param {string} lake
 * @param {{where: string, within: ?Within}} among
 * @param {Record<string, any>} above examples and the min_z, where those alone are counted that match so strongly
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answers.FacetsAnswer>}
 */
export const facets = async (lake, { where, within }, above, signal) =>
  (await ask("POST", "/v1/facets", { body: { lake, where: where || null, ...asked(within), ...above }, signal })).answer;
/**
 * @param {string} lake
 * @param {number} rowId
 * @param {AbortSignal} [signal]
 * @returns {Promise<Row>}
 */
export const row = async (lake, rowId, signal) =>
  (await ask("GET", `${lakePath(lake)}/rows/${rowId}`, { signal })).answer.row;

/** Resolves if the server answers at all. */
export const ping = () => ask("GET", "/healthz");

/**
 * Why an image does not come: the server's sentence, or null if it comes now.
 * @param {string} url
 * @returns {Promise<?ApiError|ServerGone>}
 */
export async function imageProblem(url) {
  try {
    const response = await fetch(url);
    return response.ok ? null : await refusalOf(response);
  } catch {
    return new ServerGone();
  }
}

/**
 * `v` lets the browser keep the image: other bytes would be another row.
 * @param {Place} row
 */
const version = (row) => (row.columns?.sha256 ? `v=${row.columns.sha256.slice(0, 16)}` : "");

/**
 * @param {string} lake
 * @param {Place} row
 */
export const imageUrl = (lake, row) => `${lakePath(lake)}/rows/${row.row_id}/image?${version(row)}`;

/**
 * @param {string} lake
 * @param {Place} row
 * @param {number} size the longer side in px, 32 to 1024
 */
export const thumbnailUrl = (lake, row, size) =>
  `${lakePath(lake)}/rows/${row.row_id}/thumbnail?size=${size}${version(row) && `&${version(row)}`}`;
