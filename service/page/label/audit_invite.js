/** Before an audit: what it does, what it may cost, and the button that begins it. */

import { button, make } from "../common/dom.js";
import { answers, count, images, sentence } from "../common/words.js";
import { wanted } from "./filter_words.js";
import * as filters from "./filters_api.js";
import { PriceFields } from "./prices.js";

/** @import { Prices } from "./prices.js" */

const OPTIONS_SHOWN = 5;
const WITHOUT_CENTS = 100; // amounts from here on
const LABEL_PRICE = 0.5; // of an annotation: as the service weighs what a check costs against what it drops
/** @typedef {Answers.PlanOption & {labels: number}} Option one that it knows the labels of */

const BEGIN = "Begin the random check";
const UNTAUGHT =
  "Nothing was taught yet: this would measure what the filter's words and examples find. A few dozen answers under Teach first " +
  "save many here, and a random check that is begun later again counts as another try.";

/** @typedef {{budget: ?number, prices: Prices}} Spending budget: labels that may be spent; null: not said */

/**
 * @param {string} lake
 * @param {Answers.FilterAnswer} filter
 * @param {boolean} isAgain whether one was begun before
 * @param {number} labels that there are
 * @param {(spending: Spending) => unknown} begin
 * @returns {HTMLElement} its table, and the number on the button, come when the server has worked them out
 */
