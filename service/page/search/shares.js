/** What each example of the query adds to a hit's score, as a table with bars from a common zero. */

import { thumbnailUrl } from "../common/api.js";
import { make, smallPicture } from "../common/dom.js";

/** @import { Row } from "../common/api.js" */

const THUMBNAIL = 256; // as the grid's, so that the browser has it already

/**
 * @param {string} lake
 * @param {Row} hit
 * @returns {?HTMLElement} null where there is nothing to tell: of one example the score says it all
 */
export function shares(lake, hit) {
  const parts = hit.explain ?? [];
  if (parts.length < 2) return null;
  const most = Math.max(0, ...parts.map(({ share }) => share));
  const least = Math.min(0, ...parts.map(({ share }) => share));
  const span = most - least || 1;
  return make(
    "table",
    { class: "shares" },
    make("caption", {}, `Score ${hit.score?.toFixed(3)}, the sum of`),
    make("tbody", {}, ...parts.map((part) => line(lake, part, -least / span, span))),
  );
}

/**
 * @param {string} lake
 * @param {Answers.Share} part
 * @param {number} zero
 * @param {number} span
 */
function line(lake, part, zero, span) {
  const { weight, cosine, share } = part;
  const bar = make("span", { class: share < 0 ? "share-bar takes" : "share-bar" });
  const width = Math.abs(share) / span;
  bar.style.insetInlineStart = `${100 * (share < 0 ? zero - width : zero)}%`;
  bar.style.inlineSize = `${100 * width}%`;
  return make(
    "tr",
    { title: `cosine ${cosine.toFixed(3)}, weight ${weight}` },
    make("th", { scope: "row", dir: "auto" }, weight < 0 && make("span", { class: "share-not" }, "not "), named(lake, part)),
    make("td", { class: "share-track", "aria-hidden": "true" }, make("span", { class: "share-room" }, bar)),
    make("td", { class: "share" }, signed(share)),
  );
}

/**
 * @param {string} lake
 * @param {Answers.Share} part
 */
function named(lake, { kind, value }) {
  if (kind === "text") return String(value);
  if (kind === "row") {
    const src = thumbnailUrl(lake, { row_id: Number(value) }, THUMBNAIL);
    return smallPicture({ src, alt: `image ${value}`, width: 40, height: 40 });
  }
  return kind === "image" ? `your image ${Number(value) + 1}` : "a vector";
}

/**
 * With a true minus, and a plus: it is a part of a sum.
 * @param {number} number
 */
const signed = (number) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(3)}`;
