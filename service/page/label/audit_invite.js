/** Before an audit: what it does, what it may cost, and the button that begins it. */

import { button, make } from "../common/dom.js";
import { answers, count, images, sentence } from "../common/words.js";
import * as filters from "./filters_api.js";

const OPTIONS_SHOWN = 5;
const LABEL_PRICE = 0.5; // of an annotation: as the service weighs what a check costs against what it drops
/** @typedef {Answers.PlanOption & {labels: number}} Option one that it knows the labels of */

const BEGIN = "Begin the random check";
const UNTAUGHT =
  "Nothing was taught yet: this would measure what the filter's words and examples find. A few dozen answers under Teach first " +
  "save many here, and a random check that is begun later again counts as another try.";

/**
 * @param {string} lake
 * @param {string} name of the filter
 * @param {boolean} isAgain whether one was begun before
 * @param {number} labels that there are
 * @param {(budget: ?number) => unknown} begin told the labels that may be spent, or null
 * @returns {HTMLElement} its table, and the number on the button, come when the server has worked them out
 */
export function invite(lake, name, isAgain, labels, begin) {
  const budget = make("input", { id: "budget", type: "number", min: "1", inputmode: "numeric", placeholder: "empty: the least work in all" });
  const table = make("div", { class: "plan", "aria-live": "polite" }, make("p", { class: "small" }, "Working out what it would cost…"));
  const start = button({ class: "strong" }, () => begin(spent(budget)), BEGIN);
  let least = /** @type {?number} */ (null); // answers, about, where no budget is said
  const tell = () => (start.textContent = [BEGIN, answersWords(spent(budget), least)].filter(Boolean).join(": "));
  budget.addEventListener("input", tell);
  forecast(lake, name).then((found) => {
    table.replaceChildren(...found.told);
    least = found.least;
    tell();
  });
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
    make("label", { for: "budget" }, "Labels you would spend"),
    make("div", { class: "invite-line" }, budget, start),
    // It comes last, and takes the room it takes: nothing that one taps is beneath it.
    table,
  );
}

/** @param {HTMLInputElement} budget */
const spent = (budget) => (budget.valueAsNumber >= 1 ? Math.floor(budget.valueAsNumber) : null);

/**
 * What the button says beside what it does.
 * @param {?number} budget
 * @param {?number} least
 */
function answersWords(budget, least) {
  if (budget !== null) return `at most ${answers(budget)}`;
  return least === null ? "" : `about ${answers(least)}`;
}

/**
 * @param {string} lake
 * @param {string} name
 * @returns {Promise<{told: Node[], least: ?number}>} least: answers that the least work in all takes, about
 */
async function forecast(lake, name) {
  try {
    const found = await filters.plan(lake, name);
    const { rows, options } = found;
    const known = /** @type {Option[]} */ (options.filter(({ labels }) => labels !== null));
    const about = belong(found);
    if (!known.length) {
      const none = `${about} For no cut-off it foresees fewer labels than there are images: teach it more, or ask for less.`;
      return { told: [make("p", {}, none)], least: null };
    }
    return { told: [make("p", {}, [about, answered(rows, known[0])].filter(Boolean).join(" ")), plan(spread(known))], least: leastWork(known).labels };
  } catch (error) {
    return { told: [make("p", { class: "problem" }, sentence(error.message))], least: null };
  }
}

/** @param {Answers.PlanAnswer} plan */
function belong({ rows, at_least, at_most, confidence }) {
  if (at_most !== null && confidence !== null) {
    const number = at_least === at_most ? count(at_least) : `Between ${count(at_least)} and ${count(at_most)}`;
    return `${number} of ${images(rows)} ${at_most === 1 ? "belongs" : "belong"}, ${Number((100 * confidence).toPrecision(4))} % sure.`;
  }
  const known = `${count(at_least)} of ${images(rows)} ${at_least === 1 || rows === 1 ? "is" : "are"} known to belong`;
  return `${known}; how many do in all is not known before a random check.`;
}

/**
 * So that the columns add up: what is in neither of them.
 * @param {number} rows
 * @param {Option} option
 */
function answered(rows, { dropped, kept }) {
  const number = rows - dropped - kept;
  if (number <= 0) return "";
  return `${images(number)} ${number === 1 ? "has an answer" : "have answers"} already; the other ${count(dropped + kept)} would be dropped or kept so:`;
}

/** @param {Option[]} options */
const leastWork = (options) => {
  const work = (/** @type {Option} */ { labels, kept }) => LABEL_PRICE * labels + kept;
  return options.reduce((best, each) => (work(each) < work(best) ? each : best));
};

/**
 * A few of many, from the first to the last.
 * @param {Option[]} options
 */
const spread = (options) =>
  options.length <= OPTIONS_SHOWN
    ? options
    : Array.from({ length: OPTIONS_SHOWN }, (_, at) => options[Math.round((at * (options.length - 1)) / (OPTIONS_SHOWN - 1))]);

/** @param {Option[]} options */
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
