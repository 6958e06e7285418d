/** What the chosen filter decided of the image in the large view, and what people say of it. */

import { ask, lakePath } from "../common/api.js";
import { make } from "../common/dom.js";
import { labelHref } from "../common/links.js";
import { UNNAMED } from "../common/own_answers.js";
import { within } from "../common/sets.js";
import { sentence } from "../common/words.js";

/** @import { Within } from "../common/sets.js" */

const CALM_MS = 250; // who steps from image to image wants none of it

/**
 * What is said of an image: its decision, its score by the filter, its label; or why that is not known.
 * @typedef {{decision: string, score: string, label: string, problem: string}} Said
 * @param {string} lake
 * @param {number} rowId
 * @param {Within} set the decision that one looks among
 * @returns {Promise<Said>}
 */
export async function askDecided(lake, rowId, set) {
  const [filter, version] = set.filter.split("@"); // as reds@3
  const asked = version ? `?${new URLSearchParams({ version })}` : "";
  try {
    /** @type {Answers.RowDecided} */
    const found = (await ask("GET", `${lakePath(lake)}/filters/${encodeURIComponent(filter)}/rows/${rowId}${asked}`)).answer;
    return { decision: decision(found, set.filter), score: score(found), label: label(found), problem: "" };
  } catch (error) {
    return { decision: filter, score: "", label: "", problem: sentence(error.message, error.field) };
  }
}

/**
 * To the filter that decided.
 * @param {string} lake
 * @param {Within} set
 * @param {string} text
 */
export const filterLink = (lake, set, text) => make("a", { href: labelHref(lake, set.filter.split("@")[0]) }, text);

/**
 * The lines of the large view; they are complete a moment later.
 * @param {string} lake
 * @param {number} rowId
 * @param {Within} set
 * @param {boolean} isAmong whether the image was found there, so that its decision is known before it is asked for
 */
export function decided(lake, rowId, set, isAmong) {
  const link = filterLink(lake, set, isAmong ? capital(within(set)) : set.filter);
  const more = make("p", { class: "decided-more", role: "status", dir: "auto" });
  const element = make("div", { class: "decided-box" }, make("p", { class: "decided" }, link), more);
  const load = async () => {
    if (!element.isConnected) return;
    const said = await askDecided(lake, rowId, set);
    if (!said.problem) link.textContent = said.decision;
    more.textContent = said.problem || [said.score && `score ${said.score}`, said.label].filter(Boolean).join(" · ");
  };
  setTimeout(load, CALM_MS);
  return element;
}

/**
 * @param {Answers.RowDecided} found
 * @param {string} filter as the address names it
 */
function decision(found, filter) {
  if (found.version === null) return `${filter} has decided nothing yet`;
  return capital(within({ filter, decision: found.decision ?? "undecided" }));
}

/** @param {Answers.RowDecided} found */
function score({ score: is, probability }) {
  if (is === null) return "";
  const chance = probability === null ? "" : `, chance ${Math.round(100 * probability)}\u00a0%`;
  return `${is.toFixed(3)}${chance}`;
}

/** @param {Answers.RowDecided} found */
function label({ decision: is, label: now, label_then: then, labellers }) {
  if (now === null) return then === null ? "not labelled" : `not labelled any more (${then} when it was decided)`;
  const said = Object.entries(labellers).map(([who, what]) => (who === UNNAMED ? what : `${what} by ${who}`));
  const isLater = is !== null && now !== then;
  return `labelled ${said.join(", ")}${isLater ? ", after the decision" : ""}`;
}

/** @param {string} text */
const capital = (text) => `${text[0].toUpperCase()}${text.slice(1)}`;
