/** Before an audit: what it does, what it may cost, and the button that begins it. */

import { button, make } from "../common/dom.js";
import { count, images, sentence } from "../common/words.js";
import * as filters from "./filters_api.js";

const OPTIONS_SHOWN = 5;
const UNTAUGHT =
  "Nothing was taught yet: this would measure what the filter's words and examples find. A few dozen answers under Teach first " +
  "save many here, and a random check that is begun later again counts as another try.";

/**
 * @param {string} lake
 * @param {string} name of the filter
 * @param {boolean} isAgain whether one was begun before
 * @param {number} labels that there are
 * @param {function(?number)} begin told the labels that may be spent, or null
 * @returns {HTMLElement} its table comes when the server has worked it out
 */
export function invite(lake, name, isAgain, labels, begin) {
  const budget = make("input", { id: "budget", type: "number", min: "1", inputmode: "numeric", placeholder: "empty: the least work in all" });
  const table = make("div", { class: "plan", "aria-live": "polite" }, make("p", { class: "small" }, "Working out what it would cost…"));
  forecast(lake, name).then((found) => table.replaceChildren(...found));
  return make(
    "div",
    { class: "invite" },
    make("h2", {}, isAgain ? "A new random check" : "A random check"),
    make(
      "p",
      {},
      isAgain
        ? "It measures what was learnt since, and takes the place of the check before: its answers still teach, and count no more."
        : "It fixes what the filter has learnt so far and draws images at random. Your answers measure how much would be lost, so that a guarantee can be given.",
    ),
    !labels && make("p", { class: "problem" }, UNTAUGHT),
    table,
    make("label", { for: "budget" }, "Labels you would spend"),
    make(
      "div",
      { class: "invite-line" },
      budget,
      button({ class: "strong" }, () => begin(budget.valueAsNumber >= 1 ? Math.floor(budget.valueAsNumber) : null), "Begin the random check"),
    ),
  );
}

async function forecast(lake, name) {
  try {
    const { rows, relevant, options } = await filters.plan(lake, name);
    const known = options.filter(({ labels }) => labels !== null);
    const about = `About ${count(relevant)} of ${images(rows)} may belong, as far as the filter knows.`;
    if (!known.length) {
      return [make("p", {}, `${about} For no cut-off it foresees fewer labels than there are images: teach it more, or ask for less.`)];
    }
    return [make("p", {}, about), plan(spread(known))];
  } catch (error) {
    return [make("p", { class: "problem" }, sentence(error.message))];
  }
}

/** A few of many, from the first to the last. */
const spread = (options) =>
  options.length <= OPTIONS_SHOWN
    ? options
    : Array.from({ length: OPTIONS_SHOWN }, (_, at) => options[Math.round((at * (options.length - 1)) / (OPTIONS_SHOWN - 1))]);

const plan = (options) =>
  make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...["To drop", "kept", "labels, about"].map((text) => make("th", { scope: "col" }, text)))),
    make(
      "tbody",
      {},
      ...options.map(({ dropped, kept, labels }) =>
        make("tr", {}, ...[dropped, kept, labels].map((number) => make("td", {}, count(number)))),
      ),
    ),
  );
