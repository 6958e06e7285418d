/** Search | Filters | Lake: the ways between the pages, within one lake. A search is found again as this tab left it. */

import { byId } from "./dom.js";
import { labelHref, lakeHref, searchHref } from "./links.js";

const KEPT = "lakesift-search";

/**
 * @param {string} lake
 * @param {?string} search of the search page itself: its address after the path; null: another page
 */
export function showPlaces(lake, search = null) {
  if (search !== null) keep(lake, search);
  byId("to-search").href = search === null ? kept(lake) : search || "?";
  byId("to-filters").href = labelHref(lake);
  byId("to-lake").href = lakeHref(lake);
}

/**
 * @param {string} lake
 * @param {string} search
 */
function keep(lake, search) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ lake, search }));
  } catch {
    // storage switched off: the way back is to all images
  }
}

/** @param {string} lake */
function kept(lake) {
  try {
    const left = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    if (left?.lake === lake) return `/${left.search}`;
  } catch {
    // as above
  }
  return searchHref(lake);
}