export function invite(lake, { name, target }, isAgain, labels, begin) {
  const budget = make("input", { id: "budget", type: "number", min: "1", inputmode: "numeric", placeholder: "empty: the least work in all" });
  const table = make("div", { class: "plan", "aria-live": "polite" }, make("p", { class: "small" }, "Working out what it would cost…"));
  // Prices decide between lines where recall alone is promised.
  const prices = target.recall !== null && target.precision === null ? new PriceFields((said) => work(said)) : null;
  const start = button({ class: "strong" }, () => isUnderstood() && begin({ budget: spent(budget), prices: prices?.now ?? {} }), BEGIN);
  // A number that is not understood is said, and not left out: a check that is begun anew counts as another try.
  const isUnderstood = () => (prices?.report() ?? true) && budget.reportValidity();
  let least = /** @type {?number} */ (null); // answers, about, where no budget is said
  let asked = 0;
  const tell = () => {
    start.textContent = [BEGIN, answersWords(spent(budget), least)].filter(Boolean).join(": ");
    const choices = [...table.querySelectorAll("button")];
    const chosen = choices.find(({ value }) => Number(value) === spent(budget));
    for (const each of choices) each.setAttribute("aria-pressed", String(each === chosen));
  };
  const choose = (/** @type {number} */ number) => {
    // A second press takes the choice back.
    budget.value = spent(budget) === number ? "" : String(number);
    tell();
  };
  const work = async (/** @type {Prices} */ said) => {
    const mine = ++asked;
    table.setAttribute("aria-busy", "true");
    const found = await forecast(lake, name, said, choose);
    if (mine !== asked) return; // other prices were said meanwhile
    table.removeAttribute("aria-busy");
    table.replaceChildren(...found.told);
    least = found.least;
    tell();
  };
  budget.addEventListener("input", tell);
  work(prices?.now ?? {});
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
    make("p", { class: "small" }, `Guarantee: ${wanted(target)}`),
    !labels && make("p", { class: "problem" }, UNTAUGHT),
    prices?.element,
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
 * @param {Prices} prices
 * @param {(labels: number) => unknown} choose a line of the table, by its labels
 * @returns {Promise<{told: Node[], least: ?number}>} least: answers that the least work in all takes, about
 */
async function forecast(lake, name, prices, choose) {
  try {
    const found = await filters.plan(lake, name, prices);
    const { rows, options, costs } = found;
    const known = /** @type {Option[]} */ (options.filter(({ labels }) => labels !== null));
    const about = belong(found);
    if (!known.length) {
      const none = `${about} For no cut-off it foresees fewer labels than there are images: teach it more, or ask for less.`;
      return { told: [make("p", {}, none)], least: null };
    }
    const least = leastWork(known, costs);
    const said = make("p", {}, [about, answered(rows, known[0])].filter(Boolean).join(" "));
    return { told: [said, plan(spread(known, least), least, costs, choose), ...cheapest(costs)], least: least.labels };
  } catch (error) {
    return { told: [make("p", { class: "problem" }, sentence(error.message, error.field))], least: null };
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

/**
 * The line that a check aims at which is not told what it may take.
 * @param {Option[]} options
 * @param {?Answers.PlanCosts} costs null: no prices were said
 */
const leastWork = (options, costs) => {
  const line = costs?.line && options.find(({ dropped }) => dropped === costs.line?.dropped);
  const work = (/** @type {Option} */ { labels, kept }) => LABEL_PRICE * labels + kept;
  return line ?? options.reduce((best, each) => (work(each) < work(best) ? each : best));
};

/**
 * A few of many, from the first to the last, and the one of least work among them.
 * @param {Option[]} options
 * @param {Option} least
 */
function spread(options, least) {
  if (options.length <= OPTIONS_SHOWN) return options;
  const last = options.length - 1;
  const places = Array.from({ length: OPTIONS_SHOWN }, (_, at) => Math.round((at * last) / (OPTIONS_SHOWN - 1)));
  const at = options.indexOf(least);
  const near = Math.round((at * (OPTIONS_SHOWN - 1)) / last);
  return places.map((place, number) => options[number === near ? at : place]);
}

/**
 * @param {Option[]} options
 * @param {Option} least
 * @param {?Answers.PlanCosts} costs
 * @param {(labels: number) => unknown} choose
 */
function plan(options, least, costs, choose) {
  const headings = ["To drop", "kept", "answers, about", ...(costs ? [unit("cost", costs)] : [])];
  const row = (/** @type {Option} */ option) => {
    const { dropped, kept, labels, cost } = option;
    const budget = Math.max(1, labels);
    const title = `Spend at most ${answers(budget)}: drop ${count(dropped)}, keep ${count(kept)}`;
    const facts = { class: "plan-choice", value: budget, "aria-pressed": "false", "aria-label": title, title };
    const chooses = button(facts, () => choose(budget), count(budget));
    const cells = [count(dropped), count(kept), chooses, ...(costs ? [cost === null ? "–" : money(cost)] : [])];
    return make("tr", { class: option === least && "least" }, ...cells.map((each) => make("td", {}, each)));
  };
  return make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...headings.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...options.map(row)),
  );
}

/**
 * The cheapest way of all, and what the others would cost.
 * @param {?Answers.PlanCosts} costs
 */
function cheapest(costs) {
  if (!costs) return [];
  const looks = costs.line?.looks;
  const looked = looks ? ` with a look at ${count(looks)} of the kept (leave unsure images to a person)` : "";
  const ways = [
    costs.line && { name: "line", cost: costs.line.cost, text: `this check and dropping ${count(costs.line.dropped)}${looked}` },
    { name: "label_everything", cost: costs.label_everything, text: "looking at every image" },
    { name: "annotate_everything", cost: costs.annotate_everything, text: "annotating everything" },
  ].filter((way) => way !== null);
  ways.sort((one, other) => Number(other.name === costs.cheapest) - Number(one.name === costs.cheapest) || one.cost - other.cost);
  const [best, ...others] = ways;
  const dearer = others.map(({ text, cost }) => `${text} ${money(cost)}`).join(", ");
  return [make("p", { class: "small" }, `${unit("Cheapest", costs)}: ${best.text}, ${money(best.cost)}. Beside it: ${dearer}.`)];
}

/**
 * @param {string} text
 * @param {Answers.PlanCosts} costs
 */
const unit = (text, { prices: { currency } }) => (currency ? `${text}, in ${currency}` : text);

/**
 * Large amounts without cents, as the command line tells them.
 * @param {number} amount
 */
const money = (amount) => (Math.abs(amount) >= WITHOUT_CENTS ? count(Math.round(amount)) : String(Number(amount.toFixed(2))));
