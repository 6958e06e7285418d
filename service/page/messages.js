/** What the page says in place of images, or beside them: one sentence, and a way on. */

import { button, make } from "./dom.js";
import { sentence } from "./words.js";

/**
 * @param {string} title
 * @param {(string|Node)[]} text
 * @param {...[string, function()]} ways a button each
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

const way = ([label, does]) => button({}, does, label);

export const notice = (text, ...ways) =>
  make("p", { class: "notice" }, make("span", { dir: "auto" }, text), ...ways.map(way));

const command = (text) => make("code", {}, text);

/** What to do for which a key's scope is too narrow: said in place of a button that would be refused. */
export const needed = (doing, scope) => [
  `${doing} needs a key of scope ${scope}; the service's owner makes one with `,
  command(`lakesift key add NAME --scope ${scope}`),
  ".",
];

export const noLake = () =>
  message("No lake is served", ["Start the service with one: ", command("lakesift serve my.lake"), "."]);

export const emptyLake = (name) =>
  message(`${name} has no images yet`, [
    "Index a folder of photos into it: ",
    command(`lakesift index PHOTOS --into ${name}.lake`),
    ". They show here by themselves.",
  ]);

/** @param {{where: function(), minZ: function(), all: function()}} without */
export function nothingFound(state, without) {
  if (state.where) {
    const text = ["No image passes the filter ", command(state.where), "."];
    return message("Nothing found", text, ["Remove the filter", without.where]);
  }
  if (state.minZ !== null) {
    const text = [`No image stands out that much: z at least ${state.minZ}.`];
    return message("Nothing found", text, ["Any z", without.minZ]);
  }
  return message("Nothing found", ["No image answers this."], ["Show all images", without.all]);
}

/** @param {?string} name of the file that is to blame */
export function failure(error, name, ...ways) {
  const text = sentence(error.message, error.field);
  return message("That did not work", name ? [make("bdi", {}, name), `: ${text}`] : [text], ...ways);
}

/** @param {string[]} problems what the server says is damaged or out of reach */
export function problems(texts) {
  const title = texts.length === 1 ? "1 problem with this lake" : `${texts.length} problems with this lake`;
  return make(
    "details",
    { class: "notice" },
    make("summary", {}, title),
    make("ul", {}, ...texts.map((text) => make("li", { dir: "auto" }, sentence(text)))),
  );
}
