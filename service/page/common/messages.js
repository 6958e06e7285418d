/** What the page says in place of images, or beside them: one sentence, and a way on. */

import { button, make } from "./dom.js";

/** @typedef {[string, () => unknown]} Way what a button says, and what it does */

/**
 * @param {string} title
 * @param {(string|Node)[]} text
 * @param {...Way} ways a button each
 */
export function message(title, text, ...ways) {
  return make(
    "section",
    { class: "message" },
    make("h2", {}, title),
    make("p", { dir: "auto" }, ...text),
    ways.length > 0 && make("p", { class: "ways" }, ...ways.map(way)),
  );
}

/** @param {Way} way */
const way = ([label, does]) => button({}, does, label);

/**
 * @param {string} text
 * @param {...Way} ways
 */
export const notice = (text, ...ways) =>
  make("p", { class: "notice" }, make("span", { dir: "auto" }, text), ...ways.map(way));

/** @param {string} text */
export const command = (text) => make("code", {}, text);

/**
 * What to do for which a key's scope is too narrow: said in place of a button that would be refused.
 * @param {string} doing
 * @param {string} scope
 */
export const needed = (doing, scope) => [
  `${doing} needs a key of scope ${scope}; the service's owner makes one with `,
  command(`lakesift key add NAME --scope ${scope}`),
  ".",
];

export const noLake = () =>
  message("No lake is served", ["Start the service with one: ", command("lakesift serve my.lake"), "."]);
