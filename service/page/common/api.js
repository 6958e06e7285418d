/** Asks the server. Every refusal is an ApiError with the server's sentence, every silence a ServerGone. */

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
export const about = async (lake) => (await ask("GET", `${lakePath(lake)}/about`)).answer;
/** The fields by which a request names a decision of a filter. */
export const asked = (within) => (within ? { filter: within.filter, decision: [within.decision] } : {});

/**
 * @param {{where: string, within: ?Within}} among
 * @param {Object} above examples and the min_z, where those alone are counted that match so strongly
 */
export const facets = async (lake, { where, within }, above, signal) =>
  (await ask("POST", "/v1/facets", { body: { lake, where: where || null, ...asked(within), ...above }, signal })).answer;
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
