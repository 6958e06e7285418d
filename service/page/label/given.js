/** A new filter's form, filled with what a search was for. */

import { byId } from "../common/dom.js";
import { UploadStore } from "../common/upload_store.js";
import { slug } from "./slug.js";

/** @import { ExamplePhotos } from "./example_photos.js" */

/** @import { NewFilter } from "../common/links.js" */

const ARTICLE = /^(?:an?|the)\s+/i;
const NAME_CHARS = 32; // of a name made of the words

/**
 * @param {NewFilter} given as links.js has it
 * @param {ExamplePhotos} examples
 * @returns {Promise<number>} photos of the search that this browser does not have
 */
export async function fillWith(given, examples) {
  byId("new-keep").value = given.keep.texts.join("\n");
  byId("new-drop").value = given.drop.texts.join("\n");
  byId("new-where").value = given.where;
  const [first = ""] = given.keep.texts;
  byId("new-name").value = slug(first.replace(ARTICLE, "").slice(0, NAME_CHARS)).replace(/[^a-z0-9]+$/, "");
  const store = new UploadStore();
  let missing = 0;
  for (const side of /** @type {const} */ (["keep", "drop"])) {
    const { rows, photos } = given[side];
    examples.addRows(side, rows.map(Number));
    const found = await Promise.all(photos.map((id) => store.get(id)));
    const files = found.filter((photo) => photo !== null).map(({ blob, name }) => new File([blob], name, { type: blob.type }));
    if (files.length) examples.add(side, files);
    missing += photos.length - files.length;
  }
  return missing;
}
