/** What a filter is made of, in the place of an image: its texts, examples, condition and guarantee. */

import { thumbnailUrl } from "../common/api.js";
import { make, smallPicture } from "../common/dom.js";
import { newFilterHref, searchHref } from "../common/links.js";
import { wanted } from "./filter_words.js";

/** @import { Child } from "../common/dom.js" */

const THUMBNAIL = 128;

/**
 * @param {string} lake
 * @param {Answers.FilterAnswer} filter
 * @param {boolean} mayMake whether this reader may make another one
 * @returns {HTMLElement}
 */
export function description(lake, { keep, drop, where, target }, mayMake) {
  const side = (/** @type {Record<string, any>} */ { texts, row_ids: rows }) => ({ texts, rows: rows.map(String), photos: [] });
  const another = newFilterHref(lake, { keep: side(keep), drop: side(drop), where: where ?? "" });
  return make(
    "div",
    { class: "described" },
    make("h2", {}, "What this filter is made of"),
    make(
      "dl",
      {},
      ...part("Keep images of", examples(lake, keep)),
      ...part("Rather than images of", examples(lake, drop)),
      ...part("Only images where", where ? [make("code", {}, where)] : []),
      ...part("The guarantee", [wanted(target)]),
    ),
    make(
      "p",
      { class: "small" },
      "This stays as it is: answers and guarantees rest on it. ",
      mayMake && make("a", { href: another }, "Make another filter like this one"),
    ),
  );
}

/**
 * @param {string} name
 * @param {Child[]} parts
 */
function part(name, parts) {
  return parts.length ? [make("dt", {}, name), make("dd", {}, ...parts)] : [];
}

/**
 * @param {string} lake
 * @param {Record<string, any>} side its texts, row_ids and images
 * @returns {HTMLElement[]}
 */
function examples(lake, { texts, row_ids: rows, images }) {
  const shown = rows.map((/** @type {number} */ rowId) => {
    const src = thumbnailUrl(lake, { row_id: rowId }, THUMBNAIL);
    const image = smallPicture({ src, alt: `Image ${rowId}`, width: 64, height: 52 });
    return make("a", { href: searchHref(lake, rowId), title: `Image ${rowId}` }, image);
  });
  const named = images.map((/** @type {{name: ?string}} */ { name }) => make("span", { class: "of-text" }, name ?? "a photo"));
  return [...texts.map((/** @type {string} */ text) => make("span", { class: "of-text" }, text)), ...shown, ...named];
}
