/** Why there are no images to show, or not all of them. */

import { make } from "../common/dom.js";
import { command, message } from "../common/messages.js";
import { within } from "../common/sets.js";
import { count, curators, sentence } from "../common/words.js";

/** @import { State } from "./state.js" */

/** @import { Way } from "../common/messages.js" */

/** @import { Failure, Row } from "../common/api.js" */

/** @param {string} name */
export const emptyLake = (name) =>
  message(`${name} has no images yet`, [
    "Index a folder of photos into it: ",
    command(`lakesift index PHOTOS --into ${name}.lake`),
    ". They show here by themselves.",
  ]);

/**
 * @param {State} state
 * @param {?Answers.Nothing} nothing what the server says of it; null: no query was asked
 * @param {?Answers.LakeFacts} lake
 * @param {(hit: Row) => Node} show the best that there is
 * @param {Record<"where"|"within"|"minZ"|"all", () => unknown>} without
 */
export function nothingFound(state, nothing, lake, show, without) {
  const all = lake?.rows === 1 ? "the only image" : `all ${count(lake?.rows ?? 0)} images`;
  const said = nothing?.message ?? (state.within ? `no image is ${within(state.within)} here` : `\`where\` excludes ${all}`);
  const isByZ = nothing !== null && nothing.passing > 0;
  /** @type {Way[]} */
  const ways = [];
  if (isByZ) ways.push(["Any match strength", without.minZ]);
  else if (state.within) ways.push(["Look among all images", without.within]);
  if (!isByZ && state.where) ways.push(["Remove the condition", without.where]);
  if (!ways.length || (isByZ && state.where)) ways.push(["Show all images", without.all]);
  const found = message("No image passes", named(sentence(curators(said)), state.where), ...ways);
  if (nothing?.best) found.append(show(nothing.best));
  return found;
}

/**
 * The server's sentence; where it says `where`, the condition itself.
 * @param {string} text
 * @param {string} where
 */
const named = (text, where) =>
  text.split("`").map((part, number) => (number % 2 ? command(part === "where" ? where : part) : part));

/**
 * @param {Failure} error
 * @param {?string} name of the file that is to blame
 * @param {...Way} ways
 */
export function failure(error, name, ...ways) {
  const text = sentence(error.message, error.field);
  return message("That did not work", name ? [make("bdi", {}, name), `: ${text}`] : [text], ...ways);
}

/** @param {string[]} texts what the server says is damaged or out of reach */
export function problems(texts) {
  const title = texts.length === 1 ? "1 problem with this lake" : `${texts.length} problems with this lake`;
  return make(
    "details",
    { class: "notice" },
    make("summary", {}, title),
    make("ul", {}, ...texts.map((text) => make("li", { dir: "auto" }, sentence(text)))),
  );
}
