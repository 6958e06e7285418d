/** The pages' addresses, as they name each other; each page reads its own. */

/** @import { Within } from "./sets.js" */

// Of what a filter is made of, and of names in an address: keep_texts, drop_rows.
const PARTS = /** @type {const} */ (["texts", "rows", "photos"]);

/**
 * Where a lake is searched; with a row_id, where that image is shown large; within a filter's decision, among those alone.
 * @param {string} lake
 * @param {?number} rowId
 * @param {?Within} within
 * @param {?string} where
 */
export function searchHref(lake, rowId = null, within = null, where = null) {
  const params = new URLSearchParams({ lake, ...within, ...(where ? { where } : {}) });
  if (rowId !== null) params.set("row", String(rowId));
  return `/?${params}`;
}

/**
 * What a lake is made of.
 * @param {string} lake
 */
export const lakeHref = (lake) => `/lake?${new URLSearchParams({ lake })}`;

/**
 * Where one labels by a filter; without a name, where all of them are listed.
 * @param {string} lake
 * @param {?string} name
 */
export function labelHref(lake, name = null) {
  const params = new URLSearchParams({ lake });
  if (name !== null) params.set("filter", name);
  return `/label?${params}`;
}

/**
 * Where a filter is made of what is given here: all of it is in the address.
 * @typedef {{texts: string[], rows: string[], photos: string[]}} Side photos: ids of the reader's own, in this browser
 * @typedef {{keep: Side, drop: Side, where: string}} NewFilter
 * @param {string} lake
 * @param {NewFilter} given
 */
export function newFilterHref(lake, { keep, drop, where }) {
  const params = new URLSearchParams({ lake, new: "1" });
  for (const [name, side] of Object.entries({ keep, drop })) {
    for (const part of PARTS) for (const value of side[part]) params.append(`${name}_${part}`, value);
  }
  if (where) params.set("where", where);
  return `/label?${params}`;
}

/**
 * @param {URLSearchParams} params
 * @returns {?NewFilter} what `newFilterHref` wrote; null: the address asks for no filter
 */
export function parseNewFilter(params) {
  if (!params.has("new")) return null;
  const side = (/** @type {string} */ name) =>
    /** @type {Side} */ (Object.fromEntries(PARTS.map((part) => [part, params.getAll(`${name}_${part}`)])));
  return { keep: side("keep"), drop: side("drop"), where: params.get("where") ?? "" };
}
