/** Files that the page saves: whole before the browser has them, so that none is ever half or holds a refusal. */

import { ApiError, ServerGone, refusalOf } from "./api.js";
import { make } from "./dom.js";

const KEPT_MS = 60_000; // a browser may read it after the click
const BROKEN = "the file broke off on its way, and nothing was saved; try again";

/**
 * @typedef {{blob: Blob, name: string, leftOut: number, because: string}} Fetched leftOut: images that it cannot name; because: why, or ""
 */

/**
 * A file that the server makes. The browser keeps a large one on its disk, and not in the page's memory.
 * @param {string} href
 * @returns {Promise<Fetched>}
 * @throws {ApiError|ServerGone}
 */
export async function fetchFile(href) {
  const response = await fetch(href).catch(() => {
    throw new ServerGone();
  });
  if (!response.ok) throw await refusalOf(response);
  const blob = await response.blob().catch(() => null);
  const { headers } = response;
  const wanted = headers.get("Content-Encoding") ? null : headers.get("Content-Length");
  if (!blob || (wanted !== null && blob.size !== Number(wanted))) throw new ApiError(0, { code: "broken_off", message: BROKEN });
  return {
    blob,
    name: /filename="([^"]+)"/.exec(headers.get("Content-Disposition") ?? "")?.[1] ?? "download",
    leftOut: Number(headers.get("Left-Out") ?? 0),
    because: decodeURIComponent(headers.get("Left-Out-Because") ?? ""),
  };
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
export function saveFile(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}
